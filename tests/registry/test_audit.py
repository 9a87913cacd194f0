"""An audit names what was tampered with, and the mechanism that shows it; what nothing would show it says plainly."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import mlops_kit as mk
from mlops_kit.cli.main import main
from mlops_kit.errors import InvalidInput, ModelNotFound
from mlops_kit.records import codec
from mlops_kit.records.entry import FIRST_PREV, Entry, statement, tip
from mlops_kit.store.kinds import JOURNALLED
from mlops_kit.store.signing import SigningKey

ANN = "mlops-kit-ed25519-secret:" + "a1" * 32
THIEF = "mlops-kit-ed25519-secret:" + "cc" * 32


@pytest.fixture
def models(tmp_path):
    """A model with six entries: create, two versions, two promotions, a rollback."""
    return history(tmp_path / "store")


@pytest.fixture
def signed(tmp_path, monkeypatch):
    """The same, signed by ann, whom the user lists and demands."""
    monkeypatch.setenv("MLOPS_KIT_SIGNING_KEY", ANN)
    mk.Trust(tmp_path / "store").add_signer("ann", SigningKey(ANN).public)
    mk.Trust(tmp_path / "store").require_signatures()
    return history(tmp_path / "store")


def history(url):
    models = mk.ModelStore(mk.Store(url))
    models.register("fraud", "one")
    models.register("fraud", "two")
    models.promote("fraud:1")
    models.promote("fraud:2")
    models.rollback("fraud")
    return models


def place(models, seq, name="fraud"):
    return models.store.backend.root / f"journals/models/{name}/{seq:012d}.json"


def read(models, seq, name="fraud"):
    return Entry.decode(place(models, seq, name).read_bytes(), where="test")


def write(models, entry, secret=None, name="fraud"):
    entry = dataclasses.replace(entry, signature=None)
    if secret is not None:
        entry = entry.signed(SigningKey(secret).sign(statement(entry.encode(), f"models/{name}")))
    place(models, entry.seq, name).write_bytes(entry.encode())


def refold(models, name="fraud"):
    """Do what a careful forger does: leave no hint that tells the old story."""
    place(models, 1, name).with_name("head.json").unlink(missing_ok=True)


def rechained(models, changes, secret=None, name="fraud"):
    """Rewrite a journal with other bodies, each entry following the one before, with right sums."""
    before = FIRST_PREV
    for seq in range(1, len(list(place(models, 1, name).parent.glob("0*.json"))) + 1):
        entry = dataclasses.replace(read(models, seq, name), prev=before)
        entry = dataclasses.replace(entry, body={**entry.body, **changes.get(seq, {})})
        write(models, entry, secret, name)
        before = tip(place(models, seq, name).read_bytes())
    refold(models, name)


def kinds(report):
    return {problem.kind for problem in report.problems}


def first_bad(report):
    return min(int(problem.key.rpartition("/")[2].removesuffix(".json")) for problem in report.problems)


def audit(models, name="fraud", **given):
    return mk.ModelStore(mk.Store(models.store.url)).audit(name, **given)


def test_a_sound_store_is_ok_and_says_what_nothing_would_show(models):
    report = models.audit()
    assert report.ok
    (journal,) = report.journals
    assert (journal.name, journal.entries, journal.signed, journal.anchored) == ("fraud", 6, 0, 0)
    assert report.unproved == (
        "fraud: its entries are not anchored: if they were removed or rewritten, nothing would show it.",
    )
    assert f"anchor fraud 6:{tip(place(models, 6).read_bytes())}" in repr(report)


@pytest.mark.parametrize(("anchored", "newer"), [(5, "entry 6 is not"), (3, "entries 4–6 are not")])
def test_what_came_after_an_anchor_is_told_by_number(models, anchored, newer):
    (told,) = audit(models, anchor=f"{anchored}:{tip(place(models, anchored).read_bytes())}").unproved
    assert told.startswith(f"fraud: {newer} anchored: ")


def test_what_is_anchored_and_signed_is_proved(signed):
    report = audit(signed, anchor=signed.audit("fraud").journals[0].anchor)
    assert report.ok
    assert report.journals[0].signed == 6
    assert report.unproved == ()


# Seen by the chain


def modify(models):
    write(models, dataclasses.replace(read(models, 3), body={**read(models, 3).body, "size": 7}))


def damage(models):
    path = place(models, 3)
    path.write_bytes(path.read_bytes().replace(b'"version":2', b'"version":9'))


def delete(models):
    place(models, 4).unlink()


def swap(models):
    one, other = place(models, 4).read_bytes(), place(models, 5).read_bytes()
    place(models, 4).write_bytes(other)
    place(models, 5).write_bytes(one)


def swap_renumbered(models):
    one, other = read(models, 4), read(models, 5)
    write(models, dataclasses.replace(one, seq=5, prev=other.prev))
    write(models, dataclasses.replace(other, seq=4, prev=one.prev))


def insert(models):
    for seq in range(6, 3, -1):
        write(models, dataclasses.replace(read(models, seq), seq=seq + 1))
    inserted = dataclasses.replace(read(models, 5), seq=4, prev=tip(place(models, 3).read_bytes()), nonce="0" * 32)
    write(models, inserted)


@pytest.mark.parametrize(
    ("tamper", "kind", "first"),
    [
        (damage, "damaged", 3),
        (modify, "broken-chain", 4),
        (delete, "missing", 4),
        (swap, "moved", 4),
        (swap_renumbered, "broken-chain", 5),
        (insert, "broken-chain", 5),
    ],
)
def test_the_chain_shows_it_and_the_first_bad_entry_is_named(models, tamper, kind, first):
    tamper(models)
    refold(models)
    report = audit(models)
    assert kinds(report) == {kind}
    assert first_bad(report) == first
    assert not report.ok
    assert report.journals[0].entries == first - 1


@pytest.mark.parametrize("tamper", [modify, swap_renumbered, insert])
def test_signatures_name_the_very_entry_that_was_changed(signed, tamper):
    """The chain shows that one of two was changed; the signature shows which."""
    tamper(signed)
    refold(signed)
    report = audit(signed)
    assert kinds(report) == {"broken-chain", "signature-missing"}
    assert first_bad(report) == (3 if tamper is modify else 4)


# Seen by signatures


@pytest.mark.parametrize("secret", [None, THIEF], ids=["unsigned", "by a stranger"])
@pytest.mark.parametrize("changes", [{2: {"size": 7}}, {6: {"version": 2}}], ids=["rewrite all", "rewrite last"])
def test_a_rewritten_journal_is_seen_by_signatures_and_not_by_the_chain(signed, changes, secret):
    if set(changes) == {6}:
        write(signed, dataclasses.replace(read(signed, 6), body={**read(signed, 6).body, "reason": "x"}), secret)
        refold(signed)
    else:
        rechained(signed, changes, secret)
    report = audit(signed)
    assert kinds(report) == {"signature-missing" if secret is None else "signer-unknown"}
    assert first_bad(report) == (6 if set(changes) == {6} else 1)
    mk.Trust(signed.store).remove()
    assert audit(signed).ok  # nobody's signature is demanded: the chain alone is sound
    assert audit(signed).unproved


def test_a_signature_over_something_else_is_a_problem_even_where_none_is_demanded(signed):
    mk.Trust(signed.store).require_signatures(False)
    entry = dataclasses.replace(read(signed, 6), body={**read(signed, 6).body, "reason": "x"})
    place(signed, 6).write_bytes(entry.encode())
    refold(signed)
    report = audit(signed)
    assert kinds(report) == {"signature-invalid"}
    assert first_bad(report) == 6


def test_entries_of_a_revoked_key_are_named(signed):
    mk.Trust(signed.store).revoke_signer("ann")
    assert audit(signed).ok
    forged = dataclasses.replace(read(signed, 6), seq=7, prev=tip(place(signed, 6).read_bytes()), nonce="1" * 32)
    write(signed, dataclasses.replace(forged, kind="promote", body={"alias": "champion", "version": 2}), ANN)
    refold(signed)
    report = audit(signed)
    assert kinds(report) == {"signer-revoked"}
    assert first_bad(report) == 7


# Seen by anchors


def test_truncation_is_seen_by_an_anchor_and_by_nothing_else(signed):
    anchor = signed.audit("fraud").journals[0].anchor
    place(signed, 6).unlink()
    refold(signed)
    unseen = audit(signed)
    assert unseen.ok
    assert unseen.unproved == (
        "fraud: its entries are signed and not anchored: if the newest were removed, nothing would show it.",
    )
    report = audit(signed, anchor=anchor)
    assert kinds(report) == {"truncated"}
    assert first_bad(report) == 6


@pytest.mark.parametrize("changes", [{2: {"size": 7}}, {6: {"reason": "x"}}], ids=["rewrite all", "rewrite last"])
def test_a_rewritten_journal_is_seen_by_an_anchor(models, changes):
    anchor = models.audit("fraud").journals[0].anchor
    rechained(models, changes)
    assert audit(models).ok
    report = audit(models, anchor=anchor)
    assert kinds(report) == {"rewritten"}
    assert first_bad(report) == 6


def test_a_whole_journal_that_was_removed_is_seen_by_an_anchor(models):
    anchor = models.audit("fraud").journals[0].anchor
    for path in place(models, 1).parent.iterdir():
        path.unlink()
    assert kinds(audit(models, anchor=anchor)) == {"truncated"}
    with pytest.raises(ModelNotFound):
        audit(models)


def test_promotions_of_other_models_anchor_what_their_process_has_seen_without_reading_more(models):
    models.register("churn", 1)
    promotion = models.promote("churn:1")
    said = models.history("churn")[promotion.seq - 1].body["anchors"]
    assert said == {"models/fraud": [6, tip(place(models, 6).read_bytes())]}
    report = audit(models)
    assert report.journals[0].anchored == 6
    assert report.journals[0].by == ("entry 3 of models/churn",)
    place(models, 6).unlink()
    refold(models)
    assert kinds(audit(models)) == {"truncated"}


def test_a_promotion_in_a_process_that_has_seen_nothing_else_anchors_nothing(models):
    mk.ModelStore(mk.Store(models.store.url)).promote("fraud:2")
    assert "anchors" not in models.history("fraud")[-1].body


def test_an_anchor_entry_names_every_other_journal(models):
    mk.Dataset.snapshot({"x": [1, 2]}, name="rows", store=models.store)
    models.register("log", 0)
    entry = mk.ModelStore(mk.Store(models.store.url)).anchor("log", reason="nightly")
    assert sorted(entry.body["anchors"]) == ["datasets/rows", "models/fraud"]
    assert models.get("log@latest").version == 1
    rechained(models, {3: {"size": 7}})
    report = audit(models)
    assert kinds(report) == {"rewritten"}
    assert "entry 3 of models/log saw it as" in str(report.problems[0])
    assert models.audit("log").ok


def test_what_the_user_pinned_anchors_too(models):
    mk.Trust(models.store).add_signer("ann", SigningKey(ANN).public)
    mk.Trust(models.store).require_signatures()
    assert audit(models).journals[0].by == ("your settings",)
    place(models, 6).unlink()
    refold(models)
    assert kinds(audit(models)) == {"truncated"}


@pytest.mark.parametrize(
    "said",
    [7, [], {"models/fraud": 3}, {"models/fraud": [True, "x"]}, {"models/fraud": [0, "0" * 64]}, {3: [1, "0" * 64]}],
)
def test_what_cannot_be_an_anchor_in_a_journal_is_passed_over(models, said):
    models.register("churn", 1)
    entry = Entry(
        3,
        tip(place(models, 2, "churn").read_bytes()),
        read(models, 2, "churn").at,
        {"actor": "x"},
        "0",
        "x",
        {"anchors": said},
    )
    write(models, entry, name="churn")
    assert models.audit("fraud").ok


# Seen besides


def test_a_swapped_model_is_named(models):
    digest = models.get("fraud:2").digest.removeprefix("sha256:")
    path = models.store.backend.root / "objects" / digest[:2] / digest
    path.write_bytes(b"other")
    assert kinds(audit(models)) == {"changed-object"}
    path.unlink()
    assert kinds(audit(models)) == {"missing-object"}


def test_a_hint_that_moves_an_alias_is_named(models):
    head = place(models, 1).with_name("head.json")
    members = codec.unseal(head.read_bytes(), where="head")
    members["fold"]["aliases"]["champion"] = [2]
    head.write_bytes(codec.seal("head", {name: members[name] for name in ("seq", "tip", "fold")}))
    assert kinds(audit(models)) == {"forged-hint"}


def test_another_journal_in_its_place_is_named(models):
    models.register("churn", 1)
    for seq in (1, 2):
        place(models, seq).write_bytes(place(models, seq, "churn").read_bytes())
    for seq in range(3, 7):
        place(models, seq).unlink()
    refold(models)
    (problem,) = models.audit().problems
    assert problem.kind == "moved"
    assert "comes from another" in problem.message


def test_an_audit_changes_nothing_and_reads_no_pickle(models):
    root = models.store.backend.root
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}
    script = f"""
