"""Files and figures on their way into a run."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mlops_kit.errors import InvalidInput

_MAX_NAME = 255


def read(path_or_bytes: str | Path | bytes, name: str | None) -> Iterator[tuple[str, bytes]]:
    """Read what is to be kept.

    Parameters
    ----------
    path_or_bytes : str, path or bytes
        A file, a folder, or the content itself.
    name : str, optional
        What to call it.

    Yields
    ------
    tuple
        The name, with ``/`` below a folder, and the content of each file.

    Raises
    ------
    InvalidInput
        There is no such file, or no usable name.
    """
    if isinstance(path_or_bytes, bytes | bytearray | memoryview):
        if name is None:
            raise InvalidInput("Bytes have no name of their own: pass log_artifact(data, name='report.html').")
        yield artifact_name(name), bytes(path_or_bytes)
        return
    try:
        path = Path(path_or_bytes)
        files = _files(path)
    except (TypeError, ValueError, OSError) as error:
        raise InvalidInput(f"{path_or_bytes!r} is neither the path of a file nor bytes: {error}.") from error
    if not files:
        raise InvalidInput(f"There is no file {str(path)!r} in {os.getcwd()} to keep.")
    base = artifact_name(name if name is not None else path.resolve().name)
    for file in files:
        below = file.relative_to(path).as_posix()
        try:
            data = file.read_bytes()
        except OSError as error:
            raise InvalidInput(f"The file {str(file)!r} cannot be read: {error}.") from error
        yield base if below == "." else f"{base}/{below}", data


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
    hostile = any(part in {"", ".", ".."} for part in parts) or "\\" in name or any(ord(c) < ord(" ") for c in name)
    if hostile or len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME:
        raise InvalidInput(
            f"{name[:80]!r} cannot name an artifact: a name is a relative path such as 'plots/roc.png', without "
            "'..', backslashes or control characters, of at most 255 bytes."
        )
    return name


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [path] if path.is_file() else []
