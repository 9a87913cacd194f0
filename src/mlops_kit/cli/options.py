"""What several verbs of the command line have: options, lines, exit statuses."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

import mlops_kit as mk
from mlops_kit.cli.plain import to_json
from mlops_kit.cli.verbs import told
from mlops_kit.errors import MlopsKitError
from mlops_kit.records.check import unread
from mlops_kit.safe_text import clean, clean_lines

WRONG = 2
_JSON = "mlops_kit.json"
F = TypeVar("F", bound=Callable[..., Any])


def of_store(command: F) -> F:
    """Add ``--store`` to a verb."""
    text = "A folder or URL. Default: MLOPS_KIT_STORE, pyproject.toml, or .mlops in the project root."
    return as_json(click.option("--store", metavar="URL", default=None, help=text, callback=_existing)(command))


def of_place(command: F) -> F:
    """Add ``--store`` to a verb that also works where nothing was recorded yet."""
    text = "A folder or URL, also one where nothing was recorded yet."
    return as_json(click.option("--store", metavar="URL", default=None, help=text)(command))


def as_json(command: F) -> F:
    """Add ``--json`` to a verb, which `show` obeys."""
    text = "Print JSON, for programs."
    return click.option("--json", is_flag=True, expose_value=False, callback=_json_asked, help=text)(command)


def _json_asked(ctx: click.Context, _option: click.Parameter, asked: object) -> None:
    ctx.meta[_JSON] = bool(asked)


def is_json() -> bool:
    """Check whether JSON is asked for."""
    return bool(click.get_current_context().meta.get(_JSON))


def show(value: object, text: str | None = None, *, err: bool = False) -> None:
    """Print what a call returned: as JSON where that is asked for, else as text, by default its own."""
    if is_json():
        click.echo(to_json(value), err=err)
    else:
        say(repr(value) if text is None else text, err=err)


def _existing(_ctx: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    """Refuse an address where nothing was ever recorded: a mistyped one would look like an empty store."""
    if url is not None and mk.Store(url).describe() is None:
        raise click.BadParameter(f"there is no store at {clean(url)}.")
    return url


def is_version(spec: str) -> bool:
    """Tell whether a text names a version, not only a model or dataset."""
    return ":" in spec or "@" in spec


def needs_spec(**options: object) -> None:
    """Refuse options that ask about one version where no version is named."""
    for name, value in options.items():
        if value is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} is a question about one version: give its SPEC too.")


def nothing_yet(what: str, store: str | None) -> str:
    """Say that there is nothing of a kind, and where that is: the store depends on the current folder."""
    return f"There are no {what} in {mk.Store(store).url} yet."


def say(text: str, *, err: bool = False) -> None:
    """Print text for a person: names and messages in it may hold what a terminal obeys, and it only shows them."""
    click.echo(clean_lines(text), err=err)


def print_lines(lines: list[str], otherwise: str) -> None:
    """Print lines, or something else if there are none; and on stderr what could not be read among them."""
    show(lines, "\n".join(lines) if lines else otherwise)
    say_unread(lines)


def say_unread(found: object) -> None:
    """Print on stderr which records could not be read, if any could not."""
    problems = getattr(found, "problems", ())
    if problems:
        say(unread(problems), err=True)


class Judging(click.Command):
    """Ends with 2 for every error, so that 1 is a verdict only."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Read the arguments, which looks at the store."""
        with _wrong():
            return super().make_context(*arguments, **options)
        raise AssertionError("what is wrong ends the program")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        with _wrong():
            return super().invoke(ctx)


@contextlib.contextmanager
def _wrong() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        error.show()
        sys.exit(WRONG)
    except MlopsKitError as error:
        say(f"Error: {told(error)}", err=True)
        sys.exit(WRONG)
    except (click.exceptions.Exit, click.Abort):
        raise
    except Exception:  # noqa: BLE001 - whatever it is, Python would end with 1, and that is a verdict
        traceback.print_exc()
        sys.exit(WRONG)
