"""`Signature`: what a model takes and gives, held against data."""

from __future__ import annotations

from typing import Any

from mlops_kit.errors import SchemaMismatch
from mlops_kit.records.signature import SignatureProblem, SignatureRecord, column_problems, output_problems
from mlops_kit.registry.schema import schema_of
from mlops_kit.views.signature import signature_html, signature_text


class Signature(SignatureRecord):
    """What a model takes and gives; see `ModelVersion.signature`.

    A tracked function that registers a model infers it from the data it was called with and from what the model
    says of itself (``feature_names_in_``, ``n_features_in_``, ``classes_``). `ModelStore.register` takes another
    with ``signature=``: an example ``(X, y)``, an example of ``X``, or a `Signature`.

    Attributes
    ----------
    inputs : tuple of ColumnSpec
        The columns the model takes, in its order: ``name``, ``type`` (as in a fingerprint, such as ``"float64"``),
        ``nullable`` (values were missing in training) and ``categories`` (the levels, if at most 100). A model
        that was fitted on an array has one input, with a ``shape``.
    outputs : tuple of ColumnSpec
        ``prediction``, and ``probability`` if it has ``predict_proba``; or the columns of a transformer.
    features, classes : tuple
        The names of the inputs, and the classes it tells apart.
    target : str or None
        The column that it predicts, as it is called in the training data.
    kind : str or None
        ``"binary"``, ``"multiclass"``, ``"regression"``, ``"score"`` or ``"transform"``.
    source, target_source : str or None
        Which inputs of the run hold the features and the target; `Lineage.training` and `Lineage.labels` are
        these inputs.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = pd.DataFrame({"age": [31, 47], "income": [1.5, 2.5]}), pd.Series([0, 1], name="bought")
    >>> model = LogisticRegression().fit(X, y)
    >>> version = mk.ModelStore("memory://signature-doc").register("buyers", model, signature=(X, y))
    >>> version.signature
    Signature(binary: bought from 2 columns)
      inputs   age: int64, income: float64
      outputs  prediction: int64 (0, 1), probability: float64 (any, 2)
    >>> for problem in version.signature.check(X[["income"]].assign(age="31")):
    ...     print(problem)
    reordered: The columns are in another order: place 1 has 'income', and 'age' belongs there.
    type: Column 'age' is utf8, and int64 is expected: values would be lost or change.
    """

    __slots__ = ()

    def check(self, X: Any) -> tuple[SignatureProblem, ...]:  # noqa: N803 - the field's name for data
        """Find what of some data does not suit the model.

        Parameters
        ----------
        X : table, array, sparse matrix or list of rows
            The data, as it would be passed to ``predict``.

        Returns
        -------
        tuple of SignatureProblem
            ``kind``, ``column`` and ``message`` of each: a column that is missing, not expected or in another
            place, of a type that cannot hold its values exactly, with missing values or levels that were not seen
            in training. Empty if the data suits.

        Raises
        ------
        UnsupportedData
            It is no data, or holds a column without a type.
        """
        schema = schema_of(X)
        wanted = {column.name for column in self.inputs if column.categories is not None}
        given = schema.columns(levels=wanted.__contains__)
        return column_problems(self.inputs, given, schema.survives)

    def validate(self, X: Any) -> None:  # noqa: N803 - the field's name for data
        """Refuse data that does not suit the model.

        Parameters
        ----------
        X : table, array, sparse matrix or list of rows
            The data, as it would be passed to ``predict``.

        Raises
        ------
        SchemaMismatch
            It does not suit; the message lists all that `check` finds.
        """
        problems = self.check(X)
        if problems:
            raise SchemaMismatch("\n  ".join(["The data does not suit the model:", *map(str, problems)]))

    def compare(self, other: SignatureRecord) -> tuple[SignatureProblem, ...]:
        """Find why a model with this signature cannot stand in for a model with another.

        Parameters
        ----------
        other : Signature
            That of the model whose place it is to take, such as the champion.

        Returns
        -------
        tuple of SignatureProblem
            Data that suits the other and not this one, and outputs that the other gives and this one does not.
        """
        return (*column_problems(self.inputs, other.inputs), *output_problems(other, self))

    def compatible(self, other: SignatureRecord) -> bool:
        """Tell whether a model with this signature can stand in for a model with another.

        Parameters
        ----------
        other : Signature
            That of the model whose place it is to take, such as the champion.

        Returns
        -------
        bool
            True if columns, types and outputs suit. Levels and missing values that one training set had and the
            other had not do not count here; `compare` lists them too.
        """
        return not any(problem.structural for problem in self.compare(other))

    def __repr__(self) -> str:
        return signature_text(self)

    def _repr_html_(self) -> str:
        return signature_html(self)
