"""Make the store of this folder anew, with every kind of record in it; see README.md before you do.

Run with ``python tests/compat/v1/make.py``.
"""

import contextlib
import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

URL = "memory://compat-v1"  # the address that the spool belongs to
USER = "ann@example.com"
SETTINGS = {"prediction": "score", "target": "y", "segments": "plan", "window": 100, "cost": [[0, 1], [5, 0]]}
TAGS = {"team": "blue", "note": "żółć"}
MODEL = {"weights": [0.1, -0.0, float("inf")], "classes": ("no", "yes"), "note": "żółć"}
VALUES = {
    "none": None,
    "truth": True,
    "integer": -7,
    "big": 2**70,
    "real": 0.1,
    "nan": float("nan"),
    "endless": [float("inf"), float("-inf")],
    "text": 'żółć 🦆 "quoted" \\ \u2028',
    "bytes": b"\x00\xff",
    "tuple": (1, (2,), []),
    "set": {1, "a", None},
    "dollar": {"$": "float", "v": "nan"},
    "keys": {1: "one", (2, 3): "pair"},
    "moment": dt.datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=dt.UTC),
    "naive": dt.datetime(2026, 2, 3, 4, 5, 6),  # noqa: DTZ001 - users have such
    "shown": complex(1, 2),
}


def hard_frame():
    """Give a table of the dtypes that are hard to keep."""
    import numpy as np
    import pandas as pd

    columns = {
        "int8": pd.Series([1, -2, 3], dtype="int8"),
        "uint64": pd.Series([0, 2**64 - 1, 1], dtype="uint64"),
        "Int64": pd.array([2**60 + 1, None, -1], dtype="Int64"),
        "boolean": pd.array([True, None, False], dtype="boolean"),
        "float16": pd.Series([-0.0, np.nan, np.inf], dtype="float16"),
        "Float64": pd.array([1.5, None, 0.0], dtype="Float64"),
        "str": ["a", None, "żółć \x00 🦆"],
        "string": pd.array(["a", None, ""], dtype="string"),
        "bytes": pd.Series([b"\x00", None, b""], dtype=object),
        "ordered": pd.Categorical(["b", None, "a"], categories=["b", "unused", "a"], ordered=True),
        "codes": pd.Categorical([3, 1, 3], categories=[3, 2, 1]),
        "seconds": pd.Series(np.array([0, 2**40, "NaT"], dtype="datetime64[s]")),
        "nanoseconds": pd.Series(np.array([1, 999, "NaT"], dtype="datetime64[ns]")),
        "zoned": pd.to_datetime(["2026-03-29 00:59", None, "2026-03-29 01:00"], utc=True).tz_convert("Europe/Warsaw"),
        "span": pd.to_timedelta([1, -1, None], unit="ms"),
        "month": pd.PeriodIndex(["2026-01", None, "2026-03"], freq="M"),
        "interval": pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]),
        "day": pd.Series([dt.date(2026, 1, 2), None, dt.date(1969, 12, 31)], dtype=object),
        "clock": pd.Series([dt.time(1, 2, 3, 4), None, dt.time(0)], dtype=object),
        "decimal": pd.Series([Decimal("1.50"), None, Decimal("-0.01")], dtype=object),
        "list": pd.Series([[1, 2], None, []], dtype=object),
        "struct": pd.Series([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}], dtype=object),
    }
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["plan", None])
    frame = pd.DataFrame({name: pd.Series(values).array for name, values in columns.items()})
    return frame.set_axis(index)


def plain_frame():
    import pandas as pd

    return pd.DataFrame({"x": [1.5, 2.5, 3.5], "plan": pd.Categorical(["a", "b", "a"])})


def train(data, values=VALUES, depth=3):
    import mlops_kit as mk

    for step in range(depth):
        mk.log_metric("loss", 1 / (step + 1), step=step)
    for value in (float("nan"), float("-inf"), 2.5):
        mk.log_metric("odd", value)
    mk.log_param("late", (None, {"deep": {1}}))
    mk.log_artifact(b"report", "report.txt")
    mk.log_dataset(data.head(1), "holdout")
    mk.log_model(MODEL, "half-way")
    return {**MODEL, "depth": depth}


