"""What cannot be saved is refused; what is loaded is what was registered, or nothing is run."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer

import mlops_kit as mk
from mlops_kit.errors import (
    CodeChangedWarning,
    IntegrityError,
    NotSerializable,
    ObjectNotFound,
    UntrustedArtifact,
)
from mlops_kit.store import serializers

# What cannot be saved or loaded


class Locked:
    def __init__(self, depth=0):
        self.scores = [1, 2]
        self.parts = {"deep": [0, Locked(depth - 1)]} if depth else {"lock": threading.Lock()}


class Slotted:
    __slots__ = ("lock",)

    def __init__(self):
        self.lock = threading.Lock()


def closure_over_a_lock():
    lock = threading.Lock()
    return lambda: lock


UNPICKLABLE = {
    "attribute": (Locked, "model.parts['lock'] is of type _thread.lock"),
    "deep": (lambda: Locked(1), "model.parts['deep'][1].parts['lock'] is of type _thread.lock"),
    "slot": (Slotted, "model.lock is of type _thread.lock"),
    "item": (lambda: [1, {"x": (threading.Lock(),)}], "model[1]['x'][0] is of type _thread.lock"),
    "closure": (closure_over_a_lock, "model.<closure lock> is of type _thread.lock"),
    "generator": (lambda: {"rows": (i for i in "ab")}, "model['rows'] is of type generator"),
    "itself": (threading.Lock, "model is of type _thread.lock"),
}


@pytest.mark.parametrize(("make", "said"), UNPICKLABLE.values(), ids=UNPICKLABLE)
def test_what_cannot_be_pickled_is_refused_with_the_path_to_it_and_nothing_is_registered(models, make, said):
    with pytest.raises(NotSerializable) as refused:
        models.register("fraud", make())
    assert said in str(refused.value)
    assert models.names() == []


def test_a_reduce_that_raises_is_named(models):
    class Stubborn:
        def __reduce__(self):
            raise RuntimeError("not me")

    with pytest.raises(NotSerializable, match=r"model\['a'\].*Stubborn.*RuntimeError: not me"):
        models.register("fraud", {"a": Stubborn()})


class Canary:
    """Leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_a_flipped_bit_anywhere_is_found_before_anything_is_unpickled(local, tmp_path, object_file):
    canary = tmp_path / "canary"
    local.register("fraud", Canary(canary))
    local.load("fraud:1")
    assert canary.exists()
    canary.unlink()
    file = object_file(local, "fraud:1")
    whole = file.read_bytes()
    for position in range(len(whole)):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :])
        with pytest.raises(IntegrityError, match=r"model fraud:1 .* is damaged: expected sha256:.*, found sha256:"):
            mk.ModelStore(mk.Store(local.store.url)).load("fraud:1")
    assert not canary.exists()
    assert [problem.kind for problem in local.store.fsck().problems] == ["damaged"]


@pytest.mark.parametrize("damage", [b"", b"\x80\x05N.", None])
def test_a_truncated_replaced_or_missing_object_is_found(local, damage, object_file):
    local.register("fraud", [1, 2, 3])
    file = object_file(local, "fraud:1")
    file.unlink()
    if damage is not None:
        file.write_bytes(damage)
    with pytest.raises(ObjectNotFound if damage is None else IntegrityError, match="model fraud:1"):
        local.load("fraud:1")


def test_an_altered_journal_entry_is_found(local):
    local.register("fraud", 1)
    entry = next(Path(local.store.url).glob("journals/models/fraud/000000000002.json"))
    record = json.loads(entry.read_text())
    entry.write_text(entry.read_text().replace(record["body"]["object"][-8:], "00000000"))
    with pytest.raises(IntegrityError):
        mk.ModelStore(mk.Store(local.store.url)).load("fraud:1")


