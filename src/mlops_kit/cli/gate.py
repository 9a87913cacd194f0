"""``mlops-kit gate``: judge a version in CI, or by hand, and tell the verdict by the exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import mlops_kit as mk
from mlops_kit.cli.options import Judging, of_store, show
from mlops_kit.errors import GateFailed
from mlops_kit.records.measurement import TASKS
from mlops_kit.registry.condition import Condition

REFUSED = 1
_FILE = click.Path(dir_okay=False, writable=True, allow_dash=True)


def _placed(_ctx: click.Context, option: click.Parameter, path: str | None) -> str | None:
    """Look for the folder before anything is judged: a promotion is not undone if its report cannot be written."""
    if path is not None and path != "-":
        folder = Path(path).parent
        if not folder.is_dir():
            raise click.BadParameter(f"{path!r} cannot be written: make the folder '{folder}' first.", param=option)
        if not os.access(folder, os.W_OK) and not Path(path).exists():
            raise click.BadParameter(f"{path!r} cannot be written: you may not write to '{folder}'.", param=option)
    return path


def _limit(_ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> list[tuple[str, float]]:
    """Read limits such as ``auc=0.9``."""
    made = []
    for text in given:
        name, _, number = text.partition("=")
        try:
            made.append((name.strip(), float(number)))
        except ValueError as error:
            raise click.BadParameter(f"{text!r} is not METRIC=NUMBER, such as auc=0.9.", param=option) from error
    return made


_ASKED = (
    click.option("--against", default="champion", show_default=True, metavar="ALIAS", help="What to compare with."),
    click.option("--data", multiple=True, metavar="[NAME=]SPEC", help="A dataset, such as holdout@latest. Repeatable."),
    click.option("--target", default=None, help="The column of the truth; by default that of the model's signature."),
    click.option("--positive", default=None, help="The class that is looked for; by default the last of two."),
    click.option(
        "--task", type=click.Choice(TASKS), default=None, help="What is judged; by default as the model says."
    ),
    click.option("--groups", default=None, metavar="COLUMN", help="Whose each row is: tests count these, not rows."),
    click.option("--metric", multiple=True, help="Must be better than that of --against. Repeatable."),
    click.option(
        "--not-worse", multiple=True, metavar="METRIC=MARGIN", callback=_limit, help="Not worse by the margin."
    ),
    click.option(
        "--at-least", multiple=True, metavar="METRIC=VALUE", callback=_limit, help="Must be reached. Repeatable."
    ),
    click.option(
        "--at-most", multiple=True, metavar="METRIC=VALUE", callback=_limit, help="May be reached. Repeatable."
    ),
    click.option("--margin", type=float, default=0.0, help="By how much --metric must be better."),
    click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the comparisons."),
    click.option("--slices", multiple=True, metavar="COLUMN", help="Ask all metrics of each part by this column too."),
    click.option("--calibration", type=float, default=None, metavar="ERROR", help="The calibration error allowed."),
    click.option("--p99-ms", type=float, default=None, help="Milliseconds that predicting a row may take."),
    click.option("--max-mb", type=float, default=None, help="Megabytes that the stored model may have."),
    click.option("--signature", is_flag=True, help="It must take and give what --against does, and suit the data."),
    click.option("--no-leak", is_flag=True, help="No row of the data may be in the training data."),
    click.option("--same-environment", is_flag=True, help="It must be made with the packages that are here."),
    click.option("--approvals", type=int, default=None, metavar="N", help="So many others must have approved."),
)
"""What makes a gate: the same for judging by it and for requiring it."""


def _asking(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command that takes all options that make a gate."""
    for option in reversed(_ASKED):
        command = option(command)
    return command


@click.command(cls=Judging)
@click.argument("spec")
@_asking
@click.option("--promote", is_flag=True, help="Point --against at the version if it passes, with the evidence.")
@click.option("--reason", default=None, help="Why; kept in the journal with --promote.")
@click.option("--markdown", type=_FILE, default=None, callback=_placed, help="Write the report there, or to - .")
@click.option("--junit", type=_FILE, default=None, callback=_placed, help="Write the report there as JUnit XML.")
@of_store
def gate(spec: str, against: str, store: str | None, **options: Any) -> None:
    """Judge the version SPEC; exit 0 if it passes, 1 if it is refused, 2 on any other error.

    Such as: mlops-kit gate fraud@latest --against champion --data holdout@latest --metric auc --at-least recall=0.8
    """
    if options["reason"] is not None and not options["promote"]:
        raise click.UsageError("--reason is for --promote.")
    asked = _gate(against, options)
    report, promoted = _judge(asked, spec, against, store, options)
    text = repr(report) if promoted is None else f"{report!r}\n{promoted}"
    show({**report.to_dict(), "promotion": promoted}, text, err="-" in {options["markdown"], options["junit"]})
    for path, written in ((options["markdown"], report.to_markdown), (options["junit"], report.to_junit)):
        if path is not None:
            with click.open_file(path, "w", encoding="utf-8") as file:
                file.write(written())
    sys.exit(0 if report.passed else REFUSED)


