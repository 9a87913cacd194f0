"""Signatures: made with the user's own key, over the whole entry and its place, and counted as the user says."""

import contextlib
import dataclasses
import os
import pickle
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.errors import (
    ExposedFile,
    IntegrityError,
    InvalidInput,
    SignatureError,
    SignatureInvalid,
    SignatureMissing,
    SignerRevoked,
    SignerUnknown,
    UntrustedArtifact,
)
from mlops_kit.records.entry import Entry, statement, tip
from mlops_kit.store import serializers, settings, trusted
from mlops_kit.store.signing import SigningKey, verified

posix = pytest.mark.skipif(os.name == "nt", reason="mode bits")
ANN = "mlops-kit-ed25519-secret:" + "a1" * 32
BOB = "mlops-kit-ed25519-secret:" + "b2" * 32


@pytest.fixture
def write_as(monkeypatch):
    """Sign with a key from here on, or with none."""

    def choose(secret):
        if secret is None:
            monkeypatch.delenv("MLOPS_KIT_SIGNING_KEY", raising=False)
        else:
            monkeypatch.setenv("MLOPS_KIT_SIGNING_KEY", secret)

    return choose


@pytest.fixture
def url(tmp_path):
    return tmp_path / "store"


def fresh(url):
    """Open a store as a process does that has never looked at it."""
    serializers.pickled.clear()
    return mk.ModelStore(mk.Store(url))


def opened_to_others(url):
    if os.name == "nt":
        pytest.skip("Windows has no mode bits that let others write")
    url.chmod(0o777)


# Keys


@posix
def test_a_key_is_made_once_and_only_its_owner_can_read_it():
    key = SigningKey.create()
    path = settings.path_of("signing-key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.current().public == key.public
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match="There is a key already"):
        SigningKey.create()
    assert path.read_bytes() == before


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_key_that_others_may_read_is_not_used(mode, url):
    SigningKey.create()
    settings.path_of("signing-key").chmod(mode)
    with pytest.raises(ExposedFile, match="chmod 600"):
        mk.ModelStore(url).register("m", 1)


def test_a_key_shows_only_its_public_half_and_is_not_pickled():
    key = SigningKey(ANN)
    assert "a1" * 32 not in repr(key)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)


@pytest.mark.parametrize("text", ["", "x", ANN[:-1], ANN + "0", ANN.upper(), "ed25519:" + "a1" * 32])
def test_what_is_no_key_is_refused(text, write_as, url):
    with pytest.raises(InvalidInput, match="no signing key"):
        SigningKey(text)


def test_a_signature_is_over_every_byte():
    key = SigningKey(ANN)
    signature = key.sign(b"statement")
    assert verified(**signature, statement=b"statement")
    assert not verified(**signature, statement=b"statemenT")
    assert not verified(SigningKey(BOB).public, signature["value"], b"statement")
    for value in ("", "zz", signature["value"][:-2], "0" * 128, signature["value"] + "00"):
        assert not verified(signature["key"], value, b"statement")
    for odd in ("", "ed25519:", "ed25519:" + "00" * 31, "rsa:" + "00" * 32):
        assert not verified(odd, signature["value"], b"statement")


# Signed entries


def test_nothing_is_signed_without_a_key_and_all_with_one(url, write_as):
    models = mk.ModelStore(url)
    models.register("m", 1)
    write_as(ANN)
    models.register("m", 2)
    models.promote("m:2")
    signers = [entry.signature and entry.signature["key"] for entry in fresh(url).history("m")]
    ann = SigningKey(ANN).public
    assert signers == [None, None, ann, ann]
    assert mk.Store(url).fsck().ok


def test_a_signed_entry_reads_back_as_it_was(url, write_as):
    write_as(ANN)
    mk.ModelStore(url).register("m", 1)
    path = url / "journals/models/m/000000000002.json"
    data = path.read_bytes()
    entry = Entry.decode(data, where="m")
    assert entry.encode() == data
    assert verified(**entry.signature, statement=statement(data, "models/m"))
    assert not verified(**entry.signature, statement=statement(data, "models/other"))


# What a listed signer signs may run