def clean(rows, by="mean"):
    import mlops_kit as mk

    mk.log_metric("rows", rows)
    mk.log_artifact(b"cleaned", "cleaned.txt")
    return {"rows": rows, "by": (by, None)}


def tabulate(rows):
    return plain_frame().head(rows)


def pack(rows):
    return bytearray(range(rows))


def nightly(rows):
    import mlops_kit as mk

    found = mk.step(clean, version=2, depends_on="$REGION", fresh_for="1d")(rows)
    mk.step(tabulate)(rows)
    mk.step(pack)(rows)
    return found["rows"]


def fail(limit):
    raise ValueError(f"no data below {limit}")


def postponed(data):
    import mlops_kit as mk

    mk.log_metric("auc", 0.25)
    mk.log_artifact(b"kept", "kept.txt")
    return {**MODEL, "depth": -1}


def interrupted(store):
    """Begin a run, log, and die."""
    import mlops_kit as mk
    from mlops_kit.tracking import metrics

    metrics.SEGMENT_POINTS = 2
    with mk.start_run("interrupted", store=store, tags=TAGS) as run:
        run.log_param("depth", 5)
        for step in range(4):
            run.log_metric("loss", 1 / (step + 1), step=step)
        mk.Store(store).runs.renew_lease(run.id)
        os._exit(9)


def govern(store):
    """Let people say all that can be said of a model, let gates judge, and sign.

    What is archived and deleted has the bytes of what is not.
    """
    import mlops_kit as mk

    models = mk.ModelStore(store)
    card = {"owner": "ann", "intended_use": "Tests.", "limits": ["None.", "Few."]}
    for number in range(4):
        models.register(
            "governed", [number % 2], metrics={"auc": number / 4}, card=card, signature=(plain_frame(), [0, 1])
        )
    for actor, vote in (("ann", models.approve), ("bob", models.approve), ("bob", models.reject)):
        os.environ["MLOPS_KIT_USER"] = actor
        vote("governed:2", reason="looked at it")
    os.environ["MLOPS_KIT_USER"] = USER
    models.tag("governed:1", region="eu", team="risk")
    models.untag("governed:1", "region")
    models.describe("governed:1", "the first", card={"ethics": "None known."})
    models.promote("governed:1")
    models.promote("governed:2", gate=mk.Gate(mk.conditions.model_size(mb=1), seen_beside), reason="better")
    with contextlib.suppress(mk.errors.GateFailed):
        models.promote("governed:4", gate=mk.Gate(mk.conditions.approvals(2)))
    models.archive("governed:3", reason="slow")
    models.delete("governed:4", reason="private data")
    models.freeze("governed", reason="the end of the quarter")
    models.unfreeze("governed")
    models.anchor("governed")
    key = mk.SigningKey.create()
    models.register("signed", [5])
    models.promote("signed:1", reason="signed too")
    Path("signer").write_text(key.public, encoding="ascii")


def seen_beside(case):
    return case.champion("champion") is not None, "seen beside the champion"


