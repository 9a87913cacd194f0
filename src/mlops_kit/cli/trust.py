"""``mlops-kit trust`` and ``audit``: whom the present user trusts, and whether the journals bear it out."""

from __future__ import annotations

import sys
from typing import Any

import click

import mlops_kit as mk
from mlops_kit.cli.options import say


@click.command()
@click.argument("url", required=False)
@click.option("--type", "types", multiple=True, metavar="NAME", help="Let its skops files hold this type.")
@click.option("--signer", "signers", multiple=True, metavar="NAME=KEY", help="Count what this key signs.")
@click.option("--revoke", default=None, metavar="NAME", help="Count no longer what this signer signs from now on.")
@click.option("--since", default=None, metavar="TIME", help="With --revoke: nor what stands there since TIME.")
@click.option("--require-signature/--no-require-signature", "required", default=None, help="Demand signatures, or not.")
@click.option("--remove", is_flag=True, help="Trust nothing in this store any more.")
@click.option("--list", "listing", is_flag=True, help="List the stores in which you trust something.")
@click.option("--new-key", is_flag=True, help="Make your signing key and show its public half.")
@click.option("--key", "show_key", is_flag=True, help="Show the public half of your signing key.")
def trust(url: str | None, **wished: Any) -> None:
    """Let pickles from the store at URL run code here, whoever wrote them; or, with options, only what these say.

    Kept in your own settings, never in the store.
    """
    chosen = {name: value for name, value in wished.items() if value or (name == "required" and value is not None)}
    alone = chosen.keys() & {"listing", "new_key", "show_key"}
    since = chosen.pop("since", None)
    if (url is None) != bool(alone) or (len(chosen) > 1 and (alone or "remove" in chosen)):
        raise click.UsageError("Give the URL of a store, or one of --list, --new-key and --key.")
    if since is not None and "revoke" not in chosen:
        raise click.UsageError("--since belongs to --revoke.")
    if url is None:
        say(_told(alone.pop()))
        return
    of_store = mk.Trust(url)
    if not chosen:
        of_store.allow_code()
    if "remove" in chosen:
        of_store.remove()
    if "types" in chosen:
        of_store.allow_types(*chosen["types"])
    for pair in chosen.get("signers", ()):
        name, _, key = pair.partition("=")
        of_store.add_signer(name, key)
    if "revoke" in chosen:
        of_store.revoke_signer(chosen["revoke"], since=since)
    if "required" in chosen:
        of_store.require_signatures(chosen["required"])
    say(repr(of_store))


def _told(question: str) -> str:
    if question == "listing":
        return "\n".join(map(repr, mk.Trust.listed())) or "No store is trusted by name."
    key = mk.SigningKey.create() if question == "new_key" else mk.SigningKey.current()
    return "You have no signing key. Make one with: mlops-kit trust --new-key" if key is None else key.public


@click.command()
@click.argument("name", required=False)
@click.option("--anchor", "anchors", multiple=True, metavar="[NAME=]N:TIP", help="What an earlier audit printed.")
@click.option("--store", metavar="URL", default=None, help="A folder or URL. Default: the store of the project.")
def audit(name: str | None, anchors: tuple[str, ...], store: str | None) -> None:
    """Prove that the journals of all models, or of NAME, are what was written; exit 1 if something is wrong.

    Keep the anchors that it prints elsewhere, in a CI log or a git commit, and give them to a later audit.
    """
    kept = dict(_named(anchor, name) for anchor in anchors)
    if mk.Store(store).describe() is None:
        raise click.BadParameter(f"there is no store at {mk.Store(store).url}.", param_hint="'--store'")
    report = mk.ModelStore(store).audit(name, anchor=kept or None)
    say(repr(report))
    sys.exit(0 if report.ok else 1)


def _named(anchor: str, name: str | None) -> tuple[str, str]:
    named, _, kept = anchor.rpartition("=")
    if not named and name is None:
        raise click.UsageError(f"Say of which model the anchor is: --anchor NAME={anchor}")
    return named or str(name), kept
