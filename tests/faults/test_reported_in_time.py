"""A loss is reported at its deadline though requests hang; odd answers are no loss."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from consul_lock import LossReason
from consul_lock._drivers.clock import clock
from tests.drivers.name_servers import HOST, name_servers
from tests.faults.deadlines import last_deadline, pass_by
from tests.support.actions import DROP_BEFORE
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.proxy import Proxy
from tests.support.scripted_server import Script, scripted_server, through
from tests.support.waiting import eventually

LOCK_DELAY = 5.0

# Seconds by which a busy machine may be late: what hangs here does so for far longer.
LATE = 12.0


class Told:
    """What ``on_lost`` is called with, and when."""

    def __init__(self) -> None:
        self.losses: list[tuple[LossReason, float]] = []

    def __call__(self, reason: LossReason) -> None:
        self.losses.append((reason, clock()))

    def judge(self, lock: Any) -> None:
        """Once, at the deadline of the lock and not before."""
        deadline = last_deadline(lock)
        eventually(lambda: self.losses)
        [(reason, at)] = self.losses
        assert reason is LossReason.DEADLINE
        assert deadline - 0.05 <= at <= deadline + LATE
        assert lock.lost.is_set()


def test_a_loss_is_reported_in_time_when_the_name_servers_are_gone(
    face: Face, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the address that was known does not answer any more: the name has moved."""
    told = Told()
    with name_servers(monkeypatch) as servers, Proxy(agent.address) as proxy:
        servers.there.set()
        client = face.client(f"{HOST}:{proxy.address.rpartition(':')[2]}")
        lock = face.lock("told/name", client, lock_delay=LOCK_DELAY, on_lost=told)
        assert lock.acquire()
        asked = servers.asked
        servers.there.clear()
        proxy.rule = lambda method, path, body, n: DROP_BEFORE
        proxy.cut()
        told.judge(lock)
        assert servers.asked > asked
        proxy.rule = None
        servers.there.set()
        client.close()


def trickling(address: str, begun: threading.Event) -> Script:
    """Once that is set, an answer is a byte each 0.2 s."""

    def write(status: int, body: bytes, index: str) -> Iterator[bytes]:
        head = f"HTTP/1.1 {status} S\r\nX-Consul-Index: {index}\r\nContent-Length: {len(body)}\r\n"
        whole = head.encode() + b"\r\n" + body
        if not begun.is_set():
            yield whole
            return
        for byte in whole:
            if begun.is_set():
                threading.Event().wait(0.2)
            yield bytes([byte])

    return through(address, write)


def test_a_loss_is_reported_in_time_behind_an_answer_that_trickles(
    face: Face, agent: Agent
) -> None:
    """Each read has news in time, and the answer takes half a minute."""
    told, begun = Told(), threading.Event()
    with scripted_server(trickling(agent.address, begun)) as server:
        client = face.client(server.address)
        lock = face.lock("told/trickle", client, lock_delay=LOCK_DELAY, on_lost=told)
        assert lock.acquire()
        begun.set()
        told.judge(lock)
        begun.clear()
        client.close()


# Answers with a body that no Consul sends, in a row: those of one turn of the keeper, and more.
ODD_BODIES = 5

# Seconds: so long that a busy machine renews in time, and less than the odd answers go on.
ENDURES, ODD_FOR = 12.0, 15.0


def test_odd_answers_end_no_renewals(
    face: Face, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    """A proxy that joins two headers to one, and for a moment sends what Consul does not send: all
    locks of the client stay held, and none of it is unforeseen."""
    told, odd = Told(), threading.Event()
    answers: list[bytes] = []

    def write(status: int, body: bytes, index: str) -> Iterator[bytes]:
        if odd.is_set():
            index, body = "1, 1", b"7" if len(answers) < ODD_BODIES else body
            answers.append(body)
        head = f"HTTP/1.1 {status} S\r\nX-Consul-Index: {index}\r\nContent-Length: {len(body)}\r\n"
        yield head.encode() + b"\r\n" + body

    with scripted_server(through(agent.address, write)) as server:
        client = face.client(server.address)
        options = {"lock_delay": ENDURES, "on_lost": told}
        locks = [face.lock(f"told/{n}", client, watch=not n, **options) for n in range(3)]
        assert all(lock.acquire() for lock in locks)
        odd.set()
        pass_by(ODD_FOR)
        assert len(answers) >= ODD_BODIES + 6
        assert all(lock.held for lock in locks)
        assert told.losses == []
        for lock in locks:
            lock.release()
        odd.clear()
        client.close()
    events = [getattr(record, "event", None) for record in caplog.records]
    assert "renewal-failing" in events
    assert "renewal-works" in events
    assert not {"keeper-error", "watch-error"} & set(events)
