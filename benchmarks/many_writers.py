"""Eight processes that each track 25 runs in one fresh store, beside the least it can cost.

The floor is as many processes that each write as many JSONs of the size of an end record, durably: a temporary file,
synced, renamed, its directory synced. The processes of both are forked from one that has tracked a run elsewhere, so
that no import is counted, and begin at the same moment; each round takes a fresh folder, and the two take turns.

Besides, sixteen writers promote versions of one model on an S3 server that answers one request at a time, each after
some milliseconds, and its requests are counted: how many an acknowledged promotion costs.

Run with ``python benchmarks/many_writers.py [rounds]``.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

os.environ["MLOPS_KIT_SUMMARY"] = "0"

import mlops_kit as mk

LIMIT = 2
CROWD = 16
MOST_REQUESTS = 10
ANSWER_SECONDS = 0.01
PROCESSES = 8
RUNS = 25
RECORD_BYTES = 1700


def train(a=1, b=2.5, c="three", d=None, e=True, f=6, g=7, h=8, i=9, j=10):
    mk.log_metrics({"auc": 0.9, "accuracy": 0.8, "recall": 0.7, "precision": 0.6, "loss": 0.5})


def track(folder: Path) -> None:
    tracked = mk.track(train, store=folder)
    for _ in range(RUNS):
        tracked()


def write(folder: Path) -> None:
    """Write durable files, the least that can be done."""
    data = b"x" * RECORD_BYTES
    for number in range(RUNS):
        temporary = folder / f"{os.getpid()}-{number}.tmp"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(fd, data)
        os.fsync(fd)
        os.close(fd)
        os.rename(temporary, temporary.with_suffix(".json"))
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def seconds(act: Callable[[Path], None], folder: Path) -> float:
    """Let all processes act at once, and wait for the last."""
    folder.mkdir()
    start, gate = os.pipe()
    children = []
    for _ in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(gate)
                os.read(start, 1)
                act(folder)
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    begun = time.perf_counter()
    os.close(gate)
    codes = [os.waitpid(pid, 0)[1] for pid in children]
    took = time.perf_counter() - begun
    os.close(start)
    assert codes == [0] * PROCESSES
    return took


class Quiet(WSGIRequestHandler):
    """Keep connections, and print no request."""

    protocol_version = "HTTP/1.1"

    def log(self, *args):
        """Print nothing."""


def requests_of_a_crowd(writers: int, promotions: int) -> float:
    """Count the requests that a promotion costs where writers begin at once to promote versions of one model."""
    application, lock, asked = DomainDispatcherApplication(create_backend_app), threading.Lock(), [0]

    def counted(environ, start_response):
        time.sleep(ANSWER_SECONDS)
        with lock:
            asked[0] += 1
            return [b"".join(application(environ, start_response))]

    server = make_server("127.0.0.1", 0, counted, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    os.environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "any"}
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="crowd")
    url = f"s3://crowd/{writers}-{promotions}"
    mk.ModelStore(url).register("m", 1)
    places = [mk.ModelStore(mk.Store(url)) for _ in range(writers)]
    for place in places:
        place.aliases("m")  # connected, and knowing the name
    before = asked[0]

    def promote(place):
        for _ in range(promotions):
            place.promote("m:1")

    threads = [threading.Thread(target=promote, args=(place,)) for place in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    needed = asked[0] - before
    entries = len(mk.ModelStore(mk.Store(url)).history("m")) - 2
    assert entries == writers * promotions
    server.shutdown()
    return needed / entries


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    pairs = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        mk.track(train, store=Path(name, "elsewhere"))()
        for number in range(rounds):
            ours, plain = Path(name, f"store-{number}"), Path(name, f"plain-{number}")
            pairs.append((seconds(track, ours), seconds(write, plain)))
            finished = len(mk.list_runs(status="finished", limit=1000, store=ours))
            assert finished == PROCESSES * RUNS, f"only {finished} runs have finished"
            ends = [path.stat().st_size for path in ours.rglob("*.end.json")]
            assert abs(statistics.mean(ends) - RECORD_BYTES) < RECORD_BYTES / 4, "the floor writes another size"
    ours, least = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
    print(f"tracked runs         {ours:8.3f} s    {PROCESSES} processes x {RUNS}, fresh store; median of {rounds}")
    print(f"floor                {least:8.3f} s    as many durable JSONs of {RECORD_BYTES} bytes")
    print(f"ratio                {ratio:8.2f}      limit {LIMIT}")
    for writers, promotions in ((1, 5), (CROWD, 5), (CROWD, 1)):
        limit = f"limit {MOST_REQUESTS}" if writers == CROWD else ""
        each = requests_of_a_crowd(writers, promotions)
        print(f"requests a promotion {each:8.1f}      {writers} writers of one name, {promotions} each   {limit}")
    print(f"finished             {PROCESSES * RUNS}/{PROCESSES * RUNS} in every round")


if __name__ == "__main__":
    main()
