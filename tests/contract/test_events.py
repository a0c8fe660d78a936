"""Events: what happens to locks, elections and cron jobs, in order, to those who listen."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from consul_lock import LockLost, LockTimeout, LossReason
from consul_lock.events import (
    Acquired,
    Elected,
    Event,
    GaveUp,
    HandedOver,
    Lost,
    Released,
    Retrying,
    SlotEnded,
    SlotEvent,
    SlotStarted,
    SlotTaken,
    Waiting,
)
from tests.contract.cron_fixture import CronRoom
from tests.contract.fixture import QUICK, Room
from tests.contract.lock_kinds import each_kind
from tests.contract.operator import Operator
from tests.support.actions import DROP_BEFORE
from tests.support.apis import Sync
from tests.support.proxy import Proxy
from tests.support.raising_log import raising_log
from tests.support.waiting import eventually

HUNG = 60.0


@pytest.fixture(params=["world"])
def operator(request: pytest.FixtureRequest) -> Operator:
    """The model of Consul: what is reported does not depend on who answers, and one test sees that
    with a real agent, too."""
    if request.param == "agent":
        agent: Any = request.getfixturevalue("agent")
        return Operator(agent.address)
    found: Operator = request.getfixturevalue("world_operator")
    return found


on_a_real_agent = pytest.mark.parametrize(
    "operator", ["world", pytest.param("agent", marks=pytest.mark.real)], indirect=True
)


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def names(self) -> list[str]:
        """The names of all events, in order."""
        return [event.event for event in self.events]

    def heard(self, *names: str) -> list[Any]:
        """Wait for exactly these; the events."""

        def so_far() -> bool:
            assert self.names == list(names)
            return True

        eventually(so_far)
        return self.events


@each_kind
def test_a_lock_is_acquired_and_released(room: Room) -> None:
    """Of every kind; the two have one number, and say how long it took."""
    ear = Ear()
    lock = room.lock(room.client(on_event=ear))
    with lock:
        token, session = lock.token, lock.session_id
    election = room.kind.name == "election"
    names = ("elected", "resigned") if election else ("acquired", "released")
    acquired, released = ear.heard(*names)
    assert isinstance(acquired, Acquired)
    assert isinstance(released, Released)
    assert isinstance(acquired, Elected) == election
    assert (acquired.name, acquired.key) == (lock.name, lock.key) == (released.name, released.key)
    assert (acquired.token, acquired.session) == (token, session)
    assert acquired.attempt == released.attempt > 0
    assert acquired.kind == released.kind
    assert acquired.waited >= 0
    assert released.held >= 0
    assert acquired.at <= released.at


@each_kind
def test_a_loss_is_heard_once_with_its_reason(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """By the listener of the lock alone, too; and it is one warning."""
    ear, own = Ear(), Ear()
    client = room.client(on_event=ear)
    lock = room.lock(client, on_event=own)
    assert lock.acquire()
    session = lock.session_id
    room.operator.destroy(session)
    with pytest.raises(LockLost):
        lock.release()
    lost = eventually(lambda: [event for event in own.events if isinstance(event, Lost)])
    assert [(event.reason, event.error) for event in lost] == [(LossReason.SESSION_INVALID, None)]
    assert lost[0].session == session
    assert lost[0].attempt == own.events[0].attempt
    eventually(lambda: len(ear.events) == len(own.events))
    assert len(own.events) == 2
    eventually(lambda: _warnings(caplog, lock.key, "lost"))
    assert len(_warnings(caplog, lock.key, "lost")) == 1


def _warnings(caplog: pytest.LogCaptureFixture, key: str, event: str) -> list[logging.LogRecord]:
    records = [record for record in caplog.records if record.levelno >= logging.WARNING]
    about = {"consul_lock_key": key, "consul_lock_event": event}
    return [each for each in records if about.items() <= each.__dict__.items()]


@on_a_real_agent
def test_a_waiter_hears_who_holds_it_and_who_has_handed_it_over(room: Room) -> None:
    """With the metadata of that one, by which a tracer links what it does to the wait."""
    first, second = Ear(), Ear()
    holder = room.lock(room.client(on_event=first, meta={"traceparent": "00-1"}))
    assert holder.acquire()
    waiter = room.lock(
        room.client(room.actor(), on_event=second, meta=lambda: {"traceparent": "00-2"})
    )
    waiting = waiter.start("acquire")
    room.in_line(1)
    eventually(lambda: "waiting" in second.names)
    holder.release()
    assert waiting.result(HUNG)
    waiter.release()
    _, handed, released = first.heard("acquired", "handed-over", "released")
    begun, acquired, _ = second.heard("waiting", "acquired", "released")
    assert isinstance(handed, HandedOver)
    assert isinstance(begun, Waiting)
    assert handed.holder.meta == {"traceparent": "00-2"} == acquired.meta
    assert handed.held == pytest.approx(released.held, abs=1.0)
    assert begun.holder.meta == {"traceparent": "00-1"} == acquired.holder.meta
    assert acquired.handed_over
    assert acquired.waited > 0
    assert begun.attempt == acquired.attempt


def test_threads_and_tasks_of_one_client_hear_of_each_other(room: Room) -> None:
    """Where Consul sees one waiter at most."""
    ear = Ear()
    client = room.client(on_event=ear)
    lock = room.lock(client)
    assert lock.acquire()
    other = room.lock(client).by(room.actor())
    waiting = other.start("acquire")
    eventually(lambda: "waiting" in ear.names)
    lock.release()
    assert waiting.result(HUNG)
    other.release()
    eventually(lambda: ear.names.count("released") == 2)
    begun = next(event for event in ear.events if event.event == "waiting")
    got = next(event for event in ear.events if event.attempt == begun.attempt and event.token)
    assert begun.holder.session == got.holder.session == ear.events[0].session
    assert got.handed_over


def test_one_that_does_not_get_it_says_who_was_in_the_way(room: Room) -> None:
    """After a timeout, and after a single try."""
    ear = Ear()
    holder = room.holding()
    lock = room.lock(room.client(room.actor(), on_event=ear))
    with pytest.raises(LockTimeout), lock(timeout=4):
        raise AssertionError
    assert not lock.acquire(blocking=False)
    waiting, gave_up, again = ear.heard("waiting", "gave-up", "gave-up")
    assert isinstance(gave_up, GaveUp)
    assert (gave_up.why, again.why) == ("timeout", "timeout")
    assert gave_up.holder.session == waiting.holder.session == holder.session_id
    assert gave_up.attempt == waiting.attempt != again.attempt
    assert gave_up.waited >= 4
    holder.release()


def test_a_semaphore_says_who_has_its_slots(room: Room) -> None:
    """The first of its holders, to one that waits for a slot and to one that gives up."""
    ear = Ear()
    client = room.client(on_event=ear)
    make = client.actor.do
    semaphore = make(room.api.Semaphore, room.name, 1, client=room.client().thing)
    other = make(room.api.Semaphore, room.name, 1, client=client.thing)
    assert make(semaphore.acquire)
    assert not make(other.acquire, timeout=4)
    waiting, gave_up = ear.heard("waiting", "gave-up")
    assert waiting.kind == gave_up.kind == "semaphore"
    assert waiting.holder.session == semaphore.session_id
    make(semaphore.release)


def test_a_slot_is_handed_over_by_one_that_has_waited_itself(room: Room) -> None:
    """It knows of those behind it; one that has never met another leaves a free slot."""
    ear = Ear()

    def semaphore(**options: Any) -> Sync:
        client = room.client(room.actor(), **options)
        made = client.actor.do(room.api.Semaphore, room.name, 1, client=client.thing)
        return Sync(made, client.actor)

    first, second, third = semaphore(), semaphore(on_event=ear), semaphore(meta={"number": "3"})
    assert first.acquire()
    waits = []
    for place, waiter in enumerate((second, third), 1):
        waits.append(waiter.start("acquire"))
        eventually(lambda place=place: len(first.waiters()) == place)
    for holder, wait in zip((first, second), waits, strict=True):
        holder.release()
        assert wait.result(HUNG)
    *_, handed, released = ear.heard("waiting", "acquired", "handed-over", "released")
    assert handed.holder.meta == {"number": "3"}
    assert handed.attempt == released.attempt
    third.release()


def test_a_retry_is_heard_and_warned_of_once(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """One warning for a trouble, however often it is tried."""
    ear = Ear()
    with Proxy(room.operator.address) as proxy:
        client = room.client(room.actor(), address=proxy.address, on_event=ear)
        lock = room.lock(client)
        proxy.rule = lambda *_: DROP_BEFORE
        trying = lock.start("acquire")
        eventually(lambda: ear.names.count("retrying") >= 3)
        proxy.rule = None
        assert trying.result(HUNG)
        lock.release()
        client.close()
    retries = [event for event in ear.events if isinstance(event, Retrying)]
    assert all(event.error is not None and event.pause > 0 for event in retries)
    assert [event.failing for event in retries] == sorted(event.failing for event in retries)
    assert len(_warnings(caplog, lock.key, "retrying")) == 1


def test_a_cron_job_says_what_became_of_its_slots(room: Room) -> None:
    """To the host that runs it, and to the one that comes too late; the run lock's own events are
    of kind "cron"."""
    cron, ear = CronRoom(room), Ear()
    first, second = Ear(), Ear()
    one, two = cron.host(on_event=first), cron.host(on_event=[second, ear])
    assert cron.once(one) == "run"
    assert cron.once(two) == "taken"

    def slots(ear: Ear) -> list[Any]:
        return [event for event in ear.events if isinstance(event, SlotEvent)]

    eventually(lambda: len(slots(first)) == 2 and len(slots(second)) == 1)
    started, ended = slots(first)
    assert isinstance(started, SlotStarted)
    assert isinstance(ended, SlotEnded)
    assert (started.slot, started.run) == (ended.slot, ended.run)
    assert (ended.state, ended.recorded) == ("done", True)
    (taken,) = slots(second)
    assert isinstance(taken, SlotTaken)
    assert (taken.slot, taken.key) == (started.slot, cron.key)
    assert {event.kind for event in first.events} == {"cron"}
    eventually(lambda: ear.names == second.names)


def test_a_listener_that_blocks_or_raises_harms_nobody(room: Room) -> None:
    """The lock goes on; the latest thousand events wait, and the client says what was dropped."""
    go, entered, ear = threading.Event(), threading.Event(), Ear()

    def blocks(event: Event) -> None:
        entered.set()
        go.wait(HUNG)
        raise ZeroDivisionError

    client = room.client(on_event=[blocks, ear])
    lock = room.lock(client)
    for _ in range(505):
        assert lock.acquire()
        # It has the first one, before the next thousand.
        assert entered.wait(HUNG)
        lock.release()
    eventually(lambda: client.events_dropped == 9)
    assert ear.events == []
    go.set()
    eventually(lambda: len(ear.events) == 1001)
    assert client.listener_errors == 1001
    numbers = [event.attempt for event in ear.events]
    assert numbers == sorted(numbers)


def test_a_log_that_raises_fails_no_acquire_and_hides_no_loss(room: Room) -> None:
    """Its handlers are the program's, and may be at the end of their disk."""
    reasons: list[LossReason] = []
    lock = room.lock(room.client(), on_lost=reasons.append, watch=True, **QUICK)
    with raising_log():
        with lock:
            assert lock.held
        assert lock.acquire()
        room.operator.destroy(lock.session_id)
        eventually(lambda: reasons == [LossReason.SESSION_INVALID])
        with pytest.raises(LockLost):
            lock.release()
        with room.lock(room.client()) as again:
            assert again.held


