"""The exams we ship: a backend of your own subclasses `BackendContract` and inherits the tests.

::

    class TestMyBackend(BackendContract):
        def make(self, tmp_path):
            return MyBackend(tmp_path)

And the crash test: `FaultyBackend` fails whichever operation of a store you choose.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from mlops_kit.errors import InvalidInput, StoreError
from mlops_kit.store.backend import Backend, Bytes, Found, Judged, foreign_files, make_durable, read_judged, read_part
from mlops_kit.store.folders import ForeignFile

_T = TypeVar("_T")
_WRITERS = 8
_BIG = 1 << 20


class BackendContract(ABC):
    """What every backend must do, as tests; see `mlops_kit.store.backend.Backend`.

    Subclass it under a name that pytest collects, and give `make`. Every test gets a backend of its own.

    Examples
    --------
    >>> from mlops_kit.store.memory import MemoryBackend
    >>> class TestMemory(BackendContract):
    ...     def make(self, tmp_path):
    ...         return MemoryBackend(str(tmp_path))
    >>> TestMemory().test_a_value_reads_back_as_it_was_written(Path("contract-doc"))
    """

    @abstractmethod
    def make(self, tmp_path: Path) -> Backend:
        """Make an empty backend; `tmp_path` is an empty folder of the test's own."""

    def again(self, backend: Backend, tmp_path: Path) -> Backend:  # noqa: ARG002 - for backends that need it
        """Open the same place a second time, as another process would; by default by making it again."""
        return self.make(tmp_path)

    def test_it_has_the_operations_of_the_protocol(self, tmp_path: Path) -> None:
        """A backend is recognised by its operations alone."""
        _check(isinstance(self.make(tmp_path), Backend), "an operation of the protocol is missing")

    def test_a_value_reads_back_as_it_was_written(self, tmp_path: Path) -> None:
        """Bytes of any kind and size come back equal, also through a second opening."""
        backend = self.make(tmp_path)
        values = {"a.json": b"{}", "b/c/d": b"", "b/c/e": bytes(range(256)), "big": b"\0\xff" * _BIG}
        for key, value in values.items():
            backend.put(key, value)
        for place in (backend, self.again(backend, tmp_path)):
            for key, value in values.items():
                _check(place.get(key) == value, f"{key} reads back different")

    def test_a_part_of_a_value_is_read(self, tmp_path: Path) -> None:
        """As many bytes come as there are between two places; a backend that reads no parts gives the same."""
        backend = self.make(tmp_path)
        backend.put("digits", b"0123456789")
        backend.put("empty", b"")
        for begin, end in ((0, 10), (0, 3), (8, 20), (10, 12), (30, 40)):
            part = read_part(backend, "digits", begin, end)
            _check(part == b"0123456789"[begin:end], f"the bytes from {begin} to {end} read as {part!r}")
        _check(read_part(backend, "empty", 0, 5) == b"", "an empty value is not read as one")
        _check(read_part(backend, "no/such", 0, 5) is None, "a part of an absent value was read")

    def test_writing_takes_views_and_bytearrays(self, tmp_path: Path) -> None:
        """Any bytes-like object can be written, by both ways of writing."""
        backend = self.make(tmp_path)
        backend.put("a", bytearray(b"abc"))
        backend.put("b", memoryview(b"abc")[1:])
        backend.create("c", memoryview(b"abc"))
        _check([backend.get(key) for key in "abc"] == [b"abc", b"bc", b"abc"], "a view reads back different")

    def test_what_is_absent_is_none(self, tmp_path: Path) -> None:
        """Absence is an answer, not an error, for reading, looking and deleting."""
        backend = self.make(tmp_path)
        _check(backend.get("no/such") is None, "an absent value was read")
        _check(backend.stat("no/such") is None, "an absent value was seen")
        backend.delete("no/such")
        _check(not list(backend.walk("")), "an empty place lists something")
        _check(not list(backend.walk("no/")), "an absent folder lists something")
        _check(not backend.folders("no/"), "an absent folder has folders")

    def test_a_value_is_replaced_whole(self, tmp_path: Path) -> None:
        """Writing over a value leaves nothing of the old one."""
        backend = self.make(tmp_path)
        backend.put("key", b"long old value")
        backend.put("key", b"new", durable=False)
        _check(backend.get("key") == b"new", "something of the old value is left")

    def test_a_value_below_a_value_is_no_confusion(self, tmp_path: Path) -> None:
        """A key whose parent is a value is absent, and does not make reading fail."""
        backend = self.make(tmp_path)
        backend.put("a", b"1")
        _check(backend.get("a/b") is None, "there is a value below a value")
        _check(backend.stat("a/b") is None, "there is a value below a value")

    def test_create_writes_only_what_is_absent(self, tmp_path: Path) -> None:
        """The second creator is told, and changes nothing."""
        backend = self.make(tmp_path)
        _check(backend.create("j/1", b"first"), "the first creator was refused")
        _check(not self.again(backend, tmp_path).create("j/1", b"second"), "the second creator was not refused")
        _check(backend.get("j/1") == b"first", "the second creator changed the value")

    def test_create_is_refused_by_a_value_that_was_put(self, tmp_path: Path) -> None:
        """Put-if-absent sees values however they were written."""
        backend = self.make(tmp_path)
        backend.put("k", b"put")
        _check(not backend.create("k", b"created"), "a value that was put was created over")

    def test_of_many_creators_at_once_exactly_one_wins(self, tmp_path: Path) -> None:
        """Eight threads race for each of twenty keys; the value is the winner's."""
        places = [self.make(tmp_path), *(self.make(tmp_path) for _ in range(_WRITERS - 1))]
        for number in range(20):
            key, won = f"race/{number}", [False] * _WRITERS
            _race(_creator(place, key, won, index) for index, place in enumerate(places))
            _check(won.count(True) == 1, f"{won.count(True)} writers won {key}")
            _check(places[0].get(key) == b"%d" % won.index(True), f"{key} is not the winner's")

    def test_reading_beside_a_writer_sees_whole_values(self, tmp_path: Path) -> None:
        """While a value is replaced again and again, a reader meets old or new, never a mixture or nothing."""
        backend = self.make(tmp_path)
        values = {b"a" * 100_000, b"b" * 50_000}
        backend.put("hot", b"a" * 100_000)
        seen: set[bytes | None] = set()

        def write() -> None:
            for _ in range(30):
                for value in values:
                    backend.put("hot", value, durable=False)

        def read() -> None:
            for _ in range(120):
                seen.add(backend.get("hot"))

        _race([write, read, read])
        _check(seen <= values, "a reader saw a value that nobody wrote")

    def test_walking_lists_every_value_below_a_folder_by_key(self, tmp_path: Path) -> None:
        """A walk is complete, sorted, and keeps to its folder."""
        backend = self.make(tmp_path)
        keys = ["a/b/1", "a/b/2", "a/c", "a-b", "ab/1", "z"]
        for key in keys:
            backend.put(key, key.encode())
        _check([found.key for found in backend.walk("")] == sorted(keys), "a walk of everything is not complete")
        _check([found.key for found in backend.walk("a/")] == ["a/b/1", "a/b/2", "a/c"], "a walk left its folder")

    def test_folders_are_named_without_what_is_in_them(self, tmp_path: Path) -> None:
        """Only the folders directly below count, each once."""
        backend = self.make(tmp_path)
        for key in ("runs/2026-01-02/x", "runs/2026-01-01/y", "runs/2026-01-01/z", "runs/file", "other/q"):
            backend.put(key, b"")
        _check(backend.folders("runs/") == ["2026-01-01", "2026-01-02"], "the folders are not these")
        top = [folder for folder in backend.folders("") if folder != "tmp"]  # which some keep for writing
        _check(top == ["other", "runs"], "the folders of the root are not these")

    def test_looking_tells_size_and_age_by_the_clock_of_the_place(self, tmp_path: Path) -> None:
        """`stat`, `walk` and `now` agree."""
        backend = self.make(tmp_path)
        backend.put("x/y", b"12345")
        found = backend.stat("x/y")
        _check(isinstance(found, Found), "a value cannot be seen")
        if found is not None:
            _check((found.key, found.size) == ("x/y", 5), "key or size is wrong")
            _check(abs(backend.now() - found.modified) < 60, "the clock is off by a minute")  # noqa: PLR2004
            _check([seen.size for seen in backend.walk("x/")] == [5], "a walk tells another size")

    def test_touching_makes_a_value_younger_and_keeps_it(self, tmp_path: Path) -> None:
        """A refreshed value has the same bytes and a time that is not earlier."""
        backend = self.make(tmp_path)
        backend.put("old", b"value")
        before = backend.stat("old")
        backend.touch("old")
        after = backend.stat("old")
        _check(backend.get("old") == b"value", "touching changed the value")
        _check(before is not None and after is not None and after.modified >= before.modified, "it grew older")

    def test_deleting_removes_one_value(self, tmp_path: Path) -> None:
        """Its neighbours stay, and its key can be created again."""
        backend = self.make(tmp_path)
        backend.put("d/1", b"1")
        backend.put("d/2", b"2")
        backend.delete("d/1")
        _check(backend.get("d/1") is None, "the value is still there")
        _check(backend.get("d/2") == b"2", "a neighbour went too")
        _check(backend.create("d/1", b"again"), "a deleted key cannot be created again")

    def test_probing_leaves_nothing_behind(self, tmp_path: Path) -> None:
        """Capabilities are named, and the probe cleans up."""
        backend = self.make(tmp_path)
        _check("create" in backend.capabilities(), "the means of put-if-absent is not named")
        _check(not list(backend.walk("")), "the probe left something behind")


