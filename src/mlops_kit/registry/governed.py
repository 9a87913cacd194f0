"""What people say and decide of versions: approval, rejection, tags, descriptions, archiving, freezing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from mlops_kit.errors import InvalidInput, ModelNotFound
from mlops_kit.records.entry import Entry
from mlops_kit.records.names import check_name
from mlops_kit.registry import decisions, policy
from mlops_kit.registry.recorded import RecordedModels
from mlops_kit.store.identity import author
from mlops_kit.store.journal import Decision, State

if TYPE_CHECKING:
    from mlops_kit.registry.gate import Gate

Decide: TypeAlias = Callable[[State], Decision]


class GovernedModels(RecordedModels):
    """The part of `mlops_kit.ModelStore` in which people have their say; each word is an entry of the journal."""

    def approve(self, spec: str, *, reason: str | None = None) -> Entry:
        """Approve of a version, in the name of the present user.

        Parameters
        ----------
        spec : str
            The version.
        reason : str, optional
            Why; kept in the journal.

        Returns
        -------
        Entry
            The approval, durable. It is in `ModelVersion.approvals` until the same user rejects the version.

        Raises
        ------
        NotFound
            There is no such version.

        Notes
        -----
        Who the present user is: ``MLOPS_KIT_USER``, else the e-mail that git is configured with, else the actor
        that a CI system names, else login and host. That is what a user says, and no proof of it: only a signature
        is. Anybody may approve of anything; whose word counts is for the gate to decide, and
        `ModelVersion.approved_by` leaves out whoever registered the version.
        """
        return self._say(spec, "approve", {"reason": decisions.text_or_none(reason)})

    def reject(self, spec: str, *, reason: str | None = None) -> Entry:
        """Reject a version, in the name of the present user; it withdraws their approval.

        Parameters
        ----------
        spec : str
            The version.
        reason : str, optional
            Why; kept in the journal.

        Returns
        -------
        Entry
            The rejection, durable. It is in `ModelVersion.rejections` until the same user approves.

        Raises
        ------
        NotFound
            There is no such version.
        """
        return self._say(spec, "reject", {"reason": decisions.text_or_none(reason)})

    def tag(self, spec: str, /, **tags: object) -> Entry:
        """Tag a version.

        Parameters
        ----------
        spec : str
            The version.
        **tags : object
            Values by tag, kept as text; None takes a tag away.

        Returns
        -------
        Entry
            The change, durable.

        Raises
        ------
        NotFound
            There is no such version.
        InvalidInput
            No tag is given.
        """
        return self._say(spec, "tag", {"tags": decisions.tag_members(tags.items())})

    def untag(self, spec: str, *names: str) -> Entry:
        """Take tags away from a version.

        Parameters
        ----------
        spec : str
            The version.
        *names : str
            The tags; one that it does not have is no error.

        Returns
        -------
        Entry
            The change, durable.

        Raises
        ------
        NotFound
            There is no such version.
        InvalidInput
            No tag is given.
        """
        return self._say(spec, "tag", {"tags": decisions.tag_members((name, None) for name in names)})

    def describe(self, spec: str, description: str | None = None, *, card: Mapping[str, Any] | None = None) -> Entry:
        """Say what a reader should know of a version.

        Parameters
        ----------
        spec : str
            The version.
        description : str, optional
            In place of the one it has.
        card : mapping, optional
            For the model card: a text or a list of texts by heading, such as ``intended_use``, ``out_of_scope``,
            ``limits``, ``ethics``, ``license`` or ``contact``. Headings not named here stay; None takes one away.

        Returns
        -------
        Entry
            The change, durable.

        Raises
        ------
        NotFound
            There is no such version.
        InvalidInput
            There is nothing to say, or the card is no mapping of texts.
        """
        if description is None and card is None:
            raise InvalidInput("There is nothing to describe: give a description, or card={'limits': '…'}.")
        body = {"description": decisions.text_or_none(description, "description")}
        return self._say(spec, "describe", {**body, "card": None if card is None else decisions.card_members(card)})

    def archive(self, spec: str, *, reason: str | None = None) -> Entry:
        """Retire a version: it is not listed any more, is not ``latest`` and cannot be promoted.

        Parameters
        ----------
        spec : str
            The version.
        reason : str, optional
            Why; kept in the journal.

        Returns
        -------
        Entry
            The decision, durable. The version can still be loaded by its number.

        Raises
        ------
        StillLive
            An alias points to it.
        NotFound
            There is no such version.
        """
        return self._remove(spec, "archive", reason)

    def delete(self, spec: str, *, reason: str) -> Entry:
        """Delete a version: it is found no more, except as of a moment before.

        Parameters
        ----------
        spec : str
            The version.
        reason : str
            Why; kept in the journal.

        Returns
        -------
        Entry
            The tombstone, durable. Its number is never used again. The bytes stay in the store, since the journal
            names them and is never rewritten.

        Raises
        ------
        StillLive
            An alias points to it.
        NotFound
            There is no such version, or it was deleted already.
        """
        return self._remove(spec, "delete", decisions.text(reason))

    def freeze(self, name: str, *, reason: str) -> Entry:
        """Stop all promotions of a model until the freeze is lifted; rolling back stays possible.

        Parameters
        ----------
        name : str
            The model.
        reason : str
            Why; whoever is refused reads it.

        Returns
        -------
        Entry
            The freeze, durable.

        Raises
        ------
        ModelNotFound
            There is no such model.
        """
        body = {"frozen": True, "reason": decisions.text(reason)}
        return self._append(name, lambda _state: ("freeze", body))

    def unfreeze(self, name: str, *, reason: str | None = None) -> Entry:
        """Allow promotions of a model again.

        Parameters
        ----------
        name : str
            The model.
        reason : str, optional
            Why; kept in the journal.

        Returns
        -------
        Entry
            The decision, durable.

        Raises
        ------
        ModelNotFound
            There is no such model.
        """
        body = decisions.filled({"frozen": False, "reason": decisions.text_or_none(reason)})
        return self._append(name, lambda _state: ("freeze", body))

    def require(
        self,
        name: str,
        alias: str,
        gate: Gate | None,
        *,
        reason: str | None = None,
        owners: Sequence[str] | None = None,
    ) -> Entry:
        """Require a gate of all promotions to an alias: no version gets there without passing this gate.

        Parameters
        ----------
        name : str
            The model.
        alias : str
            The alias.
        gate : Gate or None
            The gate; None lifts the requirement, and needs a reason.
        reason : str, optional
            Why; kept in the journal.
        owners : sequence of str, optional
            Who may change or lift it, by the names that the journal has; by default anybody, and who did is in the
            journal. A change keeps the owners there are unless it names others.

        Returns
        -------
        Entry
            The decision, durable. What the gate asks, and of which data, stands in it; a promotion must pass
            a gate of the same content, made anywhere. Rolling back and retiring need none.

        Raises
        ------
        GateRequired
            You are none of the owners.
        InvalidInput
            Nothing is required that could be lifted, a reason is missing, or part of the gate has no content.
        ModelNotFound
            There is no such model.

        Examples
        --------
        >>> import mlops_kit as mk
        >>> models = mk.ModelStore("memory://require-doc")
        >>> version = models.register("rule", {"threshold": 0.5})
        >>> required = models.require("rule", "champion", mk.Gate(mk.conditions.model_size(mb=1)))
        >>> print(models.promote("rule:1", gate=mk.Gate(mk.conditions.model_size(mb=1))))
        rule@champion: nothing → 1
        """
        name, alias = decisions.name_and_alias(name, alias, "require")
        if gate is None and not reason:
            raise InvalidInput("A requirement is lifted for a reason: give one, as in reason='the holdout is stale'.")
        changed = {
            "gate": None if gate is None else policy.content_of(gate),
            "owners": None if owners is None else [decisions.text(one, "owners") for one in _several(owners)],
            "reason": decisions.text_or_none(reason),
        }
        journal, actor = self._catalog.journal(name), author()["actor"]

        def decide(state: State) -> Decision:
            return decisions.requirement(state, alias, policy.required_in(state, alias, journal), changed, actor)

        return self._append(name, decide)

    def required(self, name: str) -> dict[str, dict[str, Any]]:
        """Return which gate the promotions to each alias of a model need.

        Parameters
        ----------
        name : str
            The model.

        Returns
        -------
        dict
            By alias: ``gate``, what it asks as plain values, ``actor``, ``at``, and ``reason`` and ``owners`` where
            they were given.
        """
        journal = self._catalog.journal(name)
        return journal.read(
            lambda state: {
                alias: found
                for alias in sorted(state.get("required", {}))
                if (found := policy.required_in(state, alias, journal)) is not None
            }
        )

    def _say(self, spec: str, act: str, body: Mapping[str, Any]) -> Entry:
        name, version = self._numbered(spec)
        return self._append(name, lambda state: decisions.remark(state, act, version, body))

    def _remove(self, spec: str, act: str, reason: str | None) -> Entry:
        name, version = self._numbered(spec)
        why = decisions.text_or_none(reason)
        return self._append(name, lambda state: decisions.removal(state, act, version, why))

    def _numbered(self, spec: str) -> tuple[str, int]:
        entry = self._catalog.resolve(spec)
        return self._catalog.parse(spec).name, int(entry.body["version"])

    def _append(self, name: str, decide: Decide) -> Entry:
        name = check_name(name, what="model")

        def decided(state: State) -> Decision:
            if not state:
                raise ModelNotFound(f"The model {name!r} is not in {self.store.url} any more: the store was removed.")
            return decide(state)

        entry = self._catalog.journal(name).append(decided)
        if entry is None:
            raise AssertionError("a decision on a version always writes an entry")
        return entry


def _several(given: Sequence[str]) -> Sequence[str]:
    return [given] if isinstance(given, str) else given
