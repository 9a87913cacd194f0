"""Bytes run as code only where nobody else could have written them, or somebody vouches for them."""

import contextlib
import os

import pytest

import mlops_kit as mk
from mlops_kit.errors import StoreError, UntrustedArtifact
from mlops_kit.store import keys, local, serializers
from mlops_kit.store.trust import trusted_by_name
from mlops_kit.store.verdict import User

STRANGER = 12345
posix = pytest.mark.skipif(os.name == "nt", reason="owners and mode bits")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A store with one model that this process did not write."""
    models = mk.ModelStore(tmp_path / "store")
    models.register("m", {"a": 1})
    monkeypatch.setattr(serializers, "pickled", set())
    return models


def places(models):
    """The root, the folders down to the model's bytes, and the bytes."""
    path = models.store.backend.root / keys.object_key(models.get("m:1").digest)
    return {"root": path.parents[2], "objects": path.parents[1], "folder": path.parent, "file": path}


def test_what_nobody_else_can_write_is_loaded(models):
    assert models.load("m:1") == {"a": 1}


@posix
@pytest.mark.parametrize("place", ["root", "objects", "folder", "file"])
@pytest.mark.parametrize("bit", [0o020, 0o002], ids=["group", "others"])
def test_what_others_may_write_is_refused(models, monkeypatch, place, bit):
    monkeypatch.setattr(local, "present_user", lambda: User(os.geteuid(), group=None))  # whose group others share
    path = places(models)[place]
    path.chmod(path.stat().st_mode | bit)
    with pytest.raises(UntrustedArtifact, match="somebody else could have written it"):
        models.load("m:1")


@posix
@pytest.mark.parametrize("file", ["000000000002.json", "000000000003.json", "head.json"])
def test_a_model_that_a_record_names_which_others_may_write_is_refused(models, file):
    models.promote("m:1")
    path = models.store.backend.root / "journals" / "models" / "m" / file
    assert models.load("m@champion") == {"a": 1}
    path.chmod(0o666)
    for each in (models, mk.ModelStore(mk.Store(models.store.url))):
        written_here = each is models and file == "head.json"  # who wrote the hint need not read it
        with contextlib.nullcontext() if written_here else pytest.raises(UntrustedArtifact):
            each.load("m@champion")


def test_a_hint_that_is_missing_is_nobodys(models):
    (models.store.backend.root / "journals" / "models" / "m" / "head.json").unlink()
    assert mk.ModelStore(mk.Store(models.store.url)).load("m:1") == {"a": 1}


@posix
def test_an_output_that_a_record_names_which_others_may_write_is_refused(models):
    with mk.start_run(store=models.store) as run:
        run.log_model([object], "it")
    serializers.pickled.clear()
    assert mk.get_run(run.id, store=models.store).load("it") == [object]
    models.store.backend.root.joinpath(keys.run_key(run.id, "end")).chmod(0o666)
    with pytest.raises(UntrustedArtifact):
        mk.get_run(run.id, store=models.store).load("it")


@posix
@as_root
@pytest.mark.parametrize("place", ["root", "objects", "folder", "file"])
def test_what_belongs_to_somebody_else_is_refused(models, place):
    os.chown(places(models)[place], STRANGER, -1)
    with pytest.raises(UntrustedArtifact):
        models.load("m:1")


@posix
@pytest.mark.parametrize("place", ["objects", "folder", "file"])
def test_a_symbolic_link_inside_the_store_is_refused(models, tmp_path, place):
    path = places(models)[place]
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is a symbolic link"):
        models.load("m:1")


@posix
def test_a_link_to_the_root_is_its_target(models, tmp_path):
    (tmp_path / "link").symlink_to(models.store.url)
    assert mk.ModelStore(tmp_path / "link").load("m:1") == {"a": 1}


@pytest.fixture
def untrusted(models):
    if os.name == "nt":
        pytest.skip("Windows has no mode bits that let others write")
    path = places(models)["root"]
    path.chmod(0o777)
    return models


def test_the_refusal_holds_the_two_lines_that_would_trust_it(untrusted):
    with pytest.raises(UntrustedArtifact) as caught:
        untrusted.load("m:1")
    assert f"MLOPS_KIT_TRUST='{untrusted.store.url}'" in str(caught.value)
    assert f"allow_code='{untrusted.get('m:1').digest}'" in str(caught.value)


