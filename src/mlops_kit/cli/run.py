"""``mlops-kit run``: call a pipeline from a shell, a schedule or a job, and tell by the exit status how it ended."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from types import ModuleType, TracebackType
from typing import Any

import click

from mlops_kit.cli.options import WRONG, is_json, say, show
from mlops_kit.cli.parameters import arguments, options_of, read_file
from mlops_kit.cli.verbs import told
from mlops_kit.errors import InvalidInput, MlopsKitError
from mlops_kit.masking import quoted
from mlops_kit.pipelines.pipeline import Pipeline
from mlops_kit.safe_text import clean

FAILED = 1
_INTERRUPTED = 130
_JSON = "mlops_kit.json"
_TARGET = "MODULE:PIPELINE"


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("target", metavar=_TARGET)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def run(target: str, options: tuple[str, ...]) -> None:
    """Run a pipeline; exit 0 if it finishes, 1 if it fails, 2 if it cannot be called like that.

    MODULE:PIPELINE is where it is defined, such as jobs.nightly:train or jobs/nightly.py:train. Its parameters are
    options, read as its signature says; `mlops-kit run MODULE:PIPELINE --help` lists them.

    Such as: mlops-kit run jobs.nightly:train --C 0.5 --max-depth 3 --param nightly.toml
    """
    try:
        pipeline = _found(target)
        command = _command(target, pipeline)
        context = command.make_context(f"mlops-kit run {target}", list(options))
    except InvalidInput as error:
        say(f"Error: {told(error)}", err=True)
        sys.exit(WRONG)
    with context:
        command.invoke(context)


def _command(target: str, pipeline: Pipeline[..., Any]) -> click.Command:
    """Make a command of a pipeline; where a parameter bears the name of an option of ours, it is the parameter."""
    own = [
        click.Option(["_param", "--param"], multiple=True, metavar="FILE", help="Read parameters from a file of TOML."),
        click.Option(["_store", "--store"], metavar="URL", help="Where to record, unless the pipeline says so."),
        click.Option(["_json", "--json"], is_flag=True, help="Print JSON, for programs."),
    ]
    parameters: list[click.Parameter] = [*options_of(pipeline.__wrapped__, taken=("--help",))]
    spelled = {text for option in parameters for text in (*option.opts, *option.secondary_opts)}
    free = [option for option in own if not spelled & set(option.opts)]

    def call(**given: Any) -> None:
        ours = {str(option.name): given.pop(str(option.name), None) for option in free}
        _call(pipeline, target, given, ours)

    return click.Command(
        "run",
        callback=call,
        params=[*parameters, *free],
        help=inspect.getdoc(pipeline.__wrapped__),
        context_settings={"help_option_names": ["--help"]},
    )


def _call(pipeline: Pipeline[..., Any], target: str, given: dict[str, Any], ours: dict[str, Any]) -> None:
    click.get_current_context().meta[_JSON] = bool(ours.get("_json"))
    if ours.get("_store") is not None:
        os.environ["MLOPS_KIT_STORE"] = ours["_store"]
    try:
        files: dict[str, Any] = {}
        for path in ours.get("_param") or ():
            files.update(read_file(path))
        args, kwargs = arguments(pipeline.__wrapped__, files, given)
    except InvalidInput as error:
        say(f"Error: {told(error)} See `mlops-kit run {clean(target)} --help`.", err=True)
        sys.exit(WRONG)
    try:
        result = pipeline(*args, **kwargs)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is shown, and the exit status tells
        _show_failure(error)
        _show_outcome(pipeline, None)
        sys.exit(FAILED)
    _show_outcome(pipeline, result)


def _show_outcome(pipeline: Pipeline[..., Any], result: Any) -> None:
    last = pipeline.last_run
    if is_json():
        show({"result": result, "run": last, "steps": () if last is None else last.steps})
    elif result is not None:
        show(result)


def _show_failure(error: Exception) -> None:
    if isinstance(error, MlopsKitError):
        say("\n".join([f"Error: {told(error)}", *getattr(error, "__notes__", ())]), err=True)
        return
    shown = traceback.TracebackException.from_exception(error.with_traceback(_of_the_user(error.__traceback__)))
    say("".join(shown.format()).rstrip(), err=True)


def _of_the_user(trace: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of the library that lead to the code of the user."""
    inner = trace
    while inner is not None and str(inner.tb_frame.f_globals.get("__name__", "")).split(".")[0] == "mlops_kit":
        inner = inner.tb_next
    return trace if inner is None else inner


def _found(target: str) -> Pipeline[..., Any]:
    place, colon, path = target.rpartition(":")
    if not colon or not place or not path:
        raise InvalidInput(
            f"{quoted(target)} does not name a pipeline: write {_TARGET}, such as jobs.nightly:train or "
            "jobs/nightly.py:train."
        )
    module = _module(place)
    value: Any = module
    for name in path.split("."):
        value = getattr(value, name, None)
    if isinstance(value, Pipeline):
        return value
    there = [name for name, each in vars(module).items() if isinstance(each, Pipeline)]
    what = "is not there" if value is None else f"is a {type(value).__name__}, no pipeline"
    listed = f"Pipelines there: {', '.join(there)}." if there else "Put @mlops_kit.pipeline on a function there."
    raise InvalidInput(f"{quoted(path)} {what} in {clean(place)}. {listed}")


def _module(place: str) -> ModuleType:
    """Import a module by its name or its file; the current folder comes first, as for ``python -m``."""
    folder, name = os.getcwd(), place
    if place.endswith(".py"):
        if not os.path.isfile(place):
            raise InvalidInput(f"There is no file {quoted(place)} in {os.getcwd()}.")
        folder, file = os.path.split(os.path.abspath(place))
        name = file.removesuffix(".py")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if not _is_there(name):
        raise InvalidInput(
            f"There is no module {quoted(name)} to be imported in {folder}. Run from the folder that it is in, or name "
            "its file: path/to/file.py:pipeline."
        )
    module = importlib.import_module(name)
    if place.endswith(".py") and os.path.realpath(str(module.__file__)) != os.path.realpath(place):
        raise InvalidInput(f"{place} has the name of another module, {module.__file__}. Give the file another name.")
    return module


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:
        return False
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            return False
        raise  # what a package imports is missing
