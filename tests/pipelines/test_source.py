"""Files that somebody else changes, as something on which a result depends."""

import itertools
import os
import pickle
from datetime import UTC, datetime
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import mlops_kit as mk
from mlops_kit.errors import InvalidInput, RecordingWarning
from mlops_kit.pipelines.dependencies import moved


class Tagged(MemoryFileSystem):
    """Files with ETags, whose listings fsspec remembers, as those of object stores are."""

    protocol = "tagged"
    tags: ClassVar = {}

    def info(self, path, **options):
        about = dict(super().info(path, **options))
        if about["type"] == "file":
            about = {**about, "created": None, **{name: tag for name, tag in self.tags.items() if tag}}
        return about

    def find(self, path, **options):
        return {name: self.info(name) for name in super().find(path, **{**options, "detail": False})}


@pytest.fixture(autouse=True)
def tagged(tmp_path):
    fsspec.register_implementation("tagged", Tagged, clobber=True)
    MemoryFileSystem.store.clear()
    yield
    Tagged.tags = {}
    MemoryFileSystem.store.clear()


def write(path, text, at=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(at, at))


def tell(tag):
    Tagged.tags = tag
    with fsspec.open("tagged://bucket/a.csv", "w") as file:
        file.write("same")


def test_a_local_file_is_its_size_and_time(tmp_path):
    path = tmp_path / "a.csv"
    write(path, "one")
    first = mk.source(path).state
    assert mk.source(str(path)).state == first
    write(path, "two", at=2_000_000_000)
    assert mk.source(path).state != first
    write(path, "longer")
    assert mk.source(path).state != first
    write(path, "eno")
    assert mk.source(path).state == first  # the content is not read


@pytest.mark.parametrize("name", ["ETag", "etag", "Content-MD5"])
def test_an_etag_comes_before_everything_else(name):
    tell({name: '"abc"', "mtime": 5})
    first = mk.source("tagged://bucket/a.csv")
    assert first.state == "ETag abc"
    tell({name: '"abc"', "mtime": 9})
    assert first.now().state == first.state
    tell({name: '"def"', "mtime": 5})
    assert first.now().state == "ETag def"


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (1.5, "4 bytes, 1970-01-01 00:00:01.500000000 UTC"),
        (datetime(2026, 5, 1, tzinfo=UTC), "4 bytes, 2026-05-01 00:00:00.000000 UTC"),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "4 bytes, Wed, 21 Oct 2015 07:28:00 GMT"),
    ],
)
def test_times_are_read_as_the_file_systems_of_fsspec_tell_them(moment, shown):
    tell({"Last-Modified": moment})
    assert mk.source("tagged://bucket/a.csv").state == shown


@pytest.mark.parametrize("url", ["{}/part-*.csv", "{}", "{}/**/*.csv"])
def test_a_pattern_or_folder_is_all_its_files(tmp_path, url):
    url = url.format(tmp_path / "day")
    write(tmp_path / "day" / "part-1.csv", "a")
    states = [mk.source(url).state]
    write(tmp_path / "day" / "part-2.csv", "a")
    states.append(mk.source(url).state)
    write(tmp_path / "day" / "part-2.csv", "ab")
    states.append(mk.source(url).state)
    (tmp_path / "day" / "part-1.csv").rename(tmp_path / "day" / "part-3.csv")
    states.append(mk.source(url).state)
    assert len(set(states)) == 4
    (tmp_path / "day" / "part-3.csv").unlink()
    states.append(mk.source(url).state)
    assert len(set(states)) == 5
    write(tmp_path / "elsewhere" / "part-2.csv", "ab")
    assert mk.source(url).state == states[-1]


def test_a_name_with_the_signs_of_a_pattern_is_a_name_first(tmp_path):
    write(tmp_path / "a[1].csv", "brackets")
    write(tmp_path / "a1.csv", "plain")
    assert mk.source(tmp_path / "a[1].csv").state.startswith("8 bytes")


