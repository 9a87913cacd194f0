"""What grows with a store: the time of each question as the store grows, as an exponent over the last step.

An exponent of 0 is a time that does not grow, one of 1 a time in proportion to the size. Beside it stand the ratio to
the smallest size and the ratio to a floor: the least plain calls that do the same work, in the same process. The runs
and entries are written as docs/format.md has them, a hundred runs a day, without the library's own way of writing.
Times are of the processor, but for appends, which wait for the disk.

    python benchmarks/growth.py [--quick] [group ...]     # groups: runs, journal, models, text, columns
"""

import gc
import hashlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import mlops_kit as mk
from mlops_kit.records.entry import FIRST_PREV, Entry, tip
from mlops_kit.records.run import RunEnd, RunStart
from mlops_kit.store import keys
from mlops_kit.store.local import LocalBackend

AT = datetime(2026, 1, 1, tzinfo=UTC)
BY = {"actor": "ann", "source": "config"}
RUNS_A_DAY = 100
FLAT, LINEAR = 0.1, 1.05


def seconds(act: Callable[[], object], rounds: int, clock: Callable[[], float]) -> float:
    """Measure an act: the median of some rounds, after one that warms up."""
    act()
    gc.collect()
    times = []
    for _ in range(rounds):
        begun = clock()
        act()
        times.append(clock() - begun)
    return median(times)


