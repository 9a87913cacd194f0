"""What a stranger put into a store does not run: whatever its form, its place, and what the records say of it."""

from __future__ import annotations

import builtins
import contextlib
import functools
import hashlib
import io
import json
import operator
import os
import pickle
import subprocess
import sys
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import mlops_kit as mk
from mlops_kit.errors import IntegrityError, InvalidInput, UntrustedArtifact
from mlops_kit.records import codec
from mlops_kit.records.entry import tip
from mlops_kit.registry.saving import Saved
from mlops_kit.store import serializers

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a store is made a stranger's by its mode bits")


class Reduced:
    """Is pickled as a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


class Stateful:
    """Is pickled as an object whose state is set by a call."""

    def __init__(self, function, state):
        self.parts = function, state

    def __reduce__(self):
        function, state = self.parts
        return object, (), state, None, None, function


def touching(canary):
    return f"open({str(canary)!r}, 'w').close()"


def in_an_array(canary):
    return np.array([Reduced(builtins.exec, (touching(canary),))], dtype=object)


def by_joblib(canary):
    file = io.BytesIO()
    joblib.dump({"weights": np.zeros(3), "payload": Reduced(os.system, (f"touch {canary}",))}, file)
    return file.getvalue()


def by_attributes(canary):
    """Reach a method through attrgetter and partial, so that no dangerous name stands in the pickle's calls."""
    touch = Reduced(operator.attrgetter("touch"), (Path(canary),))
    return Reduced(functools.partial(operator.call), (touch,))


GADGETS = {
    "os.system": lambda canary: Reduced(os.system, (f"touch {canary}",)),
    "eval": lambda canary: Reduced(builtins.eval, (touching(canary),)),
    "exec": lambda canary: Reduced(builtins.exec, (touching(canary),)),
    "subprocess": lambda canary: Reduced(subprocess.check_call, (["touch", str(canary)],)),
    "attrgetter and partial": by_attributes,
    "methodcaller": lambda canary: Reduced(operator.methodcaller("touch"), (Path(canary),)),
    "state setter": lambda canary: Stateful(
        functools.partial(_ignore_first), (Reduced(builtins.exec, (touching(canary),)),)
    ),
    "array of objects": in_an_array,
    "joblib": by_joblib,
    "in a pipeline's function": lambda canary: make_pipeline(
        FunctionTransformer(kw_args={"x": Reduced(os.system, (f"touch {canary}",))}), LogisticRegression()
    ),
    "as a pipeline's function": lambda canary: make_pipeline(
        FunctionTransformer(Reduced(builtins.exec, (touching(canary),))), LogisticRegression()
    ),
}


def _ignore_first(*_):
    return None


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


