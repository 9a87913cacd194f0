"""What code reaches by modules that it does not look into itself."""

import types

import pytest

from mlops_kit.fingerprints.code import code_fingerprint

HANDED_ON = {
    "an argument": "def f():\n    return h(q)",
    "a keyword": "def f():\n    return h(z=q)",
    "in a list": "def f():\n    return [h(each) for each in [q]]",
    "returned": "def f():\n    return q",
    "another name": "def f():\n    other = q\n    return other.g()",
    "a default": "def f(z=q):\n    return z.g()",
    "a keyword-only default": "def f(*, z=q):\n    return z.g()",
    "a closure": "def made(z):\n    def f():\n        return h(z)\n    return f\nf = made(q)",
    "a closure, in a list": "def made(z):\n    def f():\n        return [z][0].g()\n    return f\nf = made(q)",
    "a partial": "import functools\np = functools.partial(h, q)\ndef f():\n    return p()",
    "a global list": "every = [q]\ndef f():\n    return every[0].g()",
    "a global dict": "named = {'q': q}\ndef f():\n    return named['q'].g()",
    "an attribute of an object": "class A:\n    pass\na = A()\na.z = q\ndef f():\n    return a.z.g()",
    "an attribute of a class": "class A:\n    z = q\ndef f():\n    return A.z.g()",
    "by name": "def f():\n    return getattr(q, 'g')()",
    "a module's module": "import r\ndef f():\n    return h(r.q)",
    "an import in the body": "def f():\n    import q\n    return h(q)",
}


@pytest.mark.parametrize("way", HANDED_ON)
def test_a_module_that_is_handed_on_is_followed(project, way):
    """Whoever gets it may call anything in it, and what that imports."""
    code = f"import q\ndef h(z):\n    return z.g()\n{HANDED_ON[way]}\n"
    q = "import deep\ndef g():\n    return deep.FACTOR\n"
    files = {"train": code, "q": q, "r": "import q\n", "deep": "FACTOR = 1\n"}
    before = code_fingerprint(project(**files).f)
    assert not before.opaque
    assert code_fingerprint(project(**files).f).value == before.value
    assert code_fingerprint(project(q=q.replace("FACTOR", "FACTOR + 1")).f).value != before.value
    assert code_fingerprint(project(q=q, deep="FACTOR = 2\n").f).value != before.value


def test_a_module_without_a_file_is_followed_as_it_is():
    made = types.ModuleType("made")
    exec("RATE = 1\ndef g():\n    return RATE\n", vars(made))  # noqa: S102 - as notebooks and plug-ins do
    scope = {"made": made}
    exec("def f():\n    return [made]\n", scope)  # noqa: S102 - likewise
    before = code_fingerprint(scope["f"]).value
    assert code_fingerprint(scope["f"]).value == before
    made.RATE = 2
    assert code_fingerprint(scope["f"]).value != before


def test_modules_that_know_each_other_come_to_an_end():
    one, other = types.ModuleType("one"), types.ModuleType("other")
    one.other, other.one, one.x = other, one, 1
    scope = {"one": one}
    exec("def f():\n    return [one]\n", scope)  # noqa: S102 - as above
    before = code_fingerprint(scope["f"]).value
    other.y = 1
    assert code_fingerprint(scope["f"]).value != before
