"""Run as a program: processes that write to one store until each of them is killed, and what they were told before."""

import json
import os
import random
import signal
import sys
import time
import traceback

import mlops_kit as mk
from mlops_kit.datasets import frames
from mlops_kit.fingerprints import tables
from mlops_kit.tracking import recorder

LOADED = (frames, tables, recorder, mk.ModelStore, mk.Dataset)  # before the fork, so that writers begin at once
WRITING = ("open", "write", "fsync", "link", "replace", "rename", "unlink", "mkdir")
MOST_CALLS = 120
WRITERS = 3


def register(store, chance):
    value = [chance.random()]
    return {"model": mk.ModelStore(store).register("m", value).version, "value": value}


def promote(store, chance):
    models = mk.ModelStore(store)
    versions = models.versions("m") if "m" in models.names() else [models.register("m", [0])]
    version = chance.choice(versions).version
    return {"entry": models.promote(f"m:{version}", "champion").seq, "promoted": version}


def snapshot(store, chance):
    values = [chance.random() for _ in range(3)]
    return {"dataset": mk.Dataset.snapshot({"x": values}, name="d", store=store).version, "values": values}


def run(store, chance):
    score, steps = chance.random(), chance.randint(1, 40)
    with mk.start_run(store=store) as made:
        for step in range(steps):
            mk.log_metric("loss", score + step, step=step)
        mk.log_artifact(str(score).encode(), "score.txt")
    return {"run": made.id, "score": score, "steps": steps}


def collect(store, chance):
    return {"collected": len(store.gc(dry_run=False).deleted)}


ACTS = (register, register, promote, promote, snapshot, run, run, collect)


def killed_at(call):
    """Let this process be killed right before its writing call of the system of a number."""
    calls = 0

    def watched(name, real):
        def act(*args, **kwargs):
            nonlocal calls
            calls += name != "open" or bool(args[1] & os.O_CREAT)
            if calls == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return act

    for name in WRITING:
        setattr(os, name, watched(name, getattr(os, name)))


def write_until_killed(url, seed, out, *, by_itself):
    chance, store, tell = random.Random(seed), mk.Store(url), os.write
    if by_itself:
        killed_at(chance.randint(1, MOST_CALLS))
    while True:
        told = chance.choice(ACTS)(store, chance)
        tell(out, json.dumps(told).encode() + b"\n")


def round_of(url, seed, *, by_itself):
    """Let writers write at once until all are killed, and return what each was told."""
    children = []
    for me in range(WRITERS):
        told, out = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.environ["MLOPS_KIT_USER"] = f"writer-{me}"
                write_until_killed(url, f"{seed} {me}", out, by_itself=by_itself)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(out)
        children.append((pid, told))
    if not by_itself:
        chance = random.Random(seed)
        for pid, _ in children:
            time.sleep(chance.uniform(0, 0.3))
            os.kill(pid, signal.SIGKILL)
    lines = []
    for pid, told in children:
        with open(told, encoding="utf-8") as file:
            lines += [line for line in file if line.endswith("\n")]
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != -signal.SIGKILL:
            raise SystemExit("a writer failed by itself")
    return [json.loads(line) for line in lines]


def main(url, seed, rounds, how):
    told = [line for number in range(rounds) for line in round_of(url, f"{seed} {number}", by_itself=how == "itself")]
    print(json.dumps({"kills": rounds * WRITERS, "told": told}))


if __name__ == "__main__":
    os.environ["MLOPS_KIT_SUMMARY"] = "0"
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
