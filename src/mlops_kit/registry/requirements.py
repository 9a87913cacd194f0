"""Conditions of a gate that are not about a metric: the model's speed, size and signature, the data, the people."""

from __future__ import annotations

from mlops_kit.datasets.dataset import Dataset
from mlops_kit.datasets.expected import expected
from mlops_kit.records.profile import TableProfile
from mlops_kit.records.quality import Expectation
from mlops_kit.registry import inspections, limits
from mlops_kit.registry.condition import Condition, stated


@stated
def predict_latency(*, p99_ms: float, rows: int = 1, repeats: int = 200, on: str | None = None) -> Condition:
    """Ask that predicting is fast: 99 of 100 calls take at most so long, on the machine that judges.

    Parameters
    ----------
    p99_ms : float
        Milliseconds.
    rows : int
        How many rows each call predicts.
    repeats : int
        How many calls are timed, after one that is not.
    on : str, optional
        The data; by default all that the gate has.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`. The one condition whose outcome may differ when it is asked again.

    Examples
    --------
    >>> predict_latency(p99_ms=50)
    Condition(p99 of predicting 1 row <= 50 ms)
    """
    p99_ms = limits.positive(p99_ms, "p99_ms")
    rows, repeats = limits.count(rows, "rows"), limits.count(repeats, "repeats")
    name = f"p99 of predicting {rows} row{'' if rows == 1 else 's'} <= {p99_ms:g} ms"
    return Condition(name, inspections.on_each(limits.data(on), inspections.latency(name, p99_ms, rows, repeats)), on)


@stated
def model_size(*, mb: float) -> Condition:
    """Ask that the stored model is small.

    Parameters
    ----------
    mb : float
        Megabytes, of a million bytes each.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`.

    Examples
    --------
    >>> model_size(mb=10)
    Condition(model size <= 10 MB)
    """
    mb = limits.positive(mb, "mb")
    name = f"model size <= {mb:g} MB"
    return Condition(name, inspections.once(inspections.size(name, mb)), needs_data=False)


@stated
def signature_compatible(alias: str = "champion", *, absent: str | None = None) -> Condition:
    """Ask that the candidate can stand in for the model an alias points to, and takes the data it is judged on.

    Parameters
    ----------
    alias : str
        The alias. While it points nowhere only the data is looked at.
    absent : str, optional
        As for `better_than`: ``"pass"`` or ``"fail"``, or by default what suits the other aliases there are.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`. It does not hold for a candidate without a signature.

    Examples
    --------
    >>> signature_compatible()
    Condition(signature compatible with champion)
    """
    name = f"signature compatible with {limits.alias(alias)}"
    inspect = inspections.signature(name, alias, absent=limits.absent(absent))
    return Condition(name, inspections.once(inspect), alias=alias, needs_data=False)


@stated
def data_quality(*expectations: Expectation | Dataset | TableProfile, on: str | None = None) -> Condition:
    """Ask that the data is as expected, so that what is judged on it can be believed.

    Parameters
    ----------
    *expectations : Expectation, Dataset or TableProfile
        From `mlops_kit.expectations`; a dataset or a profile stands for what it suggests.
    on : str, optional
        The data; by default all that the gate has.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`. What could not be judged, for want of rows, does not hold.

    Raises
    ------
    InvalidInput
        There is no expectation.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> data_quality(mk.expectations.in_range("age", 0, 130), mk.expectations.row_count(at_least=500))
    Condition(data as expected)
    """
    name = "data as expected"
    return Condition(name, inspections.on_each(limits.data(on), inspections.quality(name, expected(*expectations))), on)


@stated
def no_leak(*, max_share: float = 0.0, on: str | None = None) -> Condition:
    """Ask that rows of the data were not in the training data.

    Parameters
    ----------
    max_share : float
        The share of rows that may be in both.
    on : str, optional
        The data; by default all that the gate has.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`. Rows are the same if all columns that both tables have are equal. It does not hold
        if the training data is not known or was not kept.

    Examples
    --------
    >>> no_leak()
    Condition(no row of the training data)
    """
    max_share = limits.share(max_share, "max_share")
    name = "no row of the training data" if not max_share else f"<= {max_share:g} of the rows in the training data"
    return Condition(name, inspections.on_each(limits.data(on), inspections.leak(name, max_share)), on)


@stated
def same_environment(*packages: str) -> Condition:
    """Ask that the model was made with the Python and the packages that are installed where the gate runs.

    Parameters
    ----------
    *packages : str
        Which; by default those that models are made of (scikit-learn, numpy, scipy, pandas, xgboost, lightgbm,
        catboost, torch, tensorflow, jax), as far as they were there when the model was made.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`. Python is compared to its minor version, packages exactly.

    Examples
    --------
    >>> same_environment("scikit-learn")
    Condition(made with the Python and scikit-learn of this place)
    """
    packages = tuple(limits.text(package, "package") for package in packages)
    what = ", ".join(packages) if packages else "packages"
    name = f"made with the Python and {what} of this place"
    return Condition(name, inspections.once(inspections.environment(name, packages)), needs_data=False)


@stated
def approvals(n: int = 1) -> Condition:
    """Ask that people approved of the version, other than whoever registered it, and that nobody rejects it.

    Parameters
    ----------
    n : int
        How many; with 1, the one who registered and the one who approved are two persons.

    Returns
    -------
    Condition
        For a `mlops_kit.Gate`.

    Examples
    --------
    >>> approvals(2)
    Condition(2 approvals)
    """
    n = limits.count(n, "n")
    name = f"{n} approval{'' if n == 1 else 's'}"
    return Condition(name, inspections.once(inspections.approved(name, n)), needs_data=False)
