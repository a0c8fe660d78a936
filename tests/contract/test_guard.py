"""`guard`: writes to Consul that cannot happen without the lock."""

from __future__ import annotations

import pytest

from consul_lock import Conflict, LockLost, LossReason, NotHeld, Op
from tests.contract.fixture import Room
from tests.contract.lock_kinds import each_kind

pytestmark = each_kind


def _data(room: Room, name: str = "data") -> str:
    """A key beside the lock, which the test leaves behind."""
    key = f"{room.name}/{name}"
    room.left.add(key)
    return key


def test_all_operations_happen_and_are_answered(room: Room) -> None:
    """Written and read keys come back, with the bytes that are there."""
    lock, data, more = room.holding(), _data(room), _data(room, "more")
    room.operator.put(f"{room.name}/old", "old")
    written = lock.guard(
        [Op.set(data, "text"), Op.set(more, b"\x00\xff", flags=7), Op.delete(f"{room.name}/old")]
    )
    assert [pair.key for pair in written] == [data, more]
    assert room.operator.value(data) == b"text"
    assert room.operator.value(more) == b"\x00\xff"
    assert room.operator.keys(more)[more]["Flags"] == 7
    assert room.operator.value(f"{room.name}/old") is None
    (found,) = lock.guard([Op.get(data)])
    assert (found.key, found.value) == (data, b"text")
    assert found.modify_index == written[0].modify_index == room.operator.index(data)
    lock.release()


def test_an_empty_guard_only_asks_whether_the_lock_is_held(room: Room) -> None:
    """No operations are no error."""
    lock = room.holding()
    assert lock.guard([]) == []
    lock.release()


def test_one_refused_operation_refuses_all(room: Room) -> None:
    """Conflict, nothing is written, and the lock is as held as before."""
    lock, data = room.holding(), _data(room)
    room.operator.put(data, "old")
    operation = Op.check_index(data, room.operator.index(data) + 1)
    with pytest.raises(Conflict) as caught:
        lock.guard([Op.set(f"{room.name}/other", "x"), operation])
    assert caught.value.key == room.key
    assert room.operator.value(data) == b"old"
    assert room.operator.value(f"{room.name}/other") is None
    assert lock.held
    lock.release()


def test_a_cas_with_the_right_index_is_done(room: Room) -> None:
    """Read, compute, write: safe even against those who do not ask for the lock."""
    lock, data = room.holding(), _data(room)
    (made,) = lock.guard([Op.cas(data, "1", 0)])
    lock.guard([Op.check_index(data, made.modify_index), Op.cas(data, "2", made.modify_index)])
    assert room.operator.value(data) == b"2"
    lock.guard([Op.delete_cas(data, room.operator.index(data))])
    assert room.operator.value(data) is None
    room.left.clear()
    lock.release()


@pytest.mark.parametrize("cause", ["destroyed", "deleted", "stolen"])
def test_nothing_is_written_after_a_loss(room: Room, cause: str) -> None:
    """Consul refuses, before the loss is noticed here; and this is how it is noticed."""
    lock, data = room.holding(ttl=60, lock_delay=60), f"{room.name}/data"
    expected = LossReason.SESSION_INVALID
    if cause == "destroyed":
        room.operator.destroy(lock.session_id)
    elif cause == "deleted":
        expected = LossReason.KEY_DELETED
        room.operator.delete(room.key)
    else:
        expected = LossReason.STOLEN
        thief = room.take()
        room.at_end(lambda: room.clear(thief))
    with pytest.raises(LockLost) as caught:
        lock.guard([Op.set(data, "late")])
    assert caught.value.reason is expected
    assert room.operator.value(data) is None
    assert not lock.held
    assert lock.lost_reason is expected
    with pytest.raises(LockLost):
        lock.guard([Op.set(data, "late")])


def test_without_the_lock_nothing_is_asked(room: Room) -> None:
    """NotHeld before the first acquire and after the release."""
    lock = room.lock()
    with pytest.raises(NotHeld):
        lock.guard([Op.set(f"{room.name}/data", "x")])
    assert lock.acquire()
    lock.release()
    with pytest.raises(NotHeld):
        lock.guard([Op.set(f"{room.name}/data", "x")])
