"""The face of the package: each public name is there, said once, and explained with an example."""

import inspect

import pytest
from numpydoc.validate import validate

import mlops_kit


def _own(cls):
    """Name what a class and its bases in this package define."""
    return sorted({name for base in cls.__mro__ if base.__module__.startswith("mlops_kit") for name in vars(base)})


NAMES = [name for name in getattr(mlops_kit, "__all__", []) if not name.startswith("__")]
FUNCTIONS = [name for name in NAMES if inspect.isroutine(getattr(mlops_kit, name))]
CLASSES = [name for name in NAMES if inspect.isclass(getattr(mlops_kit, name))]
METHODS = [
    f"{name}.{method}"
    for name in CLASSES
    for method in _own(getattr(mlops_kit, name))
    if not method.startswith("_") and inspect.isroutine(getattr(getattr(mlops_kit, name), method))
]

# numpydoc's names: GL08 no docstring, SS03 no full stop after the summary, PR01 parameters left out, PR02
# parameters that do not exist, PR03 parameters in another order, RT01 no Returns, EX01 no Examples. A class
# may explain its attributes in place of its parameters: records are read, not made, by their users.
OF_A_CLASS = {"GL08", "SS03", "PR02", "PR03", "EX01"}
OF_A_METHOD = {"GL08", "SS03", "PR01", "PR02", "PR03", "RT01"}
OF_A_FUNCTION = OF_A_METHOD | {"EX01"}


def faults(path, looked_for):
    return [text for code, text in validate(f"mlops_kit.{path}")["errors"] if code in looked_for]


def test_the_face_says_each_name_once():
    assert NAMES
    assert len(set(NAMES)) == len(NAMES)
    assert set(NAMES) <= set(dir(mlops_kit))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        mlops_kit.no_such_name  # noqa: B018 - the access is what is tested


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_is_explained_with_an_example(name):
    assert faults(name, OF_A_FUNCTION) == []


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_class_is_explained_with_an_example(name):
    assert faults(name, OF_A_CLASS) == []


@pytest.mark.parametrize("path", METHODS)
def test_a_public_method_is_explained(path):
    assert faults(path, OF_A_METHOD) == []


def test_faults_of_an_explanation_are_found():
    # The library's own error tree, which asks for one argument and is written by hand, serves as specimen.
    assert faults("errors.MlopsKitError", OF_A_CLASS) == []
    assert faults("errors.InvalidName", {"EX01"}) == ["No examples section found"]
