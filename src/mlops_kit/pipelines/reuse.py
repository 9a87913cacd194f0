"""Whether an earlier result may stand for a call, and what reading it again brings with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlops_kit.errors import IntegrityError, NewerFormat, NotFound, NotSerializable, UntrustedArtifact
from mlops_kit.masking import quoted
from mlops_kit.pipelines.call import RunningCall
from mlops_kit.pipelines.dependencies import FUNCTION, moved
from mlops_kit.pipelines.options import StepOptions
from mlops_kit.pipelines.values import load_value
from mlops_kit.records.step import StepRecord
from mlops_kit.store import keys
from mlops_kit.store.observed import note_read
from mlops_kit.store.store import Store

FRESH_SHARE = 0.9
"""A result is fresh for a tenth less than asked for, so that what runs daily finds yesterday's no longer fresh."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found under a key.

    Parameters
    ----------
    record : StepRecord or None
        The result, if it may be reused.
    value : object
        What was returned then.
    why : str or None
        Why there is no result that may be reused; None if there never was one.
    warning : str or None
        What the user should be told of it.
    """

    record: StepRecord | None = None
    value: Any = None
    why: str | None = None
    warning: str | None = None


def find(store: Store, key: str, *, fresh_for: float | None, now: datetime) -> Found:
    """Look for the result of a key, verify it, and read its value.

    Parameters
    ----------
    store : Store
        Where results are kept.
    key : str
        The key.
    fresh_for : float or None
        Seconds after which a result is too old.
    now : datetime
        The present.

    Returns
    -------
    Found
        The result, or why there is none; never an error.
    """
    try:
        record = store.results.read(key)
        why = None if record is None else stale(record, store, fresh_for=fresh_for, now=now)
        if record is None or why is not None:
            return Found(why=why)
        _require_logged(record, store)
        return Found(record, load_value(store, record))
    except UntrustedArtifact as error:
        return Found(why="the store is not trusted, so its result is not loaded", warning=str(error))
    except (IntegrityError, NewerFormat, NotFound, NotSerializable) as error:
        return Found(why="its result is damaged or lost", warning=f"The result cannot be reused: {error}")
    except Exception as error:  # noqa: BLE001 - the step can run in any case, and so it does
        return Found(why="its result cannot be read", warning=f"The result cannot be reused: {quoted(error, 300)}")


def stale(record: StepRecord, store: Store, *, fresh_for: float | None, now: datetime) -> str | None:
    """Return why a result is no longer what the step would return; None if nothing says so."""
    if fresh_for is not None and now - record.at >= timedelta(seconds=FRESH_SHARE * fresh_for):
        return f"its result of {record.at:%Y-%m-%d %H:%M:%S} UTC is no longer fresh"
    if record.expires is not None and now >= record.expires:
        return "a result that it took from another step is no longer fresh"
    return next((why for read in record.reads if (why := moved(read, store)) is not None), None)


def pass_on(
    outer: RunningCall, name: str, options: StepOptions, depends: list[dict[str, Any]], *, at: datetime, store: str
) -> None:
    """Make a call depend on what was declared for a step that it calls."""
    if options.fresh_for is not None:
        outer.ends_by(at + timedelta(seconds=FRESH_SHARE * options.fresh_for))
    if not options.cache:
        outer.cannot_be_repeated(f"it calls {name}, which is never reused (cache=False)")
    for one in depends:
        if one["kind"] == FUNCTION:
            outer.cannot_be_repeated(f"it calls {name}, which depends on what {one['name']}() returns")
        else:
            note_read(**one, store=store)


def _require_logged(record: StepRecord, store: Store) -> None:
    """Raise if something that the step had logged is lost: the run that reuses it would name what is not there."""
    logged = record.logged
    named = [*(ref.object for ref in logged.outputs), *(ref.object for ref in logged.artifacts)]
    for digest in (*named, *(ref.profile for ref in logged.inputs)):
        if digest is not None and store.backend.stat(keys.object_key(digest)) is None:
            raise IntegrityError(f"The object {digest}, which the step had logged, is not in the store {store.url}.")
