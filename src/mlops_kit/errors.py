"""Every error the library raises on purpose.

::

    MlopsKitError                      kind "error"
    ├── InvalidInput (ValueError)          "invalid-input"
    │   ├── InvalidName                    "invalid-name"
    │   ├── InvalidSpec                    "invalid-spec"
    │   ├── SchemaMismatch                 "schema-mismatch"
    │   └── UnsupportedData (TypeError)    "unsupported-data"
    ├── NotSerializable (TypeError)        "not-serializable"
    ├── NotFound (LookupError)             "not-found"
    │   ├── RunNotFound                    "run-not-found"
    │   ├── DatasetNotFound                "dataset-not-found"
    │   ├── ModelNotFound                  "model-not-found"
    │   ├── VersionNotFound                "version-not-found"
    │   ├── AliasNotFound                  "alias-not-found"
    │   │   └── AliasRetired               "alias-retired"
    │   ├── OutputNotFound                 "output-not-found"
    │   ├── MonitorNotFound                "monitor-not-found"
    │   └── ObjectNotFound                 "object-not-found"
    ├── Conflict                           "conflict"
    ├── ClockAhead                         "clock-ahead"
    ├── GateFailed                         "gate-failed"
    ├── GateRequired                       "gate-required"
    ├── NothingToRollBack                  "nothing-to-roll-back"
    ├── Frozen                             "frozen"
    ├── StillLive                          "still-live"
    ├── NoActiveRun (RuntimeError)         "no-active-run"
    ├── NotYet (TypeError)                 "not-yet"
    ├── StepTimeout (TimeoutError)         "step-timeout"
    ├── RunClosed (RuntimeError)           "run-closed"
    ├── AlertRaised                        "alert"
    ├── IntegrityError                     "integrity"
    │   └── OtherRelease                   "other-release"
    ├── NewerFormat                        "newer-format"
    ├── UntrustedArtifact (PermissionError) "untrusted-artifact"
    ├── ExposedFile (PermissionError)      "exposed-file"
    ├── SignatureError                     "signature"
    │   ├── SignatureMissing               "signature-missing"
    │   ├── SignatureInvalid               "signature-invalid"
    │   ├── SignerUnknown                  "signer-unknown"
    │   └── SignerRevoked                  "signer-revoked"
    └── StoreError (OSError)               "store"
        ├── NotDurable                     "not-durable"
        ├── Postponed                      "postponed"
        └── ReadOnlyStore                  "read-only-store"

    RecordingWarning (UserWarning)     something could not be recorded; the user's own work went on
    CodeChangedWarning (UserWarning)   a model was loaded whose code is no longer what it was
    CodeNotComparedWarning (UserWarning)  whether its code is what it was cannot be said
    OtherPythonWarning (UserWarning)   a model was loaded that another minor version of Python pickled

Each message says what happened, where, what exists instead and what to do; ``kind`` is stable across
releases and safe to branch on.
"""

from __future__ import annotations

from typing import Any, ClassVar

from mlops_kit.masking import masked_text
from mlops_kit.safe_text import clean_lines

__all__ = [
    "AlertRaised",
    "AliasNotFound",
    "AliasRetired",
    "ClockAhead",
    "CodeChangedWarning",
    "CodeNotComparedWarning",
    "Conflict",
    "DatasetNotFound",
    "ExposedFile",
    "Frozen",
    "GateFailed",
    "GateRequired",
    "IntegrityError",
    "InvalidInput",
    "InvalidName",
    "InvalidSpec",
    "MlopsKitError",
    "ModelNotFound",
    "MonitorNotFound",
    "NewerFormat",
    "NoActiveRun",
    "NotDurable",
    "NotFound",
    "NotSerializable",
    "NotYet",
    "NothingToRollBack",
    "ObjectNotFound",
    "OtherPythonWarning",
    "OtherRelease",
    "OutputNotFound",
    "Postponed",
    "ReadOnlyStore",
    "RecordingWarning",
    "RunClosed",
    "RunNotFound",
    "SchemaMismatch",
    "SignatureError",
    "SignatureInvalid",
    "SignatureMissing",
    "SignerRevoked",
    "SignerUnknown",
    "StepTimeout",
    "StillLive",
    "StoreError",
    "UnsupportedData",
    "UntrustedArtifact",
    "VersionNotFound",
]