def test_one_object_is_trusted_by_its_digest(untrusted):
    assert untrusted.load("m:1", allow_code=untrusted.get("m:1").digest) == {"a": 1}


def test_the_digest_of_another_object_trusts_nothing(untrusted):
    with pytest.raises(UntrustedArtifact):
        untrusted.load("m:1", allow_code="sha256:" + "0" * 64)


def test_a_store_is_trusted_by_its_name(untrusted, monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_TRUST", f"s3://other {untrusted.store.url}/")
    assert untrusted.load("m:1") == {"a": 1}


def test_what_this_process_pickled_is_trusted(tmp_path):
    models = mk.ModelStore(tmp_path / "store")
    models.register("m", {"a": 1})
    (tmp_path / "store").chmod(0o777)
    assert models.load("m:1") == {"a": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_what_a_process_pickled_before_a_fork_is_its_childs_too_and_not_the_other_way_round(tmp_path):
    models = mk.ModelStore(tmp_path / "store")
    models.register("m", {"a": 1})
    (tmp_path / "store").chmod(0o777)

    def in_child(act):
        pid = os.fork()
        if pid == 0:
            try:
                act()
            except BaseException:  # nothing of the fork may go on in the test
                os._exit(1)
            os._exit(0)
        return os.waitpid(pid, 0)[1]

    assert in_child(lambda: models.load("m:1")) == 0
    assert in_child(lambda: models.register("n", {"a": 2})) == 0
    with pytest.raises(UntrustedArtifact):
        mk.ModelStore(mk.Store(tmp_path / "store")).load("n:1")


@pytest.mark.parametrize("size", [1, 1 << 21])
@pytest.mark.parametrize("way", ["artifact", "folder", "put", "text of a run"])
def test_bytes_that_this_process_only_kept_are_not_its_own(untrusted, tmp_path, way, size):
    untrusted.register("big", b"x" * size)
    serializers.pickled.clear()
    data = untrusted.store.objects.get(untrusted.get("big:1").digest)
    (tmp_path / "upload").mkdir()
    (tmp_path / "upload" / "file.bin").write_bytes(data)
    mine = mk.Store(tmp_path / "mine")
    with mk.start_run(store=mine) as run:
        match way:
            case "put":
                mine.objects.put(data)
            case "artifact":
                run.log_artifact(tmp_path / "upload" / "file.bin")
            case "folder":
                run.log_artifact(tmp_path / "upload")
            case _:
                run.log_artifact(data, "file.bin")
    with pytest.raises(UntrustedArtifact):
        untrusted.load("big:1")


def test_looking_needs_no_trust(untrusted):
    assert untrusted.get("m:1").type == "builtins.dict"
    assert untrusted.names() == ["m"]
    assert untrusted.lineage("m:1").model.version == 1
    assert untrusted.history("m")[0].kind == "create"


def test_trust_goes_by_owner_and_not_by_content_of_the_record(untrusted):
    before = untrusted.get("m:1")
    untrusted.promote("m:1")
    with pytest.raises(UntrustedArtifact):
        untrusted.load("m@champion")
    assert before.digest == untrusted.get("m@champion").digest


@pytest.mark.parametrize(
    ("listed", "url", "trusted"),
    [
        ("s3://team/models", "s3://team/models", True),
        ("s3://team/models", "s3://team/models/fraud", True),
        ("s3://team/models/", "s3://team/models", True),
        ("s3://team/models", "s3://team/models-evil", False),
        ("s3://team/models", "s3://team", False),
        ("/srv /opt/mlops", "/opt/mlops/x", True),
        ("/srv", "/srvevil", False),
        ("", "/srv", False),
        ("/", "/srv", False),
        ("   ", "", False),
    ],
)
def test_names_are_matched_at_path_boundaries(monkeypatch, listed, url, trusted):
    monkeypatch.setenv("MLOPS_KIT_TRUST", listed)
    assert trusted_by_name(url) is trusted


@pytest.mark.parametrize("url", ["/srv/models/../../home/evil", "s3://team/models/../evil"])
def test_an_address_that_climbs_out_of_a_trusted_folder_is_not_trusted(monkeypatch, url):
    monkeypatch.setenv("MLOPS_KIT_TRUST", "/srv/models s3://team/models")
    assert not trusted_by_name(url)