def test_a_model_of_a_listed_signer_loads_from_a_store_that_is_not_trusted(url, write_as):
    write_as(ANN)
    mk.ModelStore(url).register("m", {"a": 1})
    write_as(None)
    mk.ModelStore(url).register("m", {"b": 2})
    opened_to_others(url)
    with pytest.raises(UntrustedArtifact):
        fresh(url).load("m:1")
    mk.Trust(url).add_signer("bob", SigningKey(BOB).public)
    with pytest.raises(UntrustedArtifact, match="which is not listed for this store; listed: bob"):
        fresh(url).load("m:1")
    mk.Trust(url).add_signer("ann", SigningKey(ANN).public)
    assert fresh(url).load("m:1") == {"a": 1}
    with pytest.raises(UntrustedArtifact, match="is not signed"):
        fresh(url).load("m:2")
    assert not mk.Trust(url).code


def rewritten(path, change, secret=None):
    """Change an entry as somebody does who may write the file, with a right sum and perhaps a key of their own."""
    entry = change(Entry.decode(path.read_bytes(), where="m"))
    if secret is not None:
        journal = "/".join(path.parts[-3:-1])
        entry = entry.signed(SigningKey(secret).sign(statement(entry.signed(None).encode(), journal)))
    path.write_bytes(entry.encode())
    path.with_name("head.json").unlink(missing_ok=True)


def naming(digest, size):
    def change(entry):
        return Entry(
            entry.seq,
            entry.prev,
            entry.at,
            entry.by,
            entry.nonce,
            entry.kind,
            {**entry.body, "object": digest, "size": size},
            entry.signature,
        )

    return change


def test_a_signed_entry_that_names_another_object_vouches_for_nothing(url, write_as, tmp_path):
    write_as(ANN)
    models = mk.ModelStore(url)
    models.register("m", {"a": 1})
    pickled = pickle.dumps({"evil": 1})
    evil = models.store.objects.put(pickled)
    mk.Trust(url).add_signer("ann", SigningKey(ANN).public)
    opened_to_others(url)
    path = url / "journals/models/m/000000000002.json"
    rewritten(path, naming(evil, len(pickled)))
    assert fresh(url).get("m:1").digest == evil
    with pytest.raises(UntrustedArtifact, match="not over this entry"):
        fresh(url).load("m:1")
    rewritten(path, naming(evil, len(pickled)), BOB)
    with pytest.raises(UntrustedArtifact, match="not listed"):
        fresh(url).load("m:1")


def test_a_signed_entry_does_not_count_in_another_journal(url, write_as):
    write_as(ANN)
    models = mk.ModelStore(url)
    for name in ("harmless", "payments"):
        models.register(name, name)
    mk.Trust(url).add_signer("ann", SigningKey(ANN).public)
    opened_to_others(url)
    folder = url / "journals/models"
    (folder / "payments/000000000002.json").write_bytes((folder / "harmless/000000000002.json").read_bytes())
    (folder / "payments/head.json").unlink()
    (folder / "payments/000000000001.json").write_bytes((folder / "harmless/000000000001.json").read_bytes())
    with pytest.raises((UntrustedArtifact, mk.errors.ModelNotFound)):
        fresh(url).load("payments:1")


def renumbered(path, source, **members):
    """Put a signed entry elsewhere, with a number and a predecessor that fit there, and its signature as it was."""
    entry = dataclasses.replace(Entry.decode(source.read_bytes(), where="m"), **members)
    path.write_bytes(entry.encode())
    path.with_name("head.json").unlink(missing_ok=True)


@pytest.mark.parametrize("demanded", [False, True])
@pytest.mark.parametrize("fitted", [False, True], ids=["as it was", "made to fit"])
@pytest.mark.parametrize(("replayed", "at"), [(2, 3), (2, 5), (4, 5), (4, 6), (3, 2)])
def test_a_signed_entry_that_is_replayed_elsewhere_in_its_journal_counts_for_nothing(
    url, write_as, demanded, fitted, replayed, at
):
    write_as(ANN)
    mk.Trust(url).add_signer("ann", SigningKey(ANN).public)
    if demanded:
        mk.Trust(url).require_signatures()  # before there is anything, so that nothing is pinned
    models = mk.ModelStore(url)
    for content in ("old", "new"):
        models.register("m", content)
    models.promote("m:1")
    models.promote("m:2")  # entries 1 to 5: create, register, register, promote, promote
    opened_to_others(url)
    path = url / "journals/models/m"
    place, source = path / f"{at:012}.json", path / f"{replayed:012}.json"
    if fitted:
        renumbered(place, source, seq=at, prev=tip((path / f"{at - 1:012}.json").read_bytes()))
    else:
        place.write_bytes(source.read_bytes())
        (path / "head.json").unlink()
    assert not fresh(url).audit("m").ok
    if demanded:
        with pytest.raises((SignatureInvalid, IntegrityError)):
            fresh(url).aliases("m")
    for version, content in (("m:1", "old"), ("m:2", "new")):
        with contextlib.suppress(SignatureInvalid, IntegrityError, UntrustedArtifact):
            assert fresh(url).load(version) == content