_LONGEST = 3000


def _shortened(message: str, longest: int) -> str:
    """Cut a message that is too long in its middle."""
    if len(message) <= longest:
        return message
    return f"{message[: longest * 2 // 3]} … {message[-longest // 3 :]}"


class MlopsKitError(Exception):
    """Base of every error raised by mlops_kit.

    Parameters
    ----------
    message : str
        What happened, where, what exists, and what to do, as whole sentences.

    Attributes
    ----------
    kind : str
        A stable identifier of the class of failure.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> try:
    ...     mk.ModelStore("memory://errors-doc").load("churn")
    ... except mk.errors.MlopsKitError as error:
    ...     print(error.kind)
    invalid-spec
    """

    kind: ClassVar[str] = "error"

    def __init__(self, message: str) -> None:
        # An argument that is quoted may be of any length. A secret is masked before a cut could hide what it is.
        message = _shortened(masked_text(_shortened(message, 10 * _LONGEST)), _LONGEST)
        super().__init__(clean_lines(message))

    def __str__(self) -> str:
        return str(self.args[0])


class InvalidInput(MlopsKitError, ValueError):
    """An argument cannot mean anything here."""

    kind = "invalid-input"


class InvalidName(InvalidInput):
    """A name breaks the rules for names of models, datasets, experiments or artifacts."""

    kind = "invalid-name"


class InvalidSpec(InvalidInput):
    """A ``name:version`` or ``name@alias`` reference cannot be read."""

    kind = "invalid-spec"


class SchemaMismatch(InvalidInput):
    """Data does not have the columns, types or levels that a model takes; each difference is named."""

    kind = "schema-mismatch"


class UnsupportedData(InvalidInput, TypeError):
    """Data of a type, or holding values, that cannot be kept exactly; the column is named."""

    kind = "unsupported-data"


class NotSerializable(MlopsKitError, TypeError):
    """An object cannot be saved; the path of the attribute that prevents it is named."""

    kind = "not-serializable"


class NotFound(MlopsKitError, LookupError):
    """Something was asked for by name and is not in the store."""

    kind = "not-found"


class RunNotFound(NotFound):
    """No run, or more than one, has this id, prefix or suffix."""

    kind = "run-not-found"


class DatasetNotFound(NotFound):
    """No dataset has this name or fingerprint."""

    kind = "dataset-not-found"


class ModelNotFound(NotFound):
    """No model has this name."""

    kind = "model-not-found"


class VersionNotFound(NotFound):
    """The name exists, the version does not."""

    kind = "version-not-found"


class AliasNotFound(NotFound):
    """The name exists, the alias points nowhere."""

    kind = "alias-not-found"


class AliasRetired(AliasNotFound):
    """The alias was taken out of service; the message says when, by whom and why."""

    kind = "alias-retired"


class OutputNotFound(NotFound):
    """The run has no output, input or artifact of this name."""

    kind = "output-not-found"


class MonitorNotFound(NotFound):
    """No monitor has this name."""

    kind = "monitor-not-found"


class ObjectNotFound(NotFound):
    """A record names bytes that the store does not hold."""

    kind = "object-not-found"


class Conflict(MlopsKitError):
    """Somebody else decided first; the message names who and what."""

    kind = "conflict"


class ClockAhead(MlopsKitError):
    """The clock of this machine is far ahead of the store's, so what it decides would be dated in the future."""

    kind = "clock-ahead"


class GateFailed(MlopsKitError):
    """A gate refused a promotion.

    Parameters
    ----------
    message : str
        What failed, and where the evidence is.
    report : GateReport
        The whole evidence.
    evidence : str or None
        ``sha256:<hex>`` of the report in the store; None if the store could not be written.
    """

    kind = "gate-failed"

    def __init__(self, message: str, report: Any = None, evidence: str | None = None) -> None:
        super().__init__(message)
        self.report = report
        self.evidence = evidence

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.report, self.evidence)


