"""What is known of the models of a store: found by name, version, alias and moment, and loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlops_kit.errors import ModelNotFound
from mlops_kit.records import versions
from mlops_kit.records.audit import Anchor, AuditReport
from mlops_kit.records.check import Listing, passing_over
from mlops_kit.records.entry import Entry
from mlops_kit.records.moments import AsOf, as_of_moment
from mlops_kit.records.names import LATEST, check_name, folder
from mlops_kit.records.versions import Period, periods
from mlops_kit.registry.audit import audit
from mlops_kit.registry.card import ModelCard, card_of
from mlops_kit.registry.lineage import Lineage, lineage_of
from mlops_kit.registry.saving import Saved
from mlops_kit.registry.unpickling import python_of, unpickled
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
        found = self.store.objects.get_judged(version.digest, size=version.size, what=what)

        def load() -> Any:
            return load_trusted(
                self.store,
                found,
                digest=version.digest,
                format=version.format,
                what=what,
                allow_code=allow_code,
                named_in=journal.named_in(entry.seq),
                doubt=lambda: doubt_of(journal, entry.seq, version.digest, url=self.store.url),
            )

        objects, environment = self.store.objects, version.environment
        saved = Saved(
            version.digest,
            version.format,
            len(found.data),
            version.type,
            version.fingerprint,
            version.python,
            version.code,
        )
        return unpickled(saved, found.data, load, what=what, python=lambda: python_of(objects, environment))

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
        entry, said = self._catalog.find(spec, as_of=as_of)
        return self._version(entry, self._catalog.parse(spec).name, said)

    def names(self) -> Listing[str]:
        """Name all models, sorted.

        Returns
        -------
        Listing of str
            As first spelled; in ``problems`` the records that could not be read.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> mk.ModelStore("memory://names-doc").names()
        []
        """
        return self._catalog.names()

    def versions(self, name: str, *, as_of: AsOf | None = None) -> Listing[ModelVersion]:
        """List the versions of a model, oldest first.

        Parameters
        ----------
        name : str
            The model.
        as_of : str, date or datetime, optional
            As they were at that moment; a bare date means the end of that day in UTC.

        Returns
        -------
        Listing of ModelVersion
            Those neither archived nor deleted; in ``problems`` the records that could not be read.

        Raises
        ------
        ModelNotFound
            There is no such model; the message lists those there are.
        """
        name = check_name(name, what="model")
        listed = self._catalog.listed(name, as_of=as_of)
        found, problems = list[ModelVersion](), list(listed.problems)
        for entry, said in listed:
            with passing_over(problems, keys.entry_key("models", folder(name), entry.seq)):
                found.append(ModelVersion(**ModelVersion.members(name, entry, said)))
        return Listing(found, problems)

    def aliases(self, name: str, *, as_of: AsOf | None = None) -> dict[str, int]:
        """Tell where each alias of a model points.

        Parameters
        ----------
        name : str
            The model.
        as_of : str, date or datetime, optional
            As it was at that moment; a bare date means the end of that day in UTC.

        Returns
        -------
        dict of str to int
            The version by alias; ``latest``, which is computed, is not among them.
        """
        if as_of is None:
            standing = self._catalog.glance(name, lambda brief: dict(brief["aliases"]), on_trust=True)
            return {alias: standing[alias][0] for alias in sorted(standing.keys() - {LATEST})}
        return self._catalog.folded(name, versions.targets, as_of=as_of)

    def frozen(self, name: str) -> dict[str, str] | None:
        """Tell whether promotions of a model are frozen.

        Parameters
        ----------
        name : str
            The model.

        Returns
        -------
        dict or None
            ``actor``, ``at`` and ``reason`` of the freeze that stands; None if there is none.
        """
        found = self._catalog.glance(name, lambda brief: brief.get("frozen"))
        return None if found is None else dict(found)

    def retired(self, name: str) -> dict[str, dict[str, Any]]:
        """Return which aliases of a model were taken out of service.

        Parameters
        ----------
        name : str
            The model.

        Returns
        -------
        dict
            By alias: ``actor``, ``at`` and ``reason`` of the retirement, and the ``version`` it pointed to.
        """
        found = self._catalog.ask(name, lambda state: dict(state.get("retired", {})))
        members = ("actor", "at", "reason", "version")
        return {alias: {member: one[member] for member in members} for alias, one in sorted(found.items())}

    def timeline(
        self, name: str, alias: str = "champion", *, since: AsOf | None = None, until: AsOf | None = None
    ) -> Listing[Period]:
        """Tell which versions an alias pointed to, and when.

        Parameters
        ----------
        name : str
            The model.
        alias : str
            The alias; ``"latest"`` too.
        since, until : str, date or datetime, optional
            Only what was live at some time between these moments. A bare date means the end of that day in UTC.

        Returns
        -------
        Listing of Period
            Oldest first: ``version``, ``since``, ``until`` (None if it is live still; at that moment another is),
            and ``by``, ``kind`` and ``reason`` of the decision that made it live. Periods are whole, also where
            the question cuts them. In ``problems`` the records that could not be read: they may have moved it too.

        Raises
        ------
        ModelNotFound
            There is no such model.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> models = mk.ModelStore("memory://timeline-doc")
        >>> for threshold in (0.5, 0.6):
        ...     promoted = models.promote(models.register("rule", {"threshold": threshold}).spec)
        >>> [period.version for period in models.timeline("rule")]
        [1, 2]
        >>> [period.version for period in models.timeline("rule", since=promoted.at)]
        [2]
        """
        alias = check_name(alias, what="alias")
        first, last = (None if moment is None else as_of_moment(moment) for moment in (since, until))
        history = self._catalog.history(name)
        found = [
            period
            for period in periods(history, alias)
            if (last is None or period.since <= last)
            and (first is None or period.until is None or period.until > first)
        ]
        return Listing(found, history.problems)

    def history(self, name: str, *, as_of: AsOf | None = None) -> Listing[Entry]:
        """Read the journal of a model: who did what to it, when and why.

        Parameters
        ----------
        name : str
            The model.
        as_of : str, date or datetime, optional
            Only what was written until then; a bare date means the end of that day in UTC.

        Returns
        -------
        Listing of Entry
            Oldest first, each with ``seq``, ``at``, ``by``, ``kind`` and ``body``. What cannot be read leaves a gap:
            an entry of the kind ``"unreadable"``, with the ``problem`` in its body; ``problems`` has them all.
        """
        return self._catalog.history(name, as_of=as_of)

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
        """Prove, as far as it can be proved, that the journals of models, datasets and monitors are what was written.

        Every journal is read from its first entry: that each follows the one before, that signatures are right and
        count (see `Trust`), that versions are the bytes that were recorded, that ``head.json`` says what the
        entries say, and that no entry is gone that somebody saw: an anchor in another journal, in your settings,
        or one that you kept elsewhere.

        Parameters
        ----------
        name : str, optional
            One model, or ``"datasets/name"`` or ``"monitors/name"``; by default every journal of the store.
        anchor : str, tuple or dict, optional
            What an earlier audit printed and you kept where nobody changes it, such as a CI log or a git commit:
            ``"12:<64 hex>"`` or ``(12, "<64 hex>")``; for several journals a dict of these by name.

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

    def card(self, spec: str, *, as_of: AsOf | None = None, monitoring: Any = None) -> ModelCard:
        """Make a model card: all that is known of a version, for people who decide on it.

        Parameters
        ----------
        spec : str
            ``"name:3"``, ``"name@champion"`` or ``"name@latest"``.
        as_of : str, date or datetime, optional
            As it stood at that moment; a bare date means the end of that day in UTC.
        monitoring : MonitorReport or dict, optional
            What a monitor of it says.

        Returns
        -------
        ModelCard
            ``to_html()``, ``to_markdown()``, ``to_dict()`` and ``to_bom()``. What is intended and what is not is in
            the words of `ModelStore.describe`; the rest is what was recorded. Nothing is loaded, and no trust is
            needed.

        Raises
        ------
        NotFound
            There is no such version.
        """
        lineage = self.lineage(spec, as_of=as_of)
        name = lineage.model.name
        history = self.history(name, as_of=as_of)
        return card_of(lineage, self.aliases(name, as_of=as_of), history, self.store.objects, monitoring)

    def _version(self, entry: Entry, name: str, said: Iterable[int] = ()) -> ModelVersion:
        journal = self._catalog.open(name)
        return ModelVersion(**ModelVersion.members(name, entry, [journal.entry(seq) for seq in said]))

    def __repr__(self) -> str:
        return f"ModelStore({self.store.url!r})"