class Rows:
    """The measurements of one group: a time and that of its floor, by what was asked and size."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.times: dict[str, list[tuple[float, float]]] = {}
        self.limits: dict[str, float] = {}

    def add(self, what: str, limit: float, act: Callable[[], object], floor: Callable[[], object], rounds: int) -> None:
        self.limits[what] = limit
        clock = perf_counter if "promotions" in what else process_time  # only those wait for the disk
        self.times.setdefault(what, []).append((seconds(act, rounds, clock), seconds(floor, rounds, clock)))

    def show(self, unit: str) -> None:
        print(f"\n{unit + ':':34}" + "".join(f"{size:>11,}" for size in self.sizes) + "   exponent  ×first  ×floor")
        for what, found in self.times.items():
            times = [time for time, _ in found]
            slope = math.log(times[-1] / times[-2]) / math.log(self.sizes[-1] / self.sizes[-2])
            cells = "".join(f"{time * 1e3:>8.2f} ms" for time in times)
            over = "" if slope <= self.limits[what] else f"   over {self.limits[what]}"
            last = times[-1] / found[-1][1]
            print(f"{what:34}{cells}   {slope:8.2f}{times[-1] / times[0]:8.1f}{last:8.1f}{over}", flush=True)


def write(root: Path, key: str, data: bytes) -> None:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def opened(root: Path) -> mk.Store:
    return mk.Store.on(LocalBackend(root))


def read_json(paths: list[Path]) -> list[object]:
    return [json.loads(path.read_bytes()) for path in paths]


def fill_runs(root: Path, count: int) -> list[str]:
    """Write runs that have ended, and give their ids, oldest first."""
    opened(root).ensure()
    ids = []
    for number in range(count):
        at = AT + timedelta(days=number // RUNS_A_DAY, minutes=number % RUNS_A_DAY)
        run_id = f"{int(at.timestamp()):08x}-{hashlib.sha256(b'%d' % number).hexdigest()[:12]}"
        start = RunStart(run_id, "train", "default", at, BY, "host", 1, params={"depth": number % 7, "rate": 0.1})
        write(root, keys.run_key(run_id, "start"), start.encode())
        end = RunEnd(at, "finished", start, metrics={"auc": 0.9}, resources={"seconds": 1.0})
        write(root, keys.run_key(run_id, "end"), end.encode())
        ids.append(run_id)
    return ids


def runs(sizes: list[int]) -> None:
    rows = Rows(sizes)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "store")
            ids = fill_runs(root, size)
            store = opened(root)
            ends = [root / keys.run_key(run_id, "end") for run_id in ids[-20:]]
            rows.add(
                "list_runs(limit=20)", FLAT, lambda: mk.list_runs(limit=20, store=store), lambda: read_json(ends), 30
            )
            for what, part in (
                ("get_run of an id", ids[-9]),
                ("get_run of its first 8", ids[-9][:8]),
                ("get_run of its last 8", ids[-9][-8:]),
                ("get_run of its last 6 (all days)", ids[-9][-6:]),
            ):
                limit = LINEAR if "all days" in what else FLAT
                rows.add(
                    what, limit, lambda part=part: mk.get_run(part, store=store).name, lambda: read_json(ends[:1]), 30
                )
            everything = [root / keys.run_key(run_id, "end") for run_id in ids]
            whole = lambda: mk.list_runs(limit=None, store=store)
            rows.add("list_runs(limit=None)", LINEAR, whole, lambda: read_json(everything), 1)
    rows.show("runs in the store")


def fill_journal(root: Path, count: int) -> None:
    """Write promotions behind a model of two versions."""
    models = mk.ModelStore(opened(root))
    models.register("m", [1])
    models.register("m", [2])
    prefix = root / "journals/models/m"
    data = (prefix / f"{3:012d}.json").read_bytes()
    at = Entry.decode(data, where="").at
    for turn in range(count):
        body = {"alias": "champion", "version": turn % 2 + 1}
        entry = Entry(turn + 4, tip(data), at, BY, f"{turn:032x}", "promote", body)
        data = entry.encode()
        (prefix / f"{entry.seq:012d}.json").write_bytes(data)
    mk.ModelStore(opened(root)).promote("m:1")


def synced(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"x" * 400)
        file.flush()
        os.fsync(file.fileno())


def journal(sizes: list[int]) -> None:
    rows = Rows(sizes)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "store")
            fill_journal(root, size)
            warm = mk.ModelStore(opened(root))
            turn = iter(range(10**9))
            entries = sorted((root / "journals/models/m").glob("0*.json"))
            cold = lambda root=root: mk.ModelStore(opened(root))
            one = lambda: read_json(entries[-1:])
            append = lambda: [warm.promote(f"m:{next(turn) % 2 + 1}") for _ in range(300)]
            rows.add("300 promotions", FLAT, append, lambda: [synced(Path(folder, "x")) for _ in range(300)], 3)
            rows.add("alias, warm", FLAT, lambda: warm.get("m@champion"), one, 200)
            rows.add("alias, in a new process", FLAT, lambda: cold().get("m@champion"), one, 50)
            rows.add("version by number, in a new process", LINEAR, lambda: cold().get("m:1"), one, 10)
            rows.add("history, in a new process", LINEAR, lambda: cold().history("m"), lambda: read_json(entries), 1)
            rows.add("history again", LINEAR, lambda: warm.history("m"), lambda: read_json(entries), 1)
    rows.show("entries in a journal")


def models(sizes: list[int]) -> None:
    rows = Rows(sizes)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "store")
            made = mk.ModelStore(opened(root))
            digest = made.register("model-0", [1]).digest
            for number in range(1, size):
                data = Entry(1, FIRST_PREV, AT, BY, f"{number:032x}", "create", {"name": f"model-{number}"}).encode()
                write(root, f"journals/models/model-{number}/{1:012d}.json", data)
                body = {"version": 1, "object": digest, "format": "cloudpickle", "size": 1, "type": "builtins.list"}
                data = Entry(2, tip(data), AT, BY, f"{number:032x}", "register", body).encode()
                write(root, f"journals/models/model-{number}/{2:012d}.json", data)
                others = {f"models/model-{(number + step) % number}": [1, "0" * 64] for step in range(1, 8)}
                body = {"version": 1, "alias": "champion", "anchors": others}
                write(
                    root,
                    f"journals/models/model-{number}/{3:012d}.json",
                    Entry(3, tip(data), AT, BY, f"{number:032x}", "promote", body).encode(),
                )
            entries = sorted((root / "journals").rglob("0*.json"))
            rows.add("audit()", LINEAR, lambda: mk.ModelStore(opened(root)).audit(), lambda: read_json(entries), 1)
            rows.add("names()", LINEAR, lambda: mk.ModelStore(opened(root)).names(), lambda: read_json(entries[::3]), 5)
            rows.add("fsck()", LINEAR, lambda: opened(root).fsck(), lambda: read_json(entries), 1)
    rows.show("models in the store")


TABLE = """
import hashlib, io, resource, sys, tempfile
from pathlib import Path
from time import process_time
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq
import mlops_kit as mk
from mlops_kit.store.local import LocalBackend
kind, size, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rng = np.random.default_rng(0)
if kind == "text":
    texts = [f"order {number:012d} of a customer" for number in range(size)]
    frame = pd.DataFrame({"text": texts, "y": rng.random(size)})
