"""A call that is cut off at any of its points leaves nothing: all primitives, both APIs.

A signal has hundreds of points in an acquire and a release of threads, and a task waits at a few:
all of them are tried with much effort (see `tests.support.effort`), and otherwise some of them.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

import consul_lock
from consul_lock import Client, NotHeld, aio
from consul_lock.testing import ServedWorld
from tests.contract.lock_kinds import KINDS, Kind
from tests.contract.operator import Operator
from tests.drivers.every_point import Signal, Struck, Waits
from tests.support.effort import chosen, scaled
from tests.support.waiting import eventually

POINTS = scaled(6)
"""Of each kind and scene: evenly over all that there are."""

NAME = "drivers/every-point"

# Seconds that a lock is waited for which somebody else keeps.
_SHORT = 0.03

# What strikes while Python collects an object is printed and goes no further; and a socket that is
# struck between its making and its first guard is closed as it is collected.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"
    ),
    pytest.mark.usefixtures("busy_servers_answer"),
]

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def _sockets() -> int:
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found += str(descriptor.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue  # that of the list itself
    return found


# -- threads ---------------------------------------------------------------------------------------


class Scene:
    """A client that is cut off, and another one, which must find everything free."""

    def __init__(self, served: ServedWorld, kind: Kind) -> None:
        self.victim, self.other = Client(served.address), Client(served.address)
        self.lock, self.theirs = (
            kind.make(consul_lock, NAME, client, {"lock_delay": 30.0})
            for client in (self.victim, self.other)
        )

    def free(self) -> None:
        """Nobody else wants it."""
        self.lock.acquire()
        self.lock.release()

    def block(self) -> None:
        """The same as a block."""
        with self.lock:
            pass

    def taken(self) -> None:
        """Somebody else has it, and does not let go."""
        self.lock.acquire(timeout=_SHORT)

    def see_free(self) -> None:
        """It belongs to nobody, and no lock-delay runs: first the victim has it, then the other.

        The cut may have come when acquire had done its work, before its result arrived.
        """
        while self.lock.held:
            try:
                self.lock.release()
            except NotHeld:
                pass  # a second signal ended the wait for a clean-up, which was quicker
        for each in (self.lock, self.theirs):
            assert each.acquire(timeout=10)
            each.release()

    def close(self) -> None:
        """The end of both."""
        self.victim.close()
        self.other.close()


@pytest.fixture
def scene(served: ServedWorld, kind: Kind) -> Iterator[Scene]:
    """Both clients, in the threads of this test."""
    made = Scene(served, kind)
    yield made
    made.close()


def _strike(call: Callable[[], None], signal: Signal) -> bool:
    with signal:
        try:
            call()
        except Struck:
            return True
    return False


def _points_of(call: Callable[[], None]) -> int:
    call()  # the first one of a client does more
    with Signal(0) as signal:
        call()
    return signal.points


@each_kind
@pytest.mark.parametrize("way", ["free", "block"])
def test_a_signal_at_any_point_leaves_nothing(scene: Scene, way: str, operator: Operator) -> None:
    """Of acquire and of release: the lock is free at once, the client is as good as new, and no
    connection is forgotten."""
    call = getattr(scene, way)
    points = chosen(_points_of(call), POINTS)
    before = _sockets()
    struck = 0
    for point in points:
        struck += _strike(call, Signal(point))
        scene.see_free()
    assert struck >= len(points) * 3 // 4
    # The pools have a few, and more only for as long as others are in use.
    eventually(lambda: _sockets() <= before + 4)
    scene.close()
    assert operator.sessions() == set()
    assert operator.keys(NAME) == {}


@each_kind
def test_a_signal_at_any_point_of_a_wait_leaves_nothing(scene: Scene, operator: Operator) -> None:
    """In the queue, and when it has left it: who has the lock keeps it, and nobody queues."""
    with scene.theirs:
        points = chosen(_points_of(scene.taken), POINTS)
        for point in points:
            _strike(scene.taken, Signal(point))
            assert not scene.lock.held
        scene.theirs.ensure_held()
    scene.see_free()
    scene.close()
    assert operator.sessions() == set()
    assert operator.keys(NAME) == {}


@each_kind
def test_a_second_signal_in_what_the_first_began_leaves_nothing(
    scene: Scene, operator: Operator
) -> None:
    """Soon after the first, so that it strikes where the clean-up of that is about to begin."""
    total = _points_of(scene.free)
    generator = random.Random(f"{os.environ['SIMULATION_SEED']} again {total}")
    for point in chosen(total, POINTS):
        _strike(scene.free, Signal(point, again=generator.randint(1, 12)))
        scene.see_free()
    scene.close()
    assert operator.sessions() == set()
    assert operator.keys(NAME) == {}


# -- functions that run under a lock ---------------------------------------------------------------


def locked(client: Client) -> Callable[[], object]:
    return consul_lock.locked(NAME, client=client)(lambda: None)


def leading(client: Client) -> Callable[[], object]:
    election = consul_lock.Election(NAME, client=client)
    return lambda: election.run(lambda own: None)


def once(client: Client) -> Callable[[], object]:
    """Each time for another slot."""
    slots = map(str, itertools.count())
    return lambda: consul_lock.CronGuard(NAME, client=client, slot=next(slots)).run(
        lambda run: None
    )


@pytest.mark.parametrize("way", [locked, leading, once])
def test_a_function_that_is_struck_under_its_lock_leaves_nothing(
    served: ServedWorld, way: Callable[[Client], Callable[[], object]], operator: Operator
) -> None:
    """Nobody else knows of the lock, and can release it: there is no gap between the end of the
    function and the release."""
    with Client(served.address) as victim, Client(served.address) as other:
        theirs, call = consul_lock.Lock(NAME, client=other), way(victim)
        call()
        with Signal(0) as signal:
            call()
        struck = 0
        for point in chosen(signal.points, scaled(40)):
            struck += _strike(call, Signal(point))
            assert theirs.acquire(timeout=10), point
            theirs.release()
        assert struck


# -- tasks -----------------------------------------------------------------------------------------

Loops = Callable[[], asyncio.AbstractEventLoop]


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


LOOPS: dict[str, Loops] = {"asyncio": asyncio.new_event_loop, "uvloop": _uvloop}

each_loop = pytest.mark.parametrize("loops", LOOPS.values(), ids=LOOPS)


class TaskScene:
    """The same on a loop."""

    def __init__(self, address: str, kind: Kind) -> None:
        self.victim, self.other = aio.Client(address), aio.Client(address)
        self.lock, self.theirs = (
            kind.make(aio, NAME, client, {"lock_delay": 30.0})
            for client in (self.victim, self.other)
        )

    async def free(self) -> None:
        """Nobody else wants it."""
        await self.lock.acquire()
        await self.lock.release()

    async def taken(self) -> None:
        """Somebody else has it, and does not let go."""
        await self.lock.acquire(timeout=_SHORT)

    async def see_free(self) -> None:
        """It belongs to nobody, and no lock-delay runs."""
        while self.lock.held:
            await self.lock.release()
        for each in (self.lock, self.theirs):
            assert await each.acquire(timeout=10)
            await each.release()

    async def close(self) -> None:
        """The end of both."""
        await self.victim.close()
        await self.other.close()


async def _cut(call: Callable[[], Awaitable[None]], waits: Waits) -> Waits:
    """Play it as a task of its own, cut off as said; a hold of that task is everybody's then."""
    task = asyncio.create_task(waits.run(call))
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
    return waits


