"""``mlops-kit``: the verbs of the command line, each one public call."""

from __future__ import annotations

import io
import sys
from typing import Any, Literal

import click

import mlops_kit as mk
from mlops_kit.cli.demo import run_demo
from mlops_kit.cli.gate import gate, require
from mlops_kit.cli.governance import approve, card, copy, evidence, models, reject, retire
from mlops_kit.cli.monitor import alerts, check, monitor
from mlops_kit.cli.options import is_version, needs_spec, nothing_yet, of_place, of_store, print_lines, say, say_unread
from mlops_kit.cli.options import show as show_value
from mlops_kit.cli.run import run
from mlops_kit.cli.trust import audit, trust
from mlops_kit.cli.verbs import told
from mlops_kit.cli.why import why
from mlops_kit.errors import IntegrityError, InvalidInput, MlopsKitError, ModelNotFound, RunNotFound
from mlops_kit.safe_text import clean
from mlops_kit.views.versions import datasets_text, history_text


class _Group(click.Group):
    """Shows the library's own errors as messages, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except MlopsKitError as error:
            raise click.ClickException(told(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(mk.__version__, prog_name="mlops-kit")
def main() -> None:
    """Every model you ship remembers exactly how it was made."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an arrow is no reason to fail in a terminal that has none


@main.command()
@click.argument("folder", default="demo", type=click.Path(file_okay=False))
def demo(folder: str) -> None:
    """Train, promote, roll back, reload and run a pipeline on real data, in FOLDER (default: ./demo)."""
    sys.exit(run_demo(folder))


@main.command()
@click.option("--experiment", default=None, help="Only runs of this experiment.")
@click.option("--status", default=None, help="Only runs that are running, finished, failed or interrupted.")
@click.option("--limit", default=20, show_default=True, help="At most so many.")
@of_store
def runs(experiment: str | None, status: str | None, limit: int, store: str | None) -> None:
    """List the runs, newest first."""
    found = mk.list_runs(experiment=experiment, status=status, limit=limit, store=store)
    asked = " like that" if experiment is not None or status is not None else ""
    show_value(found, None if found or found.problems else nothing_yet(f"runs{asked}", store))


@main.command()
@click.argument("subject")
@of_store
def show(subject: str, store: str | None) -> None:
    """Show one run, by its id or a part of it; or the history of a model, by its name."""
    try:
        show_value(mk.get_run(subject, store=store))
    except (RunNotFound, InvalidInput) as error:
        try:
            entries = mk.ModelStore(store).history(subject)
        except (ModelNotFound, InvalidInput):
            raise error from None
        show_value(entries, history_text(entries))
        say_unread(entries)


@main.command()
@click.argument("left")
@click.argument("right")
@of_store
def diff(left: str, right: str, store: str | None) -> None:
    """Show in what two runs differ."""
    show_value(mk.get_run(left, store=store).diff(mk.get_run(right, store=store)))


@main.command()
@click.argument("spec", required=False)
@click.option("--as-of", default=None, metavar="TIME", help="What the spec meant then, such as 2026-05-01.")
@of_store
def data(spec: str | None, as_of: str | None, store: str | None) -> None:
    """List the datasets; or the versions of one; or show one version (NAME:3, NAME@latest, fp1:…)."""
    if spec is None:
        needs_spec(as_of=as_of)
        print_lines(mk.Dataset.names(store=store), nothing_yet("datasets", store))
    elif as_of is not None or is_version(spec):
        show_value(mk.Dataset.load(spec, as_of=as_of, store=store))
    else:
        versions = mk.Dataset.versions(spec, store=store)
        show_value(versions, datasets_text(versions))
        say_unread(versions)


@main.command()
@click.argument("spec")
@click.option("--alias", default="champion", show_default=True, help="The alias to move.")
@click.option("--reason", default=None, help="Why; kept in the journal.")
@click.option("--expect", type=int, default=None, help="The version believed to be live; 0 for none.")
@of_store
def promote(spec: str, alias: str, reason: str | None, expect: int | None, store: str | None) -> None:
    """Point an alias at a version: SPEC is NAME:3 or NAME@alias."""
    believed: int | Literal["any"] = "any" if expect is None else expect
    moved = mk.ModelStore(store).promote(spec, alias, reason=reason, expect=believed)
    show_value(moved, str(moved))


@main.command()
@click.argument("name")
@click.option("--alias", default="champion", show_default=True, help="The alias to move back.")
@click.option("--reason", default=None, help="Why; kept in the journal.")
@of_store
def rollback(name: str, alias: str, reason: str | None, store: str | None) -> None:
    """Point an alias of the model NAME back at the version that was live before."""
    moved = mk.ModelStore(store).rollback(name, alias, reason=reason)
    show_value(moved, str(moved))


@main.command()
@click.option("--repair", is_flag=True, help="Write hints and store.json again, and clear tmp/.")
@of_store
def fsck(repair: bool, store: str | None) -> None:  # noqa: FBT001 - a flag
    """Check every digest, checksum, chain and reference of a store; exit 1 if something is wrong."""
    report = mk.Store(store).fsck(repair=repair)
    if not report.files:
        raise click.ClickException(f"There is no store at {clean(report.url)}.")
    show_value(report)
    sys.exit(0 if report.ok else 1)


@main.command()
@of_place
def sync(store: str | None) -> None:
    """Deliver what runs left in the spool while the store could not be written; exit 1 if something stays there."""
    report = mk.Store(store).sync()
    show_value(report)
    sys.exit(0 if report.ok else 1)


@main.command()
@click.option("--delete", is_flag=True, help="Mark and delete. Without it, only say what would be done.")
@click.option("--grace", default=None, metavar="SPAN", help="How long nothing must have used a file, such as 30d.")
@click.option("--exclusive", is_flag=True, help="Nobody else is writing: the grace may be shorter than the store's.")
@click.option("--results", default=None, metavar="SPAN", help="Results of steps older than this go too, such as 30d.")
@of_store
def gc(delete: bool, grace: str | None, exclusive: bool, results: str | None, store: str | None) -> None:  # noqa: FBT001 - flags
    """Find objects that nothing names, and delete them when their grace is over."""
    try:
        show_value(mk.Store(store).gc(grace, dry_run=not delete, exclusive=exclusive, results=results))
    except IntegrityError as error:
        for problem in error.problems:
            say(str(problem), err=True)
        raise


@main.command()
@click.argument("url", required=False)
@of_place
def doctor(url: str | None, store: str | None) -> None:
    """Try out what a place can promise to a store: URL, a folder, or the present store; exit 1 if too little."""
    if url is not None and store is not None:
        raise click.UsageError("Give the place once: as URL or with --store.")
    report = mk.Store(store if url is None else url).doctor()
    show_value(report)
    sys.exit(0 if report.ok else 1)


for verb in (
    alerts,
    approve,
    audit,
    card,
    check,
    copy,
    evidence,
    gate,
    models,
    monitor,
    reject,
    require,
    retire,
    run,
    trust,
    why,
):
    main.add_command(verb)
