"""The verbs about monitors: what there is, how it stands, what is wrong."""

from __future__ import annotations

import sys

import click

import mlops_kit as mk
from mlops_kit.cli.options import Judging, of_store, print_lines, show
from mlops_kit.monitoring.listing import monitor_names, open_monitor
from mlops_kit.views.monitor import alerts_text

_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title></head>'
    "<body>{body}</body></html>\n"
)


@click.command()
@click.argument("reference", required=False)
@click.option("--name", default=None, help="Under which to keep it, if not that of the model or dataset.")
@click.option("--prediction", default=None, help="The column of the reference with what was predicted.")
@click.option("--target", default=None, help="The column of the reference with what was true.")
@of_store
def monitor(
    reference: str | None, name: str | None, prediction: str | None, target: str | None, store: str | None
) -> None:
    """List the monitors; or begin one of REFERENCE: a model (NAME@champion) or a dataset (NAME:3)."""
    if reference is None:
        print_lines(monitor_names(store), "There are no monitors here yet.")
        return
    made = mk.Monitor(reference, name=name, prediction=prediction, target=target, store=store)
    show(made.check())


@click.command(cls=Judging)
@click.argument("name")
@click.option("--html", type=click.Path(dir_okay=False), default=None, help="Write the report to this file, too.")
@of_store
def check(name: str, html: str | None, store: str | None) -> None:
    """Check the monitor NAME: judge what is new; exit 1 on an alert, 2 on any error."""
    report = open_monitor(name, store).check()
    if html is not None:
        with open(html, "w", encoding="utf-8") as file:
            file.write(_PAGE.format(name=report.monitor, body=report._repr_html_()))
    show(report)
    sys.exit(1 if report.status == "alert" else 0)


@click.command()
@click.argument("name")
@click.option("--acknowledge", default=None, metavar="FINGERPRINT", help="Take this one in hand.")
@of_store
def alerts(name: str, acknowledge: str | None, store: str | None) -> None:
    """List the alerts of the monitor NAME, those that fire first."""
    watched = open_monitor(name, store)
    if acknowledge is not None:
        show(watched.acknowledge(acknowledge))
        return
    fired = watched.alerts()
    show(fired, alerts_text(fired))
