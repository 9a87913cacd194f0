"""How values that code reads are written: as far as the code can see them."""

import pytest

from mlops_kit.fingerprints.code import code_fingerprint


def function(text):
    scope = {"__name__": "a_cell"}
    exec(compile(text, "<a_cell>", "exec", dont_inherit=True), scope)  # noqa: S102 - what a notebook does
    return scope["f"]


def value(function):
    return code_fingerprint(function).value


ORDERED = {
    "a global": "D = {0}\ndef f(x):\n    return [D[k] for k in D]",
    "nested": "D = [({0},)]\ndef f(x):\n    return list(D[0][0])",
    "a default": "def f(x, d={0}):\n    return list(d)",
    "a keyword-only default": "def f(x, *, d={0}):\n    return list(d)",
    "a class attribute": "class A:\n    d = {0}\ndef f(x):\n    return list(A.d)",
    "an attribute": "class A:\n    pass\na = A()\na.d = {0}\ndef f(x):\n    return list(a.d)",
    "a closure": "def made(d):\n    def f(x):\n        return list(d)\n    return f\nf = made({0})",
    "a partial": "import functools\ndef g(**k):\n    return list(k)\nf = functools.partial(g, **{0})",
    "of a kind of its own": "class D(dict):\n    pass\nD = D({0})\ndef f(x):\n    return list(D)",
    "a defaultdict": "import collections\nD = collections.defaultdict(int, {0})\ndef f(x):\n    return list(D)",
    "in an object of a library": "import types\nD = types.SimpleNamespace(d={0})\ndef f(x):\n    return list(D.d)",
    "a read-only view": "import types\nD = types.MappingProxyType({0})\ndef f(x):\n    return list(D)",
}


@pytest.mark.parametrize("place", ORDERED)
def test_the_order_of_a_dict_that_code_reads_counts(place):
    one, same, other = (
        value(function(ORDERED[place].replace("{0}", text)))
        for text in ("{'add': 1, 'mul': 2}", "{'add': 1, 'mul': 2}", "{'mul': 2, 'add': 1}")
    )
    assert one == same != other


def test_the_order_of_a_dict_changed_at_run_time_counts_on_the_next_call():
    f = function("D = {'add': 1, 'mul': 2}\ndef f(x):\n    return list(D)")
    before = value(f)
    steps = f.__globals__["D"]
    steps["add"] = steps.pop("add")
    assert value(f) != before


def test_the_order_in_which_attributes_were_set_does_not_count():
    text = "class A:\n    pass\na = A()\n{0}\ndef f(x):\n    return a.x"
    assert value(function(text.replace("{0}", "a.x = 1; a.y = 2"))) == value(
        function(text.replace("{0}", "a.y = 2; a.x = 1"))
    )


FRAME = (
    "import numpy as np\nimport pandas as pd\nD = pd.DataFrame({'x': pd.Series([1, None, 2], dtype=object), 'y': 1})\n"
)
NOTED = {
    "a note": "D.attrs['unit'] = 'kg'",
    "another note": "D.attrs['unit'] = np.float32(1.5)",
    "a flag": "D = D.set_flags(allows_duplicate_labels=False)",
    "scalars of numpy": "D['x'] = pd.Series([np.int64(1), None, np.int64(2)], dtype=object)",
    "one scalar of numpy": "D['x'] = pd.Series([1, None, np.int64(2)], dtype=object)",
    "smaller scalars": "D['x'] = pd.Series([np.int8(1), None, np.int8(2)], dtype=object)",
    "one column": "D = D['x']",
    "one column with a note": "D = D['x']\nD.attrs['unit'] = 'kg'",
}


def test_what_code_can_read_from_a_frame_beside_its_values_counts():
    texts = [FRAME, *(f"{FRAME}{change}\n" for change in NOTED.values())]
    found = [value(function(f"{text}def f():\n    return D")) for text in texts]
    assert len(set(found)) == len(found)
    assert found == [value(function(f"{text}def f():\n    return D")) for text in texts]
