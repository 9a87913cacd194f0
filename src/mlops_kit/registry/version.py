"""`ModelVersion`: a version of a model, shown."""

from __future__ import annotations

from mlops_kit.records.model import ModelRecord
from mlops_kit.views.model import version_html, version_text


class ModelVersion(ModelRecord):
    """A version of a model: what is known of it without loading it.

    Returned by `ModelStore.register`, `ModelStore.get` and `ModelStore.versions`.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> version = mk.ModelStore("memory://version-doc").register("constant", 42, metrics={"auc": 0.5})
    >>> version.spec, version.metrics, version.type
    ('constant:1', {'auc': 0.5}, 'builtins.int')
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return version_text(self)

    def _repr_html_(self) -> str:
        return version_html(self)
