"""What grows with a store: the time of each question as the store grows, as an exponent over the last step.

An exponent of 0 is a time that does not grow, one of 1 a time in proportion to the size. Beside it stand the exponent
of a floor, the least plain calls that do the same work in the same process, the ratio to the smallest size and that to
the floor. What may grow with the size is over its limit if it grows by more, and by more than the floor does: of many
objects, caches miss more often. The runs and entries are written as docs/format.md has them, a hundred runs a day,
without the library's own way of writing. Times are of the processor, without waits for the disk; of some rounds the
shortest counts, for others use the machine too. Peaks of memory are of a process of its own, beyond the data.

    python benchmarks/growth.py [--quick] [group ...]     # by name, see the end
"""

import gc
import hashlib
import io
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
from time import process_time

import mlops_kit as mk
from mlops_kit.records.entry import FIRST_PREV, Entry, tip
from mlops_kit.records.run import RunEnd, RunStart
from mlops_kit.store import keys
from mlops_kit.store.local import LocalBackend

AT = datetime(2026, 1, 1, tzinfo=UTC)
BY = {"actor": "ann", "source": "config"}
RUNS_A_DAY = 100
FLAT, LINEAR = 0.1, 1.05


def seconds(act: Callable[[], object], rounds: int) -> float:
    """Measure an act: the shortest of some rounds, after one that warms up."""
    act()
    times = []
    for _ in range(rounds):
        gc.collect()
        begun = process_time()
        act()
        times.append(process_time() - begun)
    return min(times)


def exponent(times: list[float], sizes: list[int]) -> float:
    """Return by which power of the size a time grew over the last step."""
    return math.log(times[-1] / times[-2]) / math.log(sizes[-1] / sizes[-2])


