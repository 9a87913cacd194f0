"""The kinds of things that are kept by name: one row each, read by fsck, gc, sync, anchors and audits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing.

    Parameters
    ----------
    name : str
        The folder of its journals, below ``journals/``, and of what is kept beside them.
    what : str
        What one of them is called in messages.
    versions : bool
        Its journals make numbered versions, and their fold is that of `mlops_kit.records.versions`.
    delivered : bool
        A version of it may wait in a spool.
    content : tuple of str
        The members of an entry's body that name the objects without which it is worth nothing.
    keeps_files : bool
        Files beside the journal, below ``<name>/<folder>/``, belong to it.
    record : str or None
        It has no journal, but records of this kind at ``<name>/<64 hex digits>.json``, which can be made again: one
        that is damaged is no loss, and is removed.
    """

    name: str
    what: str
    versions: bool
    delivered: bool
    content: tuple[str, ...]
    keeps_files: bool = False
    record: str | None = None


KINDS = (
    Kind("datasets", "dataset", versions=True, delivered=True, content=("manifest",)),
    Kind("models", "model", versions=True, delivered=True, content=("object",)),
    Kind("monitors", "monitor", versions=False, delivered=False, content=("baseline",), keeps_files=True),
    Kind("steps", "step result", versions=False, delivered=False, content=(), record="step"),
)
JOURNALLED = tuple(kind for kind in KINDS if kind.record is None)


def kind_of(name: str) -> Kind | None:
    """Find a kind by the folder of its journals; None for one that this release does not know.

    Examples
    --------
    >>> kind_of("models").what, kind_of("pipelines")
    ('model', None)
    """
    return next((kind for kind in KINDS if kind.name == name), None)


def what_of(name: str) -> str:
    """Return what one of a kind is called in messages.

    Examples
    --------
    >>> what_of("datasets"), what_of("pipelines")
    ('dataset', 'pipelines')
    """
    kind = kind_of(name)
    return name if kind is None else kind.what
