import copy
import functools
import gc
import importlib
import json
import linecache
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import typing
import weakref

import numpy as np
import pytest

from mlops_kit.fingerprints.code import CodeFingerprint, code_fingerprint, is_user_module


def value(obj, **options):
    return code_fingerprint(obj, **options).value


def executed(text, name="a_cell", **names):
    """Execute code as a notebook would, from no file, and return its namespace."""
    scope = {"__name__": name, **names}
    execute(textwrap.dedent(text), f"<{name}>", scope)
    return scope


def execute(text, filename, scope):
    exec(compile(text, filename, "exec", dont_inherit=True), scope)  # noqa: S102 - what a notebook does


def function(text, **names):
    return executed(text, **names)["f"]


PLAIN = """
K = 3

def f(x, y=1):
    total = 0
    for item in x:
        if item and item > y or item == K:
            total += item
        else:
            continue
    try:
        return [one for one in x if not one] or total
    except (ValueError, TypeError):
        return None
"""

SAME = {
    "comments": "# why\nK = 3  # three\n" + PLAIN.replace("total = 0", "total = 0  # start\n    # go on"),
    "a docstring": PLAIN.replace("    total = 0", "    '''Document.'''\n    total = 0"),
    "another place": "def other():\n    pass\n\n\n\n" + PLAIN + "\ndef last():\n    pass\n",
    "broken lines": PLAIN.replace(
        "if item and item > y or item == K:",
        "if (\n            item\n            and item > y\n            or item == K\n        ):",
    ).replace("[one for one in x if not one]", "[\n one\n for one in x\n if not one\n ]"),
    "annotations": PLAIN.replace("(x, y=1):", "(x: list, y: 'int' = 1) -> object:"),
}

DIFFERENT = {
    "a constant": PLAIN.replace("total = 0", "total = 1"),
    "the type of a constant": PLAIN.replace("total = 0", "total = 0.0"),
    "a global that is read": PLAIN.replace("K = 3", "K = 4"),
    "a default": PLAIN.replace("y=1", "y=2"),
    "an operator": PLAIN.replace("item > y", "item >= y"),
    "a condition turned round": PLAIN.replace("if not one", "if one"),
    "what is caught": PLAIN.replace("TypeError", "KeyError"),
    "where the try begins": PLAIN.replace("    total = 0\n", "").replace(
        "    try:\n", ("    try:\n        total = 0\n")
    ),
    "a parameter's name": PLAIN.replace("y=1", "z=1").replace("> y", "> z"),
    "a keyword-only parameter": PLAIN.replace("(x, y=1)", "(x, *, y=1)"),
}


@pytest.mark.parametrize("edit", SAME)
def test_what_does_not_run_does_not_count(edit):
    assert value(function(SAME[edit])) == value(function(PLAIN))


@pytest.mark.parametrize("edit", DIFFERENT)
def test_what_runs_counts(edit):
    assert value(function(DIFFERENT[edit])) != value(function(PLAIN))


def test_code_moved_into_a_try_counts():
    outside = "def f(g, h):\n    g()\n    try:\n        h()\n    except OSError:\n        pass\n"
    inside = "def f(g, h):\n    try:\n        g()\n        h()\n    except OSError:\n        pass\n"
    assert value(function(outside)) != value(function(inside))


def test_a_docstring_that_is_the_whole_body_is_no_body():
    assert value(function("def f():\n    'Nothing.'")) == value(function("def f():\n    pass"))


def test_the_docstring_and_line_of_a_nested_class_do_not_count():
    bare = "def f():\n    class A:\n        x = 1\n    return A\n"
    documented = "\n\ndef f():\n    class A:\n        'Doc.'\n\n        x = 1\n    return A\n"
    assert value(function(bare)) == value(function(documented))
    assert value(function(bare)) != value(function(bare.replace("x = 1", "x = 2")))