class Rows:
    """The measurements of one group: a time and that of its floor, by what was asked and size."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.times: dict[str, list[tuple[float, float]]] = {}
        self.limits: dict[str, float] = {}

    def add(self, what: str, limit: float, act: Callable[[], object], floor: Callable[[], object], rounds: int) -> None:
        self.limits[what] = limit
        self.times.setdefault(what, []).append((seconds(act, rounds), seconds(floor, rounds)))

    def show(self, unit: str) -> None:
        head(unit, self.sizes)
        for what, found in self.times.items():
            times, floors = map(list, zip(*found, strict=True))
            slope, own = exponent(times, self.sizes), exponent(floors, self.sizes)
            allowed = self.limits[what] if self.limits[what] == FLAT else max(self.limits[what], own)
            over = "" if slope <= allowed else f"   over {allowed:.2f}"
            print(f"{what:34}{line(times, slope, own, floors[-1])}{over}", flush=True)


def head(unit: str, sizes: list[int], more: str = "") -> None:
    sized = "".join(f"{size:>11,}" for size in sizes)
    print(f"\n{unit + ':':34}{sized}   exponent   floor  ×first  ×floor{more}")


def line(times: list[float], slope: float, own: float, floor: float) -> str:
    cells = "".join(f"{time * 1e3:>8.2f} ms" for time in times)
    return f"{cells}   {slope:8.2f}{own:8.2f}{times[-1] / times[0]:8.1f}{times[-1] / floor:8.1f}"


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
                ("get_run of its last 8 (days)", ids[-9][-8:]),
                ("get_run of its last 6 (all runs)", ids[-9][-6:]),
            ):
                limit = LINEAR if "(" in what else FLAT
                rows.add(
                    what, limit, lambda part=part: mk.get_run(part, store=store).name, lambda: read_json(ends[:1]), 30
                )
            everything = [root / keys.run_key(run_id, "end") for run_id in ids]
            whole = lambda: mk.list_runs(limit=None, store=store)
            rows.add("list_runs(limit=None)", LINEAR, whole, lambda: read_json(everything), 2)
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


def fill_versions(root: Path, count: int) -> None:
    """Write versions of a model, each of them approved."""
    models = mk.ModelStore(opened(root))
    digest = models.register("m", [1]).digest
    prefix = root / "journals/models/m"
    data = (prefix / f"{2:012d}.json").read_bytes()
    at = Entry.decode(data, where="").at
    for turn in range(count):
        version = turn // 2 + 2
        made = {"object": digest, "format": "cloudpickle", "size": 1, "type": "builtins.list"}
        body = {"version": version} | ({} if turn % 2 else made)
        entry = Entry(turn + 3, tip(data), at, BY, f"{turn:032x}", "approve" if turn % 2 else "register", body)
        data = entry.encode()
        (prefix / f"{entry.seq:012d}.json").write_bytes(data)
    mk.ModelStore(opened(root)).promote("m:1")


def versions(sizes: list[int]) -> None:
    rows = Rows(sizes)
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "store")
            fill_versions(root, size)
            warm = mk.ModelStore(opened(root))
            warm.get("m:1"), warm.get("m:2")
            entries = sorted((root / "journals/models/m").glob("0*.json"))
            cold, one = lambda root=root: mk.ModelStore(opened(root)), lambda: read_json(entries[-1:])
            middle = f"m:{size // 4}"
            rows.add("version by number, in a new process", FLAT, lambda: cold().get(middle), one, 50)
            rows.add("load of it, in a new process", FLAT, lambda: cold().load(middle), one, 50)
            rows.add("version by number, warm", FLAT, lambda: warm.get(middle), one, 100)
            rows.add("alias, in a new process", FLAT, lambda: cold().get("m@champion"), one, 50)
            append = lambda: [warm.register("m", [1]) for _ in range(300)]
            rows.add("300 registrations", FLAT, append, lambda: [synced(Path(folder, "x")) for _ in range(300)], 3)
    rows.show("entries in a journal, half of them versions")


def approvals(sizes: list[int]) -> None:
    rows = Rows(sizes)
    with tempfile.TemporaryDirectory() as folder:
        models = mk.ModelStore(opened(Path(folder, "store")))
        models.register("m", [1])
        done = 0
        for size in sizes:
            for _ in range(size - done):
                models.approve("m:1")
            done = size + 40
            floor = lambda: [synced(Path(folder, "x")) for _ in range(20)]
            rows.add("20 approvals", FLAT, lambda: [models.approve("m:1") for _ in range(20)], floor, 1)
    rows.show("approvals of one version")


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
            rows.add("version by number, in a new process", FLAT, lambda: cold().get("m:1"), one, 50)
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


def checks(sizes: list[int]) -> None:
    """Check a monitor again and again, with 100 new predictions and the labels of those of before."""
    import numpy as np  # noqa: PLC0415 - only this group needs them
    import pandas as pd  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    def rows(rng: np.random.Generator, count: int) -> pd.DataFrame:
        values = rng.normal(size=(count, 3))
        score = 1 / (1 + np.exp(1 - values[:, 0]))
        return pd.DataFrame(values, columns=list("abc")).assign(score=score, y=rng.random(count) < score)

    print(f"\n{'checks of a monitor, with labels:':34}" + "".join(f"{size:>11,}" for size in sizes))
    for what in ("ids that the log makes", "ids that are given"):
        rng, times, floors, named = np.random.default_rng(0), list[float](), list[float](), list[object]()
        with tempfile.TemporaryDirectory() as folder:
            monitor = mk.Monitor(rows(rng, 5000), name="m", prediction="score", target="y", store=folder)
            monitor.check()
            former = rows(rng, 100)
            for number in range(max(sizes)):
                part = rows(rng, 100)
                given = [f"{number}-{place}" for place in range(100)] if "given" in what else None
                named.append(monitor.log(part[list("abc")], part["score"], ids=given))
                if number:
                    monitor.log_labels(named[-2], former["y"])
                monitor.flush()
                former, begun = part, process_time()
                monitor.check()
                times.append(process_time() - begun)
                begun, sink = process_time(), io.BytesIO()
                pq.write_table(pa.Table.from_pandas(part), sink)
                pq.read_table(sink).to_pandas()
                floors.append(process_time() - begun)
        middle = [median(times[size // 2 : size]) for size in sizes]
        slope = math.log(middle[-1] / middle[-2]) / math.log(sizes[-1] / sizes[-2])
        cells = "".join(f"{time * 1e3:>8.1f} ms" for time in middle)
        over = "" if slope <= FLAT else f"   over {FLAT}"
        ratio = middle[-1] / median(floors)
        print(f"{what:34}{cells}   {slope:8.2f}{middle[-1] / middle[0]:8.1f}{ratio:8.1f}{over}", flush=True)


TABLE = """
import hashlib, io, os, sys, tempfile
from pathlib import Path
from time import process_time
import numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq
import mlops_kit as mk
from mlops_kit.store.local import LocalBackend
kind, size, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rng = np.random.default_rng(0)
if kind == "columns":
    frame = pd.DataFrame(rng.random((2000, size)), columns=[f"c{number}" for number in range(size)])
