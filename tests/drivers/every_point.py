"""Cutting a call off at its n-th point: by the exception of a signal handler, or by cancelling.

CPython runs signal handlers where a Python function begins, after the call of a C function, and
where a loop jumps back.  A profile function is called at just the first two, and what it raises is
raised there; a jump back comes right after one of them.  A task is cancelled where it waits: while
it does, or in the same turn of the loop in which it is woken.
"""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

_OF_LIBRARY = "/consul_lock/"


class Struck(BaseException):
    """What the handler of a signal raises; like KeyboardInterrupt, no `Exception`."""


class Signal:
    """Strikes at the ``at``-th point of the library's code in this thread, in a ``with`` block;
    ``again``: once more, so many points later."""

    def __init__(self, at: int, again: int | None = None) -> None:
        self.at = [at] if again is None else [at, at + again]
        self.points = 0
        self.struck = 0

    def __enter__(self) -> Signal:
        if len(self.at) > 1:
            sys.settrace(self._trace)
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if event not in ("call", "c_return") or _OF_LIBRARY not in frame.f_code.co_filename:
            return
        self.points += 1
        if self.points in self.at:
            self.struck += 1
            raise Struck

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        # Python takes a profile function that has raised away, and tells of the exception here.
        if event == "exception" and self.struck < len(self.at):
            sys.setprofile(self._profile)
        return self._trace


class Waits:
    """Counts where a task waits, and cancels it at the ``at``-th of them.

    ``late``: in the turn of the loop in which what it waits for has happened; so many ``times``.
    """

    def __init__(self, at: int, *, late: bool = False, times: int = 1) -> None:
        self.at = at
        self.late = late
        self.times = times
        self.waits = 0
        self.struck = 0

    async def run(self, call: Callable[[], Any]) -> Any:
        """Await it, as the current task."""
        return await self._steps(call())

    @types.coroutine
    def _steps(self, coroutine: Any) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        inner = coroutine.__await__()
        step: Callable[[], Any] = lambda: inner.send(None)  # noqa: E731 - as the other one below
        while True:
            try:
                waited_for = step()
            except StopIteration as stop:
                return stop.value
            self.waits += 1
            if self.at <= self.waits and self.struck < self.times:
                self.struck += 1
                self._strike(task, waited_for)
            try:
                yield waited_for
            except BaseException as error:  # noqa: BLE001 - the coroutine gets every exception
                step = _thrower(inner, error)
            else:
                step = lambda: inner.send(None)  # noqa: E731 - as the other one above

    def _strike(self, task: asyncio.Task[Any], waited_for: Any) -> None:
        if self.late and waited_for is not None:
            waited_for.add_done_callback(lambda _: task.cancel())
        else:
            asyncio.get_running_loop().call_soon(task.cancel)


def _thrower(inner: Any, error: BaseException) -> Callable[[], Any]:
    return lambda: inner.throw(error)