def rows(n, wrong=0.0, seed=0):
    """Give cases whose scores are the probability of a yes, or of a no, if all is wrong."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(seed)
    score = rng.beta(2, 2, n)
    label = (rng.random(n) < np.abs(wrong - score)).astype(int)
    return pd.DataFrame({"x": rng.normal(size=n), "plan": rng.choice(["a", "b"], n), "score": score, "y": label})


def monitor(store):
    """Watch a fall of everything, from reference to acknowledged alert, and begin again."""
    import mlops_kit as mk

    watched = mk.Monitor(rows(1000), name="scores", store=store, **SETTINGS)
    for wrong in (0.0, 1.0):
        now = rows(400, wrong, seed=1)
        ids = watched.log(now[["x", "plan"]].assign(x=now["x"] + 3 * wrong), now["score"])
        watched.log_labels([*ids, "nobody"], [*now["y"], 1])
        watched.check()
    watched.acknowledge(next(alert for alert in watched.alerts() if alert.subject == "x"))
    again = mk.Monitor(rows(1000, 1.0), name="scores", store=store, **SETTINGS)
    again.reset("the world has changed")
    again.log(rows(50, 1.0)[["x", "plan"]], [0.5] * 50)
    again.check()


def fill(store, spool):
    """Record one of everything."""
    import warnings

    import mlops_kit as mk
    from mlops_kit.store.memory import MemoryBackend
    from mlops_kit.testing import FaultyBackend
    from mlops_kit.tracking import metrics

    frame = plain_frame()
    tracked = mk.track(train, register="scorer", store=store, tags=TAGS, experiment="compat")
    metrics.INLINE_POINTS = 8  # a history of more points goes to segments
    for depth in (3, 30):
        tracked(frame, depth=depth)
    for grace in (0, None):
        mk.Store(store).objects.put(b"named by nothing, %r" % grace)
        mk.Store(store).gc(grace, dry_run=False, exclusive=True)
    with contextlib.suppress(ValueError):
        mk.track(fail, store=store)(7)
    pipeline = mk.pipeline(nightly, store=store)
    pipeline(2)
    pipeline(2)
    with mk.start_run("outer", store=store), mk.start_run("inner", store=store) as inner:
        inner.log_metric("auc", 0.5)
    with mk.start_run(resume=inner.id, store=store) as again:
        again.log_metric("auc", 0.75)
    subprocess.run([sys.executable, __file__, "interrupted", str(store)], check=False)
    mk.Dataset.snapshot(hard_frame(), name="hard", store=store, source="select 1")
    mk.Dataset.snapshot(hard_frame().head(2), name="hard", store=store)
    mk.Dataset.snapshot(frame, name="Customers-2", store=store)
    models = mk.ModelStore(store)
    models.register("żółw", [1, 2.5, None], metrics={"auc": 0.5, "worst": float("-inf")}, description="slow")
    models.promote("scorer:1")
    models.promote("scorer:2", reason="better")
    models.promote("scorer:1", alias="shadow", expect=0)
    models.rollback("scorer", reason="worse")
    monitor(store)
    os.environ["MLOPS_KIT_SPOOL"] = str(spool)
    away = mk.Store.on(FaultyBackend(MemoryBackend(URL.partition("//")[2]), at=1, lasting=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mk.errors.RecordingWarning)
        mk.track(postponed, register="scorer", store=away)(frame)
    govern(store)


def main():
    """Fill a store in a neutral place, so that nothing of this machine's user stands in it, and bring it here."""
    import mlops_kit

    here = Path(__file__).parent
    with tempfile.TemporaryDirectory(prefix="compat-") as folder:
        project = Path(folder, "project")
        project.mkdir()
        program = shutil.copy(__file__, project / "make.py")
        library = Path(folder, "library")  # tracebacks name its path
        library.symlink_to(Path(mlops_kit.__file__).parents[1])
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(library), "HOME": folder}
        environment |= {"MLOPS_KIT_USER": USER, "LOGNAME": "ann", "MLOPS_KIT_SUMMARY": "0"}
        who = ["-c", "user.name=Ann", "-c", f"user.email={USER}"]
        for command in (["init", "--quiet", "-b", "main"], ["add", "."], [*who, "commit", "--quiet", "-m", "Begin"]):
            subprocess.run(["git", *command], cwd=project, env=environment, check=True)
        with open(program, "a", encoding="utf-8") as file:
            file.write("# not committed\n")
        subprocess.run([sys.executable, program, "fill"], cwd=project, env=environment, check=True)
        for name in ("store", "spool"):
            shutil.rmtree(here / name, ignore_errors=True)
            ignored = shutil.ignore_patterns(".gitignore", "tmp")
            shutil.copytree(project / name, here / name, ignore=ignored, copy_function=shutil.copyfile)
        shutil.copyfile(project / "signer", here / "signer")


if __name__ == "__main__":
    import socket

    socket.gethostname = lambda: "compat"
    match sys.argv[1:]:
        case []:
            main()
        case ["fill"]:
            fill(Path.cwd() / "store", Path.cwd() / "spool")
        case ["interrupted", store]:
            interrupted(store)