def test_a_class_that_is_no_longer_importable_is_told_by_its_module(local, tmp_path, monkeypatch):
    (tmp_path / "gone_module.py").write_text("class Model: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import gone_module

    local.register("fraud", gone_module.Model())
    monkeypatch.delitem(sys.modules, "gone_module")
    (tmp_path / "gone_module.py").write_text("class Renamed: pass\n")
    (tmp_path / "gone_module.py").touch()
    os.utime(tmp_path / "gone_module.py", (1, 1))
    with pytest.raises(NotSerializable, match=r"cannot be restored.*Model"):
        local.load("fraud:1")
    monkeypatch.delitem(sys.modules, "gone_module", raising=False)
    (tmp_path / "gone_module.py").unlink()
    with pytest.raises(NotSerializable, match="needs the module 'gone_module'"):
        local.load("fraud:1")


# Trust


@pytest.fixture
def foreign(local, strangers, tmp_path):
    """A store in which somebody else may write."""
    local.register("fraud", Canary(tmp_path / "canary"))
    serializers.pickled.clear()
    Path(local.store.url).chmod(0o777)
    return local


def test_a_store_of_ones_own_needs_no_trust(local, strangers):
    local.register("fraud", 1)
    serializers.pickled.clear()
    assert local.load("fraud:1") == 1


def test_what_another_could_have_written_is_not_run_and_the_remedies_work(foreign, tmp_path, monkeypatch):
    canary, url, digest = tmp_path / "canary", foreign.store.url, foreign.get("fraud:1").digest
    with pytest.raises(UntrustedArtifact) as refused:
        foreign.load("fraud:1")
    assert isinstance(refused.value, PermissionError)
    assert f"MLOPS_KIT_TRUST='{url}'" in str(refused.value)
    assert f"allow_code='{digest}'" in str(refused.value)
    assert not canary.exists()
    for wrong in ("sha256:" + "0" * 64, "", digest.upper()):
        with pytest.raises(UntrustedArtifact):
            foreign.load("fraud:1", allow_code=wrong)
    assert not canary.exists()
    foreign.load("fraud:1", allow_code=digest)
    assert canary.exists()
    canary.unlink()
    monkeypatch.setenv("MLOPS_KIT_TRUST", url)
    foreign.load("fraud:1")
    assert canary.exists()


def test_trust_in_a_store_with_a_space_in_its_path_is_given_by_the_line_that_is_told(tmp_path, strangers, monkeypatch):
    models = mk.ModelStore(mk.Store(tmp_path / "my models" / "store"))
    models.register("fraud", 1)
    serializers.pickled.clear()
    Path(models.store.url).chmod(0o777)
    with pytest.raises(UntrustedArtifact) as refused:
        models.load("fraud:1")
    line = str(refused.value).partition("MLOPS_KIT_TRUST='")[2].partition("'")[0]
    monkeypatch.setenv("MLOPS_KIT_TRUST", line)
    assert models.load("fraud:1") == 1


def test_looking_without_loading_needs_no_trust(foreign):
    foreign.promote("fraud:1")
    assert foreign.get("fraud@champion").version == 1
    assert len(foreign.versions("fraud")) == 1
    assert foreign.lineage("fraud:1").run is None
    assert len(foreign.history("fraud")) == 3


def test_a_single_file_that_another_may_write_is_not_run(local, strangers, object_file):
    local.register("fraud", 1)
    serializers.pickled.clear()
    object_file(local, "fraud:1").chmod(0o666)
    with pytest.raises(UntrustedArtifact):
        local.load("fraud:1")


def test_a_damaged_object_is_damaged_before_it_is_untrusted(foreign, object_file):
    file = object_file(foreign, "fraud:1")
    file.write_bytes(b"x" + file.read_bytes())
    with pytest.raises(IntegrityError):
        foreign.load("fraud:1")


def test_a_model_whose_code_has_changed_since_is_told_when_it_is_loaded(local, tmp_path, monkeypatch):
    home = tmp_path / "code"
    home.mkdir()
    (home / "features_of_mine.py").write_text("def older(x, by=1):\n    return x + by\n")
    monkeypatch.syspath_prepend(home)
    import features_of_mine

    local.register("aged", FunctionTransformer(features_of_mine.older))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        local.load("aged:1")
    (home / "features_of_mine.py").write_text("def older(x, by=10):\n    return x + by\n")
    os.utime(home / "features_of_mine.py", (1, 1))
    importlib.invalidate_caches()
    importlib.reload(features_of_mine)
    with pytest.warns(CodeChangedWarning, match="features_of_mine"):
        assert local.load("aged:1").transform(np.array([[1]])) == [[11]]
