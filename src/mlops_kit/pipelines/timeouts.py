"""Calls of steps that are stopped when they take too long."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Awaitable
from multiprocessing.connection import Connection
from typing import TypeVar

from mlops_kit.errors import MlopsKitError, StepTimeout
from mlops_kit.pipelines.crossing import Outcome, Task, work

R = TypeVar("R")


def stopped_after(seconds: float | None, given: Task) -> Outcome:
    """Run a call in a process of its own, and end that when the time is over.

    Raises
    ------
    StepTimeout
        It took longer.
    MlopsKitError
        The process ended before the call did, or what the call raised cannot cross.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(there, given), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(seconds):
            raise StepTimeout(f"The step {given.step} was stopped after {seconds:g} seconds, its timeout.")
        outcome, error = here.recv()
    except EOFError:
        process.join()
        raise MlopsKitError(
            f"The process of the step {given.step} ended with status {process.exitcode} before the step did."
        ) from None
    finally:
        process.kill()
        process.join()
        here.close()
    if error is not None:
        raise error
    return outcome  # type: ignore[no-any-return]  # what `_answer` sends


def _answer(there: Connection, given: Task) -> None:
    try:
        answer: tuple[Outcome | None, BaseException | None] = work(given), None
    except BaseException as error:  # noqa: BLE001 - it is raised on the other side
        answer = None, error
    there.send(answer)


async def in_time(seconds: float | None, step: str, made: Awaitable[R]) -> R:
    """Await a call, and cancel it when the time is over.

    Raises
    ------
    StepTimeout
        It took longer.
    """
    if seconds is None:
        return await made
    try:
        async with asyncio.timeout(seconds) as limit:
            return await made
    except TimeoutError as error:
        if limit.expired():
            raise StepTimeout(f"The step {step} was cancelled after {seconds:g} seconds, its timeout.") from error
        raise