def _check(condition: object, message: str) -> None:
    """Fail with a message, also where Python runs without assertions."""
    if not condition:
        raise AssertionError(message)


def _creator(place: Backend, key: str, won: list[bool], index: int) -> Callable[[], None]:
    def create() -> None:
        won[index] = place.create(key, b"%d" % index)

    return create


def _race(acts: Iterable[Callable[[], None]]) -> None:
    """Run functions in threads that begin together, and let the first failure out."""
    listed = list(acts)
    gate, failures = threading.Barrier(len(listed)), list[BaseException]()

    def run(act: Callable[[], None]) -> None:
        gate.wait()
        try:
            act()
        except BaseException as failure:  # noqa: BLE001 - handed on below
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(act,)) for act in listed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class FaultyBackend:
    """A backend whose operation of a chosen number fails: to crash-test a pipeline of your own.

    Let it count first, then fail each operation in turn, and look at what is in the store afterwards through a
    backend that works.

    Parameters
    ----------
    inner : Backend
        Where the values are.
    at : int or None
        Which operation fails, from 1; None for none of them.
    mode : str
        ``"before"``: nothing happened; ``"after"``: it happened, and the acknowledgement is lost; ``"torn"``: a part
        of what was to be written lies under a key of ``tmp/``, as a crash leaves it, and never under its own.
    lasting : bool
        All later operations fail too, as when a connection is cut.
    operations : collection of str
        Which operations are counted and can fail; `FaultyBackend.WRITING` is what a full disk or a lost permission
        refuses.

    Attributes
    ----------
    counted : int
        How many operations there were.
    failed : int
        How many of them failed.

    Examples
    --------
    >>> import mlops_kit as mk
    >>> from mlops_kit.store.memory import MemoryBackend
    >>> calm = FaultyBackend(MemoryBackend("faulty-calm"))
    >>> mk.ModelStore(mk.Store.on(calm)).register("m", 1).spec
    'm:1'
    >>> for number in range(1, calm.counted + 1):
    ...     place = MemoryBackend(f"faulty-{number}")
    ...     try:
    ...         _ = mk.ModelStore(mk.Store.on(FaultyBackend(place, at=number))).register("m", 1)
    ...     except mk.errors.StoreError:
    ...         assert mk.Store.on(place).fsck().ok
    """

    WRITING = frozenset({"put", "create", "delete", "touch", "sync"})
    READING = frozenset({"get", "stat", "walk", "folders"})

    def __init__(
        self,
        inner: Backend,
        *,
        at: int | None = None,
        mode: str = "before",
        lasting: bool = False,
        operations: Collection[str] = WRITING | READING | {"capabilities"},
    ) -> None:
        if mode not in {"before", "after", "torn"}:
            raise InvalidInput(f"mode={mode!r} is not 'before', 'after' or 'torn'.")
        self.url = inner.url
        self.at = at
        self.counted = 0
        self.failed = 0
        self._inner = inner
        self._mode = mode
        self._lasting = lasting
        self._operations = operations
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Read a value, or fail."""
        return self._do("get", key, lambda: self._inner.get(key))

    def put(self, key: str, data: Bytes, *, durable: bool = True) -> None:
        """Write a value, or fail."""
        self._do("put", key, lambda: self._inner.put(key, data, durable=durable), data)

    def create(self, key: str, data: Bytes) -> bool:
        """Write a value if the key is absent, or fail."""
        return self._do("create", key, lambda: self._inner.create(key, data), data)

    def delete(self, key: str) -> None:
        """Remove a value, or fail."""
        self._do("delete", key, lambda: self._inner.delete(key))

    def stat(self, key: str) -> Found | None:
        """Look at a value, or fail."""
        return self._do("stat", key, lambda: self._inner.stat(key))

    def touch(self, key: str) -> None:
        """Refresh a value, or fail."""
        self._do("touch", key, lambda: self._inner.touch(key))

    def sync(self, key: str) -> bool:
        """Make a value durable that another has written, or fail."""
        return self._do("sync", key, lambda: make_durable(self._inner, key))

    def walk(self, prefix: str) -> Iterator[Found]:
        """List values, or fail."""
        return iter(self._do("walk", prefix, lambda: list(self._inner.walk(prefix))))

    def folders(self, prefix: str) -> list[str]:
        """Name folders, or fail."""
        return self._do("folders", prefix, lambda: self._inner.folders(prefix))

    def now(self) -> float:
        """Tell the time; this never fails."""
        return self._inner.now()

    def read_part(self, key: str, begin: int, end: int) -> bytes | None:
        """Read a part of a value, or fail."""
        return self._do("get", key, lambda: read_part(self._inner, key, begin, end))

    def read_judged(self, key: str, most: int | None = None) -> Judged | None:
        """Read a value and who else may have written it, or fail."""
        return self._do("get", key, lambda: read_judged(self._inner, key, most))

    def foreign(self) -> Iterator[ForeignFile]:
        """List what is no regular file; this never fails."""
        return iter(foreign_files(self._inner))

    def capabilities(self) -> dict[str, str]:
        """Probe the place, or fail."""
        return self._do("capabilities", "", self._inner.capabilities)

    def _do(self, operation: str, key: str, act: Callable[[], _T], data: Bytes | None = None) -> _T:
        number = self._count(operation)
        if number is None:
            return act()
        if self._mode == "after":
            act()
        if self._mode == "torn" and data is not None:
            self._inner.put(f"tmp/torn-{number}", bytes(data)[: len(data) // 2])
        raise StoreError(f"Operation {number} on the store {self.url} failed on purpose: {operation} {key!r}.")

    def _count(self, operation: str) -> int | None:
        """Count an operation, and give its number if it is to fail."""
        with self._lock:
            if operation not in self._operations:
                return None
            self.counted += 1
            if self.at is None or self.counted < self.at or (self.counted > self.at and not self._lasting):
                return None
            self.failed += 1
            return self.counted
