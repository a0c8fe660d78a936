"""One answer that no agent gives, to each request of an operation: no hold is believed that is
none, nothing but an error of the library comes out, and nothing is left behind."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import consul_lock
from consul_lock import ConsulLockError
from consul_lock.testing import World
from tests.support.apis import Asyncio, Face, OnLoop
from tests.support.effort import scaled, some
from tests.support.hostile_answers import (
    ALTERED,
    REFUSALS,
    Answered,
    answers,
    changed,
    forward,
    once,
    recorded,
)
from tests.support.http_messages import Message
from tests.support.scripted_server import Script, scripted_server

CASES = [*REFUSALS, *ALTERED]


def _lock(api: Any, client: Any) -> Any:
    return api.Lock("hostile", client=client)


def _semaphore(api: Any, client: Any) -> Any:
    return api.Semaphore("hostile", 1, client=client)


def _reader(api: Any, client: Any) -> Any:
    return api.ReadWriteLock("hostile", client=client).read()


def _writer(api: Any, client: Any) -> Any:
    return api.ReadWriteLock("hostile", client=client).write()


def _tree(api: Any, client: Any) -> Any:
    return api.Lock("hostile/below", client=client, tree=True)


def _multilock(api: Any, client: Any) -> Any:
    return api.MultiLock(["hostile/a", "hostile/b"], client=client)


def _election(api: Any, client: Any) -> Any:
    return api.Election("hostile", client=client)


KINDS: dict[str, Callable[[Any, Any], Any]] = {
    "lock": _lock,
    "semaphore": _semaphore,
    "reader": _reader,
    "writer": _writer,
    "tree": _tree,
    "multilock": _multilock,
    "election": _election,
}
each_kind = pytest.mark.parametrize("kind", KINDS)
each_family = pytest.mark.parametrize("family", ["1.21", "1.8"])

# The requests of one round: a session and its check, the lock, a look, the release, the end; and
# those of a waiter, until it has seen a few states.
REQUESTS, OF_A_WAITER = 8, 12

# Seconds for a wait in which all of them are sent.
_BRIEFLY = 0.3


@contextmanager
def hostile(face: Face, kind: str, script: Script, where: str) -> Iterator[Any]:
    """A lock whose client talks to that; in the end it is closed."""
    with scripted_server(script) as server:
        client = face.client(server.address, retry_for=0)
        lock = KINDS[kind](face.api, getattr(client, "inner", client))
        yield OnLoop(lock, face.loop) if isinstance(face, Asyncio) else lock
        library_errors_only(client.close, where)


@each_family
@each_kind
def test_no_answer_makes_a_hold_that_is_none(face: Face, kind: str, family: str) -> None:
    """Whichever request gets it."""
    about = f"{kind}{face.name}{family}"
    for case, at in some(itertools.product(CASES, range(REQUESTS)), 36, about):
        world, where = World(consul=family), f"{case!r} to request {at}"
        with hostile(face, kind, once(world, at, case), where) as lock:
            round_of(world, lock, where)
        assert not holding(world) or at >= 4, where


@each_family
@each_kind
def test_no_answer_makes_a_waiter_believe_or_forget(face: Face, kind: str, family: str) -> None:
    """Somebody else has the lock: a waiter has it when that one has released it, and not before.
    It reads again and again, so an index that is missing, or falls, or is another one is met."""
    about = f"waiting {kind}{face.name}{family}"
    for case, at in some(itertools.product(CASES, range(OF_A_WAITER)), 316, about):
        world, where = World(consul=family), f"{case!r} to request {at} of a waiter"
        with (
            scripted_server(once(world, -1, "")) as good,
            consul_lock.Client(good.address) as other,
        ):
            theirs = KINDS["writer" if kind == "reader" else kind](consul_lock, other)
            assert theirs.acquire()
            with hostile(face, kind, once(world, at, case), where) as lock:
                assert not library_errors_only(lambda: lock.acquire(timeout=_BRIEFLY), where)
                assert not lock.held, where
                assert theirs.session_id in holding(world), where
                theirs.release()
                round_of(world, lock, where)


@cache
def good_answers(kind: str) -> tuple[Answered, ...]:
    """Those of a round in which nothing goes wrong."""
    world, found = World(), list[Answered]()
    with (
        scripted_server(recorded(world, found)) as server,
        consul_lock.Client(server.address, retry_for=0) as client,
    ):
        round_of(world, KINDS[kind](consul_lock, client), "good")
    assert len(found) >= 4
    return tuple(found)


@each_kind
@given(data=st.data())
@settings(
    max_examples=scaled(4), deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
def test_no_answer_that_hypothesis_makes_gives_a_hold_that_is_none(
    face: Face, kind: str, data: st.DataObject
) -> None:
    """Of a request that was carried out, over the connections of both APIs."""
    good = good_answers(kind)
    at = data.draw(st.integers(0, len(good) - 1))
    made = data.draw(answers(good[at]))
    world, where = World(), f"{made!r} to request {at}"
    with hostile(face, kind, changed(world, at, made), where) as lock:
        round_of(world, lock, where)


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