@pytest.mark.parametrize("demanded", [False, True])
def test_a_signed_entry_of_another_store_counts_for_nothing_where_the_history_is_another(
    url, tmp_path, write_as, demanded
):
    write_as(ANN)
    for place, contents in ((url, ("first", "second")), (tmp_path / "other", ("apart", "evil"))):
        for content in contents:
            mk.ModelStore(place).register("m", content)
    mk.Trust(url).add_signer("ann", SigningKey(ANN).public)
    if demanded:
        mk.Trust(url).require_signatures()
    opened_to_others(url)
    path, other = url / "journals/models/m", tmp_path / "other/journals/models/m"
    (path / "000000000003.json").write_bytes((other / "000000000003.json").read_bytes())
    (path / "head.json").unlink()
    assert "broken-chain" in {problem.kind for problem in fresh(url).audit("m").problems}
    with pytest.raises(IntegrityError):
        fresh(url).load("m:2")


def test_a_signed_entry_of_a_dataset_counts_for_no_model_and_the_other_way_round(url, write_as):
    write_as(ANN)
    mk.ModelStore(url).register("m", "mine")
    mk.Trust(url).add_signer("ann", SigningKey(ANN).public)
    opened_to_others(url)
    entry = Entry.decode((url / "journals/models/m/000000000002.json").read_bytes(), where="m")
    for journal, counts in (("models/m", True), ("datasets/m", False), ("models/n", False)):
        said = statement(entry.signed(None).encode(), journal)
        assert verified(entry.signature["key"], entry.signature["value"], said) is counts


# Signatures demanded


@pytest.fixture
def demanding(url, write_as):
    """A store in which one version was there before signatures were demanded of ann and bob."""
    mk.ModelStore(url).register("m", "old")
    mk.Trust(url).add_signer("ann", SigningKey(ANN).public)
    mk.Trust(url).add_signer("bob", SigningKey(BOB).public)
    mk.Trust(url).require_signatures()
    return url


def everything(models):
    yield lambda: models.load("m:1")
    yield lambda: models.get("m@latest")
    yield lambda: models.history("m")
    yield lambda: models.promote("m:1")
    yield lambda: models.aliases("m")


def test_what_was_there_stays_valid_and_what_comes_must_be_signed(demanding, write_as):
    assert fresh(demanding).load("m:1") == "old"
    with pytest.raises(SignatureMissing, match="key --new"):
        fresh(demanding).register("m", "unsigned")
    write_as("mlops-kit-ed25519-secret:" + "cc" * 32)
    with pytest.raises(SignerUnknown):
        fresh(demanding).register("m", "a stranger's")
    write_as(BOB)
    assert fresh(demanding).register("m", "bob's").version == 2
    assert fresh(demanding).load("m@latest") == "bob's"
    assert len(fresh(demanding).history("m")) == 3


def test_a_demand_holds_at_once_for_stores_that_are_open(url, write_as):
    models = mk.ModelStore(url)
    models.register("m", "old")
    mk.Trust(url).add_signer("ann", SigningKey(ANN).public)
    mk.Trust(url).require_signatures()
    with pytest.raises(SignatureMissing):
        models.promote("m:1")
    mk.Trust(url).require_signatures(False)
    assert models.promote("m:1").version == 1
    mk.Trust(url).require_signatures()
    assert models.get("m@champion").version == 1


def unsigned(entry):
    return Entry(entry.seq, entry.prev, entry.at, entry.by, entry.nonce, entry.kind, entry.body)


def altered(entry):
    body = {**entry.body, "alias": "champion"}
    return Entry(entry.seq, entry.prev, entry.at, entry.by, entry.nonce, entry.kind, body, entry.signature)


