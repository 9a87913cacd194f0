"""`ModelStore`: models by name, version and alias."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from mlops_kit.errors import (
    Conflict,
    InvalidInput,
    ModelNotFound,
    ObjectNotFound,
    StoreError,
    UntrustedArtifact,
    VersionNotFound,
)
from mlops_kit.masking import quoted
from mlops_kit.records import codec, versions
from mlops_kit.records.entry import Entry
from mlops_kit.records.model import Promotion
from mlops_kit.records.names import check_name
from mlops_kit.records.signature import SignatureRecord
from mlops_kit.registry import decisions, evidence, policy
from mlops_kit.registry.audit import body_of_anchors
from mlops_kit.registry.governed import GovernedModels
from mlops_kit.registry.inference import declared, inferred
from mlops_kit.registry.report import GateReport
from mlops_kit.registry.saving import Saved, keep_environment, save
from mlops_kit.registry.version import ModelVersion
from mlops_kit.store import keys
from mlops_kit.store.active import ActiveRun, active_run
from mlops_kit.store.chain import walk_all
from mlops_kit.store.journal import Decision, State
from mlops_kit.store.trust import doubt_of

if TYPE_CHECKING:
    from mlops_kit.registry.gate import Gate


class ModelStore(GovernedModels):
    """The models of a store: register, load, promote, roll back, and ask what was live when.

    Parameters
    ----------
    store : str, path or Store, optional
        Where they are kept; by default the store of the project (see `Store`).

    Examples
    --------
    >>> import mlops_kit as mk
    >>> from sklearn.dummy import DummyClassifier
    >>> models = mk.ModelStore("memory://modelstore-doc")
    >>> for strategy in ("most_frequent", "prior"):
    ...     fitted = DummyClassifier(strategy=strategy).fit([[0], [1]], [0, 1])
    ...     print(models.register("baseline", fitted).spec)
    baseline:1
    baseline:2
    >>> print(models.promote("baseline:1"))
    baseline@champion: nothing → 1
    >>> print(models.promote("baseline:2"))
    baseline@champion: 1 → 2
    >>> print(models.rollback("baseline", reason="worse on Mondays"))
    baseline@champion: 2 → 1
    >>> models.load("baseline@champion").strategy
    'most_frequent'
    """

    def register(
        self,
        name: str,
        model: Any,
        *,
        run: str | ActiveRun | None = None,
        metrics: dict[str, float] | None = None,
        format: str = "cloudpickle",  # noqa: A002 - the field's word
        signature: Any = None,
        description: str | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> ModelVersion:
        """Keep a model as the next version of a name.

        Parameters
        ----------
        name : str
            Letters, digits, ``_``, ``-`` and ``.``.
        model : object
            Any object that can be saved.
        run : str or Run, optional
            The run that made it, or its id; by default the run that is active.
        metrics : dict, optional
            What it reached; by default the metrics of the run, if that is a `Run` or the one that is active.
        format : str
            How to save it: ``"cloudpickle"`` takes any object, and loading it needs trust in the store;
            ``"skops"`` (an extra) takes estimators that are nothing but data, and loading those needs none.
        signature : tuple, table, array or Signature, optional
            What it takes and gives: an example ``(X, y)``, an example of ``X``, or a `Signature`; by default what
            the model and the data of the active run tell.
        description : str, optional
            What a reader should know of it.
        card : mapping, optional
            For its model card, as in `describe`.

        Returns
        -------
        ModelVersion
            The version, durable: its bytes first, then the record that names them.

        Raises
        ------
        InvalidName
            The name cannot be one, or differs only in case from one that exists.
        NotSerializable
            The model cannot be saved; the message names the part of it.
        StoreError
            The store cannot be written. `versions` tells whether the failure came after the version was made.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> models = mk.ModelStore("memory://register-doc")
        >>> models.register("greeter", {"greeting": "hello"}).version
        1
        """
        check_name(name, what="model")
        if model is None:
            raise InvalidInput(f"There is nothing to register as {name!r}: the model is None.")
        active = active_run()
        if signature is None:
            signature = inferred(model, active.passed if active is not None else ())
        else:
            signature = declared(model, signature)
        saved = save(self.store, model, format=format)
        return self.register_saved(
            name, saved, run=run, metrics=metrics, signature=signature, description=description, card=card
        )

    def register_saved(
        self,
        name: str,
        saved: Saved,
        *,
        run: str | ActiveRun | None = None,
        metrics: dict[str, float] | None = None,
        signature: SignatureRecord | None = None,
        description: str | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> ModelVersion:
        """Register a model whose bytes are in the store already; see `register` for the other arguments.

        Parameters
        ----------
        name : str
            The model.
        saved : Saved
            What `mlops_kit.registry.saving.save` gave.
        run, metrics : str and dict, optional
            As for `register`.
        signature : SignatureRecord, optional
            What it takes and gives.
        description, card : str and mapping, optional
            As for `register`.

        Returns
        -------
        ModelVersion
            The version.
        """
        active = active_run()
        if active is not None and run is None and active.store_url == self.store.url:
            run = active
        told = getattr(run, "metrics", None)
        run = getattr(run, "id", run)
        if told is None and active is not None and run == active.id:
            told = active.metrics
        if metrics is None:
            metrics = told if told is not None else {}
        if not isinstance(metrics, Mapping):
            raise InvalidInput(f"metrics={metrics!r} are not numbers by name: pass a dict such as {{'auc': 0.9}}.")
        body = {
            **saved.members(),
            "environment": keep_environment(self.store.objects),
            "run": None if run is None else _run_id(run),
            "metrics": {str(key): _number(key, value) for key, value in metrics.items()},
            "signature": None if signature is None else signature.members(),
            "description": decisions.text_or_none(description, "description"),
            "card": None if card is None else decisions.filled(decisions.card_members(card)),
        }
        filled = {member: value for member, value in body.items() if value is not None}
        entry = self._catalog.add(name, "register", lambda _number: filled)
        return self._version(entry, self._catalog.parse(f"{name}:1").name)

    def promote(
        self,
        spec: str,
        alias: str = "champion",
        *,
        gate: Gate | None = None,
        reason: str | None = None,
        expect: int | Literal["any"] | None = "any",
    ) -> Promotion:
        """Point an alias at a version.

        Parameters
        ----------
        spec : str
            The version.
        alias : str
            The alias; ``latest`` is computed and cannot be moved.
        gate : Gate, optional
            What the version must pass. Its report is kept as evidence: with the promotion if it passes, else with the
            version, in the tag ``refused@`` and the alias.
        reason : str, optional
            Why; kept in the journal.
        expect : int or None, optional
            The version believed to be live; None (or 0) if nothing is believed to be. By default ``"any"``: no
            expectation.

        Returns
        -------
        Promotion
            The decision, durable.

        Raises
        ------
        GateFailed
            The gate refused; the error carries the report, and the message what failed.
        Conflict
            Another version than `expect` is live, or than the one that the gate compared with; the message says which.
        Frozen
            Promotions of the model are frozen; the message says by whom and why.
        GateRequired
            The alias needs another gate; see `require`.
        ClockAhead
            The clock of this machine is more than five minutes ahead of the store's.
        NotFound
            There is no such version, or it is archived or deleted.
        """
        alias, reason = decisions.movable(alias), decisions.text_or_none(reason)
        if expect not in (None, "any") and type(expect) is not int:
            raise InvalidInput(
                f"expect={quoted(expect)} is not the number of a version; None stands for none, 'any' for no "
                "expectation."
            )
        believed = None if isinstance(expect, str) else expect or 0
        if believed is not None and getattr(self.store.backend, "single_writer", False):
            raise StoreError(
                f"{self.store.url} has no put-if-absent, so two promotions at once could overwrite each other, and "
                "expect= cannot be kept. Promote from one place only, without expect=, or use another store."
            )
        found = self._catalog.resolve(spec)
        name, version = self._catalog.parse(spec).name, int(found.body["version"])

        journal = self._catalog.open(name)
        journal.refuse_if_ahead()
        proof = None
        asked = functools.cache(lambda: None if gate is None else policy.content_of(gate))
        if gate is not None:
            journal.read(lambda state: policy.refuse_without(state, alias, journal, asked))
            proof = evidence.gathered(self.store, self.get(f"{name}:{version}"), alias, gate, self.tag)

        def decide(state: State) -> Decision:
            seqs = state.get("versions", ())
            if version > len(seqs) or journal.entry(seqs[version - 1]).body.get("object") != found.body.get("object"):
                raise VersionNotFound(
                    f"The version {name}:{version} that was found a moment ago is not in {self.store.url} any more: "
                    "the store was removed or replaced meanwhile. Look at models.versions(name)."
                )
            decisions.refuse_if_twin(state, alias)
            previous = versions.target(state, alias)
            if believed not in (None, previous or 0):
                raise Conflict(self._overtaken(name, alias, believed, previous))
            decisions.refuse_if_removed(state, version)
            decisions.refuse_if_frozen(state)
            needed = policy.refuse_without(state, alias, journal, asked)
            body = {"alias": alias, "version": version, "previous": previous, "reason": reason, "gate": needed}
            if proof is not None:
                proof.refuse_if_overtaken(state)
                body["evidence"] = proof.digest
            body["anchors"] = self.store.anchors(journal) or None
            return "promote", {member: value for member, value in body.items() if value is not None}

        return _promotion(name, journal.append(decide))

    def evidence(self, what: str) -> GateReport:
        """Read what a gate found when a version was promoted, or refused.

        Parameters
        ----------
        what : str
            ``"name@champion"`` for the promotion that stands, ``"name:3"`` for the newest promotion or refusal of a
            version; or a digest, as `Promotion.evidence`, `GateFailed.evidence`, the member ``evidence`` of a journal
            entry, or the tag ``refused@champion`` give it.

        Returns
        -------
        GateReport
            The report, verified.

        Raises
        ------
        InvalidInput
            It is neither a spec nor a digest.
        NotFound
            The store does not hold it, there is no such version, or no gate judged it.
        IntegrityError
            It is not what was written, or is no report.
        """
        if "@" not in str(what) and (":" not in str(what) or str(what).startswith("sha256:")):
            return evidence.read_evidence(self.store, what)
        spec = self._catalog.parse(what)
        version = int(self._catalog.resolve(what).body["version"])
        digest = evidence.newest(self.history(spec.name), version, spec.alias)
        if digest is None:
            raise ObjectNotFound(
                f"No gate judged {spec.name}:{version}"
                + (f" when it was promoted to {spec.alias!r}. " if spec.alias else ". ")
                + f"models.history({spec.name!r}) has what was decided."
            )
        return evidence.read_evidence(self.store, digest)

    def rollback(self, name: str, alias: str = "champion", *, reason: str | None = None) -> Promotion:
        """Point an alias back at the version that was live before.

        Parameters
        ----------
        name : str
            The model.
        alias : str
            The alias.
        reason : str, optional
            Why; kept in the journal.

        Returns
        -------
        Promotion
            Where the alias points now. Rolling back again goes further back. Of an alias that was retired, the
            version it pointed to is brought back.

        Raises
        ------
        NothingToRollBack
            The alias never pointed elsewhere, or only to versions that are archived or deleted: these are passed
            over.
        """
        name, alias = decisions.name_and_alias(name, alias, "rollback")
        reason = decisions.text_or_none(reason)
        journal = self._catalog.journal(name)

        def decide(state: State) -> Decision:
            if not state:
                raise ModelNotFound(f"The model {name!r} is not in {self.store.url} any more: the store was removed.")
            decisions.refuse_if_twin(state, alias)
            now, before = versions.before(state, alias)
            body = {"alias": alias, "version": before, "previous": now, "reason": reason}
            body["anchors"] = self.store.anchors(journal) or None
            return "rollback", {member: value for member, value in body.items() if value is not None}

        return _promotion(check_name(name, what="model"), journal.append(decide))

    def copy(self, spec: str, to: str) -> ModelVersion:
        """Register a version under another name too, in the same store.

        Parameters
        ----------
        spec : str
            The version.
        to : str
            The other model; it is made if it is not there.

        Returns
        -------
        ModelVersion
            The next version of the other name, from the same bytes, with the run, the metrics, the signature, the
            description and the card of the one it comes from, which its ``source`` names. Approvals, tags and aliases
            are not copied: people decided on them for the other name.

        Raises
        ------
        NotFound
            There is no such version.
        InvalidName
            The other name cannot be one, or differs only in case from one that exists.
        UntrustedArtifact
            You list signers of this store, and none of them vouches for the version.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> models = mk.ModelStore("memory://copy-doc")
        >>> version = models.register("fraud-candidates", {"threshold": 0.5})
        >>> copied = models.copy("fraud-candidates:1", "fraud")
        >>> copied.spec, copied.source, copied.digest == version.digest
        ('fraud:1', 'fraud-candidates:1', True)
        """
        check_name(to, what="model")
        entry = self._catalog.resolve(spec)
        known = self.get(f"{self._catalog.parse(spec).name}:{entry.body['version']}")
        self._refuse_unsigned(known, entry)
        body = {name: value for name, value in entry.body.items() if name != "version"}
        said = {"description": known.description, "card": known.card or None, "source": known.spec}
        body = decisions.filled({**body, **said})
        return self._version(self._catalog.add(to, "register", lambda _number: body), check_name(to, what="model"))

    def retire(self, name: str, alias: str, *, reason: str | None = None) -> Entry:
        """Take an alias out of service: it points nowhere, and loading it is an `AliasRetired` that says why.

        Parameters
        ----------
        name : str
            The model.
        alias : str
            The alias.
        reason : str, optional
            Why; kept in the journal, and read by whoever loads the alias.

        Returns
        -------
        Entry
            The decision, durable. `promote` brings a version into service again, `rollback` the one that was there;
            after a promotion no rollback goes back to before the retirement. Possible while the model is frozen.

        Raises
        ------
        AliasNotFound
            The alias points nowhere; `AliasRetired` if it was retired already.
        ModelNotFound
            There is no such model.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> models = mk.ModelStore("memory://retire-doc")
        >>> promoted = models.promote(models.register("rule", {"threshold": 0.5}).spec)
        >>> retired = models.retire("rule", "champion", reason="the product ended")
        >>> models.aliases("rule"), models.retired("rule")["champion"]["reason"]
        ({}, 'the product ended')
        """
        name, alias = decisions.name_and_alias(name, alias, "retire")
        reason = decisions.text_or_none(reason)
        return self._append(name, lambda state: decisions.retirement(state, alias, reason))

    def anchor(self, name: str, *, reason: str | None = None) -> Entry:
        """Write into the journal of one model how far all other journals of the store have come.

        Promotions and rollbacks do this for the journals that their process has just used, at no cost. This reads
        them all, so it suits a nightly job. `audit` holds the journals against it.

        Parameters
        ----------
        name : str
            The model in whose journal it is written, such as one that only this job uses.
        reason : str, optional
            Why; kept in the journal.

        Returns
        -------
        Entry
            The entry, durable: its ``body["anchors"]`` has ``[number, digest]`` by journal.

        Raises
        ------
        ModelNotFound
            There is no such model.
        """
        reason = decisions.text_or_none(reason)
        journal = self._catalog.journal(name)
        body = decisions.filled(
            {"anchors": body_of_anchors(walk_all(self.store.backend), journal.place), "reason": reason}
        )
        entry = journal.append(lambda _state: ("anchor", body))
        if entry is None:
            raise AssertionError("an anchor always writes an entry")
        return entry

    def _refuse_unsigned(self, known: ModelVersion, entry: Entry) -> None:
        """Refuse to vouch, by an entry that may be signed, for bytes that nobody vouches for whom the user lists."""
        doubt = doubt_of(self._catalog.open(known.name), entry.seq, known.digest, url=self.store.url)
        if doubt:
            raise UntrustedArtifact(
                f"A copy of {known.spec} would be in your name, and no signature that counts vouches for it: {doubt} "
                "Load it, look at it, and register it yourself."
            )

    def _overtaken(self, name: str, alias: str, expect: int | None, previous: int | None) -> str:
        journal = self._catalog.journal(name)
        moved = next((entry for entry in journal.backwards(journal.last) if entry.body.get("alias") == alias), None)
        who = f", moved there by {moved.by['actor']} at {codec.timestamp(moved.at)}" if moved else ""
        believed = f"version {expect}" if expect else "nothing"
        live = f"version {previous}" if previous else "nothing"
        return (
            f"The alias {name}@{alias} points to {live}{who}, where {believed} was expected. "
            "Look at what changed with models.history(name), then promote again or leave it."
        )


def _promotion(name: str, entry: Entry | None) -> Promotion:
    if entry is None:
        raise AssertionError("a promotion always writes an entry")
    body = entry.body
    previous, reason = body.get("previous"), body.get("reason")
    moved = name, body["alias"], body["version"], previous
    return Promotion(*moved, entry.at, entry.by, reason, entry.seq, entry.kind, body.get("evidence"))


def _run_id(run: object) -> str:
    if not isinstance(run, str) or not keys.RUN_ID.fullmatch(run):
        raise InvalidInput(f"run={run!r} is not the id of a run: pass the whole of `run.id`.")
    return run


def _number(key: object, value: Any) -> float:
    if type(value) is int:
        return value
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"The metric {key!r} is not a number: {value!r}.") from error
