"""Files and figures on their way into a run."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mlops_kit.errors import InvalidInput
from mlops_kit.masking import quoted

_MAX_NAME = 255
_THE_STORE = "it is the store that keeps the run"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class Content(NamedTuple):
    """A file to keep: its name, with ``/`` below a folder, its bytes, and whether it may be run as a program."""

    name: str
    data: bytes
    executable: bool = False


def read(
    path_or_bytes: str | Path | bytes, name: str | None, note: Callable[[str], None], *, store: str = ""
) -> Iterator[Content]:
    """Read what is to be kept.

    Parameters
    ----------
    path_or_bytes : str, path or bytes
        A file, a folder, or the content itself.
    name : str, optional
        What to call it.
    note : callable
        Takes a sentence on each thing in a folder that cannot be kept.
    store : str, optional
        The address of the store that keeps it: below a folder it is left out, for it would hold itself.

    Yields
    ------
    Content
        Each file; a folder without anything in it is a name that ends in ``/``, without content.

    Raises
    ------
    InvalidInput
        There is no such file, or no usable name.
    """
    if isinstance(path_or_bytes, bytes | bytearray | memoryview):
        if name is None:
            raise InvalidInput("Bytes have no name of their own: pass log_artifact(data, name='report.html').")
        yield Content(artifact_name(name), bytes(path_or_bytes))
        return
    try:
        path = Path(path_or_bytes)
        is_folder, is_file = path.is_dir() and str(path_or_bytes) != "", path.is_file()
    except (TypeError, ValueError, OSError) as error:
        raise InvalidInput(f"{path_or_bytes!r} is neither the path of a file nor bytes: {error}.") from error
    if not is_folder and not is_file:
        raise InvalidInput(f"There is no file or folder {str(path_or_bytes)!r} in {os.getcwd()} to keep.")
    base = artifact_name(name if name is not None else path.resolve().name)
    if is_folder:
        yield from _folder(path, base, _places(store), note)
        return
    try:
        yield _content(path, base)
    except OSError as error:
        raise InvalidInput(f"The file {str(path)!r} cannot be read: {error}.") from error


def _places(store: str) -> dict[tuple[int, int], str]:
    """Return where the folder of a store lies on the disk, if it has one, as a folder that is kept already."""
    try:
        about = os.stat(store)
    except (OSError, ValueError):
        return {}
    return {(about.st_dev, about.st_ino): _THE_STORE}


def _folder(
    folder: Path, name: str, known: dict[tuple[int, int], str], note: Callable[[str], None]
) -> Iterator[Content]:
    """Read all files below a folder, through links too; each folder once, so that links around it come to an end."""
    about = folder.stat()
    known[about.st_dev, about.st_ino] = name
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        note(f"The folder {str(folder)!r} is not kept: {error}.")
        return
    if not entries:
        yield Content(f"{name}/", b"")
    for entry in entries:
        try:
            below = artifact_name(f"{name}/{entry.name}")
            about = entry.stat()
            there = known.get((about.st_dev, about.st_ino)) if stat.S_ISDIR(about.st_mode) else None
            if there is not None:
                why = _THE_STORE if there == _THE_STORE else f"it is kept as {there!r}"
                note(f"The folder {str(entry)!r} is not kept: {why}.")
            elif stat.S_ISDIR(about.st_mode):
                yield from _folder(entry, below, known, note)
            else:
                yield _content(entry, below)
        except (InvalidInput, OSError) as error:
            note(f"The file {str(entry)!r} is not kept: {error}.".replace("..", "."))


def _content(path: Path, name: str) -> Content:
    """Read a regular file; opening anything else, such as a pipe, must not wait for somebody."""
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise OSError("it is no regular file")
        return Content(name, file.read(), bool(mode & stat.S_IXUSR))


def write(
    files: Mapping[str, Callable[[], bytes]], to: str | os.PathLike[str] | None, executable: Collection[str] = ()
) -> Path:
    """Write artifacts below a folder that is new or empty.

    Parameters
    ----------
    files : mapping
        What reads the content, by name below the folder; a name that ends in ``/`` is an empty folder.
    to : str, path or None
        The folder; None for a temporary one that is removed when the program ends.
    executable : collection of str, optional
        The names of those that may be run as programs, by whom the ``umask`` lets.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InvalidInput
        The folder has something in it, or a name leads out of it.
    """
    names = [artifact_name(name.removesuffix("/")) for name in files]
    folder = Path(_temporary() if to is None else to)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InvalidInput(f"The folder {str(folder)!r} is not empty. Give the name of a new one: to='...'.")
        for name, whole, content in zip(names, files, files.values(), strict=True):
            place = folder.joinpath(*name.split("/"))
            (place if whole.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
            if not whole.endswith("/"):
                mode = 0o777 if whole in executable else 0o666
                with open(os.open(place, _NEW, mode), "wb") as file:
                    file.write(content())
    except OSError as error:
        raise InvalidInput(f"The artifacts cannot be written to {str(folder)!r}: {error}.") from error
    return folder


def _temporary() -> str:
    folder = tempfile.mkdtemp(prefix="mlops_kit-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def figure(fig: Any, name: str) -> tuple[bytes, str]:
    """Draw a figure as bytes.

    Parameters
    ----------
    fig : figure
        Of matplotlib, plotly, or anything with ``savefig`` or ``to_html``.
    name : str
        What to call it; its ending says the format.

    Returns
    -------
    tuple
        The bytes, and the name with an ending.
    """
    name = artifact_name(name)
    ending = PurePosixPath(name).suffix
    if hasattr(fig, "savefig"):
        full = name if ending else f"{name}.png"
        buffer = io.BytesIO()
        try:
            fig.savefig(buffer, format=PurePosixPath(full).suffix[1:])
        except ValueError as error:
            raise InvalidInput(f"The figure cannot be saved as {full!r}: {error}.") from error
        return buffer.getvalue(), full
    for method, suffix in (("to_json", ".json"), ("to_html", ".html")):
        if hasattr(fig, method) and (ending == suffix or (method == "to_html" and not ending)):
            return str(getattr(fig, method)()).encode(), name if ending else name + suffix
    raise InvalidInput(
        f"A {type(fig).__name__} cannot be kept as {name!r}: figures have `savefig` (matplotlib) or `to_html` "
        "(plotly, altair; the name ends in .html or .json). Save it yourself and log_artifact the file."
    )


def artifact_name(name: object) -> str:
    """Accept the name of an artifact: a relative path that stays where it is put.

    Examples
    --------
    >>> artifact_name("plots/roc curve.png")
    'plots/roc curve.png'
    """
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput(f"{name!r} cannot name an artifact: a name is text.")
    parts = name.split("/")
    if any("\ud800" <= char <= "\udfff" for char in name):
        raise InvalidInput(f"{quoted(name)} cannot name an artifact: it is no UTF-8.")
    hostile = any(part in {"", ".", ".."} for part in parts) or "\\" in name or any(ord(c) < ord(" ") for c in name)
    if hostile or len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME:
        raise InvalidInput(
            f"{quoted(name)} cannot name an artifact: a name is a relative path such as 'plots/roc.png', without "
            "'..', backslashes or control characters, of at most 255 bytes."
        )
    return name
