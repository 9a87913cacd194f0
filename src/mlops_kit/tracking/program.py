"""The end of a program ends the runs that it left open, and says how the program ended."""

from __future__ import annotations

import atexit
import functools
import sys
import threading
from types import FrameType
from typing import Any

from mlops_kit.tracking.recorded import recorder_of
from mlops_kit.tracking.run import Run, open_run

_open: list[Run] = []
_outermost: list[FrameType] = []
_exits: list[SystemExit] = []
_plain_exit = sys.exit


def end_with_program(run: Run, frame: FrameType | None) -> Run:
    """Make a run the active one until it ends, at the latest with the program.

    Parameters
    ----------
    run : Run
        Just begun.
    frame : frame or None
        Where.

    Returns
    -------
    Run
        The same.
    """
    _tidy()
    _open.append(run)
    if threading.current_thread() is threading.main_thread():
        _watch(frame)
    return open_run(run, functools.partial(_tidy, run))


def _tidy(left: Run | None = None) -> None:
    """Forget the runs that have ended, and one that a block will end; with none left, watch no longer."""
    _open[:] = [run for run in _open if run is not left and not run.is_over]
    if not _open and sys.exit is _exit:
        sys.exit = _plain_exit


def _watch(frame: FrameType | None) -> None:
    """Remember the outermost frame, in which the end of the program shows, and what `sys.exit` is called with."""
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    _outermost[:] = [] if frame is None else [frame]
    if sys.exit is _plain_exit:
        sys.exit = _exit


def _exit(status: Any = None, /) -> Any:
    """Exit the interpreter by raising SystemExit(status); a run that is open will record it."""
    if threading.current_thread() is threading.main_thread():
        _exits[:] = [SystemExit(status)]
    _plain_exit(status)


@atexit.register
def _end_all() -> None:
    error, note = _reason()
    for run in _open:
        recorder = recorder_of(run)
        if recorder is not None:
            if note:
                recorder.problem(note)
            recorder.leave(error)
    _tidy()


def _reason() -> tuple[BaseException | None, str]:
    """Return the exception that ended the program, and what is not known of it."""
    frame = _outermost[0] if _outermost else None
    if frame is None or _has_returned(frame):
        return None, ""
    last = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    trace = None if last is None else last.__traceback__
    if trace is not None and trace.tb_frame is frame:
        return last, ""
    if _exits:
        return (_exits[0] if _exits[0].code else None), ""
    return None, "The program was left by a SystemExit that sys.exit did not raise: its status is not known."


def _has_returned(frame: FrameType) -> bool:
    """Return whether the last instruction that a frame ran was a return, and no exception ended it."""
    import dis  # noqa: PLC0415 - only at the end

    code = frame.f_code.co_code
    return frame.f_lasti < 0 or dis.opname[code[frame.f_lasti]].startswith("RETURN")
