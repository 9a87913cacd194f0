"""Tables as the steps take them, and the release that their results depend on."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import mlops_kit
from mlops_kit.datasets.dataset import Dataset
from mlops_kit.errors import InvalidInput
from mlops_kit.fingerprints.data import is_data
from mlops_kit.masking import quoted

if TYPE_CHECKING:
    import pandas as pd

_LISTED = 20


def release(*packages: str) -> str:
    """Name this release, and those of packages whose part in a result its arguments do not show.

    Examples
    --------
    >>> release("numpy").startswith(f"mlops-kit {mlops_kit.__version__}, numpy ")
    True
    """
    return ", ".join([f"mlops-kit {mlops_kit.__version__}", *(f"{name} {_version(name)}" for name in packages)])


def frame_of(data: Any) -> pd.DataFrame:
    """Return a table as a frame of pandas.

    Raises
    ------
    InvalidInput
        It is no table.
    """
    import pandas as pd  # noqa: PLC0415 - importing the steps loads no pandas

    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Dataset) or (is_data(data) and hasattr(data, "to_pandas")):
        made: Any = data.to_pandas()
        if isinstance(made, pd.DataFrame):
            return made
    raise InvalidInput(
        f"A {type(data).__name__} is no table with named columns. Pass a frame of pandas or polars, an Arrow table "
        "or a Dataset."
    )


def column_of(frame: pd.DataFrame, name: Any) -> pd.Series[Any]:
    """Return a column.

    Raises
    ------
    InvalidInput
        There is none of this name, or more than one.
    """
    places = [place for place, label in enumerate(frame.columns) if label == name]
    if len(places) != 1:
        listed = ", ".join(map(str, frame.columns[:_LISTED]))
        raise InvalidInput(f"The data has {len(places) or 'no'} columns {quoted(name)}. Columns: {listed}.")
    return frame.iloc[:, places[0]]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
