"""Names with numbered versions and movable aliases, as models and datasets share them."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

import mlops_kit as mk
from mlops_kit.errors import (
    AliasNotFound,
    IntegrityError,
    InvalidInput,
    InvalidName,
    InvalidSpec,
    ModelNotFound,
    NewerFormat,
    UnsupportedData,
    VersionNotFound,
)
from mlops_kit.records import codec
from mlops_kit.store.catalog import Catalog
from mlops_kit.store.local import LocalBackend
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.store import Store


def catalog(store):
    return Catalog(store, "models", "model", ModelNotFound, "models.versions({})")


@pytest.fixture(params=["memory", "local"])
def models(request, tmp_path):
    backend = MemoryBackend(str(tmp_path)) if request.param == "memory" else LocalBackend(tmp_path / "store")
    return catalog(Store.on(backend))


@pytest.fixture
def local(tmp_path):
    return catalog(Store(tmp_path / "store"))


def again(models):
    """The same names, seen by a reader that knows nothing yet."""
    return catalog(Store.on(models.store.backend))


def add(models, name="fraud", *, same=None, **body):
    return models.add(name, "register", lambda _version: body, same=same)


def write(models, kind, **body):
    """Append an entry of a kind that the catalog reads and others write."""
    return models.journal("fraud").append(lambda _state: (kind, body))


def test_adding_makes_the_name_and_then_its_versions(models):
    assert models.names() == []
    made = [add(models, n=number) for number in range(3)]
    assert [(entry.kind, entry.body) for entry in made] == [
        ("register", {"version": number + 1, "n": number}) for number in range(3)
    ]
    assert again(models).names() == ["fraud"]
    assert [entry.kind for entry in again(models).journal("fraud").entries()] == ["create", *["register"] * 3]


def test_a_version_like_the_latest_is_the_latest(models):
    first = add(models, identity="a", same="a")
    assert add(models, identity="a", same="a") == first
    assert add(again(models), identity="a", same="a") == first
    second = add(models, identity="b", same="b")
    third = add(models, identity="a", same="a")
    assert [second.body["version"], third.body["version"]] == [2, 3]


def test_a_version_like_one_that_was_removed_is_a_new_one(models):
    add(models, identity="a", same="a")
    write(models, "archive", version=1)
    assert add(models, identity="a", same="a").body["version"] == 2


def refused(_version):
    raise UnsupportedData("no")


def test_what_cannot_be_described_is_not_added(models):
    add(models)
    with pytest.raises(UnsupportedData):
        models.add("fraud", "register", refused)
    assert models.journal("fraud").last == 2


def test_a_name_whose_first_version_never_came_has_none_and_can_still_get_one(models):
    with pytest.raises(UnsupportedData):
        models.add("fraud", "register", refused)
    assert models.names() == ["fraud"]
    for spec, error in (("fraud:1", VersionNotFound), ("fraud@latest", AliasNotFound)):
        with pytest.raises(error, match=r"Versions: none\."):
            models.resolve(spec)
    assert add(again(models)).body["version"] == 1


def test_latest_is_the_highest_version_that_was_not_removed(models):
    made = [add(models) for _ in range(3)]
    removed = write(models, "delete", version=3)
    write(models, "archive", version=2)
    assert models.resolve("fraud@latest") == made[0] == again(models).resolve("fraud@latest")
    assert models.resolve("fraud@latest", as_of=removed.at - timedelta(microseconds=1)) == made[2]
    assert models.resolve("fraud@latest", as_of=removed.at) in made[:2]
    write(models, "delete", version=1)
    with pytest.raises(AliasNotFound, match=r"has no alias 'latest'.*Versions: none"):
        models.resolve("fraud@latest")


def test_versions_that_exist_are_told_briefly(models):
    for _ in range(9):
        add(models)
    for version in (4, 5, 8):
        write(models, "archive", version=version)
    write(models, "promote", alias="champion", version=7)
    with pytest.raises(VersionNotFound, match=r"Versions: 1–3, 6–7, 9; champion → 7\."):
        models.resolve("fraud:10")


def test_an_entry_of_an_unknown_kind_changes_nothing(models):
    first = add(models)
    write(models, "certify", until="2030")
    assert again(models).resolve("fraud@latest") == first
    assert add(models).body["version"] == 2


def test_a_spec_is_read_and_a_bare_name_answered(models):
    add(models)
    assert models.parse("fraud:3") == ("fraud", 3, None)
    with pytest.raises(InvalidSpec, match=r"write 'fraud:3' or 'fraud@latest'\. Versions: 1"):
        models.parse("fraud")
    with pytest.raises(InvalidName):
        models.parse("../fraud:1")
    with pytest.raises(InvalidInput):
        models.resolve("fraud@latest", as_of="whenever")


def test_looking_for_what_is_not_there_makes_nothing(local, tmp_path):
    for spec in ("fraud:1", "fraud@latest"):
        with pytest.raises(ModelNotFound, match="It holds no model yet"):
            local.resolve(spec)
    with pytest.raises(InvalidSpec, match="There is no model of this name"):
        local.resolve("fraud")
    assert list(tmp_path.iterdir()) == []


def test_names_of_another_kind_are_others(models):
    add(models)
    datasets = Catalog(models.store, "datasets", "dataset", ModelNotFound, "Dataset.versions({})")
    assert datasets.names() == []
    add(datasets, "Fraud")
    assert (models.names(), datasets.names()) == (["fraud"], ["Fraud"])


# The hint


def head(models):
    return Path(models.store.url) / "journals" / "models" / "fraud" / "head.json"


@pytest.mark.parametrize("hint", [None, b"", b"{}", b"\xff", b'{"format":1}'])
def test_a_missing_or_damaged_hint_costs_reads_and_nothing_else(local, hint):
    made = [add(local) for _ in range(3)]
    head(local).unlink() if hint is None else head(local).write_bytes(hint)
    assert again(local).resolve("fraud@latest") == made[-1]
    assert add(again(local)).body["version"] == 4


def test_a_hint_that_is_behind_is_caught_up_with(local):
    add(local)
    old = head(local).read_bytes()
    second = add(local)
    head(local).write_bytes(old)
    assert again(local).resolve("fraud@latest") == second


def test_a_hint_that_promises_entries_which_never_arrived_is_not_believed(local):
    made = [add(local) for _ in range(3)]
    (head(local).parent / "000000000004.json").unlink()
    assert again(local).resolve("fraud@latest") == made[1]
    assert add(again(local)).body["version"] == 3
    assert again(local).resolve("fraud:3").body["version"] == 3


def test_a_hint_of_another_history_is_not_believed(local, tmp_path):
    add(local, n=1)
    other = catalog(Store(tmp_path / "other"))
    for number in range(5):
        add(other, n=number)
    head(local).write_bytes(head(other).read_bytes())
    assert again(local).resolve("fraud@latest").body == {"version": 1, "n": 1}
    assert add(again(local), n=2).body == {"version": 2, "n": 2}


# What it costs


class Counting:
    """A backend that counts what is asked of it."""

    def __init__(self, backend):
        self._backend = backend
        self.asked = []

    def __getattr__(self, name):
        act = getattr(self._backend, name)
        if not callable(act):
            return act

        def counted(key, *rest, **options):
            if key.startswith("journals/"):
                self.asked.append(f"{name} {key.rpartition('/')[2]}" if name == "put" else name)
            return act(key, *rest, **options)

        return counted if name in {"get", "put", "create", "stat", "walk", "folders"} else act


@pytest.fixture
def counted(tmp_path):
    backend = Counting(MemoryBackend(f"counted-{tmp_path}"))
    models = catalog(Store.on(backend))
    for _ in range(20):
        add(models)
    write(models, "promote", alias="champion", version=20)
    backend.asked.clear()
    return models, backend


def test_resolving_an_alias_of_a_name_known_already_costs_one_read(counted):
    models, backend = counted
    models.resolve("fraud@champion")
    backend.asked.clear()
    models.resolve("fraud@champion")
    assert backend.asked == ["get"]


def test_resolving_an_alias_at_first_sight_does_not_read_the_whole_journal(counted):
    models, backend = counted
    again(models).resolve("fraud@champion")
    assert backend.asked.count("get") == len(backend.asked) <= 6


def test_moving_an_alias_costs_one_conditional_write_and_the_hint(counted):
    models, backend = counted
    journal = models.journal("fraud")
    backend.asked.clear()
    journal.append(lambda _state: ("promote", {"alias": "champion", "version": 3}))
    assert backend.asked == ["get", "create", "put head.json"]


# Newer stores


def test_a_store_of_a_newer_format_is_not_read_as_empty(local):
    Path(local.store.url).mkdir()
    record = codec.seal("store", {"id": "0" * 32, "created": "2030-01-01T00:00:00.000000Z"})
    text = record.decode().replace('"format":1', '"format":2').rpartition(',"sum"')[0]
    Path(local.store.url, "store.json").write_text(f'{text},"sum":"{hashlib.sha256(text.encode()).hexdigest()}"}}')
    with pytest.raises(NewerFormat):
        local.resolve("fraud:1")
    with pytest.raises(NewerFormat):
        add(local)


def test_a_journal_whose_first_entries_were_swapped_is_told_and_not_a_crash(local):
    add(local)
    journal = Path(local.store.url, "journals", "models", "fraud")
    first, second = (journal / f"{number:012d}.json" for number in (1, 2))
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    with pytest.raises(IntegrityError, match="it was moved there"):
        catalog(Store(local.store.url)).resolve("fraud:1")
    names = local.names()
    assert (names, [problem.key for problem in names.problems]) == (
        ["fraud"],
        ["journals/models/fraud/000000000001.json"],
    )
    assert "it was moved there" in names.problems[0].message


@pytest.mark.parametrize("hint", ["kept", "lost"])
@pytest.mark.parametrize("place", [1, 2, 4, 5])
def test_a_history_shows_what_stands_before_and_after_a_gap(tmp_path, place, hint):
    models = mk.ModelStore(tmp_path)
    for number in range(2):
        models.promote(models.register("m", [number]).spec)
    folder = tmp_path / "journals/models/m"
    broken = folder / f"{place:012d}.json"
    record = codec.unseal(broken.read_bytes(), where="")
    broken.write_bytes(codec.seal("entry", {**record, "body": {"version": -1, "alias": 5}}))
    if hint == "lost":
        (folder / "head.json").unlink()
    history = mk.ModelStore(Store.on(LocalBackend(tmp_path))).history("m")
    assert [entry.seq for entry in history] == [1, 2, 3, 4, 5]
    assert [entry.kind == "unreadable" for entry in history] == [seq == place for seq in range(1, 6)]
    (problem,) = history.problems
    assert problem.key == f"journals/models/m/{place:012d}.json"
    assert history[place - 1].body == {"problem": problem.message}
    assert "could not be read" in repr(history)


def test_a_file_with_a_huge_number_makes_no_huge_history(tmp_path):
    mk.ModelStore(tmp_path).register("m", [1])
    folder = tmp_path / "journals/models/m"
    (folder / "head.json").unlink()
    for number in (2, 10**12 - 1):
        (folder / f"{number:012d}.json").write_bytes(b"?")
    history = mk.ModelStore(Store.on(LocalBackend(tmp_path))).history("m")
    assert history[0].kind == "create"
    assert len(history) < 1100
    assert len(mk.Store(tmp_path).fsck().problems) < 1100
