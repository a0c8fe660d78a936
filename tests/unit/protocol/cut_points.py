"""A flow that is cut off at each of its effects, or between two, and what it leaves to its undo."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from linecache import getline
from types import FrameType
from typing import Any, NamedTuple, TypeVar

from consul_lock._protocol.flow import Flow, Job, Request
from consul_lock._protocol.lock.lock import LockCore
from consul_lock.errors import LockLost, LockTimeout
from tests.support.effort import chosen
from tests.unit.protocol.fake_driver import FakeDriver

FATES = ("never arrives", "is carried out", "comes as a ghost")
"""What becomes of the request at which a flow is cut off."""

_PROTOCOL = "/consul_lock/_protocol/"

S = TypeVar("S", bound=Any)

# Effects: of a flow that has more, the end is never seen.
_MAX = 150
# Of one that is endless: it has long begun to do the same again.
_ENDLESS_MAX = 60


class Scene(NamedTuple):
    """A driver, and a flow about to be performed by it."""

    driver: FakeDriver
    lock: LockCore
    job: Job


def cuts(
    build: Callable[[], S], *, endless: bool = False, clocks: bool = True
) -> Iterator[tuple[S, Any]]:
    """The scene (a ``driver`` and a ``job``) at its first effect, at its second, ... each in a new
    world.  One that is ``endless`` is seen for a while.  Looks at the clock count if ``clocks``
    says so: what becomes of a request makes no difference to a flow that is cut off at one.
    """
    for place in range(_ENDLESS_MAX if endless else _MAX):
        scene = build()
        try:
            effect, _ = scene.driver.drive(scene.job.flow, place, clocks=clocks)
        except LockLost:
            effect = None
        if effect is None:
            assert place > 0
            return
        yield scene, effect
    assert endless, "it goes on and on"


class Struck(BaseException):
    """What the handler of a signal raises; like KeyboardInterrupt, no `Exception`."""


class _Signal:
    """Strikes before the ``at``-th line of the protocol's code, in a ``with`` block: 0, never.

    CPython runs the handlers of signals at fewer points: where a function begins, after the call
    of one that is written in C, and where a loop jumps back.
    """

    def __init__(self, at: int) -> None:
        self.at = at
        self.lines = 0

    def __enter__(self) -> None:
        gc.disable()  # what earlier scenes have left is not struck
        sys.settrace(self.trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        gc.enable()

    @property
    def struck(self) -> bool:
        return 0 < self.at <= self.lines

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        if _PROTOCOL not in frame.f_code.co_filename:
            return None
        if event == "line" and not (self.lines + 1 == self.at and _is_one_with_the_last(frame)):
            self.lines += 1
            if self.lines == self.at:
                raise Struck
        return self.trace


def _is_one_with_the_last(frame: FrameType) -> bool:
    """Whether the code says that CPython runs no handler between this line and the last one."""
    return "# no signal strikes before" in getline(frame.f_code.co_filename, frame.f_lineno)


def strikes(build: Callable[[], S], count: int) -> Iterator[tuple[S, str]]:
    """The scene, after its flow was cut off by the exception of a signal handler between two
    lines: at ``count`` of all the places where that can be, each in a new world."""
    total = _struck(build(), 0).lines
    lines = chosen(total, count)
    struck = 0
    for line in lines:
        scene = build()
        if _struck(scene, line).struck:
            struck += 1
            yield scene, f"struck at line {line} of {total}"
    assert struck > len(lines) // 2, f"{struck} of {len(lines)} strikes at {total} lines"


def _struck(scene: Any, at: int) -> _Signal:
    signal, others = _Signal(at), scene.driver.when_blocked

    def when_blocked() -> None:
        sys.settrace(None)  # what others do is not struck
        others()
        sys.settrace(signal.trace)

    scene.driver.when_blocked = when_blocked
    with suppress(Struck, LockLost, LockTimeout), signal:
        scene.driver.run(scene.job.flow)
    return signal


def cut_off(scene: Any, effect: Any, fate: str = FATES[0]) -> None:
    """End the flow at this effect, and clean up."""
    world = scene.driver.world
    if isinstance(effect, Request) and fate == "is carried out":
        world.submit(effect)
    scene.job.flow.close()
    assert scene.job.undo is not None
    scene.driver.run(scene.job.undo())
    if isinstance(effect, Request) and fate == "comes as a ghost":
        world.submit(effect)


def resumed(flow: Flow[Any], effect: Any) -> Flow[Any]:
    """The rest of a flow that has yielded this effect already."""
    while True:
        try:
            result = yield effect
        except BaseException as error:
            flow.throw(error)
            raise
        try:
            effect = flow.send(result)
        except StopIteration as end:
            return end.value