else:
    frame = pd.DataFrame(rng.random((2000, size)), columns=[f"c{number}" for number in range(size)])
def floor():
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame), sink)
    hashlib.sha256(sink.getbuffer()).hexdigest()
with tempfile.TemporaryDirectory() as folder:
    store = mk.Store.on(LocalBackend(Path(folder)))
    warm = frame.iloc[:50]
    mk.Dataset.snapshot(warm, name="warm", store=store)
    act = floor if what == "floor" else lambda: mk.Dataset.snapshot(frame, name="table", store=store)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = process_time()
    act()
    took = process_time() - begun
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(took, peak / frame.memory_usage(deep=True).sum())
"""


def child(kind: str, size: int, what: str) -> tuple[float, float]:
    """Measure in a process of its own, whose peak of memory is that of the act: seconds, and the peak in frames."""
    found = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", TABLE, kind, str(size), what], capture_output=True, text=True, check=True
        )
        found.append(tuple(map(float, done.stdout.split())))
    return median(time for time, _ in found), median(peak for _, peak in found)


def tables(kind: str, unit: str, sizes: list[int]) -> None:
    print(f"\n{unit + ':':34}" + "".join(f"{size:>11,}" for size in sizes) + "   exponent  ×first  ×floor  frames")
    floors = [child(kind, size, "floor")[0] for size in sizes]
    found = [child(kind, size, "snapshot") for size in sizes]
    times = [time for time, _ in found]
    slope = math.log(times[-1] / times[-2]) / math.log(sizes[-1] / sizes[-2])
    cells = "".join(f"{time * 1e3:>8.1f} ms" for time in times)
    ratio, peak = times[-1] / floors[-1], found[-1][1]
    over = "".join(f"   over {limit:g}" for value, limit in ((slope, LINEAR), (ratio, 3), (peak, 2)) if value > limit)
    print(f"{'snapshot':34}{cells}   {slope:8.2f}{times[-1] / times[0]:8.1f}{ratio:8.1f}{peak:8.1f}{over}", flush=True)


def main(asked: list[str]) -> None:
    quick = "--quick" in asked
    chosen = [group for group in asked if not group.startswith("--")]
    os.environ.setdefault("MLOPS_KIT_USER", "ann")
    entries = [100, 1_000, 10_000] if quick else [1_000, 10_000, 100_000]
    groups: dict[str, Callable[[], None]] = {
        "runs": lambda: runs(entries),
        "journal": lambda: journal(entries),
        "models": lambda: models([100, 300, 1_000]),
        "text": lambda: tables("text", "rows of different texts", [100_000, 300_000, 1_000_000][: 2 if quick else 3]),
        "columns": lambda: tables("columns", "number columns of 2,000 rows", [100, 300, 1_000]),
    }
    limit = f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,}"
    print(
        f"Limits: {FLAT} where nothing may grow, {LINEAR} for work per row, run or model ({limit} files may be open)."
    )
    for name, group in groups.items():
        if not chosen or name in chosen:
            group()


if __name__ == "__main__":
    main(sys.argv[1:])