import sys
import mlops_kit as mk
print(mk.ModelStore({str(root)!r}).audit().ok, "cloudpickle" in sys.modules, "cryptography" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "True False False\n", done.stderr
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before


def test_without_the_package_an_audit_says_that_no_signature_was_verified(signed, monkeypatch):
    for name in ["cryptography", *(name for name in sys.modules if name.startswith("cryptography."))]:
        monkeypatch.setitem(sys.modules, name, None)
    report = audit(signed)
    assert not report.ok  # they are demanded
    assert "pip install 'mlops-kit[sign]'" in report.notes[0]
    mk.Trust(signed.store).require_signatures(False)
    assert audit(signed).ok
    assert "No signature was verified" in repr(audit(signed))


@pytest.mark.parametrize("anchor", ["", "6", "6:", "0:" + "0" * 64, "6:xyz", (6,), 6, ("6", 7), "6:" + "A" * 64])
def test_what_is_no_anchor_is_refused(models, anchor):
    with pytest.raises(InvalidInput, match="is no anchor"):
        audit(models, anchor=anchor)


def test_an_anchor_belongs_to_a_model(models):
    with pytest.raises(InvalidInput, match="of one model"):
        models.audit(anchor="6:" + "0" * 64)
    assert kinds(models.audit(anchor={"fraud": "6:" + "0" * 64})) == {"rewritten"}


# From the command line


def ask(*words, code=0):
    done = CliRunner().invoke(main, ["audit", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


def test_the_command_prints_the_anchor_that_the_next_one_takes(models):
    url = models.store.url
    line = next(line for line in ask("--store", url).splitlines() if line.strip().startswith("anchor fraud"))
    anchor = line.split()[-1]
    assert "anchored to 6 by the anchor that you gave" in ask("fraud", "--anchor", anchor, "--store", url)
    assert "anchored to 6" in ask("--anchor", f"fraud={anchor}", "--store", url)
    place(models, 6).unlink()
    refold(models)
    assert "PROBLEM truncated" in ask("fraud", "--anchor", anchor, "--store", url, code=1)


def test_the_command_tells_misuse_from_tampering(models):
    url = models.store.url
    assert "Usage" in ask("--anchor", "6:" + "0" * 64, "--store", url, code=2)
    assert "there is no store" in ask("--store", os.path.join(url, "nowhere"), code=2)
    assert "ModelNotFound" in ask("nobody", "--store", url, code=1)


def test_evidence_that_does_not_bear_a_promotion_out_is_named(models):
    passed = mk.Gate(mk.conditions.model_size(mb=1)).evaluate("fraud:1", store=models.store)
    refused = mk.Gate(mk.conditions.model_size(mb=1e-9)).evaluate("fraud:2", store=models.store)
    lying = codec.seal("gate-report", {**refused.members(), "passed": True})
    put = models.store.objects.put
    for evidence, told in (
        (put(passed.encode()), "is about fraud:1, not version 2"),
        (put(refused.encode()), "is a refusal"),
        (put(lying), "its results say otherwise"),
        (put(b"{}"), ""),
    ):
        rechained(models, {5: {"evidence": evidence}})
        report = audit(models)
        assert kinds(report) == {"false-evidence"}
        assert told in report.problems[0].message
    rechained(models, {5: {"evidence": "sha256:" + "0" * 64}})
    assert kinds(audit(models)) == {"missing-object"}
    rechained(models, {4: {"evidence": put(passed.encode())}, 5: {"evidence": None}})
    assert audit(models).ok


def test_evidence_of_another_decision_is_named(models):
    gate = mk.Gate(mk.conditions.signature_compatible())
    for name in ("risk", "sandbox"):
        for content in (1, 2, 3):
            models.register(name, content, signature=[[0.0], [1.0]])
    alone = models.promote("risk:2", gate=gate).evidence
    models.promote("risk:1")
    twin = models.promote("sandbox:2", gate=gate).evidence  # of equal bytes, in another model
    first = models.promote("risk:2", gate=gate).evidence
    models.promote("risk:3")
    again = models.promote("risk:2", gate=gate)
    assert audit(models, "risk").ok
    assert first != again.evidence
    for evidence, told in (
        (twin, "is of another decision: it is about sandbox:2"),
        (alone, "is of another decision: it found nothing as champion, which was 3 then"),
        (first, "is of another decision: it compares with risk:1 as champion, which was 3 then"),
    ):
        rechained(models, {again.seq: {"evidence": evidence}}, name="risk")
        report = audit(models, "risk")
        assert kinds(report) == {"false-evidence"}
        assert told in report.problems[0].message


# Journals of every kind


@pytest.fixture
def every_kind(tmp_path):
    """Give a store with a journal of each kind, two entries or more in each, and an anchor of all of them."""
    store = mk.Store(tmp_path / "store")
    frame = pd.DataFrame({"x": np.random.default_rng(5).normal(size=300)})
    for rows in (100, 200):
        mk.Dataset.snapshot(frame.head(rows), name="rows", store=store)
        mk.ModelStore(store).register("fraud", [rows])
    monitor = mk.Monitor(frame, name="watch", window=50, store=store)
    monitor.log(frame, np.zeros(300))
    monitor.check()
    mk.ModelStore(store).register("nightly", 1)
    mk.ModelStore(store).anchor("nightly")
    return store


def test_the_table_of_kinds_has_every_journal_that_the_library_writes(every_kind):
    assert every_kind.backend.folders("journals/") == sorted(kind.name for kind in JOURNALLED)


@pytest.mark.parametrize("journal", ["models/fraud", "datasets/rows", "monitors/watch"])
def test_the_removal_of_the_newest_entry_is_shown_by_an_anchor_whatever_the_kind(every_kind, journal):
    models = mk.ModelStore(mk.Store(every_kind.url))
    assert models.audit().ok
    assert journal.removeprefix("models/") in {known.name for known in models.audit().journals}
    backend = every_kind.backend
    last = max(found.key for found in backend.walk(f"journals/{journal}/") if "/0" in found.key)
    backend.delete(last)
    for hint in ("head.json", "fold.json"):
        backend.delete(f"journals/{journal}/{hint}")
    report = mk.ModelStore(mk.Store(every_kind.url)).audit()
    assert [(problem.kind, problem.key) for problem in report.problems] == [("truncated", last)]
    assert "entry 3 of models/nightly saw entry" in report.problems[0].message


@pytest.mark.parametrize(("named", "key"), [("datasets/rows", "manifest"), ("monitors/watch", "baseline")])
def test_bytes_that_an_entry_of_another_kind_names_are_looked_for(every_kind, named, key):
    journal = every_kind.journal(*named.split("/"), lambda state, entry: None)
    digest = next(entry.body[key] for entry in journal.entries() if key in entry.body)
    every_kind.backend.delete(f"objects/{digest[7:9]}/{digest[7:]}")
    report = mk.ModelStore(mk.Store(every_kind.url)).audit(named)
    assert {problem.kind for problem in report.problems} == {"missing-object"}
    assert [journal.name for journal in report.journals] == [named]


def test_one_journal_of_another_kind_is_audited_by_kind_and_name(every_kind):
    models = mk.ModelStore(mk.Store(every_kind.url))
    (known,) = models.audit("datasets/rows").journals
    assert models.audit(anchor={"datasets/rows": known.anchor}).ok
    assert not models.audit(anchor={"datasets/rows": f"{known.entries}:{'0' * 64}"}).ok
    with pytest.raises(InvalidInput, match=r"names no journal: the kinds are datasets/…, models/…, monitors/…"):
        models.audit("pipelines/rows")
    with pytest.raises(ModelNotFound, match="There is no dataset 'datasets/none'"):
        models.audit("datasets/none")


def test_a_journal_of_a_kind_that_this_release_does_not_know_is_anchored_and_audited(every_kind):
    every_kind.journal("pipelines", "daily", lambda state, entry: None).append(
        lambda _state: ("create", {"name": "daily"})
    )
    models = mk.ModelStore(mk.Store(every_kind.url))
    assert "pipelines/daily" in models.anchor("nightly").body["anchors"]
    assert models.audit().ok
    assert every_kind.fsck().ok
    every_kind.backend.delete("journals/pipelines/daily/000000000001.json")
    every_kind.backend.delete("journals/pipelines/daily/head.json")
    assert not models.audit().ok