@pytest.mark.parametrize(
    ("change", "secret", "error"),
    [
        (unsigned, None, SignatureMissing),
        (altered, None, SignatureInvalid),
        (altered, "mlops-kit-ed25519-secret:" + "cc" * 32, SignerUnknown),
    ],
    ids=["missing", "wrong", "of a stranger"],
)
def test_missing_wrong_and_unknown_signatures_are_different_errors_for_every_question(
    change, secret, error, demanding, write_as
):
    write_as(ANN)
    fresh(demanding).promote("m:1", "challenger")
    rewritten(demanding / "journals/models/m/000000000003.json", change, secret)
    for question in everything(fresh(demanding)):
        with pytest.raises(error):
            question()
    write_as(None)
    assert fresh(demanding).store.fsck().ok  # a chain alone does not show it


def test_a_hint_is_not_believed_where_signatures_are_demanded(demanding, write_as):
    from mlops_kit.records import codec

    write_as(ANN)
    for version in ("second", "third"):
        fresh(demanding).register("m", version)
    fresh(demanding).promote("m:3")
    head = demanding / "journals/models/m/head.json"
    members = codec.unseal(head.read_bytes(), where="head")
    members["fold"]["aliases"]["champion"] = [1]
    head.write_bytes(codec.seal("head", {name: members[name] for name in ("seq", "tip", "fold")}))
    assert fresh(demanding).get("m@champion").version == 3


def test_a_journal_that_was_rewritten_or_cut_below_the_pin_is_noticed(demanding, write_as):
    path = demanding / "journals/models/m/000000000002.json"
    before = path.read_bytes()
    rewritten(path, lambda entry: unsigned(naming("sha256:" + "0" * 64, 1)(entry)))
    with pytest.raises(IntegrityError, match="not the one that your settings pinned"):
        fresh(demanding).get("m:1")
    path.write_bytes(before)
    assert fresh(demanding).get("m:1").version == 1
    path.unlink()
    with pytest.raises(IntegrityError, match="newest entries were removed"):
        fresh(demanding).names() and fresh(demanding).get("m:1")


def test_a_broken_journal_is_not_pinned(url):
    mk.ModelStore(url).register("m", 1)
    mk.Trust(url).add_signer("ann", SigningKey(ANN).public)
    path = url / "journals/models/m/000000000001.json"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match="is broken"):
        mk.Trust(url).require_signatures()
    assert not mk.Trust(url).signatures_required


def test_a_demand_without_anybody_who_could_meet_it_is_refused(url):
    with pytest.raises(InvalidInput, match="list a signer first"):
        mk.Trust(url).require_signatures()


# Revocation


def test_what_a_revoked_signer_wrote_before_counts_and_what_comes_later_does_not(demanding, write_as):
    write_as(ANN)
    fresh(demanding).register("m", "ann's")
    mk.Trust(demanding).revoke_signer("ann")
    assert fresh(demanding).load("m:2") == "ann's"
    with pytest.raises(SignerRevoked):
        fresh(demanding).register("m", "too late")
    write_as(BOB)
    fresh(demanding).promote("m:2")
    assert fresh(demanding).load("m@champion") == "ann's"


def test_an_entry_with_an_old_date_does_not_count_if_it_came_after_the_revocation(demanding, write_as):
    """The thief of a key may write any date."""
    mk.Trust(demanding).revoke_signer("ann")
    last = demanding / "journals/models/m/000000000002.json"
    entry = Entry.decode(last.read_bytes(), where="m")
    body = {"alias": "champion", "version": 1}
    forged = Entry(3, tip(last.read_bytes()), entry.at, entry.by, "0" * 32, "promote", body)
    path = last.with_name("000000000003.json")
    path.write_bytes(forged.encode())
    rewritten(path, lambda entry: entry, ANN)
    with pytest.raises(SignerRevoked, match="whose key was revoked as of"):
        fresh(demanding).get("m@champion")


def test_a_revocation_can_reach_back_to_when_the_key_was_stolen(demanding, write_as):
    write_as(ANN)
    fresh(demanding).register("m", "honest")
    stolen = fresh(demanding).history("m")[-1].at + timedelta(microseconds=1)
    fresh(demanding).register("m", "the thief's")
    mk.Trust(demanding).revoke_signer("ann", since=stolen)
    with pytest.raises(SignerRevoked, match="Entry 4"):
        fresh(demanding).load("m:2")
    (demanding / "journals/models/m/000000000004.json").unlink()
    assert fresh(demanding).load("m:2") == "honest"


