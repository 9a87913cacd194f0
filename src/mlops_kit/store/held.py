"""What a running run holds in memory, written to a local file each second: what is left of it if it is killed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

from mlops_kit.errors import MlopsKitError
from mlops_kit.records import codec
from mlops_kit.records.metrics import Point, read_lines, write_lines
from mlops_kit.records.run import History
from mlops_kit.store.folders import Folders
from mlops_kit.store.runs import Runs
from mlops_kit.store.spool import spool_of

_FILE = re.compile(r"([0-9a-f]{8}-[0-9a-f]{12})\.jsonl")
_PASSING = "memory://"


@dataclass(frozen=True, slots=True)
class Held:
    """What a run had logged and not yet written to its store.

    Parameters
    ----------
    points : list of tuple
        Points of metrics, as they were logged.
    params, tags : dict
        Parameters and tags that were added since the run began.
    """

    points: list[Point] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class HeldFile:
    """The file of one run, written by its process only.

    Parameters
    ----------
    url : str
        The address of the store.
    run_id : str
        The run.
    """

    def __init__(self, url: str, run_id: str) -> None:
        self._url, self._run_id = url, run_id
        self._is_over = url.startswith(_PASSING)
        self._lock = threading.Lock()
        self._points: list[Point] | None = None
        self._written = 0
        self._added = b""
        self._exists = False

    def save(self, points: list[Point], params: Mapping[str, Any], tags: Mapping[str, str]) -> None:
        """Append what was logged since the last time; another list of points begins the file anew."""
        with self._lock:
            if self._is_over:
                return
            added = _line({"params": codec.plain(dict(params)), "tags": dict(tags)}) if params or tags else b""
            is_new = points is not self._points
            start = 0 if is_new else self._written
            count = len(points)
            if count == start and added == self._added and not (is_new and self._exists):
                return
            data = write_lines(points[start:count])
            if is_new or added != self._added:
                data += added
            if data or self._exists:
                _write(self._url, self._run_id, data, anew=is_new)
                self._exists = True
            self._points, self._written, self._added = points, count, added

    def remove(self) -> None:
        """Delete the file, and write it no more: what it held is in the store."""
        with self._lock:
            self._is_over, self._points = True, None
            if self._exists:
                _remove(self._url, self._run_id)


def held_of(url: str, run_id: str) -> Held:
    """Read what a run of this user on this machine holds, or held when it was killed.

    Parameters
    ----------
    url : str
        The address of the store.
    run_id : str
        The run.

    Returns
    -------
    Held
        Empty if there is no file. A line that was torn, and what follows it, is left out.
    """
    try:
        data = spool_of(url).get(_key(run_id)) or b""
    except MlopsKitError:
        return Held()
    held = Held()
    for line in data.splitlines(keepends=True):
        body, tab, crc = line.rpartition(b"\t")
        if not tab or crc != b"%08x\n" % crc32(body):
            break
        if body.startswith(b"{"):
            members = json.loads(body)
            held.params.update(codec.unplain(members["params"]))
            held.tags.update(members["tags"])
        else:
            held.points.extend(read_lines(line, where=f"the points that the run {run_id} held"))
    return held


def without(points: list[Point], written: list[Point]) -> list[Point]:
    """Return the points that are not among those written; a process may die between writing and deleting.

    Examples
    --------
    >>> without([("a", 1.0, 0, 5.0), ("a", 2.0, 1, 6.0)], [("a", 1.0, 0, 5.0)])
    [('a', 2.0, 1, 6.0)]
    """
    there = Counter(map(repr, written))
    left = []
    for point in points:
        key = repr(point)
        if there[key] > 0:
            there[key] -= 1
        else:
            left.append(point)
    return left


def flat(history: History) -> list[Point]:
    """Return the points of a history by metric as one list."""
    return [(name, *point) for name, points in history.items() for point in points]


def recover(url: str, runs: Runs, run_id: str) -> bool:
    """Write to the store what a run held that is over without an end, and delete the file.

    Parameters
    ----------
    url : str
        The address of the store.
    runs : Runs
        Its runs.
    run_id : str
        The run.

    Returns
    -------
    bool
        Whether there was something to write.
    """
    start, end = runs.start(run_id), runs.end(run_id)
    held = Held()
    if end is None or not end.ends(start):
        if runs.is_alive(start):
            return False
        held = held_of(url, run_id)
        number, written = 1, []
        while (data := runs.metrics(run_id, number)) is not None:
            written += read_lines(data, where=f"segment {number} of the run {run_id}")
            number += 1
        points = without(held.points, written if end is None else [*written, *flat(end.history)])
        data = write_lines(points)
        while points and not runs.write_metrics(run_id, number, data) and runs.metrics(run_id, number) != data:
            number += 1  # equal points are those of another process that recovers the same file
        if held.params or held.tags:
            runs.write_start(replace(start, params={**start.params, **held.params}, tags={**start.tags, **held.tags}))
    _remove(url, run_id)
    return bool(held.points or held.params or held.tags)


def recover_all(url: str, runs: Runs) -> list[str]:
    """Recover every run of a store that left something on this machine; return the ids of those that had."""
    try:
        names = sorted(spool_of(url).names("held/"))
    except MlopsKitError:
        return []
    found = []
    for match in filter(None, map(_FILE.fullmatch, names)):
        with contextlib.suppress(MlopsKitError):  # a run that is not in the store, or cannot be read: its file stays
            if recover(url, runs, match[1]):
                found.append(match[1])
    return found


def _key(run_id: str) -> str:
    return f"held/{run_id}.jsonl"


def _remove(url: str, run_id: str) -> None:
    with contextlib.suppress(MlopsKitError):
        spool_of(url).delete(_key(run_id))


def _line(members: dict[str, Any]) -> bytes:
    body = codec.canonical(members)
    return b"%s\t%08x\n" % (body, crc32(body))


def _write(url: str, run_id: str, data: bytes, *, anew: bool) -> None:
    """Append, or put a new file in the place of the old; not synced: it is for processes that die, not machines."""
    root, (folder, _, name) = spool_of(url).url, _key(run_id).rpartition("/")
    if anew:
        os.makedirs(root, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.join(root, folder), 0o700)
    with Folders(root).open(folder) as place:
        target = f"{run_id}.new" if anew else name
        with open(place.open_to_append(target, anew=anew), "ab") as file:
            file.write(data)
        if anew:
            os.replace(place.name(target), place.name(name), src_dir_fd=place.fd, dst_dir_fd=place.fd)