class GateRequired(MlopsKitError):
    """The alias needs a gate, and another or none was given; or the requirement is not this user's to change."""

    kind = "gate-required"


class NothingToRollBack(MlopsKitError):
    """The alias has no earlier standing promotion."""

    kind = "nothing-to-roll-back"


class Frozen(MlopsKitError):
    """Promotions of the model are frozen; the message says by whom and why."""

    kind = "frozen"


class StillLive(MlopsKitError):
    """An alias points to the version, so it can be neither archived nor deleted."""

    kind = "still-live"


class NoActiveRun(MlopsKitError, RuntimeError):
    """A ``log_`` function was called outside of a run."""

    kind = "no-active-run"


class NotYet(MlopsKitError, TypeError):
    """A future of a step was used as if it were the value; ``.result()`` gives that."""

    kind = "not-yet"


class StepTimeout(MlopsKitError, TimeoutError):
    """A step took longer than its ``timeout=``, and was stopped."""

    kind = "step-timeout"


class RunClosed(MlopsKitError, RuntimeError):
    """The run has ended, or belongs to another process, and cannot take this record."""

    kind = "run-closed"


class AlertRaised(MlopsKitError):
    """A check of a monitor ended with an alert, and its caller asked to be stopped by one."""

    kind = "alert"


class IntegrityError(MlopsKitError):
    """Stored bytes are not what was written; both digests are named.

    Attributes
    ----------
    problems : tuple of Problem
        Of a collection of garbage that was refused, all records that cannot be read.
    """

    kind = "integrity"
    problems: tuple[Any, ...] = ()


class OtherRelease(IntegrityError):
    """The state of a monitor was left by another release, and this one cannot go on from it."""

    kind = "other-release"


class NewerFormat(MlopsKitError):
    """A record was written by a newer release, and this one may not guess its meaning."""

    kind = "newer-format"


class UntrustedArtifact(MlopsKitError, PermissionError):
    """Loading would run code from bytes that nobody has vouched for."""

    kind = "untrusted-artifact"


class ExposedFile(MlopsKitError, PermissionError):
    """Others may change a file of the user's settings that decides whom to trust, or read a secret key."""

    kind = "exposed-file"


class SignatureError(MlopsKitError):
    """A journal entry is not signed as you demand, or a signature could not be made or verified."""

    kind = "signature"


class SignatureMissing(SignatureError):
    """An entry carries no signature where one is demanded."""

    kind = "signature-missing"


class SignatureInvalid(SignatureError):
    """A signature is not over the entry that carries it: one of the two was changed."""

    kind = "signature-invalid"


class SignerUnknown(SignatureError):
    """An entry is signed, by a key that is not listed for this store."""

    kind = "signer-unknown"


class SignerRevoked(SignatureError):
    """An entry is signed by a key that was revoked, and is not among those that still count."""

    kind = "signer-revoked"


class StoreError(MlopsKitError, OSError):
    """The store could not be read or written."""

    kind = "store"


class NotDurable(StoreError):
    """It was written and can be read, but could not be synced, so a power cut may still take it."""

    kind = "not-durable"


class Postponed(StoreError):
    """The store could not be written; what was to be written is in the spool, and must not be tried again."""

    kind = "postponed"


class ReadOnlyStore(StoreError):
    """The store can be read and not written."""

    kind = "read-only-store"


class _SafeWarning(UserWarning):
    """A warning whose text a terminal only shows."""

    def __str__(self) -> str:
        return clean_lines(super().__str__())


class RecordingWarning(_SafeWarning):
    """Something could not be recorded; the user's own code ran and returned as if it had been."""


class CodeChangedWarning(_SafeWarning):
    """A model uses functions or classes of the user's that have changed since it was saved."""


class CodeNotComparedWarning(_SafeWarning):
    """A model uses code of the user's whose fingerprints of then and now cannot be compared."""


class OtherPythonWarning(_SafeWarning):
    """A model was pickled by another minor version of Python than the one that loads it."""
