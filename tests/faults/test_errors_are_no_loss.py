"""Errors of the server are retried: only the deadline, or Consul's own word, ends a hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from consul_lock import LossReason
from consul_lock._drivers.clock import clock
from tests.faults.deadlines import last_deadline, pass_by
from tests.support.actions import DROP_AFTER, DROP_BEFORE, PASS, Action
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

# Seconds for which Consul gives nothing but errors, at least; a renewal is due every 3.3 s, and a
# hold would end after 28: no busy machine is that late.
TROUBLE = 3.0

# Seconds by which a busy machine may be late.
LATE = 8.0

NO_LEADER = Answer(500, {}, b"No cluster leader")
CLOSED = Answer(500, {}, b"rpc error making call: stream closed")
TOO_MANY = Answer(429, {}, b"Your IP is issuing too many concurrent connections")
OVERLOADED = Answer(503, {}, b"rate limit exceeded, try again later")
GATEWAY = Answer(502, {"Content-Type": "text/html"}, b"<html>Bad Gateway</html>")
NOT_FOUND = Answer(404, {"Content-Type": "text/html"}, b"<html>no such page</html>")
DENIED = Answer(403, {}, b"Permission denied")

ERRORS = [NO_LEADER, CLOSED, TOO_MANY, OVERLOADED, GATEWAY, DROP_BEFORE, DROP_AFTER]
NAMES = ["500 no leader", "500", "429", "503", "502", "reset", "answer lost"]


@pytest.fixture
def client(face: Face, proxy: Proxy) -> Iterator[Any]:
    """A client behind that proxy."""
    opened = face.client(proxy.address)
    yield opened
    proxy.rule = None
    opened.close()


def always(action: Action) -> Callable[..., Action]:
    """A rule."""
    return lambda method, path, body, n: action


def test_errors_while_holding_lose_nothing(face: Face, agent: Agent) -> None:
    """Each sort of error for several seconds, each on a client of its own, all at a time."""
    proxies = [Proxy(agent.address) for _ in ERRORS]
    clients = [face.client(proxy.address) for proxy in proxies]
    locks = []
    for name, client in zip(NAMES, clients, strict=True):
        lock = face.lock(f"trouble/{name}", client, watch=True)
        assert lock.acquire()
        locks.append(lock)
    for proxy, error in zip(proxies, ERRORS, strict=True):
        proxy.reset()
        proxy.rule = always(error)
    pass_by(TROUBLE)
    eventually(lambda: all(proxy.count("PUT", "session/renew") for proxy in proxies))
    deadlines = [clock() + lock.remaining() for lock in locks]
    for proxy in proxies:
        proxy.rule = None
    for name, lock, client, last in zip(NAMES, locks, clients, deadlines, strict=True):
        assert lock.held, name
        # Renewed again: the deadline moves on, beyond what it was in the trouble.
        eventually(lambda lock=lock, last=last: clock() + lock.remaining() > last + 1, message=name)
        assert not lock.lost.is_set()
        lock.release()
        client.close()
    for proxy in proxies:
        proxy.stop()


@pytest.mark.parametrize("error", ERRORS, ids=NAMES)
def test_errors_while_waiting_keep_the_place_in_the_queue(
    face: Face, agent: Agent, proxy: Proxy, client: Any, error: Action
) -> None:
    """The waiter is handed the lock although Consul failed it for a while."""
    well = face.client(agent.address)
    holder, waiter = face.lock("trouble/wait", well), face.lock("trouble/wait", client)
    assert holder.acquire()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(waiter.acquire, timeout=120)
        eventually(lambda: agent.keys("trouble/wait/.queue/"))
        proxy.reset()
        proxy.rule = always(error)
        proxy.cut()
        eventually(lambda: proxy.count() >= 3)
        holder.release()
        proxy.rule = None
        assert waiting.result(120) is True
    waiter.ensure_held()
    waiter.release()
    assert agent.keys("trouble/wait") == []
    well.close()


def test_errors_at_the_beginning_are_retried(face: Face, proxy: Proxy, client: Any) -> None:
    """An acquire that begins without a leader succeeds when there is one."""
    proxy.rule = always(NO_LEADER)
    lock = face.lock("trouble/begin", client)
    with ThreadPoolExecutor(1) as threads:
        acquiring = threads.submit(lock.acquire, timeout=120)
        eventually(lambda: proxy.count() >= 3)
        proxy.rule = None
        assert acquiring.result(120) is True
    lock.release()


def test_errors_on_the_watch_are_no_loss(face: Face, proxy: Proxy, client: Any) -> None:
    """Ten failures of the long poll lose Go's lock (its test L8); not that of consul-lock."""

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        return NO_LEADER if method == "GET" else PASS

    lock = face.lock("trouble/watch", client, watch=True)
    proxy.rule = rule
    assert lock.acquire()
    eventually(lambda: proxy.count("GET") >= 10)
    assert lock.held
    assert not lock.lost.is_set()
    lock.release()


@pytest.mark.parametrize("answer", [DENIED, NOT_FOUND], ids=["403", "404 of a proxy"])
def test_a_renewal_refused_by_something_else_than_consul_ends_with_the_deadline(
    face: Face, proxy: Proxy, client: Any, answer: Answer
) -> None:
    """A token that was revoked, a proxy with a page of its own: no proof that the session died."""

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        return answer

    told: list[tuple[LossReason, float]] = []
    lock = face.lock(
        f"trouble/{face.name}-{answer.status}",
        client,
        lock_delay=6,
        on_lost=lambda reason: told.append((reason, clock())),
    )
    assert lock.acquire()
    proxy.rule = rule
    deadline = last_deadline(lock)
    eventually(lambda: told)
    assert told[0][0] is LossReason.DEADLINE
    assert deadline - 0.05 <= told[0][1] <= deadline + LATE
    assert proxy.count("PUT", "session/renew") >= 2
    proxy.rule = None