@pytest.mark.parametrize("url", ["{}/none.csv", "{}/none-*.csv", "{}/empty", "nosuch://x/y"])
def test_what_is_not_there_is_named(tmp_path, url):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"There is no file at|cannot be looked at"):
        mk.source(url.format(tmp_path))


def test_something_that_is_no_url_is_refused():
    with pytest.raises(InvalidInput, match="is text"):
        mk.source(3)


def test_options_and_passwords_enter_no_record(tmp_path):
    write(tmp_path / "a.csv", "a")
    one = mk.source(tmp_path / "a.csv", auto_mkdir=True)
    other = mk.source(tmp_path / "a.csv", auto_mkdir=False)
    assert vars(one) == vars(other)
    assert pickle.loads(pickle.dumps(one)).state == one.state
    assert b"auto_mkdir" not in pickle.dumps(one)
    with fsspec.open("memory://user:hunter22@host/a.csv", "w") as file:
        file.write("a")
    assert "hunter22" not in repr(vars(mk.source("memory://user:hunter22@host/a.csv")))


@mk.step
def taken(source):
    return source.state


@mk.step
def taken_in_a_list(sources):
    return [source.state for source in sources]


@mk.step(depends_on=mk.source)
def length(url):
    with fsspec.open(url, "r") as file:
        return len(file.read())


@mk.step(depends_on=lambda urls: [mk.source(url) for url in urls])
def lengths(urls, more=()):
    return [length.__wrapped__(url) for url in urls]


@pytest.mark.parametrize("step", [length, lengths, taken, taken_in_a_list], ids=lambda step: step.__name__)
def test_a_step_runs_again_where_its_source_has_changed(tmp_path, store, outcomes, step):
    path = tmp_path / "a.csv"

    @mk.pipeline(store=store)
    def run():
        url = str(path)
        source = mk.source(url) if step in {taken, taken_in_a_list} else url
        return step([source] if step in {lengths, taken_in_a_list} else source)

    write(path, "abc")
    first = run()
    assert run() == first
    assert outcomes(run)[0][1] == "reused"
    made = run.last_run.steps[0].key
    write(path, "abcd", at=2_000_000_000)
    assert run() != first
    assert outcomes(run)[0][1] == "finished"
    assert run.last_run.steps[0].key not in {made, None}


def test_a_source_named_once_is_looked_at_at_each_call(tmp_path, store, outcomes):
    path = tmp_path / "a.csv"
    write(path, "abc")

    @mk.step(depends_on=mk.source(path))
    def content():
        return path.read_text()

    @mk.pipeline(store=store)
    def run():
        return content()

    assert run() == "abc"
    write(path, "abcd")
    assert run() == "abcd"


@pytest.mark.parametrize("step", [length, taken], ids=lambda step: step.__name__)
def test_what_changes_while_it_is_read_is_not_kept(tmp_path, store, step):
    path = tmp_path / "a.csv"
    write(path, "abc")
    numbers = itertools.count(2)

    @mk.step(depends_on=step.options.depends_on)
    def changing(url):
        write(path, "x" * next(numbers))
        return str(url)

    @mk.pipeline(store=store)
    def run():
        changing(mk.source(path) if step is taken else str(path))

    with pytest.warns(RecordingWarning, match="changed while it ran"):
        run()
    assert run.last_run.steps[0].key is None


def test_without_etag_and_time_a_step_runs_every_time_unless_its_age_is_bounded(store, outcomes):
    tell({})

    @mk.pipeline(store=store)
    def run(step):
        return step("tagged://bucket/a.csv")

    for _ in range(2):
        run(length)
        assert outcomes(run) == [("length", "finished")]
        assert "neither an ETag nor a time" in run.last_run.steps[0].why
    bounded = length.with_options(fresh_for="1d")
    run(bounded)
    run(bounded)
    assert outcomes(run) == [("length", "reused")]

    @mk.pipeline(store=store)
    def passing():
        return taken(mk.source("tagged://bucket/a.csv"))

    passing()
    passing()
    assert outcomes(passing) == [("taken", "finished")]


