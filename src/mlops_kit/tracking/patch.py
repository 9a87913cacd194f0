"""The text of uncommitted changes as a run keeps it: without key files, and with secrets masked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from mlops_kit.masking import MASK, is_secret_file, masked_text

_CODE = frozenset({".py", ".pyi", ".pyx", ".ipynb", ".r", ".jl", ".js", ".ts", ".java", ".scala", ".c", ".cc", ".cpp"})
_NAMES = re.compile(r"(?:---|\+\+\+|rename from|rename to|copy from|copy to) (.*)")
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_BEGIN_KEY, _END_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"), re.compile(r"-----END [A-Z ]*PRIVATE KEY")
_BLOCK = 50_000


@dataclass
class Patch:
    """Uncommitted changes, and what was taken out of them.

    Parameters
    ----------
    text : bytes
        The changes.
    secret : list of str
        Files whose changes are left out because they hold keys by their names.
    filtered : list of str
        Files whose changes are left out because git would have compared them through a filter.
    masked : list of str
        ``file:line`` for each line in which something was masked; ``file:-line`` for one that was removed.
    """

    text: bytes = b""
    secret: list[str] = field(default_factory=list)
    filtered: list[str] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)


def kept_patch(data: bytes, filtered: Collection[str] = ()) -> Patch:
    r"""Return what is kept of the text of changes.

    Parameters
    ----------
    data : bytes
        What ``git diff`` wrote.
    filtered : collection of str
        Files to leave out because a filter applies to them.

    Returns
    -------
    Patch
        The text, and what it lacks.

    Examples
    --------
    >>> change = b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -0,0 +1 @@\n+token = 'sesame-sesame'\n"
    >>> kept_patch(change).text.splitlines()[-1], kept_patch(change).masked
    (b"+token = '********'", ['a.py:1'])
    """
    patch = Patch()
    texts = []
    for section in _sections(data.decode("utf-8", "surrogateescape")):
        names = _names(section)
        if any(map(is_secret_file, names)):
            patch.secret.append(names[-1])
        elif any(name in filtered for name in names):
            patch.filtered.append(names[-1])
        else:
            texts.append(_masked(section, names[-1] if names else "", patch.masked))
    patch.text = "".join(texts).encode("utf-8", "surrogateescape")
    return patch


def _sections(text: str) -> Iterator[str]:
    """Yield the changes of each file; no line of their content begins as the first line of one does."""
    if text:
        yield from re.split(r"(?m)^(?=diff --git )", text)


def _names(section: str) -> list[str]:
    """Return the names of the file before and after."""
    names = []
    for line in section.split("\n"):
        if line.startswith("@@"):
            break
        named = _NAMES.match(line)
        if named and named[1].rstrip("\t") != "/dev/null":
            name = _unquoted(named[1].rstrip("\t"))
            names.append(name[2:] if line[:3] in {"---", "+++"} else name)
    return names


def _unquoted(name: str) -> str:
    if not (name.startswith('"') and name.endswith('"')):
        return name
    return _ESCAPE.sub(lambda found: _unescaped(found[1]), name[1:-1])


def _unescaped(code: str) -> str:
    return chr(int(code, 8)) if code.isdigit() else _ESCAPED.get(code, code)


def _masked(section: str, name: str, noted: list[str]) -> str:
    """Mask the secrets in the changes of one file, looking closely only at blocks in which there are some."""
    is_code = PurePosixPath(name).suffix.lower() in _CODE
    if all(masked_text(block, is_code=is_code) == block for block in _blocks(section)):
        return section
    lines = section.split("\n")
    old = new = 0
    within_key = within_hunk = False
    for position, line in enumerate(lines):
        hunk = _HUNK.match(line)
        if hunk:
            old, new, within_hunk, within_key = int(hunk[1]), int(hunk[2]), True, False
        begins = within_hunk and not hunk
        kept = line[:1] + MASK if begins and within_key and line else masked_text(line, is_code=is_code)
        if begins and (_BEGIN_KEY.search(line) or within_key):
            within_key = not _END_KEY.search(line)
        if kept != line:
            lines[position] = kept
            noted.append(f"{name}:-{old}" if line[:1] == "-" and within_hunk else f"{name}:{new}")
        old += begins and line[:1] in {"-", " "}
        new += begins and line[:1] in {"+", " "}
    return "\n".join(lines)


def _blocks(section: str) -> Iterator[str]:
    """Yield whole lines in blocks that are searched as one."""
    begin = 0
    while begin < len(section):
        end = section.find("\n", begin + _BLOCK)
        end = len(section) if end < 0 else end + 1
        yield section[begin:end]
        begin = end
