"""Somebody writes over the value of what is held, and does not take it: a warning, and no loss."""

from __future__ import annotations

import pytest

from tests.contract.fixture import SELDOM, Room
from tests.contract.lock_kinds import KINDS
from tests.support.apis import Sync
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

# One of each way to be kept in Consul.
each_kind = pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if kind.name in ("lock", "semaphore", "tree", "election")],
    indirect=True,
    ids=lambda kind: kind.name,
)


def told(room: Room, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the library said of it."""
    said = [r.getMessage() for r in caplog.records if getattr(r, "event", "") == "overwritten"]
    return [text for text in said if room.name in text]


def own_key(room: Room, lock: Sync) -> str:
    """The key that the session of a holder has locked."""
    found = room.operator.keys(room.name)
    return next(key for key, e in found.items() if e.get("Session") == lock.session_id)


@each_kind
def test_each_foreign_value_is_a_warning_and_no_loss(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each, and the release leaves nothing."""
    lock = room.holding(watch=True)
    key = own_key(room, lock)
    for value in ("graffiti", "more of it", "graffiti"):
        room.operator.put(key, value)
        eventually(lambda value=value: value in caplog.text)
    room.operator.put(key, "the last")
    eventually(lambda: "the last" in caplog.text)
    first, second, third = told(room, caplog)
    assert f"'{key}' was overwritten ('graffiti')" in first
    assert "('more of it')" in second
    assert "('the last')" in third
    lock.ensure_held()
    lock.release()


@each_kind
def test_a_value_of_consul_lock_is_no_warning(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """Handed over twice, with a line behind it."""
    first, second, third = (room.others_lock(watch=True) for _ in range(3))
    assert first.acquire(timeout=20)
    waiting = second.start("acquire")
    room.in_line(1)
    behind = third.start("acquire")
    room.in_line(2)
    first.release()
    assert waiting.result(120)
    second.release()
    assert behind.result(120)
    third.release()
    assert told(room, caplog) == []


@pytest.mark.parametrize("name", ["lock", "multilock"])
def test_waiters_go_on_waiting_with_one_warning(
    room: Room, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A write without an acquire ends no hold; waiters used to get an error."""
    holder = room.holding()
    waiter = room.others_lock() if name == "lock" else _together(room)
    waiting = waiter.start("acquire", timeout=120)
    room.in_line(1 if name == "lock" else 0)
    for value in ("graffiti", "more of it"):
        room.operator.put(room.key, value)
        eventually(lambda: told(room, caplog))
    assert not waiting.done()
    holder.release()
    assert waiting.result(120) is True
    assert len([text for text in told(room, caplog) if "was written over" in text]) == 1
    waiter.release()


def _together(room: Room) -> Sync:
    """The lock as one of several."""
    client = room.client(room.actor())
    made = client.actor.do(room.api.MultiLock, [room.name], client=client.thing)
    return Sync(made, client.actor)


def test_the_warning_costs_no_request(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """The long poll that is there anyhow sees it; nothing is written back."""
    with Proxy(room.operator.address) as proxy:
        client = Sync(room.main.do(room.api.Client, proxy.address), room.main)
        lock = room.lock(client, watch=True, **SELDOM)
        assert lock.acquire()
        eventually(lambda: any("index=" in seen.path for seen in proxy.log))  # it waits now
        before = len(proxy.log)
        room.operator.put(room.key, "graffiti")
        eventually(lambda: told(room, caplog))
        eventually(lambda: len(proxy.log) > before)
        assert {seen.method for seen in proxy.log[before:]} == {"GET"}
        assert len(proxy.log) == before + 1
        assert room.operator.value(room.key) == b"graffiti"
        lock.release()
        client.close()
