"""Fingerprints of code are the same on every machine and in every release of one scheme, for each version of Python."""

import contextlib
import dis
import importlib
import json
import sys
from pathlib import Path
from types import CodeType
from weakref import WeakKeyDictionary

import pytest

from mlops_kit.fingerprints import bytecode
from mlops_kit.fingerprints.code import code_fingerprint
from mlops_kit.records.schemes import OBJECTS

MINOR = "{}.{}".format(*sys.version_info)
NAMED = Path(__file__).parents[1] / "vectors" / f"code{OBJECTS}.json"
VECTORS = json.loads(NAMED.read_text(encoding="utf-8"))
KNOWN = VECTORS["fingerprints"].get(MINOR, {})
CODES = [compile(text, name, "exec") for name, text in VECTORS["modules"].items()]


def instructions(code):
    for nested in code.co_consts:
        if isinstance(nested, CodeType):
            yield from instructions(nested)
    yield from dis.get_instructions(code)


def digests():
    return [bytecode.read(code).digest for code in CODES]


OPERATIONS = sorted({step.opname for code in CODES for step in instructions(code)} - bytecode._SILENT)


def test_each_supported_version_of_python_has_its_row():
    assert set(VECTORS["fingerprints"]) == {"3.11", "3.12", "3.13"}
    assert KNOWN or not (3, 11) <= sys.version_info < (3, 14)
    assert len({frozenset(row) for row in VECTORS["fingerprints"].values()}) == 1


@pytest.mark.parametrize("name", KNOWN)
def test_code_has_the_fingerprint_of_its_vector(name, tmp_path, monkeypatch):
    for module, text in VECTORS["modules"].items():
        (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    found = code_fingerprint(getattr(importlib.import_module("samples"), name))
    for module in VECTORS["modules"]:
        monkeypatch.delitem(sys.modules, module, raising=False)
    assert (found.value, found.opaque) == (KNOWN[name], ())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_kind_of_instruction_can_be_passed_over(operation, monkeypatch):
    before = digests()
    monkeypatch.setattr(bytecode, "_readings", WeakKeyDictionary())
    monkeypatch.setattr(bytecode, "_SILENT", bytecode._SILENT | {operation})
    with contextlib.suppress(IndexError, KeyError):  # a walk that does not come to an end is no fingerprint, either
        assert digests() != before


def test_what_marks_lines_and_caches_is_all_that_is_passed_over():
    assert {"NOP", "RESUME", "EXTENDED_ARG", "CACHE", "NOT_TAKEN"} == bytecode._SILENT
