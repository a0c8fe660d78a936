"""One answer that no agent gives, to each request of an operation: no hold is believed that is
none, nothing but an error of the library comes out, and nothing is left behind."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pytest

from consul_lock import ConsulLockError
from consul_lock.testing import World
from tests.support.apis import Asyncio, Face, OnLoop
from tests.support.effort import EFFORT
from tests.support.hostile_answers import ALTERED, REFUSALS, forward, once
from tests.support.http_messages import Message
from tests.support.scripted_server import scripted_server

T = TypeVar("T")

CASES = [*REFUSALS, *ALTERED]


def _lock(api: Any, client: Any) -> Any:
    return api.Lock("hostile", client=client)


def _semaphore(api: Any, client: Any) -> Any:
    return api.Semaphore("hostile", 2, client=client)


def _reader(api: Any, client: Any) -> Any:
    return api.ReadWriteLock("hostile", client=client).read()


def _multilock(api: Any, client: Any) -> Any:
    return api.MultiLock(["hostile/a", "hostile/b"], client=client)


KINDS: dict[str, Callable[[Face, Any], Any]] = {
    "lock": _lock,
    "semaphore": _semaphore,
    "reader": _reader,
    "multilock": _multilock,
}

# The requests of one round: a session and its check, the lock, a look, the release, the end.
REQUESTS = 8


def some(items: Iterable[T], turn: int) -> list[T]:
    """A part of them, another one each turn; all of them, with more effort."""
    step = max(1, round(24 / EFFORT))
    return list(itertools.islice(items, turn % step, None, step))


@pytest.mark.parametrize("family", ["1.21", "1.8"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_makes_a_hold_that_is_none(face: Face, kind: str, family: str) -> None:
    """Whichever request gets it."""
    turn = sum(map(ord, f"{kind}{face.name}{family}"))
    for case, at in some(itertools.product(CASES, range(REQUESTS)), turn):
        world, where = World(consul=family), f"{case!r} to request {at}"
        with scripted_server(once(world, at, case)) as server:
            client = face.client(server.address, retry_for=0)
            lock = KINDS[kind](face.api, getattr(client, "inner", client))
            round_of(world, OnLoop(lock, face.loop) if isinstance(face, Asyncio) else lock, where)
            library_errors_only(client.close, where)
            assert not holding(world) or at >= 4, where


def round_of(world: World, lock: Any, where: str) -> None:
    """Acquire, look, release."""
    acquired = library_errors_only(lambda: lock.acquire(timeout=0), where)
    assert lock.held is (acquired is True), where
    if acquired:
        assert lock.session_id in holding(world), where
    library_errors_only(lock.locked, where)
    library_errors_only(lock.holder, where)
    if acquired:
        library_errors_only(lock.release, where)
        assert not lock.held, where


def holding(world: World) -> set[str]:
    """The sessions that have a key, as the model has it."""
    answer = forward(world, Message("GET /v1/kv/?recurse HTTP/1.1", {}, b"", b""))
    pairs = json.loads(answer.body) if answer.status == 200 else []
    return {pair["Session"] for pair in pairs if "Session" in pair}


def library_errors_only(call: Callable[[], Any], where: str) -> Any:
    """Its result; None after an error that the library foresees."""
    try:
        return call()
    except ConsulLockError as error:
        foreseen = error.kind != "unforeseen" and "\x1b" not in str(error)
    assert foreseen, where
    return None
