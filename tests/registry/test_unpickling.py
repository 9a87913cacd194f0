"""What is loaded under another Python, or uses code of the user's that is not what it was, says so."""

import importlib
import os
import sys
import warnings

import cloudpickle
import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import mlops_kit as mk
from mlops_kit.errors import CodeChangedWarning, CodeNotComparedWarning, NotSerializable, OtherPythonWarning
from mlops_kit.registry import unpickling

HOLDS_CODE = FunctionTransformer(lambda x: x + 1)
SCALER = StandardScaler().fit([[0.0], [2.0]])


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Import a module of the user's, and write it anew."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text):
        (tmp_path / "steps_of_mine.py").write_text(text)
        os.utime(tmp_path / "steps_of_mine.py", ns=(write.moment, write.moment))
        write.moment += 10**9
        importlib.invalidate_caches()
        module = importlib.import_module("steps_of_mine")
        return importlib.reload(module)

    write.moment = 10**9
    yield write
    sys.modules.pop("steps_of_mine", None)


def as_model(value):
    models = mk.ModelStore()
    models.register("m", value)
    return lambda: models.load("m:1")


def as_output(value):
    with mk.start_run() as run:
        run.log_model(value, "m")
    return lambda: mk.get_run(run.id).load("m")


def as_return(value):
    @mk.track(register="m")
    def fit():
        return value

    fit()
    return lambda: mk.ModelStore().load("m:1")


KEPT = pytest.mark.parametrize("keep", [as_model, as_output, as_return])


@pytest.fixture
def elsewhere(monkeypatch):
    """Let what is saved be saved by another minor version of Python."""
    monkeypatch.setattr("mlops_kit.registry.saving.python_minor", lambda: "3.99")


@KEPT
def test_a_pickle_of_another_python_is_loaded_with_a_warning_that_names_it(keep, elsewhere):
    load = keep(SCALER)
    with pytest.warns(OtherPythonWarning, match=r"Python 3\.99"):
        assert load().mean_ == [1.0]


@KEPT
def test_code_that_another_python_compiled_is_refused_before_it_is_read(keep, elsewhere, monkeypatch):
    load = keep(HOLDS_CODE)
    monkeypatch.setattr("pickle.loads", None)
    with pytest.raises(NotSerializable, match=r"Python 3\.99 and holds functions that it compiled"):
        load()


@KEPT
def test_under_the_same_python_nothing_is_said(keep, own):
    own("def double(x):\n    return 2 * x\n")
    import steps_of_mine

    for value in (SCALER, HOLDS_CODE, FunctionTransformer(steps_of_mine.double), {"steps_of_mine": "steps_of_mine"}):
        load = keep(value)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            load()


@KEPT
def test_code_that_has_changed_is_named_and_under_another_python_it_is_not_compared(keep, own, monkeypatch):
    module = own("def double(x):\n    return 2 * x\n")
    load = keep(FunctionTransformer(module.double))
    with monkeypatch.context() as patched:
        patched.setattr("mlops_kit.registry.saving.python_minor", lambda: "3.99")
        load_from_elsewhere = keep(FunctionTransformer(module.double).set_params(check_inverse=False))
    own("def double(x):\n    return x + x\n")
    with pytest.warns(CodeChangedWarning, match="steps_of_mine that has changed"):
        assert load().transform(np.array([[3]])) == [[6]]
    if keep is as_output:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            load_from_elsewhere()
        assert [each.category for each in said] == [OtherPythonWarning]
        assert "has changed" not in str(said[0].message)


def test_a_helper_of_a_function_of_the_script_that_has_changed_is_named(own):
    own("def double(x):\n    return 2 * x\n")
    scope = {"__name__": "a_cell"}
    exec("import steps_of_mine\ndef f(x):\n    return steps_of_mine.double(x)\n", scope)  # noqa: S102 - as a script
    load = as_model(FunctionTransformer(scope["f"]))
    own("def double(x):\n    return x + x\n")
    with pytest.warns(CodeChangedWarning, match="steps_of_mine"):
        load()


def test_code_that_is_kept_by_other_rules_or_is_not_there_cannot_be_compared(own, monkeypatch):
    module = own("def double(x):\n    return 2 * x\n")
    load = as_model(FunctionTransformer(module.double))
    monkeypatch.setattr("mlops_kit.fingerprints.places.OBJECTS", 9)
    with pytest.warns(CodeNotComparedWarning, match="steps_of_mine, which cannot be compared"):
        load()


def test_what_an_older_release_kept_cannot_be_compared_if_it_names_code_of_the_user(own, monkeypatch):
    """Records of it say neither the Python nor the places; the environment says the Python."""
    module = own("def double(x):\n    return 2 * x\n")
    monkeypatch.setattr("mlops_kit.registry.saving.python_minor", lambda: None)
    monkeypatch.setattr("mlops_kit.registry.saving.named_code", lambda _: {})
    loads = [as_output(FunctionTransformer(module.double)), as_output(SCALER)]
    with pytest.warns(CodeNotComparedWarning, match="steps_of_mine"):
        loads[0]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loads[1]()
    monkeypatch.setattr(unpickling, "_pythons", {})
    monkeypatch.setattr(unpickling, "python_minor", lambda: "3.99")
    with pytest.warns(OtherPythonWarning, match=r"this is 3\.99"):
        loads[1]()


@pytest.mark.parametrize("length", [1, 9, ord("0"), ord("_"), ord("z"), 200])
def test_a_pickle_names_a_module_only_as_a_whole(length):
    name = "m" * length
    for text in (name, f"{name}.inner"):
        assert unpickling._is_named(name, cloudpickle.dumps(text))
        assert unpickling._is_named(name, cloudpickle.dumps([text, 1]))
    for text in (f"n_{name}_seen_", f"{name}s", f"x{name}", f"outer.{name}", ""):
        assert not unpickling._is_named(name, cloudpickle.dumps(text))


def test_what_fails_to_load_says_that_another_python_made_it(own, elsewhere):
    module = own("class Gone:\n    pass\n")
    load = as_model(module.Gone())
    own("del Gone\n")
    with (
        pytest.warns(OtherPythonWarning),
        pytest.raises(NotSerializable, match=r"(?s)Gone.*It was pickled by Python 3\.99"),
    ):
        load()


def test_data_needs_no_python_of_its_own(elsewhere):
    models = mk.ModelStore()
    models.register("m", SCALER, format="skops")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert models.get("m:1").python is None
        models.load("m:1")