HELPERS = {
    "train": (
        "import middle\nfrom middle import step\n\ndef train(x):\n    return step(x)\n\n"
        "def by_attribute(x):\n    return middle.step(x)\n"
    ),
    "middle": "from deep import scale\n\ndef step(x):\n    return scale(x) + 1\n\ndef unused(x):\n    return x\n",
    "deep": "FACTOR = 2\n\ndef scale(x):\n    return x * FACTOR\n",
}


@pytest.mark.parametrize("name", ["train", "by_attribute"])
def test_a_helper_edited_two_calls_deep_in_another_module_counts(project, name):
    """joblib#1621, zenml#1011: an edited helper, and the old result returned."""
    before = code_fingerprint(getattr(project(**HELPERS), name))
    after = code_fingerprint(getattr(project(deep=HELPERS["deep"].replace("x * FACTOR", "x / FACTOR")), name))
    assert after.value != before.value
    assert {label for label in after.parts if after.parts[label] != before.parts[label]} == {"deep:scale"}
    assert before.modules == ("deep", "middle", "train")


def test_a_constant_that_a_deep_helper_reads_counts_and_names_the_helper(project):
    before = code_fingerprint(project(**HELPERS).train)
    after = code_fingerprint(project(deep=HELPERS["deep"].replace("= 2", "= 3")).train)
    assert [label for label in after.parts if after.parts[label] != before.parts[label]] == ["deep:scale"]


def test_code_that_is_not_reached_does_not_count(project):
    before = value(project(**HELPERS).train)
    assert value(project(middle=HELPERS["middle"].replace("return x\n", "return -x\n")).train) == before


