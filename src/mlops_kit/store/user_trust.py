"""`Trust`: what the present user trusts in a store."""

from __future__ import annotations

from dataclasses import replace

from mlops_kit.errors import InvalidInput
from mlops_kit.records.trust import StoreTrust, covers
from mlops_kit.store import trusted
from mlops_kit.store.store import StoreLike, open_store


class Trust:
    """What you trust in a store, and in the stores below its address.

    It is kept in your own settings, never in the store: ``mlops_kit/trust.json`` in ``~/.config``, in
    ``~/Library/Application Support`` on macOS and in ``%APPDATA%`` on Windows, or in the folder that
    ``MLOPS_KIT_CONFIG`` names. If others may write that file, nothing is read from it.

    Parameters
    ----------
    store : str, path or Store, optional
        The store; by default that of the project (see `Store`).

    Attributes
    ----------
    url : str
        Its address.
    code : bool
        Whether pickles from it may run code because its address, or one above it, is listed here.
    types : list of str
        What its files of ``format="skops"`` may hold besides what they may hold everywhere.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> trust = mk.Trust("memory://trust-doc")
    >>> trust.code
    False
    >>> trust.allow_code()
    >>> trust
    Trust('memory://trust-doc': code)
    >>> trust.remove()
    >>> mk.Trust.listed()
    []
    """

    def __init__(self, store: StoreLike = None) -> None:
        self.url = open_store(store).url
        if not covers(self.url, self.url):
            raise InvalidInput(f"{self.url!r} cannot be trusted by name: give the address of one store.")

    @property
    def code(self) -> bool:
        """Whether pickles from the store may run code."""
        return self._now.code

    def allow_code(self) -> None:
        """Let pickles from this store run code, whoever wrote them."""
        trusted.edit(self.url, lambda said: replace(said, code=True))

    @property
    def types(self) -> list[str]:
        """What files of ``format="skops"`` may hold here besides the list."""
        return sorted(self._now.types)

    def allow_types(self, *names: str) -> None:
        """Let files of ``format="skops"`` in this store hold more than they may everywhere.

        Parameters
        ----------
        *names : str
            Dotted names of classes or functions, as the refusal names them. Their modules are imported when a file
            names them, and objects of them get the state that stands in the file.

        Raises
        ------
        InvalidInput
            It is no dotted name.
        """
        for name in names:
            if "." not in name or not all(part.isidentifier() for part in name.split(".")):
                raise InvalidInput(f"{name!r} is no dotted name of a class or function, such as 'pkg.module.Class'.")
        trusted.edit(self.url, lambda said: replace(said, types=said.types | frozenset(names)))

    def remove(self) -> None:
        """Trust nothing in this store any more; what is listed of addresses above it still holds."""
        trusted.edit(self.url, lambda _said: StoreTrust())

    @classmethod
    def listed(cls) -> list[Trust]:
        """List the stores in which you trust something.

        Returns
        -------
        list of Trust
            Sorted by address.
        """
        made = []
        for url in sorted(trusted.listed()):
            made.append(cls.__new__(cls))
            made[-1].url = url  # without opening it: its extra need not be installed here
        return made

    @property
    def _now(self) -> StoreTrust:
        return trusted.trusted_of(self.url)

    def __repr__(self) -> str:
        now = self._now
        told = ["code"] if now.code else []
        told += [f"type {name}" for name in sorted(now.types)]
        return f"Trust({self.url!r}: {', '.join(told) or 'nothing'})"
