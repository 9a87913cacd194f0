"""``mlops-kit run``: pipelines from a shell, with their parameters as options, and the outcome as the exit status."""

import json
import subprocess
import sys
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from click.testing import CliRunner

import mlops_kit as mk
from mlops_kit.cli.main import main
from mlops_kit.cli.parameters import arguments, fit, kinds_of
from mlops_kit.errors import InvalidInput

JOB = '''
from pathlib import Path
import mlops_kit as mk

@mk.step
def scaled(x, by):
    mk.log_metric("by", by)
    return x * by

@mk.pipeline
def nightly(x: int, by: float = 2.0, *, label=None, verbose: bool = False, days: list[int] = ()):
    """Scale a number."""
    return {"value": scaled(x, by), "label": label, "verbose": verbose, "days": list(days)}

@mk.pipeline
def failing(kind="plain"):
    if kind == "refused":
        raise mk.errors.InvalidInput("The data is not as expected. Look at models.history('fraud').")
    if kind == "step":
        return scaled("a", None)
    raise RuntimeError("out of luck")

@mk.pipeline
async def waiting(x: int):
    return x + 1

@mk.pipeline
def clashing(param, store="here", json=1, help="me"):
    return [param, store, json, help]

@mk.pipeline
def quiet():
    pass

class Jobs:
    nested = nightly

function = print
'''


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Write a module of pipelines into the current folder, and give a caller of the verb."""
    monkeypatch.setenv("MLOPS_KIT_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"job_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(JOB)

    def call(pipeline, *options, code=0):
        done = CliRunner().invoke(main, ["run", f"{name}:{pipeline}", *options])
        assert done.exit_code == code, done.output + str(done.exception)
        return done

    call.name = name
    yield call
    sys.modules.pop(name, None)


def result(done):
    return json.loads(done.stdout)["result"]


def test_parameters_are_options_read_as_the_signature_says(job):
    done = job(
        "nightly", "--x", "3", "--by", "0.5", "--label", "late", "--verbose", "--days", "1", "--days=2", "--json"
    )
    assert result(done) == {"value": 1.5, "label": "late", "verbose": True, "days": [1, 2]}


def test_json_tells_the_run_its_steps_and_the_result(job):
    job("nightly", "--x", "3")
    told = json.loads(job("nightly", "--x", "3", "--json").stdout)
    assert told["run"]["status"] == "finished"
    assert told["run"]["metrics"] == {"by": 2.0}
    assert [(call["name"], call["reused"]) for call in told["steps"]] == [(f"{job.name}:scaled", True)]
    assert mk.list_runs()[0].id == told["run"]["id"]


def test_a_file_of_toml_gives_parameters_and_options_go_before_it(job, tmp_path):
    (tmp_path / "one.toml").write_text("x = 4\nby = 3\ndays = [1, 2]\n")
    (tmp_path / "two.toml").write_text('label = "late"\nby = 5.0\n')
    files = ["--param", "one.toml", "--param", "two.toml"]
    assert result(job("nightly", *files, "--json")) == {"value": 20, "label": "late", "verbose": False, "days": [1, 2]}
    assert result(job("nightly", *files, "--by", "0.25", "--days", "7", "--json"))["value"] == 1.0


def test_the_result_is_printed_and_nothing_if_there_is_none(job):
    assert job("waiting", "--x", "3").stdout == "4\n"
    assert job("quiet").stdout == ""


def test_help_lists_the_parameters(job):
    shown = job("nightly", "--help").stdout
    for part in (
        "Scale a number.",
        "--x INTEGER",
        "required",
        "--by NUMBER",
        "default: 2.0",
        "--no-verbose",
        "--param",
    ):
        assert part in shown


def test_a_parameter_with_the_name_of_an_option_is_the_parameter(job, tmp_path):
    (tmp_path / "two.toml").write_text('param = "x"\n')
    done = job("clashing", "--param", "two.toml", "--store", "there", "--json", "2")
    assert done.stdout == "['two.toml', 'there', 2, 'me']\n"


@pytest.mark.parametrize(
    ("pipeline", "options", "said"),
    [
        ("nightly", (), "Missing: --x. Name it"),
        ("nightly", ("--x", "three"), "--x='three' is no integer"),
        ("nightly", ("--x", "3", "--by", "much"), "--by='much' is no number"),
        ("nightly", ("--x", "3", "--days", "monday"), "--days="),
        ("nightly", ("--x", "3", "--bye", "2"), "No such option '--bye'"),
        ("nightly", ("--x", "3", "more"), "unexpected extra argument"),
        ("nightly", ("--param", "none.toml"), "none.toml"),
        ("nightly", ("--param", "bad.toml"), "bad.toml"),
        ("nightly", ("--param", "other.toml"), "There is no parameter 'y'. Parameters: x, by, label, verbose, days"),
        ("nihgtly", (), "'nihgtly' is not there in"),
        ("function", (), "no pipeline in"),
        ("", (), "does not name a pipeline"),
    ],
)
def test_what_cannot_be_called_ends_with_2_and_is_not_run(job, tmp_path, pipeline, options, said):
    (tmp_path / "bad.toml").write_text("x = = 1")
    (tmp_path / "other.toml").write_text("x = 1\ny = 2\n")
    done = job(pipeline, *options, code=2)
    assert said in done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "store").exists()


def test_pipelines_that_are_there_are_listed(job):
    assert "Pipelines there: nightly, failing, waiting, clashing, quiet." in job("nihgtly", code=2).output


def test_a_pipeline_may_stand_in_a_class_or_be_named_by_its_file(job, tmp_path):
    assert "Scale" in job("Jobs.nested", "--help").stdout
    (tmp_path / "jobs").mkdir()
    path = tmp_path / "jobs" / f"{job.name}_file.py"
    path.write_text(JOB)
    for given in (path, path.relative_to(tmp_path)):
        done = CliRunner().invoke(main, ["run", f"{given}:waiting", "--x", "1"])
        assert (done.exit_code, done.stdout) == (0, "2\n")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_module_here:nightly", "There is no module 'no_such_module_here'"),
        ("no/such/file.py:nightly", "There is no file 'no/such/file.py'"),
        ("json.py:loads", "has the name of another module"),
        ("nightly", "does not name a pipeline"),
        (":nightly", "does not name a pipeline"),
        ("json:loads", "is a function, no pipeline in json. Put @mlops_kit.pipeline"),
    ],
)
def test_what_is_no_place_of_a_pipeline_is_told(job, tmp_path, target, said):
    (tmp_path / "json.py").write_text(JOB)
    done = CliRunner().invoke(main, ["run", target])
    assert done.exit_code == 2
    assert said in done.output


def test_a_failure_of_the_user_s_code_ends_with_1_and_shows_their_frames_only(job):
    shown = job("failing", code=1).stderr
    assert "RuntimeError: out of luck" in shown
    assert "Traceback" in shown
    assert "click" not in shown
    assert "mlops_kit/cli" not in shown.replace("\\", "/")


def test_an_error_of_the_library_is_a_message_in_words_of_the_command_line(job):
    shown = job("failing", "--kind", "refused", code=1).stderr
    assert "Error: InvalidInput: The data is not as expected. Look at `mlops-kit show fraud`." in shown
    assert "Traceback" not in shown


def test_a_step_that_fails_is_named_with_its_arguments(job):
    assert f"in the step {job.name}:scaled with x='a', by=None" in job("failing", "--kind", "step", code=1).stderr


def test_json_tells_of_a_run_that_failed_too(job):
    told = json.loads(job("failing", "--json", code=1).stdout)
    assert (told["run"]["status"], told["result"]) == ("failed", None)


def test_the_store_is_chosen(job, tmp_path):
    job("waiting", "--x", "1", "--store", str(tmp_path / "other"))
    assert len(mk.list_runs(store=tmp_path / "other")) == 1
    assert not (tmp_path / "store").exists()


def test_it_runs_as_a_module_in_a_process_of_its_own(job, tmp_path):
    command = [sys.executable, "-m", "mlops_kit", "run", f"{job.name}:nightly", "--x", "3"]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == "{'value': 6.0, 'label': None, 'verbose': False, 'days': []}\n"
    assert [run.steps[0].reused for run in mk.list_runs()] == [True, False]


def test_what_a_module_imports_and_is_missing_is_no_missing_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "missing_package").mkdir()
    (tmp_path / "missing_package" / "__init__.py").write_text("import no_such_library")
    done = CliRunner().invoke(main, ["run", "missing_package.job:nightly"])
    assert isinstance(done.exception, ModuleNotFoundError)
    assert done.exception.name == "no_such_library"


class Colour(Enum):
    RED = 1
    BLUE = 2


@pytest.mark.parametrize(
    ("kind", "given", "meant"),
    [
        (int, "3", 3),
        (float, "3", 3.0),
        (float, 3, 3.0),
        (str, "3", "3"),
        (bool, "true", True),
        (bool, False, False),
        (Path, "a/b", Path("a/b")),
        (date, "2026-05-01", date(2026, 5, 1)),
        (date, date(2026, 5, 1), date(2026, 5, 1)),
        (datetime, "2026-05-01T04:00", datetime(2026, 5, 1, 4)),  # noqa: DTZ001 - as given
        (int | None, "3", 3),
        (int | str, "3", 3),
        (int | str, "three", "three"),
        (str | float, "0.5", 0.5),
        (Literal["a", 2], "2", 2),
        (Colour, "BLUE", Colour.BLUE),
        (list[int], ("1", "2"), [1, 2]),
        (list[int], "[1, 2]", [1, 2]),
        (tuple[float, ...], [1, 2], (1.0, 2.0)),
        (list[str], ("a",), ["a"]),
        (set[str], ["a", "a"], {"a"}),
        (Annotated[int, "about"], "3", 3),
        (dict[str, int], "{a = 1}", {"a": 1}),
        (Any, "1e-3", 0.001),
        (Any, "true", True),
        (Any, "[1, 'x']", [1, "x"]),
        (Any, "plain words", "plain words"),
        (Any, "1\nother = 2", "1\nother = 2"),
    ],
)
def test_values_are_read_as_annotated(kind, given, meant):
    read = fit(given, kind)
    assert (read, type(read)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        *[(int, "3.5"), (int, 3.5), (int, True), (float, "x"), (float, True), (str, 3), (bool, "maybe"), (Path, 3)],
        *[(date, "someday"), (Literal["a"], "b"), (Colour, "GREEN"), (list[int], ("x",)), (int | float, "x")],
    ],
)
def test_values_that_are_not_as_annotated_are_refused(kind, given):
    with pytest.raises((ValueError, TypeError)):
        fit(given, kind)


def test_a_default_tells_what_is_meant_where_nothing_is_annotated():
    def function(a, b=1, c="x", d=True, e=None, f=(1,), *args, g: "no_such_name" = 2, **more):  # noqa: F821
        pass

    assert [kind for kind, _ in kinds_of(function).values()] == [Any, float | int, str, bool, Any, tuple, float | int]


def test_positional_and_caught_parameters_are_passed_as_they_must_be():
    def function(a: int, /, b: int = 2, **more):
        return a, b, more

    args, kwargs = arguments(function, {"a": 1, "extra": "x"}, {"b": "3"})
    assert function(*args, **kwargs) == (1, 3, {"extra": "x"})
    with pytest.raises(InvalidInput, match="Missing: --a"):
        arguments(function, {}, {})