def test_a_step_around_depends_on_the_sources_of_those_inside(tmp_path, store, outcomes):
    path = tmp_path / "a.csv"
    write(path, "abc")

    @mk.step
    def outer(url):
        return length(url) + 1

    @mk.pipeline(store=store)
    def run():
        return outer(str(path))

    assert (run(), run()) == (4, 4)
    assert outcomes(run) == [("outer", "reused")]
    write(path, "abcd")
    assert run() == 5


def test_no_other_machine_is_asked_on_the_word_of_a_record(store, monkeypatch):
    monkeypatch.setattr("mlops_kit.pipelines.dependencies.state_now", pytest.fail)
    for url in ["tagged://bucket/never.csv", "simplecache::https://example.org/a.csv"]:
        assert "cannot be seen" in moved({"kind": "source", "name": url, "state": "ETag abc"}, store)


def test_a_source_of_another_machine_that_this_process_has_asked_is_asked_again(store, outcomes):
    @mk.step
    def outer(url):
        return length(url) + 1

    @mk.pipeline(store=store)
    def run():
        return outer("tagged://bucket/a.csv")

    for tag, outcome in [("abc", "finished"), ("abc", "reused"), ("def", "finished")]:
        tell({"ETag": tag})
        run()
        assert outcomes(run)[-1] == ("outer", outcome)


def test_why_tells_what_a_source_was_and_is(store):
    @mk.pipeline(store=store)
    def run():
        return length("tagged://bucket/a.csv")

    for tag in ("abc", "def"):
        tell({"ETag": tag})
        run()
    (change,) = run.why(length).changes
    assert (change.section, change.name) == ("dependency", "source tagged://bucket/a.csv")
    assert (change.left, change.right) == ("ETag abc", "ETag def")
    assert "source tagged://bucket/a.csv: ETag abc → ETag def" in repr(run.why(length))


@pytest.mark.parametrize("step", [length, taken], ids=lambda step: step.__name__)
def test_a_plan_looks_at_sources_and_calls_nothing(tmp_path, store, step):
    path = tmp_path / "a.csv"
    write(path, "abc")

    @mk.pipeline(store=store)
    def run():
        return step(mk.source(path) if step is taken else str(path))

    run()
    assert [call.outcome for call in run.plan().calls] == ["reused"]
    write(path, "abcd")
    (call,) = run.plan().calls
    assert (call.outcome, call.why) == ("runs", f"the source {path} changed")


def test_a_plan_does_not_call_functions_of_depends_on(store):
    @mk.step(depends_on=lambda x: x + 1)
    def one(x):
        return x

    @mk.pipeline(store=store)
    def run():
        return one(1)

    run()
    (call,) = run.plan().calls
    assert call.outcome == "runs"
    assert "cannot be seen from here" in call.why


def test_a_source_that_is_not_there_names_the_step(tmp_path, store):
    @mk.pipeline(store=store)
    def run():
        return length(str(tmp_path / "none.csv"))

    with pytest.raises(InvalidInput, match="There is no file at") as refused:
        run()
    assert refused.value.__notes__ == [f"in the step {length.place}"]


def test_a_function_that_names_what_the_step_does_not_take_is_refused(store):
    @mk.step(depends_on=mk.source)
    def read(path):
        return path

    @mk.pipeline(store=store)
    def run():
        return read("a.csv")

    with pytest.raises(InvalidInput, match=r"'url'.*Parameters of the step: path"):
        run()


def test_a_function_may_have_parameters_of_its_own(store, outcomes):
    @mk.step(depends_on=lambda x, base=2: x % base)
    def parity(x):
        return x

    @mk.pipeline(store=store)
    def run():
        return parity(3)

    run()
    run()
    assert outcomes(run) == [("parity", "reused")]
