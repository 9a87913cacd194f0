"""Options that several verbs of the command line have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

import mlops_kit as mk

F = TypeVar("F", bound=Callable[..., Any])


def of_store(command: F) -> F:
    """Add ``--store`` to a verb."""
    text = "A folder or URL. Default: MLOPS_KIT_STORE, pyproject.toml, or .mlops in the project root."
    return click.option("--store", metavar="URL", default=None, help=text, callback=_existing)(command)


def of_place(command: F) -> F:
    """Add ``--store`` to a verb that also works where nothing was recorded yet."""
    text = "A folder or URL, also one where nothing was recorded yet."
    return click.option("--store", metavar="URL", default=None, help=text)(command)


def _existing(_ctx: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    """Refuse an address where nothing was ever recorded: a mistyped one would look like an empty store."""
    if url is not None and mk.Store(url).describe() is None:
        raise click.BadParameter(f"there is no store at {url}.")
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


def print_lines(lines: list[str], otherwise: str) -> None:
    """Print lines, or something else if there are none."""
    click.echo("\n".join(lines) if lines else otherwise)
