"""What `import mlops_kit` costs, beside an interpreter that starts and does nothing."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

ROUNDS = 10
STATEMENTS = {
    "python -c pass": "pass",
    "import mlops_kit": "import mlops_kit",
    "import pandas": "import pandas",
}


def cpu_seconds(statement: str) -> float:
    """Measure user and system time of an interpreter that runs one statement."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Print the median of each statement, and what it adds to the floor."""
    figures: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(ROUNDS):
        for name, statement in STATEMENTS.items():
            figures[name].append(cpu_seconds(statement))
    floor = statistics.median(figures["python -c pass"])
    for name, times in figures.items():
        median = statistics.median(times)
        print(f"{name:18} {1000 * median:7.1f} ms CPU   {1000 * (median - floor):+7.1f} ms over the floor")


if __name__ == "__main__":
    main()
