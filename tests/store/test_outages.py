"""Stores that go away, refuse or hesitate while a run goes on: the result stays, and what was recorded arrives once."""

import os
import random
import secrets
import threading
import time
import warnings

import pytest
import servers
from spools import left_in

import mlops_kit as mk
from mlops_kit.errors import ExposedFile, RecordingWarning
from mlops_kit.store import retry
from mlops_kit.store.memory import MemoryBackend
from mlops_kit.store.spool import spool_of
from mlops_kit.testing import FaultyBackend

NOBODY = 65534
PAUSE = retry.pause


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")
    monkeypatch.setattr(retry, "pause", lambda failures, elapsed, fraction: 0.0 if failures < 12 else None)


def lead(monkeypatch, endpoint):
    """Lead S3 to an endpoint, and give an address there."""
    for name, value in {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(name, value)


def one_of_everything(store, meanwhile=lambda: None):
    """Track a run that logs, registers and returns, and let something happen in its middle."""

    @mk.track(register="m", store=store)
    def train(depth):
        mk.log_metric("auc", 0.5)
        mk.log_artifact(b"report", "report.txt")
        meanwhile()
        mk.log_artifact(b"second", "second.txt")
        return {"depth": [depth] * 3000}

    assert train(3) == {"depth": [3] * 3000}
    return train.last_run


def complete(url, run_id):
    """Find all of the run, and each thing once."""
    store = mk.Store(url)
    report = store.fsck()
    assert report.ok, report
    assert [run.id for run in mk.list_runs(store=store)] == [run_id]
    run = mk.get_run(run_id, store=store)
    assert (run.status, run.metrics, run.params, run.models) == ("finished", {"auc": 0.5}, {"depth": 3}, ["m:1"])
    assert (run.load("report.txt"), run.load("second.txt")) == (b"report", b"second")
    assert [entry.kind for entry in mk.ModelStore(store).history("m")] == ["create", "register"]


def test_a_run_whose_server_stops_in_its_middle_finishes_and_is_delivered_once(monkeypatch):
    monkeypatch.setattr(retry, "pause", lambda failures, elapsed, fraction: 0.0 if failures < 3 else None)
    url = f"s3://bucket/{secrets.token_hex(4)}"
    server = servers.moto()
    lead(monkeypatch, server.__enter__())
    with pytest.warns(RecordingWarning, match=r"cannot be reached.*delivers it"):
        run = one_of_everything(mk.Store(url), lambda: server.__exit__(None, None, None))
    assert run.load("second.txt") == b"second"
    with pytest.raises(mk.errors.StoreError, match="cannot be reached"):
        mk.Store(url).sync()
    with servers.moto() as endpoint:  # what the first has kept is there still
        lead(monkeypatch, endpoint)
        report = mk.Store(url).sync()
        assert (report.runs, report.versions, report.problems) == ((run.id,), ("m:1",), ())
        complete(url, run.id)
        assert mk.Store(url).sync().runs == ()
        complete(url, run.id)
    assert not left_in(spool_of(url))


ELSEWHERE = {
    "s3": lambda port, monkeypatch: lead(monkeypatch, f"http://127.0.0.1:{port}"),
    "gs": lambda port, monkeypatch: monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}"),
    "az": lambda port, monkeypatch: monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING",
        f"DefaultEndpointsProtocol=http;AccountName={servers.AZURITE_ACCOUNT};AccountKey={servers.AZURITE_KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{servers.AZURITE_ACCOUNT};",
    ),
    "sftp": lambda port, monkeypatch: None,
}
SILENCE, ATTEMPTS = 0.3, 6
BOUND = ATTEMPTS * SILENCE + 0.25 * (2 ** (ATTEMPTS - 1) - 1) + 3
"""Six attempts, the longest pauses between them, and three seconds for the work itself."""


@pytest.fixture
def impatient(monkeypatch):
    """Wait for answers as long as a user says, and between attempts as in earnest."""
    monkeypatch.setenv("MLOPS_KIT_TIMEOUT", str(SILENCE))
    monkeypatch.setattr(retry, "pause", PAUSE)


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_a_server_that_never_answers_costs_a_run_some_seconds_and_nothing_else(monkeypatch, impatient, kind, figure):
    with servers.silent() as port:
        ELSEWHERE[kind](port, monkeypatch)
        place = f"127.0.0.1:{port}/home" if kind == "sftp" else "bucket"
        url = f"{kind}://{place}/{secrets.token_hex(4)}"
        mk.track(lambda: 1, store="memory://warm")()  # what is imported at first use is not the server's
        begun = time.monotonic()
        with pytest.warns(RecordingWarning, match="cannot be reached|did not answer|later.*delivers it"):
            run = one_of_everything(mk.Store(url))
        seconds = time.monotonic() - begun
        figure(f"a run on a silent {kind} server, with {SILENCE} s to answer: {seconds:.1f} s")
        assert seconds < BOUND
        assert run.load("second.txt") == b"second"
    if kind != "s3":
        return
    with servers.moto() as endpoint:
        lead(monkeypatch, endpoint)
        report = mk.Store(url).sync()
        assert (report.runs, report.versions, report.problems) == ((run.id,), ("m:1",), ())
        complete(url, run.id)
    assert not left_in(spool_of(url))