def _on(loops: Loops, main: Callable[[], Awaitable[None]]) -> None:
    async def quietly() -> None:
        # How long a callback takes is of no interest on a busy machine.
        asyncio.get_running_loop().slow_callback_duration = math.inf
        await main()

    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(quietly())


@each_loop
@each_kind
def test_a_task_that_is_cancelled_at_any_await_leaves_nothing(
    served: ServedWorld, kind: Kind, loops: Loops, operator: Operator
) -> None:
    """Of acquire and of release: while it waits, and in the turn in which it is woken."""

    async def main() -> None:
        scene = TaskScene(served.address, kind)
        await _cut(scene.free, Waits(10**9))
        total = (await _cut(scene.free, Waits(10**9))).waits
        assert total > 1
        for late in (False, True):
            for wait in chosen(total, POINTS):
                assert (await _cut(scene.free, Waits(wait, late=late))).struck == 1
                await scene.see_free()
        await scene.close()

    _on(loops, main)
    assert operator.sessions() == set()
    assert operator.keys(NAME) == {}


@each_loop
@each_kind
def test_a_task_that_is_cancelled_at_any_await_of_a_wait_leaves_nothing(
    served: ServedWorld, kind: Kind, loops: Loops, operator: Operator
) -> None:
    """In the queue, and cancelled once more while that is cleaned up."""

    async def main() -> None:
        scene = TaskScene(served.address, kind)
        await scene.theirs.acquire()
        total = (await _cut(scene.taken, Waits(10**9))).waits
        for times in (1, 3):
            for wait in chosen(total, POINTS):
                await _cut(scene.taken, Waits(wait, times=times))
                assert not scene.lock.held
        scene.theirs.ensure_held()
        await scene.theirs.release()
        await scene.see_free()
        await scene.close()

    _on(loops, main)
    assert operator.sessions() == set()
    assert operator.keys(NAME) == {}


@each_loop
def test_what_cancels_a_task_has_its_way(
    served: ServedWorld, loops: Loops, operator: Operator
) -> None:
    """A `TaskGroup` whose other task fails, `asyncio.timeout`, and a cancel of what cancels: each
    ends the call, and passes on what it is meant to."""

    async def main() -> None:
        async with aio.Client(served.address) as victim, aio.Client(served.address) as other:
            lock, theirs = aio.Lock(NAME, client=victim), aio.Lock(NAME, client=other)
            async with theirs:
                with pytest.raises(ExceptionGroup) as caught:
                    await _beside_one_that_fails(lock, theirs)
                assert [str(error) for error in caught.value.exceptions] == ["a sibling"]
                with pytest.raises(TimeoutError):
                    await _with_timeout(lock, _SHORT)
                outer = asyncio.create_task(_with_timeout(lock, 60))
                while not await theirs.waiters():
                    pass
                outer.cancel()
                await asyncio.sleep(0)
                outer.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await outer
                assert not lock.held
                assert await theirs.waiters() == []
            async with lock:
                lock.ensure_held()

    _on(loops, main)
    assert operator.sessions() == set()
    assert operator.keys(NAME) == {}


async def _fails(theirs: aio.Lock) -> None:
    while not await theirs.waiters():
        pass
    raise ValueError("a sibling")


async def _beside_one_that_fails(lock: aio.Lock, theirs: aio.Lock) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(lock.acquire())
        group.create_task(_fails(theirs))


async def _with_timeout(lock: aio.Lock, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await lock.acquire()
