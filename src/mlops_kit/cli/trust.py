"""``mlops-kit trust`` and ``audit``: whom the present user trusts, and whether the journals bear it out."""

from __future__ import annotations

import sys

import click

import mlops_kit as mk
from mlops_kit.cli.options import as_json, show
from mlops_kit.safe_text import clean


@click.group()
def trust() -> None:
    """Decide whose code runs here, and who signs: kept in your own settings, never in the store."""


@trust.command()
@click.argument("url")
@click.option("--type", "types", multiple=True, metavar="NAME", help="Let its skops files hold this type.")
@click.option("--signer", "signers", multiple=True, metavar="NAME=KEY", help="Count what this key signs.")
@click.option("--require-signature", "required", is_flag=True, help="Demand signatures.")
@as_json
def add(url: str, types: tuple[str, ...], signers: tuple[str, ...], *, required: bool) -> None:
    """Let pickles from the store at URL run code here, whoever wrote them; or, with options, only what these say."""
    of_store = mk.Trust(url)
    if not (types or signers or required):
        of_store.add()
    if types:
        of_store.allow_types(*types)
    for pair in signers:
        name, _, key = pair.partition("=")
        of_store.add_signer(name, key)
    if required:
        of_store.require_signatures()
    show(of_store)


@trust.command()
@click.argument("url")
@click.option("--signer", "signer", default=None, metavar="NAME", help="Count no longer what this signer signs.")
@click.option("--since", default=None, metavar="TIME", help="With --signer: nor what stands there since TIME.")
@click.option("--require-signature", "required", is_flag=True, help="Demand signatures no longer.")
@as_json
def remove(url: str, signer: str | None, since: str | None, *, required: bool) -> None:
    """Trust nothing in the store at URL any more; or, with options, take back only what these say."""
    of_store = mk.Trust(url)
    if since is not None and signer is None:
        raise click.UsageError("--since belongs to --signer.")
    if signer is None and not required:
        of_store.remove()
    if signer is not None:
        of_store.revoke_signer(signer, since=since)
    if required:
        of_store.require_signatures(required=False)
    show(of_store)


@trust.command("list")
@as_json
def list_() -> None:
    """List the stores in which you trust something by name."""
    listed = mk.Trust.list()
    show(listed, "\n".join(map(repr, listed)) or "No store is trusted by name.")


@trust.command()
@click.option("--new", is_flag=True, help="Make it.")
@as_json
def key(*, new: bool) -> None:
    """Show the public half of your signing key."""
    known = mk.SigningKey.create() if new else mk.SigningKey.current()
    none = "You have no signing key. Make one with: mlops-kit trust key --new"
    show({"key": None if known is None else known.public}, none if known is None else known.public)


@click.command()
@click.argument("name", required=False)
@click.option("--anchor", "anchors", multiple=True, metavar="[NAME=]N:TIP", help="What an earlier audit printed.")
@click.option("--store", metavar="URL", default=None, help="A folder or URL. Default: the store of the project.")
@as_json
def audit(name: str | None, anchors: tuple[str, ...], store: str | None) -> None:
    """Prove that the journals of all models, or of NAME, are what was written; exit 1 if something is wrong.

    Keep the anchors that it prints elsewhere, in a CI log or a git commit, and give them to a later audit.
    """
    kept = dict(_named(anchor, name) for anchor in anchors)
    if mk.Store(store).describe() is None:
        raise click.BadParameter(f"there is no store at {clean(mk.Store(store).url)}.", param_hint="'--store'")
    report = mk.ModelStore(store).audit(name, anchor=kept or None)
    show(report)
    sys.exit(0 if report.ok else 1)


def _named(anchor: str, name: str | None) -> tuple[str, str]:
    named, _, kept = anchor.rpartition("=")
    if not named and name is None:
        raise click.UsageError(f"Say of which model the anchor is: --anchor NAME={anchor}")
    return named or str(name), kept