def test_closing_has_the_last_events_and_waits_for_no_listener(room: Room) -> None:
    """What is lost by closing is heard; one that blocks is left behind after a second."""
    go, ear = threading.Event(), Ear()

    def blocks(event: Event) -> None:
        ear(event)
        if isinstance(event, Lost):
            go.wait(HUNG)

    client = room.client(on_event=blocks)
    lock = room.lock(client)
    assert lock.acquire()
    client.close()
    _, lost = ear.heard("acquired", "lost")
    assert lost.reason is LossReason.REVOKED
    go.set()


def test_a_coroutine_function_listens_on_the_loop(room: Room) -> None:
    """In asyncio alone; the other API refuses it."""
    ear = Ear()

    async def listen(event: Event) -> None:
        ear(event)

    if room.face.name == "threads":
        with pytest.raises(room.api.ConfigError):
            room.client(on_event=listen)
        return
    lock = room.lock(room.client(on_event=[listen]))
    with lock:
        pass
    ear.heard("acquired", "released")


def test_no_event_and_no_record_has_a_credential(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever happens: ``token`` is the fencing token."""
    caplog.set_level(logging.DEBUG)
    ear, secret = Ear(), "3c1d5a0f-5bb5-4bb6-9a5c-a1b2c3d4e5f6"
    with Proxy(room.operator.address) as proxy:
        client = room.client(
            address=proxy.address, token=secret, http_auth=("user", "hunter2"), on_event=ear
        )
        lock = room.lock(client)
        assert lock.acquire()
        assert not room.lock(client).acquire(timeout=0.1)
        lock.release()
        proxy.rule = lambda *_: DROP_BEFORE
        trying = lock.start("acquire")
        eventually(lambda: "retrying" in ear.names)
        proxy.rule = None
        assert trying.result(HUNG)
        client.close()
    wanted = {"acquired", "gave-up", "released", "retrying", "lost"}
    eventually(lambda: wanted <= {*ear.names}, message=f"{wanted}, not {ear.names}")
    seen = f"{ear.events} {[record.__dict__ for record in caplog.records]} {caplog.text}"
    assert secret not in seen
    assert "hunter2" not in seen


def test_the_log_has_sentences_at_its_levels(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """With fields for programs; with nobody who listens."""
    lock = room.lock()
    with caplog.at_level(logging.INFO, "consul_lock"), lock:
        token = lock.token
    about = {"consul_lock_key": lock.key}
    records = [each for each in caplog.records if about.items() <= each.__dict__.items()]
    assert [record.levelname for record in records] == ["INFO", "INFO"]
    acquired, released = (record.getMessage() for record in records)
    assert acquired.startswith(f"acquired {lock.name!r} after ")
    assert acquired.endswith(f" s, fencing token {token}")
    assert released.startswith(f"released {lock.name!r}, which was held for ")
    assert records[0].__dict__["consul_lock_token"] == token