def payload_of(form, canary):
    made = GADGETS[form](canary)
    return made if isinstance(made, bytes) else cloudpickle.dumps(made)


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A store in which others may write, and whose bytes this process has not written."""
    models = mk.ModelStore(mk.Store(tmp_path / "store"))
    models.register("m", {"innocent": True})
    models.store.backend.root.chmod(0o777)
    monkeypatch.setattr(serializers, "pickled", set())
    return models


def plant(models, payload, form="cloudpickle"):
    """Register bytes as the next version of m, as a stranger would."""
    digest = models.store.objects.put(payload)
    serializers.pickled.clear()
    return models.register_saved("m", Saved(digest, form, len(payload), "builtins.dict", None)).spec


@pytest.mark.parametrize("form", GADGETS)
def test_the_gadget_works_where_it_is_unpickled(form, canary):
    payload = payload_of(form, canary)
    with contextlib.suppress(TypeError, AttributeError):  # it runs all the same
        joblib.load(io.BytesIO(payload)) if form == "joblib" else pickle.loads(payload)
    assert canary.exists()


@pytest.mark.parametrize("form", GADGETS)
def test_it_does_not_run_from_a_store_that_is_not_trusted(form, canary, stranger):
    spec = plant(stranger, payload_of(form, canary))
    with pytest.raises(UntrustedArtifact, match="mlops-kit trust"):
        stranger.load(spec)
    for look in (stranger.get, stranger.lineage, repr):
        look(spec)
    stranger.history("m"), stranger.versions("m"), stranger.promote(spec), stranger.store.fsck()
    with pytest.raises(UntrustedArtifact):
        stranger.load("m@champion")
    assert not canary.exists()


@pytest.mark.parametrize("said", ["json", "dataset", "onnx", "pickle", "Cloudpickle", "cloudpickle ", "", "none"])
def test_a_format_that_is_none_is_an_error_and_nothing_else_is_tried(said, canary, stranger):
    spec = plant(stranger, payload_of("os.system", canary), said)
    with pytest.raises(InvalidInput, match="There is no format"):
        stranger.load(spec)
    mk.Trust(stranger.store).add()
    with pytest.raises(InvalidInput, match="There is no format"):
        stranger.load(spec)
    assert not canary.exists()


def test_a_swapped_object_under_its_right_hash_in_a_rewritten_journal_does_not_run(canary, stranger):
    root, trusted = stranger.store.backend.root, stranger.get("m:1").digest
    payload = payload_of("eval", canary)
    hexes = hashlib.sha256(payload).hexdigest()
    (root / "objects" / hexes[:2]).mkdir(exist_ok=True)
    (root / "objects" / hexes[:2] / hexes).write_bytes(payload)
    first, entry = sorted(root.glob("journals/models/m/0*.json"))
    members = codec.unseal(entry.read_bytes(), where="m")
    members["body"] |= {"object": f"sha256:{hexes}", "size": len(payload)}
    assert members["prev"] == tip(first.read_bytes())
    entry.write_bytes(codec.seal("entry", {k: v for k, v in members.items() if k not in {"format", "record"}}))
    root.joinpath("journals/models/m/head.json").unlink()
    fooled = mk.ModelStore(mk.Store(root))
    assert fooled.get("m:1").digest == f"sha256:{hexes}"
    with pytest.raises(UntrustedArtifact):
        fooled.load("m:1")
    with pytest.raises(UntrustedArtifact):
        fooled.load("m:1", allow_code=trusted)  # what was looked at was another object
    assert not canary.exists()


def test_an_output_of_a_run_does_not_run_either(canary, tmp_path, monkeypatch):
    store = mk.Store(tmp_path / "store")

    @mk.track(store=store)
    def train():
        return Reduced(os.system, (f"touch {canary}",))

    train()
    monkeypatch.setattr(serializers, "pickled", set())
    store.backend.root.chmod(0o777)
    run = mk.get_run(train.last_run.id, store=mk.Store(store.url))
    with pytest.raises(UntrustedArtifact):
        run.load()
    assert not canary.exists()


@pytest.mark.parametrize("digest", ["../../../../etc/passwd", "sha256:../../../../etc/passwd", "/etc/passwd", "", 7])
def test_a_record_that_names_a_file_elsewhere_is_refused_unread(digest, stranger):
    root = stranger.store.backend.root
    entry = sorted(root.glob("journals/models/m/0*.json"))[1]
    members = codec.unseal(entry.read_bytes(), where="m")
    members["body"] |= {"object": digest}
    entry.write_bytes(codec.seal("entry", {k: v for k, v in members.items() if k not in {"format", "record"}}))
    with pytest.raises(IntegrityError, match=r"no digest|may not be 7"):
        mk.ModelStore(mk.Store(root)).load("m:1")


def test_importing_the_library_and_looking_loads_no_pickle_machinery_of_others(stranger):
    script = f"""
import sys
import mlops_kit as mk
models = mk.ModelStore({stranger.store.url!r})
models.get("m:1"), models.history("m"), models.lineage("m:1")
print(sorted({{"cryptography", "skops", "joblib"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout.replace("'", '"')) == [], done.stderr
