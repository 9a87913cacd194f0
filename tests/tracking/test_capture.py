"""The sources of all user modules that a function reaches are kept."""

from __future__ import annotations

import mlops_kit as mk

HELPER = "RATE = 2\n\ndef scale(x):\n    return x * RATE  # żółw\n"
PACKAGE = {"lib/__init__.py": "", "lib/deep.py": "from lib.helper import scale\n", "lib/helper.py": HELPER}
PROGRAM = """
import sys, mlops_kit as mk
from lib import deep
import unused
@mk.track
def train(x):
    return deep.scale(x)
train(1)
first = train.last_run
open("lib/helper.py", "a").write("# edited\\n")
train(1)
print(first.id, train.last_run.id)
"""


def test_the_sources_of_the_modules_in_the_closure_are_kept_as_they_are(script, tmp_path):
    for name, text in {**PACKAGE, "unused.py": "x = 1"}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    first, second = (mk.get_run(run_id) for run_id in script(PROGRAM).stdout.split())
    sources = first.code["sources"]
    assert sources["lib.helper"] == {"path": str(tmp_path / "lib/helper.py"), "text": HELPER}
    assert sources["__main__"]["text"] == PROGRAM
    assert "unused" not in sources
    assert second.code["sources"]["lib.helper"]["text"] == HELPER + "# edited\n"
    assert first.code["fingerprint"] == second.code["fingerprint"]
    assert "lib.helper:scale" in first.code["functions"]


def test_what_does_not_change_is_kept_once(tmp_path):
    @mk.track
    def train(x):
        return x

    train(1)
    before = sorted(path.name for path in tmp_path.glob(".mlops/objects/*/*"))
    train(1)
    assert sorted(path.name for path in tmp_path.glob(".mlops/objects/*/*")) == before


def test_a_module_without_a_readable_source_is_left_out(tmp_path, script):
    (tmp_path / "lib.py").write_text("def scale(x):\n    return x\n")
    program = """
import os, mlops_kit as mk
import lib
os.remove("lib.py")
@mk.track
def train(x):
    return lib.scale(x)
train(1)
print(train.last_run.id)
"""
    run = mk.get_run(script(program).stdout.strip())
    assert (set(run.code["sources"]), run.problems) == ({"__main__"}, ())


EDITED = """
import importlib, os, sys, mlops_kit as mk
sys.dont_write_bytecode = False
import lib
@mk.track
def train(x):
    return lib.scale(x)
def written(text):
    train(1)
    with open("lib.py", "w") as file:
        file.write(text)
    train(1)
    return train.last_run.id
LIB = open("lib.py").read()
print(written("# Only a comment.\\n" + LIB), written(LIB.replace("x * RATE", "x / RATE")))
print(written(LIB.replace("RATE = 2", "RATE = 3")))
os.remove(lib.__cached__)  # or Python, within the second, would take it for current
importlib.reload(lib)
train(1)
print(train.last_run.id)
"""


def test_a_source_that_was_edited_after_it_was_imported_says_so(script, tmp_path):
    """The text on disk is not what ran."""
    (tmp_path / "lib.py").write_text("RATE = 2\n\ndef scale(x):\n    return x * RATE\n")
    runs = [mk.get_run(run_id) for run_id in script(EDITED).stdout.split()]
    assert [run.code["sources"]["lib"].get("edited") for run in runs] == [None, True, True, None]
    assert "RATE = 3" in runs[2].code["sources"]["lib"]["text"]
    assert all("edited" not in run.code["sources"]["__main__"] for run in runs)