def test_a_bare_date_reaches_back_to_its_beginning(demanding, write_as):
    write_as(ANN)
    fresh(demanding).register("m", "today's")
    mk.Trust(demanding).revoke_signer("ann", since=f"{datetime.now(UTC):%Y-%m-%d}")
    with pytest.raises(SignerRevoked):
        fresh(demanding).load("m:2")


def test_without_a_demand_a_revoked_signer_vouches_for_what_was_there_and_for_nothing_later(url, write_as):
    write_as(ANN)
    mk.ModelStore(url).register("m", "before")
    mk.Trust(url).add_signer("ann", SigningKey(ANN).public)
    mk.Trust(url).revoke_signer("ann")
    fresh(url).register("m", "after")
    opened_to_others(url)
    assert fresh(url).load("m:1") == "before"
    with pytest.raises(UntrustedArtifact, match="revoked"):
        fresh(url).load("m:2")
    evil = fresh(url).get("m:2")
    (url / "journals/models/m/000000000003.json").unlink()
    rewritten(url / "journals/models/m/000000000002.json", naming(evil.digest, evil.size), ANN)
    with pytest.raises(UntrustedArtifact, match="no longer those that stood there"):
        fresh(url).load("m:1")


def test_a_signer_is_listed_once_and_a_revoked_one_not_again(url):
    trust = mk.Trust(url)
    trust.add_signer("ann", SigningKey(ANN).public)
    trust.add_signer("ann", SigningKey(ANN).public)
    for name, secret in (("ann", BOB), ("anna", ANN)):
        with pytest.raises(InvalidInput, match="name of its own"):
            trust.add_signer(name, SigningKey(secret).public)
    mk.ModelStore(url).register("m", 1)
    trust.revoke_signer("ann")
    with pytest.raises(InvalidInput, match="was revoked"):
        trust.add_signer("ann", SigningKey(ANN).public)
    with pytest.raises(InvalidInput, match="No signer 'bob'"):
        trust.revoke_signer("bob")
    assert list(trust.signers) == ["ann"]


def test_what_is_listed_of_a_folder_counts_below_it_but_its_pins_do_not(tmp_path, write_as):
    mk.ModelStore(tmp_path).register("m", "of the folder itself")
    mk.Trust(tmp_path).add_signer("ann", SigningKey(ANN).public)
    mk.Trust(tmp_path).require_signatures()
    below = mk.Trust(tmp_path / "team")
    assert below.signatures_required
    assert trusted.trusted_of(below.url).pinned == {}
    with pytest.raises(SignatureMissing):
        mk.ModelStore(tmp_path / "team").register("m", 1)
    write_as(ANN)
    assert mk.ModelStore(tmp_path / "team").register("m", 1).version == 1


@pytest.mark.parametrize("revoking", ["team", "team/store"])
def test_a_revocation_counts_whichever_address_lists_the_key_besides(tmp_path, write_as, revoking):
    write_as(ANN)
    mk.ModelStore(tmp_path / "team/store").register("m", 1)
    for place in ("team", "team/store"):
        mk.Trust(tmp_path / place).add_signer("ann", SigningKey(ANN).public)
    mk.Trust(tmp_path / revoking).revoke_signer("ann", since="2020-01-01")
    opened_to_others(tmp_path / "team/store")
    with pytest.raises(UntrustedArtifact, match="revoked as of 2020-01-01"):
        fresh(tmp_path / "team/store").load("m:1")


def test_without_the_package_signing_and_verifying_say_what_installs_it(url, write_as, monkeypatch):
    write_as(ANN)
    mk.ModelStore(url).register("m", 1)
    mk.Trust(url).add_signer("ann", SigningKey(ANN).public)
    opened_to_others(url)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for name in [name for name in sys.modules if name.startswith("cryptography.")]:
        monkeypatch.setitem(sys.modules, name, None)
    for act in (lambda: fresh(url).load("m:1"), lambda: fresh(url).promote("m:1"), lambda: SigningKey(ANN).public):
        with pytest.raises(SignatureError, match=r"pip install 'mlops-kit\[sign\]'"):
            act()
    assert fresh(url).get("m:1").version == 1  # looking needs no package


def test_a_store_without_signatures_needs_no_package_and_loads_none(url):
    script = f"""
import sys
import mlops_kit as mk
models = mk.ModelStore({str(url)!r})
models.register("m", 1), models.promote("m:1"), models.load("m@champion")
print("cryptography" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr
    assert Path(url).exists()
