"""What is known of the models of a store: found by name, version, alias and moment, and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_kit.errors import ModelNotFound
from mlops_kit.records.audit import Anchor, AuditReport
from mlops_kit.records.entry import Entry
from mlops_kit.records.moments import AsOf
from mlops_kit.records.names import check_name, folder
from mlops_kit.registry.audit import audit
from mlops_kit.registry.lineage import Lineage, lineage_of
from mlops_kit.registry.saving import warn_if_changed
from mlops_kit.registry.version import ModelVersion
from mlops_kit.store import keys
from mlops_kit.store.catalog import Catalog
from mlops_kit.store.store import Store, StoreLike, open_store
from mlops_kit.store.trust import doubt_of, load_trusted


class RecordedModels:
    """The reading side of the models of a store; see `mlops_kit.ModelStore`."""

    def __init__(self, store: StoreLike = None) -> None:
        self.store: Store = open_store(store)
        self._catalog = Catalog(self.store, "models", "model", ModelNotFound, "models.versions({})")

    def load(self, spec: str, *, as_of: AsOf | None = None, allow_code: str | None = None) -> Any:
        """Give back a model.

        Parameters
        ----------
        spec : str
            ``"name:3"``, ``"name@champion"`` or ``"name@latest"``.
        as_of : str, date or datetime, optional
            What the spec meant at that moment; a bare date means the end of that day in UTC.
        allow_code : str, optional
            The digest of an object that may run code here though its store is not trusted.

        Returns
        -------
        object
            The model, from bytes whose digest was verified.

        Raises
        ------
        NotFound
            There is no such name, version or alias; the message lists what exists.
        IntegrityError
            The stored bytes are not those that were registered.
        UntrustedArtifact
            Somebody else could have written them; the message holds the line that would trust them.
        SignatureError
            You demand signatures of this store, and an entry of the model's journal has none that counts.
        """
        entry = self._catalog.resolve(spec, as_of=as_of)
        version = self._version(entry, self._catalog.parse(spec).name)
        what = f"model {version.spec}"
        journal = self._catalog.open(version.name)
        data = self.store.objects.get(version.digest, what=what)
        model = load_trusted(
            self.store.backend,
            data,
            digest=version.digest,
            format=version.format,
            what=what,
            allow_code=allow_code,
            named_in=keys.journal_prefix("models", folder(version.name)).rstrip("/"),
            doubt=lambda: doubt_of(journal, entry.seq, version.digest, url=self.store.url),
        )
        warn_if_changed(model, data, version.fingerprint, what=what)
        return model

    def get(self, spec: str, *, as_of: AsOf | None = None) -> ModelVersion:
        """Find a version without loading the model; no trust is needed.

        Parameters
        ----------
        spec : str
            ``"name:3"``, ``"name@champion"`` or ``"name@latest"``.
        as_of : str, date or datetime, optional
            What the spec meant at that moment; a bare date means the end of that day in UTC.

        Returns
        -------
        ModelVersion
            What is known of it.

        Raises
        ------
        NotFound
            There is no such name, version or alias; the message lists what exists.
        """
        entry = self._catalog.resolve(spec, as_of=as_of)
        return self._version(entry, self._catalog.parse(spec).name)

    def names(self) -> list[str]:
        """Name all models, sorted.

        Returns
        -------
        list of str
            As first spelled.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> mk.ModelStore("memory://names-doc").names()
        []
        """
        return self._catalog.names()

    def versions(self, name: str) -> list[ModelVersion]:
        """List the versions of a model, oldest first.

        Parameters
        ----------
        name : str
            The model.

        Returns
        -------
        list of ModelVersion
            Those neither archived nor deleted.

        Raises
        ------
        ModelNotFound
            There is no such model; the message lists those there are.
        """
        name = check_name(name, what="model")
        journal = self._catalog.journal(name)
        seqs, removed = journal.read(lambda state: (list(state["versions"]), set(state["removed"])))
        kept = (seq for version, seq in enumerate(seqs, 1) if version not in removed)
        return [self._version(journal.entry(seq), name) for seq in kept]

    def aliases(self, name: str) -> dict[str, int]:
        """Tell where each alias of a model points.

        Parameters
        ----------
        name : str
            The model.

        Returns
        -------
        dict of str to int
            The version by alias; ``latest``, which is computed, is not among them.
        """
        state = self._catalog.ask(name, lambda state: dict(state["aliases"]), on_trust=True)
        return {alias: standing[-1] for alias, standing in sorted(state.items()) if standing}

    def history(self, name: str) -> list[Entry]:
        """Read the journal of a model: who did what to it, when and why.

        Parameters
        ----------
        name : str
            The model.

        Returns
        -------
        list of Entry
            Oldest first, each with ``seq``, ``at``, ``by``, ``kind`` and ``body``.
        """
        return self._catalog.journal(name).entries()

    def lineage(self, spec: str, *, as_of: AsOf | None = None) -> Lineage:
        """Tell exactly which data, code and environment made a version.

        Parameters
        ----------
        spec : str
            ``"name:3"``, ``"name@champion"`` or ``"name@latest"``.
        as_of : str, date or datetime, optional
            As for `load`; nothing is loaded and no trust is needed.

        Returns
        -------
        Lineage
            ``.model``, ``.run``, ``.data``, ``.code``, ``.environment``, and in ``.unknown`` what was not
            recorded.
        """
        return lineage_of(self.store, self.get(spec, as_of=as_of))

    def audit(self, name: str | None = None, *, anchor: Anchor | Mapping[str, Anchor] | None = None) -> AuditReport:
        """Prove, as far as it can be proved, that the journals of models are what was written.

        Every journal is read from its first entry: that each follows the one before, that signatures are right and
        count (see `Trust`), that models are the bytes that were registered, that ``head.json`` says what the
        entries say, and that no entry is gone that somebody saw: an anchor in another journal, in your settings,
        or one that you kept elsewhere.

        Parameters
        ----------
        name : str, optional
            One model; by default all.
        anchor : str, tuple or dict, optional
            What an earlier audit printed and you kept where nobody changes it, such as a CI log or a git commit:
            ``"12:<64 hex>"`` or ``(12, "<64 hex>")``; for several models a dict of these by name.

        Returns
        -------
        AuditReport
            ``.ok``, ``.problems`` (the first bad entry of each journal), ``.journals``, and in ``.unproved`` what
            nothing would show.

        Raises
        ------
        ModelNotFound
            There is no model of this name.
        InvalidInput
            It is no anchor.
        """
        return audit(self.store.backend, name, anchor)

    def _version(self, entry: Entry, name: str) -> ModelVersion:
        return ModelVersion(**ModelVersion.members(name, entry))

    def __repr__(self) -> str:
        return f"ModelStore({self.store.url!r})"
