"""What a step costs beside the least that keeping a result can cost: a call, a pickle, a file and a rename.

Run: ``python benchmarks/pipelines.py`` (nothing else on the machine). Prints microseconds a call, the median of rounds,
and exits with 1 if a bound does not hold.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cloudpickle

import mlops_kit as mk

CALLS = 1000
ROUNDS = 7
NEW, REUSED = 2.0, 1.5
"""How many times the floor a new and a reused call may take."""


@mk.step
def nothing(x: int) -> int:
    return x


def floor(folder: Path, first: int) -> None:
    """Call the function, pickle what it returns, write it and give it its name, without sync."""
    for x in range(first, first + CALLS):
        value = nothing(x)
        with open(folder / f"{x}.tmp", "wb") as file:
            file.write(cloudpickle.dumps(value))
        os.replace(folder / f"{x}.tmp", folder / f"{x}")


def timed(act: Callable[[], object]) -> float:
    """Return microseconds a call."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) / CALLS * 1e6


def main() -> int:
    """Measure, print, and return the exit status."""
    os.environ["MLOPS_KIT_SUMMARY"] = "0"
    times: dict[str, list[float]] = {"floor": [], "new": [], "reused": [], "outside": []}
    with tempfile.TemporaryDirectory() as folder:

        @mk.pipeline(store=Path(folder, "store"))
        def measured(kind: str, first: int) -> None:
            def calls() -> None:
                for x in range(first, first + CALLS):
                    nothing(x)

            times[kind].append(timed(calls))

        Path(folder, "floor").mkdir()
        measured("new", -CALLS)
        times["new"].clear()  # the first call imports what it needs
        for number in range(ROUNDS):
            first = number * CALLS
            times["floor"].append(timed(lambda first=first: floor(Path(folder, "floor"), first)))
            measured("new", first)
            measured("reused", first)
            times["outside"].append(timed(lambda: [nothing(x) for x in range(CALLS)]))
    medians = {kind: statistics.median(found) for kind, found in times.items()}
    for kind, microseconds in medians.items():
        print(f"{kind:8} {microseconds:8.1f} µs a call, {microseconds / medians['floor']:5.2f} × the floor")
    return 0 if medians["new"] <= NEW * medians["floor"] and medians["reused"] <= REUSED * medians["floor"] else 1


if __name__ == "__main__":
    sys.exit(main())
