import argparse
import ast
import inspect
import types

import pytest

from mlops_kit.fingerprints.bytecode import read


def functions(code):
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from functions(constant)


def innermost(code):
    """List the functions that hold no others, so that one difference is counted once."""
    return [one for one in functions(code) if not any(isinstance(part, types.CodeType) for part in one.co_consts)]


@pytest.mark.parametrize("module", [inspect, argparse])
def test_code_laid_out_anew_on_other_lines_reads_the_same(module):
    source = inspect.getsource(module)
    written = innermost(compile(source, "a", "exec", dont_inherit=True))
    rewritten = innermost(compile(ast.unparse(ast.parse(source)), "b", "exec", dont_inherit=True))
    differing = [a.co_qualname for a, b in zip(written, rewritten, strict=True) if read(a).digest != read(b).digest]
    assert len(written) > 100
    assert differing in ([], ["ArgumentParser._get_positional_actions"])  # the latter by CPython 3.12 alone


def test_functions_that_share_a_body_are_the_only_ones_that_read_alike():
    sources = ["return x + 1", "return x + 2", "return x - 1", "return 1 + x", "return x + 1.0", "x + 1", "yield x + 1"]
    codes = [compile(f"def f(x):\n    {line}", "a", "exec").co_consts[0] for line in sources]
    assert len({read(code).digest for code in codes}) == len(sources)


def test_the_names_that_code_looks_up_are_known():
    def body(x):
        import json.decoder

        from . import sibling

        return [len(outer.attribute) for outer in UNKNOWN], json, sibling  # noqa: F821 - looked up, never run

    reading = read(body.__code__)
    assert {"len", "UNKNOWN"} <= set(reading.globals)
    assert "attribute" in reading.attributes
    assert [(found.name, found.level, found.names) for found in reading.imports] == [
        ("json.decoder", 0, ()),
        ("", 1, ("sibling",)),
    ]
