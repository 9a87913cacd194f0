"""What makes a result stale and what does not, in modules, scripts, programs on stdin and notebooks."""

import json
import os
import subprocess
import sys

import pytest

SOURCE = """
import functools
import mlops_kit as mk

LIMIT = {"top": 3}
RATES = [1, 2]


def scaled(by):
    def decorate(fn):
        @functools.wraps(fn)
        def wrapper(*args):
            return by * fn(*args)
        return wrapper
    return decorate


class Base:
    factor = 1

    def value(self, x):
        return x


class Rule(Base):
    def apply(self, x):
        return self.factor * self.value(x)


def deepest(x):
    return x + 1


def helper(x):
    return deepest(x)


def unrelated(x):
    return x


def closing(n):
    def add(x):
        return x + n
    return add


add = closing(5)


@mk.step
@scaled(by=1)
def compute(x, shift=0):
    return Rule().apply(helper(x)) + add(shift) + LIMIT["top"] + RATES[0]


@mk.pipeline(store=STORE)
def run():
    return compute(1)
"""

HITS = {
    "comment": ("def deepest(x):\n", "def deepest(x):\n    # adds one\n"),
    "docstring": ("def deepest(x):\n", 'def deepest(x):\n    """Add one."""\n'),
    "format": ("return x + 1", "return (\n        x\n        + 1\n    )"),
    "annotation": ("def deepest(x):", "def deepest(x: int) -> int:"),
    "unrelated function": ("def unrelated(x):\n    return x", "def unrelated(x):\n    return -x"),
    "order of functions": ("def unrelated(x):\n    return x\n", ""),
}

MISSES = {
    "helper two deep": ("return x + 1", "return x + 2"),
    "default": ("shift=0", "shift=1"),
    "closure": ("closing(5)", "closing(6)"),
    "global": ('"top": 3', '"top": 4'),
    "global list": ("[1, 2]", "[2, 2]"),
    "class attribute": ("factor = 1", "factor = 2"),
    "method of a base": ("def value(self, x):\n        return x", "def value(self, x):\n        return 2 * x"),
    "decorator argument": ("@scaled(by=1)", "@scaled(by=2)"),
    "version": ("@mk.step\n", '@mk.step(version="2")\n'),
}


def outcome(load_module, store, text):
    module = load_module("staleness_module", f"STORE = {str(store.url)!r}\n{text}")
    module.run()
    (call,) = module.run.last_run.steps
    return call


@pytest.mark.parametrize("edit", HITS)
def test_an_edit_that_cannot_matter_is_a_hit(load_module, store, edit):
    old, new = HITS[edit]
    assert old in SOURCE
    outcome(load_module, store, SOURCE)
    assert outcome(load_module, store, SOURCE.replace(old, new)).reused


@pytest.mark.parametrize("edit", MISSES)
def test_an_edit_of_anything_that_is_reached_is_a_miss(load_module, store, edit):
    old, new = MISSES[edit]
    assert SOURCE.count(old) == 1
    outcome(load_module, store, SOURCE)
    assert not outcome(load_module, store, SOURCE.replace(old, new)).reused
    assert outcome(load_module, store, SOURCE.replace(old, new)).reused
    assert outcome(load_module, store, SOURCE).reused


def test_an_imported_module_of_the_user_counts(load_module, store):
    user = "import staleness_helpers\n" + SOURCE.replace("return x + 1", "return staleness_helpers.one(x)")
    load_module("staleness_helpers", "def one(x):\n    return x + 1\n\ndef other(x):\n    return x\n")
    assert not outcome(load_module, store, user).reused
    load_module("staleness_helpers", "def one(x):\n    return x + 1\n\ndef other(x):\n    return -x\n")
    assert outcome(load_module, store, user).reused
    load_module("staleness_helpers", "def one(x):\n    return x + 2\n\ndef other(x):\n    return x\n")
    call = outcome(load_module, store, user)
    assert (call.reused, call.why) == (False, "code of staleness_helpers:one changed")


def test_a_file_that_was_edited_after_it_was_imported_does_not_fool_it(load_module, store, tmp_path):
    module = load_module("staleness_module", f"STORE = {str(store.url)!r}\n{SOURCE}")
    path = tmp_path / "modules" / "staleness_module.py"
    path.write_text(path.read_text(encoding="utf-8").replace("return x + 1", "return x + 2"), encoding="utf-8")
    first = module.run()
    edited = load_module("staleness_module", path.read_text(encoding="utf-8"))
    assert edited.run() == first + 1
    assert not edited.run.last_run.steps[0].reused


REPORT = """
print(json.dumps([run(), [[call.reused, call.why] for call in run.last_run.steps]]))
"""


@pytest.mark.parametrize("how", ["script", "stdin"])
def test_programs_are_held_to_the_same(tmp_path, how):
    def outcome_of(text):
        program = f"import json\nSTORE = 'store'\n{text}{REPORT}"
        (tmp_path / "program.py").write_text(program, encoding="utf-8")
        words = ["program.py"] if how == "script" else ["-"]
        done = subprocess.run(
            [sys.executable, *words],
            input=None if how == "script" else program,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "MLOPS_KIT_SUMMARY": "0"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    value, [[reused, _]] = outcome_of(SOURCE)
    assert not reused
    assert outcome_of(SOURCE.replace(*HITS["comment"])) == [value, [[True, "the same code, arguments and packages"]]]
    assert outcome_of(SOURCE.replace(*MISSES["helper two deep"])) == [
        value + 1,
        [[False, "code of __main__:deepest changed"]],
    ]


NOTEBOOK = [
    "import dataclasses, mlops_kit as mk",
    "@dataclasses.dataclass\nclass Split:\n    n: int",
    "def helper(x):\n    return x + 1",
    "@mk.step\ndef split(x):\n    return Split(helper(x))",
    "@mk.pipeline(store='store')\ndef run():\n    s = split(1)\n    assert type(s) is Split\n    return s.n",
    "print(run(), run.last_run.steps[0].reused, run.last_run.steps[0].why)",
]


@pytest.mark.slow
def test_edited_cells_and_restarted_kernels_are_held_to_the_same(tmp_path, monkeypatch):
    from jupyter_client.manager import start_new_kernel

    monkeypatch.setenv("MLOPS_KIT_SUMMARY", "0")

    def executed(client, cell):
        printed = []

        def hook(message):
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                printed.append(message["content"]["text"])

        reply = client.execute_interactive(cell, output_hook=hook, timeout=120)
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed).strip()

    def kernel(*steps):
        manager, client = start_new_kernel(cwd=str(tmp_path), kernel_name="python3")
        try:
            return [executed(client, cell) for cell in steps]
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    same = "True the same code, arguments and packages"
    edited = NOTEBOOK[2].replace("x + 1", "x + 2")
    commented = NOTEBOOK[2].replace("return", "# adds one\n    return")
    last = NOTEBOOK[-1]
    found = kernel(*NOTEBOOK, last, commented, last, NOTEBOOK[3], last, edited, last, NOTEBOOK[1], last)
    assert [line for line in found if line] == [
        "2 False no result for this code, these arguments and packages",
        *[f"2 {same}"] * 3,
        "3 False code of __main__:helper changed",
        f"3 {same}",
    ]
    assert kernel(*NOTEBOOK)[-1] == f"2 {same}"