def test_a_server_that_falls_silent_in_the_middle_of_a_run_is_left_at_that(monkeypatch, impatient, figure):
    quiet, over = threading.Event(), threading.Event()
    url = f"s3://bucket/{secrets.token_hex(4)}"
    with servers.moto(lambda _environ: (503, False) if quiet.is_set() and over.wait(60) else None) as endpoint:
        lead(monkeypatch, endpoint)
        begun = time.monotonic()
        with pytest.warns(RecordingWarning, match="delivers it"):
            run = one_of_everything(mk.Store(url), quiet.set)
        seconds = time.monotonic() - begun
        figure(f"a run on an S3 server that falls silent, with {SILENCE} s to answer: {seconds:.1f} s")
        assert seconds < BOUND
        quiet.clear()
        over.set()
        assert mk.Store(url).sync().runs == (run.id,)
        complete(url, run.id)


def test_a_time_out_that_is_no_number_is_named_and_costs_no_training(monkeypatch):
    monkeypatch.setenv("MLOPS_KIT_TIMEOUT", "1 min")
    lead(monkeypatch, "http://127.0.0.1:9")
    with pytest.warns(RecordingWarning, match="MLOPS_KIT_TIMEOUT='1 min' is not a number of seconds"):
        one_of_everything(mk.Store(f"s3://bucket/{secrets.token_hex(4)}"))


@pytest.mark.parametrize("seed", range(3))
def test_requests_that_fail_in_passing_or_lose_their_answer_change_nothing(monkeypatch, seed, figure):
    chance, failed = random.Random(seed), []

    def fault(environ):
        if environ["PATH_INFO"] in {"/bucket", "/bucket/"} or chance.random() > 0.3:
            return None
        failed.append((chance.choice([408, 429, 500, 502, 503, 504]), chance.random() < 0.5))
        return failed[-1]

    url = f"s3://bucket/{secrets.token_hex(4)}"
    with servers.moto(fault) as endpoint:
        lead(monkeypatch, endpoint)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run = one_of_everything(mk.Store(url))
            models = mk.ModelStore(mk.Store(url))
            models.promote("m:1", expect=0)
            models.promote("m:1", "shadow", expect=0)
        history = mk.ModelStore(mk.Store(url)).history("m")
        assert [entry.kind for entry in history] == ["create", "register", "promote", "promote"]
        assert mk.Store(url).fsck().ok
        assert mk.get_run(run.id, store=mk.Store(url)).models == ["m:1"]
    lost = sum(applied for _, applied in failed)
    assert lost >= 3
    figure(f"S3 whose requests fail, seed {seed}: {len(failed)} refused with 408 to 504, {lost} of them carried out")


@pytest.mark.skipif(os.name == "nt", reason="there are no mode bits")
def test_a_permission_that_is_lost_in_the_middle_of_a_run_costs_nothing(tmp_path, monkeypatch):
    root, spool, me = tmp_path / "store", tmp_path / "spool", os.geteuid()
    monkeypatch.setenv("MLOPS_KIT_SPOOL", str(spool))
    mk.Store(root).ensure()
    spool.mkdir(mode=0o777)
    spool.chmod(0o777)

    def lose():
        for path in (root, *root.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        if me == 0:  # permissions do not bind root, so the rest of the run is somebody else's
            for folder in (tmp_path, *tmp_path.parents[:3]):
                folder.chmod(folder.stat().st_mode | 0o011)
            os.seteuid(NOBODY)

    # All modules that a spooled run needs are loaded first: somebody else may not read where root keeps them.
    with pytest.warns(RecordingWarning, match="delivers it"):
        one_of_everything(mk.Store.on(FaultyBackend(MemoryBackend("away"), at=1, lasting=True)))
    try:
        with pytest.warns(RecordingWarning, match=r"May not write.*delivers it"):
            run = one_of_everything(mk.Store(root), lose)
    finally:
        os.seteuid(me)
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    with pytest.raises(ExposedFile, match="others may write"):
        mk.Store(root).sync()
    monkeypatch.setenv("MLOPS_KIT_TRUST", str(spool))
    assert mk.Store(root).sync().runs == (run.id,)
    complete(root, run.id)
