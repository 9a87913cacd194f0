"""What of the state of a model is content: what it was told and what it learned, not how the training went.

Left out are the number of threads, durations and dates, counters, and other traces of the process. No library is
imported: an object of a library that is not loaded cannot be at hand.
"""

from __future__ import annotations

import copy
import re
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

_THREADS = frozenset({"n_jobs", "n_jobs_", "n_threads", "_n_threads", "nthread", "num_threads", "thread_count"})
_MOMENTS = frozenset({"refit_time_", "_init_prev_time", "_iter_prev_time"})
_ADDRESSES = frozenset({"_stop_words_id"})
_NOT_LEARNED = _THREADS | _MOMENTS | _ADDRESSES
_TIMES = ("_fit_time", "_score_time")
_OF_A_TRAINING = frozenset(
    {"catboost_version_info", "model_guid", "output_options", "params", "train_finish_time", "training"}
)
_DERIVED = frozenset({"_prediction_values_change", "_loss_value_change"})


def learned_state(obj: Any, state: Any) -> Any:
    """Reduce the state that an object gives to pickle to what is its content.

    Parameters
    ----------
    obj : object
        Any object.
    state : object
        The third part of what its ``__reduce_ex__`` returns.

    Returns
    -------
    object
        The state as it was, or a reduced copy, if the object belongs to a library that is known here.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> "n_jobs" in learned_state(LogisticRegression(), {"C": 1.0, "n_jobs": 4})
    False
    """
    for library, name, reduced in _KNOWN:
        kind = getattr(sys.modules.get(library), name, None)
        if kind is not None and isinstance(obj, kind):
            return reduced(obj, state)
    if isinstance(state, tuple) and hasattr(type(obj), "get_tree_stats"):
        return _uncounted(obj, state)
    return state


def _estimator(_: object, state: Any) -> Any:
    if not isinstance(state, dict) or (_NOT_LEARNED.isdisjoint(state) and "cv_results_" not in state):
        return state
    kept = {name: value for name, value in state.items() if name not in _NOT_LEARNED}
    results = kept.get("cv_results_")
    if isinstance(results, dict):
        kept["cv_results_"] = {k: v for k, v in results.items() if not str(k).endswith(_TIMES)}
    return kept


def _bunch(_bunch: object, _: Any) -> None:
    """Leave out what a ``Bunch`` holds beside its items, which pickling loses."""


def _uncounted(tree: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
    """Leave out of a tree of scikit-learn's neighbours how often it was asked, which each prediction changes."""
    counts = (*tree.get_tree_stats(), tree.get_n_calls())
    for start in range(len(state) - len(counts), -1, -1):
        part = state[start : start + len(counts)]
        if all(type(one) is int and one == count for one, count in zip(part, counts, strict=True)):
            return state[:start] + state[start + len(counts) :]
    return state


def _catboost(model: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Write the trees without the guid, date and options of the training that catboost keeps among them."""
    kept = {name: value for name, value in state.items() if name not in _THREADS | _DERIVED}
    if "__model" in kept:
        bare = copy.copy(model)
        notes = bare.get_metadata()
        kept["metadata"] = {name: notes[name] for name in notes.keys() if name not in _OF_A_TRAINING}  # noqa: SIM118 - no dict
        for name in list(notes.keys()):
            del notes[name]
        kept["__model"] = bare.__getstate__()["__model"]
    return kept


def _lightgbm(_: object, state: Any) -> Any:
    """Leave the number of threads out of the parameters, and out of the text of the trees, which repeats them."""
    kept = dict(state)
    if isinstance(kept.get("params"), dict):
        kept["params"] = {name: value for name, value in kept["params"].items() if name not in _THREADS}
    if isinstance(kept.get("_handle"), str):
        kept["_handle"] = re.sub(r"^\[num_threads: -?\d+\]\n", "", kept["_handle"], flags=re.MULTILINE)
    return kept


def _torch_module(_: object, state: Any) -> Any:
    """Rank the numbers of hooks, which torch counts through the whole process."""
    if not isinstance(state, dict):
        return state
    hooks = {name: held for name, held in state.items() if "_hooks" in name and isinstance(held, dict) and held}
    numbers = sorted({number for held in hooks.values() for number in held if isinstance(number, int)})
    rank = {number: place for place, number in enumerate(numbers)}
    return state | {name: {rank.get(key, key): hook for key, hook in held.items()} for name, held in hooks.items()}


def _ordered(_: object, state: Any) -> Any:
    """Leave out the versions of modules that torch notes on a state dict, and copying by items loses."""
    return {k: v for k, v in state.items() if k != "_metadata"} or None if isinstance(state, dict) else state


_KNOWN: tuple[tuple[str, str, Callable[[Any, Any], Any]], ...] = (
    ("sklearn.utils", "Bunch", _bunch),
    ("catboost", "CatBoost", _catboost),
    ("lightgbm", "Booster", _lightgbm),
    ("sklearn.base", "BaseEstimator", _estimator),
    ("torch.nn", "Module", _torch_module),
    (OrderedDict.__module__, OrderedDict.__name__, _ordered),
)
