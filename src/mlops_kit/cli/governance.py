"""``mlops-kit models``, ``approve``, ``reject``, ``retire``, ``copy``, ``card``: what there is and is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import mlops_kit as mk
from mlops_kit.cli.options import (
    is_json,
    is_version,
    needs_spec,
    nothing_yet,
    of_store,
    print_lines,
    say,
    say_unread,
    show,
)
from mlops_kit.cli.plain import to_json
from mlops_kit.errors import MlopsKitError
from mlops_kit.records.entry import Entry
from mlops_kit.registry.card import ModelCard
from mlops_kit.registry.policy import gate_text
from mlops_kit.registry.report import GateReport
from mlops_kit.views.versions import models_text

_FORMS: dict[str, Callable[[ModelCard], str]] = {
    "html": ModelCard.to_html,
    "markdown": ModelCard.to_markdown,
    "bom": ModelCard.to_bom,
}
_REPORTS: dict[str, Callable[[GateReport], str]] = {
    "html": GateReport.to_html,
    "junit": GateReport.to_junit,
    "markdown": GateReport.to_markdown,
}
_REASON = click.option("--reason", default=None, help="Why; kept in the journal.")


@click.command()
@click.argument("spec", required=False)
@click.option("--as-of", default=None, metavar="TIME", help="What the spec meant then, such as 2026-05-01.")
@click.option("--lineage", is_flag=True, help="Show which data, code and environment made it.")
@click.option("--timeline", default=None, metavar="ALIAS", help="Show what the alias of a model pointed to, and when.")
@click.option("--tag", multiple=True, metavar="KEY=VALUE", help="Tag the version. Repeatable.")
@click.option("--untag", multiple=True, metavar="KEY", help="Take a tag away. Repeatable.")
@click.option("--describe", default=None, metavar="TEXT", help="Say what a reader should know of the version.")
@click.option("--archive", is_flag=True, help="Retire the version.")
@click.option("--delete", is_flag=True, help="Delete the version; needs --reason.")
@click.option("--freeze", is_flag=True, help="Stop promotions of the model; needs --reason.")
@click.option("--unfreeze", is_flag=True, help="Allow promotions of the model again.")
@_REASON
@of_store
def models(
    spec: str | None, as_of: str | None, timeline: str | None, reason: str | None, store: str | None, **chosen: Any
) -> None:
    """List the models; or the versions and aliases of one; or show or change one version (NAME:3, NAME@champion)."""
    known = mk.ModelStore(store)
    asked = {"as-of": as_of, "timeline": timeline, "lineage": chosen.pop("lineage")}
    acts = [name for name, value in chosen.items() if value]
    questions = [name for name, value in asked.items() if value]
    if len(acts) > 1 or (acts and questions):
        raise click.UsageError(f"Do one thing at a time: {', '.join(f'--{name}' for name in (*acts, *questions))}.")
    if reason is not None and not acts:
        raise click.UsageError("--reason is for a decision: say which.")
    if spec is None:
        needs_spec(**dict.fromkeys((*acts, *questions), True))
        print_lines(known.names(), nothing_yet("models", store))
    elif acts:
        show(_decide(known, spec, acts[0], chosen[acts[0]], reason))
    elif timeline is not None:
        periods = known.timeline(spec, timeline)
        show(periods, "\n".join(map(str, periods)) or f"{spec}@{timeline} never pointed anywhere.")
        say_unread(periods)
        say_unread(periods)
    elif asked["lineage"] or as_of is not None or is_version(spec):
        show((known.lineage if asked["lineage"] else known.get)(spec, as_of=as_of))
    else:
        _list_versions(known, spec)


def _decide(known: mk.ModelStore, spec: str, act: str, value: Any, reason: str | None) -> Entry:
    decide: dict[str, Callable[[], Entry]] = {
        "tag": lambda: known.tag(spec, **dict(map(_pair, value))),
        "untag": lambda: known.untag(spec, *value),
        "describe": lambda: known.describe(spec, value),
        "archive": lambda: known.archive(spec, reason=reason),
        "delete": lambda: known.delete(spec, reason=_given(reason, act)),
        "freeze": lambda: known.freeze(spec, reason=_given(reason, act)),
        "unfreeze": lambda: known.unfreeze(spec, reason=reason),
    }
    return decide[act]()


@click.command()
@click.argument("spec")
@_REASON
@of_store
def approve(spec: str, reason: str | None, store: str | None) -> None:
    """Approve of a version, in your name: SPEC is NAME:3 or NAME@alias."""
    show(mk.ModelStore(store).approve(spec, reason=reason))


@click.command()
@click.argument("spec")
@_REASON
@of_store
def reject(spec: str, reason: str | None, store: str | None) -> None:
    """Reject a version, in your name; it withdraws your approval."""
    show(mk.ModelStore(store).reject(spec, reason=reason))


@click.command()
@click.argument("what")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", *sorted(_REPORTS)]),
    default="text",
    show_default=True,
    help="What to write.",
)
@of_store
def evidence(what: str, form: str, store: str | None) -> None:
    """Show what a gate found: WHAT is NAME@alias for the promotion that stands, NAME:3 for the newest, or a digest."""
    report = mk.ModelStore(store).evidence(what)
    if form == "text" or is_json():
        show(report)
    else:
        click.echo(_REPORTS[form](report).rstrip("\n"))


@click.command()
@click.argument("name")
@click.option("--alias", default="champion", show_default=True, help="The alias to take out of service.")
@_REASON
@of_store
def retire(name: str, alias: str, reason: str | None, store: str | None) -> None:
    """Take an alias of the model NAME out of service: it points nowhere until it is promoted or rolled back."""
    show(mk.ModelStore(store).retire(name, alias, reason=reason))


@click.command()
@click.argument("spec")
@click.argument("to")
@of_store
def copy(spec: str, to: str, store: str | None) -> None:
    """Register the version SPEC as the next version of the model TO too."""
    show(mk.ModelStore(store).copy(spec, to))


@click.command()
@click.argument("spec")
@click.option("--as-of", default=None, metavar="TIME", help="As it stood then, such as 2026-05-01.")
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(_FORMS)),
    default="markdown",
    show_default=True,
    help="What to write; bom is CycloneDX.",
)
@click.option("--out", type=click.Path(dir_okay=False), default=None, help="A file; without it, standard output.")
@of_store
def card(spec: str, as_of: str | None, form: str, out: str | None, store: str | None) -> None:
    """Write the model card of a version: what it is for, what it was made of, who approved of it."""
    made = mk.ModelStore(store).card(spec, as_of=as_of)
    text = to_json(made) + "\n" if is_json() else _FORMS[form](made)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.FileError(out, str(error)) from error
    say(f"The card of {spec} is in {out}.")


def _list_versions(known: mk.ModelStore, name: str) -> None:
    versions = known.versions(name)
    if is_json():
        found = {what: getattr(known, what)(name) for what in ("aliases", "retired", "required", "frozen")}
        show({"versions": versions, **found})
        say_unread(versions)
        return
    gone = f"All versions of {name} are archived or deleted."
    try:
        standing = known.aliases(name), known.retired(name), known.required(name), known.frozen(name)
    except MlopsKitError as error:
        if not versions.problems:
            raise
        standing = {}, {}, {}, None
        say(f"Where the aliases of {name} point cannot be read: {error}")
    aliases, taken_out, gated, frozen = standing
    say(models_text(versions, aliases) if versions else gone)
    say_unread(versions)
    for alias, retired in taken_out.items():
        why = f": {retired['reason']}" if retired["reason"] else ""
        say(f"{alias} was retired by {retired['actor']} at {retired['at']}, from {retired['version']}{why}")
    for alias, required in gated.items():
        why = f": {required['reason']}" if required.get("reason") else ""
        say(f"{alias} needs a gate, by {required['actor']} since {required['at']}{why}")
        say(f"  {gate_text(required['gate'])}")
    if frozen is not None:
        say(f"Promotions are frozen by {frozen['actor']} since {frozen['at']}: {frozen['reason']}")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE.", param_hint="--tag")
    return key, value


def _given(reason: str | None, act: str) -> str:
    if not reason:
        raise click.UsageError(f"--{act} needs a --reason: whoever comes upon it reads it.")
    return reason