else:
    texts = [f"order {number:012d} of a customer" for number in range(size)]
    made = {"text": texts, "y": rng.random(size)}
    if kind == "polars":
        import polars
        frame = polars.DataFrame(made)
    else:
        frame = pd.DataFrame(made)
    del made, texts
memory = frame.estimated_size() if kind == "polars" else frame.memory_usage(deep=True).sum()
def floor():
    table = frame.to_arrow() if kind == "polars" else pa.Table.from_pandas(frame)
    sink = io.BytesIO()
    pq.write_table(table, sink)
    hashlib.sha256(sink.getbuffer()).hexdigest()
def state(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)
with tempfile.TemporaryDirectory() as folder:
    store = mk.Store.on(LocalBackend(Path(folder)))
    @mk.track(store=store)
    def train(data):
        pass
    train(frame[:50])
    act = {
        "floor": floor,
        "snapshot": lambda: mk.Dataset.snapshot(frame, name="table", store=store),
        "track": lambda: train(frame),
    }[what]
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = state("VmRSS")
    begun = process_time()
    act()
    print(process_time() - begun, (state("VmHWM") - before) / memory)
"""


def child(kind: str, size: int, what: str) -> tuple[float, float]:
    """Measure in a process of its own: seconds, and the peak of memory beyond what was there before, in frames."""
    script = [sys.executable, "-c", TABLE, kind, str(size), what]
    seen = {**os.environ, "MLOPS_KIT_SUMMARY": "0"}
    found = [subprocess.run(script, capture_output=True, text=True, check=True, env=seen).stdout for _ in range(3)]
    times, peaks = zip(*(map(float, output.split()) for output in found), strict=True)
    return min(times), median(peaks)


def tables(kind: str, unit: str, sizes: list[int]) -> None:
    head(unit, sizes, "  frames")
    found = {what: [child(kind, size, what) for size in sizes] for what in ("floor", "snapshot", "track")}
    floors = [time for time, _ in found.pop("floor")]
    for what, measured in found.items():
        times, peak = [time for time, _ in measured], measured[-1][1]
        slope, own = exponent(times, sizes), exponent(floors, sizes)
        judged = ((slope, max(LINEAR, own)), (times[-1] / floors[-1], 3), (peak, 2))
        over = "".join(f"   over {limit:.2f}" for value, limit in judged if value > limit)
        print(f"{what:34}{line(times, slope, own, floors[-1])}{peak:8.1f}{over}", flush=True)


def main(asked: list[str]) -> None:
    quick = "--quick" in asked
    chosen = [group for group in asked if not group.startswith("--")]
    os.environ.setdefault("MLOPS_KIT_USER", "ann")
    entries = [100, 1_000, 10_000] if quick else [1_000, 10_000, 100_000]
    rows = [100_000, 300_000, 1_000_000][: 2 if quick else 3]
    groups: dict[str, Callable[[], None]] = {
        "runs": lambda: runs(entries),
        "journal": lambda: journal(entries),
        "versions": lambda: versions(entries),
        "approvals": lambda: approvals([20, 200, 2_000]),
        "models": lambda: models([100, 300, 1_000]),
        "checks": lambda: checks([10, 100, 300] if quick else [10, 100, 1_000]),
        "text": lambda: tables("text", "rows of different texts", rows),
        "polars": lambda: tables("polars", "rows of different texts in polars", rows),
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