@click.command()
@click.argument("name")
@_asking
@click.option("--owner", multiple=True, metavar="NAME", help="Who may change it; by default anybody. Repeatable.")
@click.option("--lift", is_flag=True, help="Require no gate any more; needs --reason.")
@click.option("--reason", default=None, help="Why; kept in the journal.")
@of_store
def require(name: str, against: str, store: str | None, **options: Any) -> None:
    """Require a gate of all promotions of the model NAME to the alias --against.

    Such as: mlops-kit require fraud --against champion --data holdout@latest --metric auc --at-least recall=0.8
    """
    asked = None if options["lift"] else _gate(against, options)
    owners = list(options["owner"]) or None
    show(mk.ModelStore(store).require(name, against, asked, reason=options["reason"], owners=owners))


def _gate(against: str, options: dict[str, Any]) -> mk.Gate:
    conditions = _conditions(against, options)
    if not conditions:
        raise click.UsageError("There is nothing to ask: give --metric, --at-least or another condition.")
    named = list(map(_named, options["data"]))
    on = dict(named) or None
    if on is not None and len(on) < len(named):
        raise click.UsageError("Two of --data have the same name: give each its own, as in --data spring=sales:1.")
    if on is None and (asking := next((condition for condition in conditions if condition.needs_data), None)):
        raise click.UsageError(f"'{asking.name}' needs data: give --data, such as --data holdout@latest.")
    about = {name: options[name] for name in ("target", "task", "groups")}
    return mk.Gate(*conditions, on=on, positive=_plain(options["positive"]), **about)


def _conditions(against: str, options: dict[str, Any]) -> list[Condition]:
    sure = options["confidence"]
    about = [
        *(mk.conditions.at_least(name, value) for name, value in options["at_least"]),
        *(mk.conditions.at_most(name, value) for name, value in options["at_most"]),
        *(
            mk.conditions.better_than(against, name, margin=options["margin"], confidence=sure)
            for name in options["metric"]
        ),
        *(
            mk.conditions.not_worse_than(against, name, margin=margin, confidence=sure)
            for name, margin in options["not_worse"]
        ),
    ]
    if options["calibration"] is not None:
        about.append(mk.conditions.calibration(options["calibration"]))
    if options["slices"] and not about:
        raise click.UsageError("--slices needs a metric: give --metric, --not-worse, --at-least or --at-most.")
    sliced = [mk.conditions.on_slices(column, condition) for column in options["slices"] for condition in about]
    return [*about, *sliced, *_others(against, options)]


def _others(against: str, options: dict[str, Any]) -> list[Condition]:
    numbers: dict[str, Callable[[Any], Condition]] = {
        "p99_ms": lambda limit: mk.conditions.predict_latency(p99_ms=limit),
        "max_mb": lambda limit: mk.conditions.model_size(mb=limit),
        "approvals": mk.conditions.approvals,
    }
    flags: dict[str, Callable[[], Condition]] = {
        "signature": lambda: mk.conditions.signature_compatible(against),
        "no_leak": mk.conditions.no_leak,
        "same_environment": mk.conditions.same_environment,
    }
    made = [make(options[name]) for name, make in numbers.items() if options[name] is not None]
    return [*made, *(make() for name, make in flags.items() if options[name])]


def _judge(asked: mk.Gate, spec: str, against: str, store: str | None, options: dict[str, Any]) -> tuple[Any, Any]:
    if not options["promote"]:
        return asked.evaluate(spec, store=store), None
    models = mk.ModelStore(store)
    try:
        made = models.promote(spec, against, gate=asked, reason=options["reason"])
    except GateFailed as refused:
        return refused.report, None
    return models.evidence(str(made.evidence)), made


def _named(text: str) -> tuple[str, str]:
    name, equals, spec = text.partition("=")
    return (name, spec) if equals else (text.partition("@")[0].partition(":")[0], text)


def _plain(text: str | None) -> Any:
    """Read a class as it would be written in data: a number, True, False or text."""
    if text in {None, "True", "False"}:
        return None if text is None else text == "True"
    for kind in (int, float):
        try:
            return kind(str(text))
        except ValueError:
            continue
    return text
