"""The code that a pickle names is fingerprinted by its place; what is pickled whole, by what it reaches."""

from mlops_kit.fingerprints.dispatch import fingerprint_and_code
from mlops_kit.fingerprints.places import code_at, named_code

OWN = """
import deep

class Model:
    def predict(self, x):
        return deep.scale(x)

def double(x):
    return 2 * x
"""
DEEP = "def scale(x):\n    return x\n"


def code_of(value):
    return named_code(fingerprint_and_code(value)[1])


def test_what_is_named_is_told_by_its_place_wherever_in_an_object_it_stands(project):
    own = project(train=OWN, deep=DEEP)
    found = code_of({"a": [own.Model()], "b": own.double})
    assert found == {place: code_at(place) for place in ("train:Model", "train:double")}
    assert code_of([1, "two", {"three": 4.0}]) == {}


def test_an_edit_of_a_helper_is_seen_at_the_place_of_what_calls_it(project):
    own = project(train=OWN, deep=DEEP)
    before = code_of([own.Model(), own.double])
    project(deep=DEEP.replace("return x", "return -x"))
    assert code_at("train:Model") != before["train:Model"]
    assert code_at("train:double") == before["train:double"]


def test_a_function_that_is_pickled_whole_counts_by_what_it_reaches(project):
    project(train=OWN, deep=DEEP)
    scope = {"__name__": "a_cell"}
    exec("import train\ndef f(x):\n    return train.double(x)\n", scope)  # noqa: S102 - as in a script
    assert code_of(scope["f"]) == {"train:double": code_at("train:double")}
    assert code_of(lambda x: x) == {}


def test_the_versions_of_libraries_do_not_count(project, monkeypatch):
    own = project(train="import numpy\ndef f(x):\n    return numpy.sum(x)\n")
    before = code_of(own.f)
    monkeypatch.setattr("mlops_kit.fingerprints.references.distribution_of", lambda name: (name, "99"))
    monkeypatch.setattr("mlops_kit.fingerprints.code._remembered", {})
    assert code_of(own.f) == before


def test_what_is_gone_or_no_code_has_no_fingerprint(project):
    project(train=OWN + "\nRATE = 1\n", deep=DEEP)
    assert code_at("train:gone") is code_at("nowhere:f") is code_at("train:RATE") is code_at("__main__:f") is None
