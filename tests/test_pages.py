"""What the README and the documentation pages show is run, page by page, as a reader would type it.

The blocks marked ``python`` and ``pycon`` of one page run in order, in one ``__main__`` of their own;
``console`` blocks hold ``$ mlops-kit ...`` commands, run in the same directory. Output shown below a command
must be what it prints, where ``...`` stands for anything. Blocks of other kinds (``sh``, ``text``) are only
read.
"""

import doctest
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest
from sybil import Document, Sybil
from sybil.example import SybilFailure
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    if not {"_build", "generated"} & set(path.relative_to(ROOT).parts)
)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Page(Document):
    """A page whose namespace is that of a module, so that what it defines can be pickled and looked up."""

    def __init__(self, text, path):
        super().__init__(text, path)
        self.module = ModuleType("__main__")
        self.namespace = self.module.__dict__


class Session(PythonCodeBlockParser):
    """Blocks of an interactive session: each statement with the output below it."""

    def codeblock_parser_class(self, _language, evaluator):
        return CodeBlockParser("pycon", evaluator)


def run_commands(example):
    """Run the commands of a console block; a reason is returned if one fails or prints something else."""
    for command, shown in commands(example.parsed):
        program, *arguments = shlex.split(command)
        if program != "mlops-kit":
            return f"A console block runs mlops-kit only, not {program!r}: show that in a block marked `sh`."
        done = subprocess.run(
            [Path(sysconfig.get_path("scripts"), program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"},
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            return f"`{command}` ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        if shown and not doctest.OutputChecker().check_output(shown, done.stdout, FLAGS):
            return f"`{command}` is shown to print\n{shown}\nand prints\n{done.stdout}{done.stderr}"
    return None


def commands(block):
    r"""Split a console block into pairs of a command and the output shown below it.

    >>> commands("$ mlops-kit runs \\\n    --limit 1\nbrave-fox\n$ mlops-kit models\n")
    [('mlops-kit runs --limit 1', 'brave-fox\n'), ('mlops-kit models', '')]
    """
    pairs = []
    lines = iter(block.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line.removeprefix("$ ")
            while command.endswith("\\"):
                command = command.removesuffix("\\") + next(lines).strip()
            pairs.append((command, ""))
        else:
            assert pairs, f"A console block begins with `$ command`, not with {line!r}."
            command, shown = pairs[-1]
            pairs[-1] = command, f"{shown}{line}\n"
    return pairs


WRONG = {
    "a failing assertion": ("python\nassert 1 + 1 == 3, 'told'\n", AssertionError, "told"),
    "a name that is gone": ("python\nimport mlops_kit.no_such_module\n", ImportError, "no_such_module"),
    "other output": ("pycon\n>>> 1 + 1\n3\n", SybilFailure, "Expected:\n    3\nGot:\n    2"),
    "other output in a python block": ("python\n>>> 1 + 1\n3\n", SybilFailure, "Got:\n    2"),
    "a directive": ("{code-block} python\nraise OSError('told')\n", OSError, "told"),
    "a foreign command": ("console\n$ rm -r notes\n", SybilFailure, "not 'rm'"),
    "a command that is gone": ("console\n$ mlops-kit gone\n", SybilFailure, "`mlops-kit gone` ended with"),
    "a command printing something else": (
        "console\n$ mlops-kit --help\nUsed: ...\n",
        SybilFailure,
        "is shown",
    ),
}

READER = Sybil(
    [
        PythonCodeBlockParser(doctest_optionflags=FLAGS),
        Session(doctest_optionflags=FLAGS),
        CodeBlockParser("console", run_commands),
    ],
    document_types={".md": Page},
)


def run_page(path, monkeypatch):
    page = READER.parse(path)
    monkeypatch.setitem(sys.modules, "__main__", page.module)
    for example in page.examples():
        example.evaluate()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_everything_shown_on_the_page_runs(path, monkeypatch):
    run_page(path, monkeypatch)


@pytest.mark.parametrize(
    ("block", "error", "reason"),
    WRONG.values(),
    ids=WRONG,
)
def test_a_page_that_shows_something_wrong_fails(block, error, reason, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(f"```{block}```\n", encoding="utf-8")
    with pytest.raises(error, match=reason):
        run_page(page, monkeypatch)


def test_the_blocks_of_a_page_share_names_and_directory(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(
        """
```python
import pickle
from pathlib import Path

class Point:
    x = 1
```

Later on the page:

```python
Path("point").write_bytes(pickle.dumps(Point()))
```

```pycon
>>> pickle.loads(Path("point").read_bytes()).x
1
>>> Point.__module__
'__main__'
```

```console
$ mlops-kit --help
Usage: ...
```
""",
        encoding="utf-8",
    )
    run_page(page, monkeypatch)
    assert (tmp_path / "point").exists()
