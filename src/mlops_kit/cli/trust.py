"""``mlops-kit trust``: whom the present user trusts."""

from __future__ import annotations

import click

import mlops_kit as mk


@click.command()
@click.argument("url", required=False)
@click.option("--list", "listing", is_flag=True, help="List the stores in which you trust something.")
@click.option(
    "--type", "types", multiple=True, metavar="NAME", help="Instead, let its skops files hold this type. Repeatable."
)
@click.option("--remove", is_flag=True, help="Trust nothing in this store any more.")
def trust(url: str | None, listing: bool, types: tuple[str, ...], remove: bool) -> None:  # noqa: FBT001 - flags
    """Let pickles from the store at URL run code here, whoever wrote them. Kept in your own settings."""
    if (url is None) != listing or ((types or remove) and (listing or (types and remove))):
        raise click.UsageError("Give the URL of a store, or --list.")
    if url is None:
        known = mk.Trust.listed()
        click.echo("\n".join(map(repr, known)) if known else "No store is trusted by name.")
        return
    chosen = mk.Trust(url)
    if remove:
        chosen.remove()
    elif types:
        chosen.allow_types(*types)
    else:
        chosen.allow_code()
    click.echo(repr(chosen))
