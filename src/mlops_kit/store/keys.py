"""Where each thing is kept: every key of a store, made and read in one place."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Iterable, Iterator
from datetime import date

from mlops_kit.store.kinds import kind_of

STORE = "store.json"
SPOOL = "spool.json"
MARKS = "gc/marks/"
SWEEPS = "gc/sweeps/"
STEPS = "steps/"
KEPT = frozenset({"objects", "packs", "journals", "runs", "monitors", "steps", "pending"})
"""Folders in which a store keeps what it was given."""
_EPOCH = date(1970, 1, 1).toordinal()
RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{12}")
_TEMPORARY = re.compile(
    r"tmp/(?:[0-9a-f]{16}-\d+(?:-probe)?"  # of a local folder
    r"|[0-9a-f]{24}"  # of SFTP
    r"|probe-[0-9a-f]{16}|doctor-[0-9a-f]{16}-[a-z0-9-]+"
    r"|torn-\d+)"  # of `FaultyBackend`
)
_NUMBERED = re.compile(r"(?:gc/(?:marks|sweeps)|journals/[^/]+/[^/]+)/(\d{12,})\.json")
_RESULT = re.compile(r"steps/[0-9a-f]{64}\.json")
_LONGEST_GAP = 1000
_DEPTHS = {"objects": 2, "packs": 1, "journals": 3, "runs": 2, "monitors": 3, "pending": 1}
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def object_key(digest: str) -> str:
    """Locate the bytes of a digest.

    Examples
    --------
    >>> object_key("sha256:" + "ab" * 32)[:14]
    'objects/ab/aba'
    """
    hexes = digest.removeprefix("sha256:")
    return f"objects/{hexes[:2]}/{hexes}"


def journal_prefix(kind: str, folder: str) -> str:
    """Locate a journal; `kind` is one of `mlops_kit.store.kinds`."""
    return f"journals/{kind}/{folder}/"


def has_versions(prefix: str) -> bool:
    """Tell whether a journal is one of versions, whose fold is that of `mlops_kit.records.versions`.

    Examples
    --------
    >>> has_versions("journals/models/fraud/"), has_versions("journals/monitors/fraud/")
    (True, False)
    """
    kind = kind_of(prefix.split("/")[1])
    return kind is not None and kind.versions


def entry_key(kind: str, folder: str, seq: int) -> str:
    """Locate one entry of a journal."""
    return f"journals/{kind}/{folder}/{seq:012d}.json"


def head_key(kind: str, folder: str) -> str:
    """Locate the hint of a journal."""
    return f"journals/{kind}/{folder}/head.json"


def fold_key(kind: str, folder: str) -> str:
    """Locate the hint that holds the whole fold of a long journal."""
    return f"journals/{kind}/{folder}/fold.json"


def page_key(kind: str, folder: str, page: int) -> str:
    """Locate the hint that tells where the versions of one page of a long journal stand."""
    return f"index/{kind}/{folder}/{page:06d}.json"


_latest = 0


def new_run_id() -> str:
    """Make a run id: the second it was made in, never before one made earlier here, then 48 random bits.

    Examples
    --------
    >>> bool(RUN_ID.fullmatch(new_run_id()))
    True
    """
    global _latest  # noqa: PLW0603 - a run that began inside another has no earlier id, even if the clock steps back
    _latest = max(_latest, int(time.time()))
    return f"{_latest & 0xFFFFFFFF:08x}-{os.urandom(6).hex()}"


def run_day(run_id: str) -> str:
    """Give the UTC day in a run id, which is the folder of its records."""
    return _day(int(run_id[:8], 16) // 86_400)


@functools.lru_cache(maxsize=64)
def _day(number: int) -> str:
    return date.fromordinal(_EPOCH + number).isoformat()


def run_key(run_id: str, part: str) -> str:
    """Locate a record of a run; `part` is ``"start"``, ``"end"`` or ``"lease"``."""
    return f"runs/{run_day(run_id)}/{run_id}.{part}.json"


def resume_key(run_id: str, number: int) -> str:
    """Locate the claim of the process that resumes a run for the `number`-th time, from 1."""
    return f"runs/{run_day(run_id)}/{run_id}.resume-{number:06d}.json"


def is_lease(key: str) -> bool:
    """Tell whether a key is that of a run's sign of life."""
    return key.endswith(".lease.json")


def pending_key(nonce: str) -> str:
    """Locate a version that waits in a spool."""
    return f"pending/{nonce}.json"


def metrics_key(run_id: str, segment: int) -> str:
    """Locate a segment of a run's metric history, numbered from 1."""
    return f"runs/{run_day(run_id)}/{run_id}.metrics-{segment:06d}.jsonl"


def monitor_prefix(folder: str) -> str:
    """Locate what was logged to a monitor."""
    return f"monitors/{folder}/"


def step_key(key: str) -> str:
    """Locate the record of a step's result.

    Examples
    --------
    >>> step_key("ab" * 32)[:12]
    'steps/ababab'
    """
    return f"{STEPS}{key}.json"


def is_result(key: str) -> bool:
    """Check whether a key is that of the result of a step.

    Examples
    --------
    >>> is_result(step_key("ab" * 32)), is_result("steps/notes.txt")
    (True, False)
    """
    return _RESULT.fullmatch(key) is not None


def segment_day(second: float) -> str:
    """Give the UTC day of a moment, which is the folder of what was logged then."""
    return _day(int(second) // 86_400)


def is_of_a_file(path: str) -> bool:
    """Return whether only a file belongs at a path: it is as deep as the files of its kind.

    Examples
    --------
    >>> is_of_a_file("runs/2026-01-01"), is_of_a_file("journals/models/fraud/head.json")
    (False, True)
    """
    deep = path.count("/") >= _DEPTHS.get(path.partition("/")[0], len(path) + 1)
    return deep or (path.startswith("gc/") and path.endswith(".json"))


def is_temporary(key: str) -> bool:
    """Return whether a key has a form that this library gives to temporary files.

    Examples
    --------
    >>> is_temporary("tmp/1a2b3c4d5e6f7a8b-7"), is_temporary("tmp/thesis.txt")
    (True, False)
    """
    return _TEMPORARY.fullmatch(key) is not None


def mark_key(seq: int) -> str:
    """Locate a mark: a list of what nothing names."""
    return f"{MARKS}{seq:012d}.json"


def sweep_key(seq: int) -> str:
    """Locate a sweep: a list of what is about to be deleted."""
    return f"{SWEEPS}{seq:012d}.json"


def number_in(key: str) -> int:
    """Return the number that a mark, a sweep or an entry has by its key; 0 for what has none.

    Examples
    --------
    >>> number_in(mark_key(7)), number_in("gc/marks/notes.txt")
    (7, 0)
    """
    match = _NUMBERED.fullmatch(key)
    return int(match[1]) if match else 0


def counted(numbers: Iterable[int]) -> Iterator[int]:
    """Yield the numbers from 1 to the highest of some, those that are missing too, but a thousand of each gap at most.

    Examples
    --------
    >>> list(counted([2, 4])), len(list(counted([1, 10**12])))
    ([1, 2, 3, 4], 1002)
    """
    last = 0
    for number in sorted(numbers):
        yield from range(last + 1, min(number, last + 1 + _LONGEST_GAP))
        yield number
        last = number