def test_a_submodule_reached_through_its_package_counts(project, tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sub.py").write_text("def g():\n    return 1\n")
    before = value(project(train="import package.sub\n\ndef train():\n    return package.sub.g()\n").train)
    (package / "sub.py").write_text("def g():\n    return 2\n")
    for name in ("package", "package.sub"):
        del sys.modules[name]
    assert value(project().train) != before
    for name in ("package", "package.sub"):
        del sys.modules[name]


CLASSES = """
class Base:
    rate = 0.1

    def fit(self, x):
        return self.scale(x)

    def scale(self, x):
        return x * self.rate

class Model(Base):
    @property
    def name(self):
        return "model"

    @staticmethod
    def twice(x):
        return 2 * x

    @classmethod
    def make(cls):
        return cls()

def f(x):
    return Model().fit(x)
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [("0.1", "0.2"), ("x * self.rate", "x / self.rate"), ('"model"', '"m"'), ("2 * x", "3 * x"), ("cls()", "cls")],
)
@pytest.mark.parametrize("name", ["f", "Model"])
def test_methods_attributes_and_user_bases_of_a_class_count(name, old, new):
    assert value(executed(CLASSES)[name]) != value(executed(CLASSES.replace(old, new))[name])
    assert value(executed(CLASSES)[name]) == value(executed("\n# moved\n" + CLASSES)[name])


def test_a_class_attribute_set_at_run_time_counts():
    scope = executed(CLASSES)
    before = value(scope["f"])
    scope["Base"].rate = 0.5
    assert value(scope["f"]) != before


@pytest.mark.parametrize("use", [copy.copy, copy.deepcopy, pickle.dumps, lambda each: each.__reduce_ex__(4)])
def test_a_class_stays_what_it_is_when_an_instance_is_copied_or_pickled(project, use):
    own = project(train="class Model:\n    rate = 1\n    def predict(self, x):\n        return x\n")
    before = value(own.Model)
    use(own.Model())
    assert value(own.Model) == before


def test_a_metaclass_of_the_user_counts():
    text = (
        "class Meta(type):\n    def __call__(cls):\n        return 1\n\n"
        "class A(metaclass=Meta):\n    pass\n\ndef f():\n    return A()\n"
    )
    assert value(function(text)) != value(function(text.replace("return 1", "return 2")))


def test_bound_methods_are_their_class_and_function_not_the_state_of_what_they_are_bound_to():
    scope = executed(CLASSES)
    one, other = scope["Model"](), scope["Model"]()
    other.weight = 5
    assert value(one.fit) == value(other.fit)
    assert value(one.fit) != value(one.scale)


def test_the_state_of_an_object_read_as_a_global_counts():
    scope = executed(CLASSES + "\nmodel = Model()\n\ndef g(x):\n    return model.fit(x)\n")
    before = value(scope["g"])
    assert value(scope["g"]) == before
    scope["model"].weight = 5
    assert value(scope["g"]) != before


def test_closure_cells_count():
    make = executed("def make(k):\n    def inner(x):\n        return x + k\n    return inner\n")["make"]
    assert value(make(1)) == value(make(1))
    assert value(make(1)) != value(make(2))


def test_a_function_in_a_closure_cell_counts():
    make = executed("def make(k):\n    return lambda x: k(x)\n")["make"]
    assert value(make(function("def f(x):\n    return 1"))) != value(make(function("def f(x):\n    return 2")))


def test_partial_arguments_count():
    f = function(PLAIN)
    assert value(functools.partial(f, y=1)) == value(functools.partial(f, y=1))
    assert value(functools.partial(f, y=1)) != value(functools.partial(f, y=2))


WRAPPED = """
import functools

def louder(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args) + 1
    return wrapper

@DECORATOR
def f(x):
    return x * 2
"""


@pytest.mark.parametrize("decorator", ["louder", "functools.lru_cache", "functools.singledispatch", "functools.cache"])
def test_the_wrapped_function_counts(decorator):
    text = WRAPPED.replace("DECORATOR", decorator)
    assert value(function(text)) == value(function("\n" + text))
    assert value(function(text)) != value(function(text.replace("x * 2", "x * 3")))


def test_the_wrapper_counts():
    text = WRAPPED.replace("DECORATOR", "louder")
    assert value(function(text)) != value(function(text.replace("+ 1", "+ 2")))


def test_a_function_registered_with_singledispatch_counts():
    text = WRAPPED.replace("DECORATOR", "functools.singledispatch") + "\n@f.register\ndef _(x: int):\n    return 1\n"
    assert value(function(text)) != value(function(text.replace("return 1", "return 2")))


def test_our_own_wrappers_are_what_they_wrap():
    def tracked(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        wrapper.__mlops_kit__ = True
        return wrapper

    class Step:
        __mlops_kit__ = True

        def __init__(self, function):
            self.__wrapped__ = function
            self.calls = []

    f = function(PLAIN)
    assert value(tracked(f)) == value(Step(f)) == value(f)
    caller = "def caller(x):\n    return f(x)\n"
    direct = code_fingerprint(executed(caller, f=f)["caller"])
    assert code_fingerprint(executed(caller, f=tracked(f))["caller"]) == direct
    assert "a_cell:f" in direct.parts


OBJECT = """
import dataclasses, functools
from typing import Optional
import numpy as np
import pandas as pd

class Scaler:
    def __init__(self, k): self.k = k
    def __call__(self, *args): return self.k * 2
    def __getitem__(self, key): return 5
"""
REACHED = {
    "a callable object under a cache": ("g = functools.cache(Scaler(1))", "k * 2", "k * 3"),
    "its state": ("g = functools.cache(Scaler(1))", "Scaler(1)", "Scaler(2)"),
    "whether a cache tells types apart": ("g = functools.lru_cache(typed=True)(len)", "True", "False"),
    "a callable object in a registry": (
        "g = functools.singledispatch(len)\ng.register(int, Scaler(1))",
        "k * 2",
        "k * 3",
    ),
    "its state in a registry": ("g = functools.singledispatch(len)\ng.register(int, Scaler(1))", "(1)", "(2)"),
    "the class it is registered for": ("g = functools.singledispatch(len)\ng.register(int, Scaler(1))", "int,", "str,"),
    "a cached function in a registry": (
        "g = functools.singledispatch(len)\ng.register(int, functools.cache(Scaler(1)))",
        "k * 2",
        "k * 3",
    ),
    "a dunder made of a partial method": ("class g:\n    __iter__ = functools.partialmethod(Scaler(1), 7)", "7", "8"),
    "a dunder made of a partial": ("class g:\n    __len__ = functools.partial(int, '7')", "'7'", "'8'"),
    "a dunder made of an object": ("class g:\n    __len__ = Scaler(1)", "k * 2", "k * 3"),
    "a dunder made of a cache": ("class g:\n    __len__ = functools.cache(lambda self: 7)", "7", "8"),
    "a dunder dispatched on its argument": (
        "class g:\n    @functools.singledispatchmethod\n    def __eq__(self, o): return 7",
        "7",
        "8",
    ),
    "a dunder made of data": ("class g:\n    __codes__ = {1: [2]}", "[2]", "[3]"),
    "the metadata of a field": (
        "@dataclasses.dataclass\nclass g:\n    x: int = dataclasses.field(metadata={'unit': 1})",
        "1}",
        "2}",
    ),
    "the factory of a field": (
        "@dataclasses.dataclass\nclass g:\n    x: int = dataclasses.field(default_factory=Scaler(1))",
        "k * 2",
        "k * 3",
    ),
    "the hash of a field": (
        "@dataclasses.dataclass\nclass g:\n    x: int = dataclasses.field(hash=True)",
        "hash=True",
        "hash=False",
    ),
    "the type of a field": ("@dataclasses.dataclass\nclass g:\n    x: Optional[Scaler] = None", "Scaler]", "'Scaler']"),
    "the class in the type of a field": (
        "@dataclasses.dataclass\nclass g:\n    x: Optional[Scaler] = None",
        "return 5",
        "return 6",
    ),
    "the index of a column": ("g = pd.Series([1, 2], index=[10, 20])", "20]", "30]"),
    "the index of a frame in a list": ("g = [pd.DataFrame({'a': [1, 2]}, index=[10, 20])]", "20]", "30]"),
    "the start of a range that is an index": ("g = pd.Series([1], index=pd.RangeIndex(1))", "ndex(1)", "ndex(1, 2)"),
    "the names of an index": ("g = pd.Index([1], name='a')", "'a'", "'b'"),
    "a dtype of pandas": ("g = pd.Series(['a'], dtype='category')", "'category'", "'str'"),
    "a label that is a number": ("g = pd.DataFrame([[1]], columns=[0])", "[0]", "['0']"),
}


@pytest.mark.parametrize("what", REACHED)
def test_all_that_is_reached_counts(what):
    text, old, new = REACHED[what]
    text = f"{OBJECT}\n{text}\n\ndef f():\n    return g\n"
    first = code_fingerprint(function(text))
    assert first.opaque == ()
    assert old in text
    assert value(function(text)) == first.value
    assert value(function(text.replace(old, new))) != first.value


def test_how_often_a_cache_was_asked_and_how_much_it_holds_do_not_count():
    scope = executed(
        "import functools\n\n@functools.lru_cache(maxsize=4)\ndef g(x): return x\n\ndef f(): return g(1)\n"
    )
    before = value(scope["f"])
    scope["f"]()
    assert value(scope["f"]) == before
    assert (
        value(function("import functools\n\n@functools.cache\ndef g(x): return x\n\ndef f(): return g(1)\n")) == before
    )


def test_what_somebody_else_s_decorator_has_cached_does_not_count(tmp_path, monkeypatch):
    installed = tmp_path / "env" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "memo.py").write_text(
        "import functools\n\ndef memo(function):\n    found = {}\n    @functools.wraps(function)\n"
        "    def wrapper(x):\n        return found.setdefault(x, function(x))\n    return wrapper\n"
    )
    monkeypatch.syspath_prepend(str(installed))
    text = "import memo\n\nclass A: pass\n\n@memo.memo\ndef g(x): return A()\n\ndef f(x): return g(x)\n"
    scope = executed(text)
    before = value(scope["f"])
    scope["f"](1)
    assert value(scope["f"]) == before
    assert value(function(text.replace("return A()", "return A"))) != before
    monkeypatch.delitem(sys.modules, "memo")


def test_a_class_whose_field_refers_to_the_class_is_seen_and_stays_the_same_once_its_hints_are_read():
    text = "import dataclasses, typing\n\n@dataclasses.dataclass\nclass f:\n    next: typing.Optional['f'] = None\n"
    cls = function(text)
    found = code_fingerprint(cls)
    assert found.opaque == ()
    typing.get_type_hints(cls, {"f": cls, "typing": typing})
    code_fingerprint.__globals__["_remembered"].clear()
    assert code_fingerprint(cls) == found


def test_the_fields_of_a_pydantic_model_count_and_the_addresses_it_keeps_do_not():
    pytest.importorskip("pydantic")
    text = "import pydantic\n\nclass f(pydantic.BaseModel):\n    rate: float = pydantic.Field(default=1.0, gt=0)\n"
    assert value(function(text)) == value(function(text))
    assert value(function(text)) != value(function(text.replace("gt=0", "gt=1")))


def test_a_ufunc_that_hides_its_function_is_listed():
    scope = executed("import numpy as np\ng = np.frompyfunc(lambda x: x, 1, 1)\n\ndef f(): return g, np.add\n")
    assert code_fingerprint(scope["f"]).opaque == ("a_cell:g",)


def test_recursion_ends():
    text = "def f(n):\n    return n and g(n - 1)\n\ndef g(n):\n    return n and f(n - 1) + 1\n"
    assert value(function(text)) == value(function(text))
    assert value(function(text)) != value(function(text.replace("+ 1", "+ 2")))


def test_objects_that_hold_each_other_end():
    text = "class A:\n    pass\n\na, b = A(), A()\na.other, b.other, b.x = b, a, 1\n\ndef f():\n    return a\n"
    assert value(function(text)) == value(function(text))
    assert value(function(text)) != value(function(text.replace("b, a, 1", "b, a, 2")))


@pytest.mark.parametrize(
    "text",
    [
        "import collections\nP = collections.namedtuple('P', 'x y')\n\ndef f():\n    return P(1, 2)\n",
        (
            "import dataclasses\n\n@dataclasses.dataclass\nclass P:\n    x: int = 1\n"
            "    y: list = dataclasses.field(default_factory=list)\n\ndef f():\n"
            "    return P(1)\n"
        ),
        "import enum\n\nclass P(enum.Enum):\n    A = 1\n    B = 2\n\ndef f():\n    return P.A\n",
        (
            "import abc\n\nclass P(abc.ABC):\n    @abc.abstractmethod\n"
            "    def g(self): return 1\n\ndef f():\n    return P\n"
        ),
        "async def f(x):\n    async with x as y:\n        return [1 async for z in y]\n",
        "def f(x):\n    yield 1\n    yield from x\n",
        (
            "n = 1\n\ndef f():\n    global n\n    n += 1\n    def g():\n"
            "        nonlocal_ = n\n        return nonlocal_\n    return g\n"
        ),
        "f = lambda x: x + 1\n",
        (
            "def f(x):\n    match x:\n        case {'a': 1, **rest}:\n"
            "            return rest\n        case [1, *_]:\n            return 2\n"
        ),
        "f = frozenset({1}).union\n",
    ],
)
def test_every_kind_of_function_is_read_alike_twice_and_an_edit_counts(text):
    first = code_fingerprint(function(text))
    assert code_fingerprint(function("\n\n" + text)) == first
    assert first.opaque == ()
    assert value(function(text.replace("1", "7"))) != first.value


@pytest.mark.parametrize(
    "obj",
    [
        len,
        print,
        np.add,
        np.mean,
        str.join,
        [].append,
        dict,
        np.ndarray,
        int.__add__,
        type,
        object,
        functools.partial,
        threading.Lock(),
        iter(()),
        np.vectorize(len),
        property(len),
        classmethod(len),
    ],
)
def test_any_object_has_a_fingerprint(obj):
    found = code_fingerprint(obj)
    assert isinstance(found, CodeFingerprint)
    assert found.value.startswith("fp2:")
    assert len(found.value) == 68


def test_third_party_code_enters_as_its_distribution_and_version(project):
    module = project(
        train=(
            "import numpy as np\nimport json\n\ndef train(x):\n"
            "    from sklearn.linear_model import Ridge\n"
            "    return np.mean(x), json.dumps(x)\n"
        )
    )
    found = code_fingerprint(module.train)
    assert found.distributions == {
        "numpy": np.__version__,
        "scikit-learn": importlib.import_module("sklearn").__version__,
    }
    assert found.modules == ("train",)


INSIDE = {
    "train": "def train(x):\n    from late import helper\n    return helper(x)\n",
    "late": "from later import K\n\ndef helper(x):\n    return x + K\n",
    "later": "K = 1\n",
}


def test_an_import_inside_a_body_is_followed_without_executing_it(project):
    before = code_fingerprint(project(**INSIDE).train)
    assert "late" not in sys.modules
    assert before.modules == ("late", "later", "train")
    assert before.opaque == ()
    assert value(project(late=INSIDE["late"].replace("x + K", "x - K")).train) != before.value
    assert value(project(late=INSIDE["late"], later="K = 2\n").train) != before.value
    assert value(project(**INSIDE).train) == before.value


def test_having_been_imported_makes_no_difference(project):
    train = project(**INSIDE).train
    before = code_fingerprint(train)
    assert train(1) == 2
    assert "late" in sys.modules
    assert code_fingerprint(train) == before


def test_a_module_edited_but_not_reloaded_is_not_taken_for_what_runs(project, tmp_path):
    train = project(**INSIDE).train
    train(1)
    (tmp_path / "late.py").write_text(INSIDE["late"].replace("x + K", "x - K"))
    stale = value(train)
    fresh = value(project(late=INSIDE["late"].replace("x + K", "x - K")).train)
    assert stale != fresh


def test_an_optional_import_that_is_missing_is_no_matter():
    found = code_fingerprint(
        function("def f():\n    try:\n        import absent_module\n    except ImportError:\n        return 1\n")
    )
    assert found.opaque == ()


def test_what_cannot_be_seen_is_listed(project):
    module = project(
        train="""
        import contextvars, logging, threading
        log, lock, var = logging.getLogger(__name__), threading.Lock(), contextvars.ContextVar("v")
        file = open(__file__)

        def train():
            log.info("x")
            return lock, var, file
        """
    )
    assert code_fingerprint(module.train).opaque == ("train:file", "train:lock")
    module.file.close()


@pytest.mark.parametrize(
    "change",
    [lambda m: m.var.set(2), lambda m: setattr(m.local, "x", 2), lambda m: delattr(m.local, "x")],
)
def test_what_a_context_variable_and_a_thread_local_are_now_counts(project, change):
    module = project(
        train="""
        import contextvars, threading
        var, local = contextvars.ContextVar("v"), threading.local()
        local.x = 1

        def train():
            return var.get(), local.x
        """
    )
    before = code_fingerprint(module.train)
    assert before == code_fingerprint(module.train)
    assert before.opaque == ()
    change(module)
    assert code_fingerprint(module.train).value != before.value


def test_nothing_of_the_user_is_run():
    text = """
    class Loud:
        def __getattr__(self, name): raise AssertionError(name)
        def __eq__(self, other): raise AssertionError("eq")
        def __hash__(self): raise AssertionError("hash")
        def __repr__(self): raise AssertionError("repr")
        def __bool__(self): raise AssertionError("bool")
        @property
        def __class__(self): raise AssertionError("class")
        @property
        def x(self): raise AssertionError("x")
        def __call__(self): return 1

    loud = Loud()

    def f():
        return loud.x
    """
    scope = executed(text)
    assert code_fingerprint(scope["f"]).opaque == ()
    assert code_fingerprint(scope["f"]).opaque == ()
    assert code_fingerprint(scope["loud"]).opaque == ()


@pytest.mark.parametrize("ignore", ["CACHE", "a_cell:CACHE"])
def test_what_is_ignored_does_not_count(ignore):
    scope = executed("CACHE = {}\n\ndef f(x):\n    return CACHE.setdefault(x, x)\n")
    before, ignored = value(scope["f"]), value(scope["f"], ignore=[ignore])
    scope["f"](1)
    assert value(scope["f"]) != before
    assert value(scope["f"], ignore=[ignore]) == ignored


def test_an_ignored_function_does_not_count():
    text = "def g():\n    return 1\n\ndef f():\n    return g()\n"
    ignore = ["a_cell:g"]
    other = text.replace("return 1", "return 2")
    assert value(function(text), ignore=ignore) == value(function(other), ignore=ignore)


@pytest.mark.parametrize(
    "change",
    [
        lambda scope: scope["ITEMS"].append(4),
        lambda scope: scope["TABLE"].update(b=2),
        lambda scope: scope["ARRAY"].__setitem__(0, 9),
        lambda scope: scope.update(K=2),
        lambda scope: scope.update(g=lambda: 2),
        lambda scope: setattr(scope["g"], "__code__", (lambda: 3).__code__),
        lambda scope: setattr(scope["f"], "__defaults__", (8,)),
        lambda scope: scope["f"].__kwdefaults__.update(b=8),
        lambda scope: scope.update(len=abs),
    ],
)
def test_a_change_at_run_time_is_seen_on_the_next_call(change):
    text = """
    ITEMS, TABLE, K = [1, 2], {"a": (1, [2])}, 1
    def g():
        return 1
    def f(a=1, *, b=2):
        return ITEMS, TABLE, ARRAY, K, g, len(a)
    """
    scope = executed(text, ARRAY=np.zeros(3))
    before = value(scope["f"])
    assert value(scope["f"]) == before
    change(scope)
    assert value(scope["f"]) != before


def test_remembering_a_closure_does_not_keep_its_data():
    make = executed("def make(data):\n    return lambda: data\n")["make"]
    data = np.zeros(3)
    watched, closure = weakref.ref(data), make(data)
    code_fingerprint(closure)
    del data, closure
    gc.collect()
    assert watched() is None


def test_user_functions_inside_a_third_party_object_are_named():
    transformer = importlib.import_module("sklearn.preprocessing").FunctionTransformer
    scope = executed("def g(x):\n    return x\n\ndef f(x):\n    return t.transform(x)\n")
    scope["t"] = transformer(scope["g"])
    found = code_fingerprint(scope["f"])
    assert set(found.parts) == {"a_cell:f", "a_cell:g"}
    assert "scikit-learn" in found.distributions


def test_an_object_whose_function_reads_the_object_ends():
    transformer = importlib.import_module("sklearn.preprocessing").FunctionTransformer
    scope = executed("def g(x):\n    return t\n")
    scope["t"] = transformer(scope["g"])
    found = code_fingerprint(scope["g"])
    assert code_fingerprint(scope["g"]) == found
    assert found.opaque == ()


def test_notebook_cells_are_user_code_and_their_edits_count():
    filename = "<ipython-input-1>"
    source = "def f(x):\n    return x + 1\n"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    scope = {"__name__": "__main__"}
    execute(source, filename, scope)
    found = code_fingerprint(scope["f"])
    assert list(found.parts) == ["__main__:f"]
    execute(source.replace("1", "2"), filename, scope)
    assert value(scope["f"]) != found.value


SCRIPT = """
import logging, enum
NAMES = {"b", "a", "c", "d"}
log = logging.getLogger(__name__)
class Color(enum.Enum):
    RED = 1
class Scaler:
    def __init__(self): self.k = 2
scaler = Scaler()
def helper(x):
    log.info(x)
    return x in {"p", "q", "r", "s"} or x in NAMES
def train(x):
    import json
    return helper(x), Color.RED, scaler, {"u": frozenset("wxyz")}
"""
REPORT = (
    "\nimport json\nfrom mlops_kit.fingerprints.code import code_fingerprint\n"
    "found = code_fingerprint(train)\n"
    "print(json.dumps([found.value, sorted(found.parts.values())]))\n"
)


def run(*arguments, seed="0", stdin=None, cwd=None):
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, *arguments], input=stdin, env=environment, cwd=cwd, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_script_import_command_and_standard_input_agree_under_any_hash_seed(tmp_path):
    (tmp_path / "job.py").write_text(SCRIPT + "\nif __name__ == '__main__':" + textwrap.indent(REPORT, "    "))
    as_script = run("job.py", seed="1", cwd=tmp_path)
    assert run("-c", "from job import train" + REPORT, seed="2", cwd=tmp_path) == as_script
    assert run("-c", SCRIPT + REPORT, seed="3", cwd=tmp_path) == as_script
    assert run("-", stdin=SCRIPT + REPORT, seed="4", cwd=tmp_path) == as_script
    assert run("-c", SCRIPT.replace('"s"', '"t"') + REPORT, cwd=tmp_path) != as_script


def test_importing_does_not_load_heavy_packages():
    text = (
        "import sys, json, mlops_kit.fingerprints.code\n"
        "print(json.dumps([m for m in ('numpy', 'pandas', 'pyarrow', 'sklearn') if m in sys.modules]))"
    )
    assert run("-c", text) == []


def test_modules_that_cython_makes_are_not_the_user_s():
    importlib.import_module("sklearn.tree")
    made = [name for name in sys.modules if name == "cython_runtime" or name.startswith("_cython_")]
    assert len(made) > 1
    assert not any(map(is_user_module, made))


def test_user_modules_are_told_from_the_rest(project, tmp_path):
    assert is_user_module(project(train="K = 1\n"))
    assert is_user_module("train")
    assert not any(map(is_user_module, ["json", "sys", "numpy.linalg", "mlops_kit.errors", "pytest", "os.path"]))
    installed = tmp_path / "env" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "vendored.py").write_text("")
    sys.path.insert(0, str(installed))
    try:
        assert not is_user_module("vendored")
        assert "vendored" not in sys.modules
    finally:
        sys.path.remove(str(installed))


def test_globals_that_all_know_each_other_do_not_hold_up_the_call(project):
    train = project(
        train="""
        nodes = [{} for _ in range(20)]
        for node in nodes:
            node.update(enumerate(nodes))
        shared = [1]
        for _ in range(60):
            shared = [shared, shared]
        def fit():
            return nodes, shared
    """
    )
    began = time.perf_counter()
    found = code_fingerprint(train.fit)
    assert time.perf_counter() - began < 30
    assert set(found.opaque) == {"train:nodes", "train:shared"}


def test_a_global_whose_parts_know_the_whole_counts_with_its_content(project):
    source = """
        tree = {"name": "root", "kids": []}
        for number in range(200):
            tree["kids"].append({"parent": tree, "number": number})
        def fit():
            return tree
    """
    first, again = (code_fingerprint(project(train=source).fit) for _ in range(2))
    other = code_fingerprint(project(train=source.replace('"root"', '"other"')).fit)
    assert first.opaque == ()
    assert first.value == again.value != other.value
