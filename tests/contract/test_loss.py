"""Losing a lock: noticed, reported once, with the reason, and never hidden."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from consul_lock import LockLost, LossReason
from tests.contract.fixture import QUICK, SELDOM, Room, Told
from tests.contract.lock_kinds import each_kind
from tests.support.apis import Sync
from tests.support.waiting import eventually


def _destroy_session(room: Room, lock: Sync) -> None:
    room.operator.destroy(lock.session_id)


def _delete_key(room: Room, lock: Sync) -> None:
    room.operator.delete(room.key)


def _steal(room: Room, lock: Sync) -> None:
    thief = room.take()
    room.at_end(lambda: room.clear(thief))


def _release_by_operator(room: Room, lock: Sync) -> None:
    room.revoke()
    room.at_end(lambda: room.operator.delete(room.key))


CAUSES = {
    LossReason.SESSION_INVALID: _destroy_session,
    LossReason.KEY_DELETED: _delete_key,
    LossReason.STOLEN: _steal,
    LossReason.REVOKED: _release_by_operator,
}
each_cause = pytest.mark.parametrize("reason, cause", CAUSES.items(), ids=lambda c: str(c)[11:22])

Cause = Callable[[Room, Sync], None]


@each_kind
@each_cause
def test_a_loss_is_noticed_and_reported_once(room: Room, reason: LossReason, cause: Cause) -> None:
    """By the next look at the latest: long before the deadline, which is another reason."""
    told = Told()
    lock = room.holding(on_lost=told, **QUICK)
    session = lock.session_id
    assert lock.remaining() > 0
    cause(room, lock)
    eventually(lambda: told.reasons)
    assert lock.lost.is_set()
    assert lock.lost_reason is reason
    assert not lock.held
    assert (lock.remaining(), lock.session_id) == (0.0, None)
    with pytest.raises(LockLost) as caught:
        lock.ensure_held()
    assert (caught.value.reason, caught.value.key) == (reason, room.key)
    assert caught.value.session == session
    if room.kind.own_session:
        gone = "its session is destroyed"
        eventually(lambda: session not in room.operator.sessions(), message=gone)
    with pytest.raises(LockLost):
        lock.release()
    assert told.reasons == [reason]


@each_cause
def test_with_watch_a_loss_is_noticed_before_the_next_look(
    room: Room, reason: LossReason, cause: Cause
) -> None:
    """The keeper looks again in three minutes or later; the long poll tells at once."""
    told = Told()
    lock = room.holding(watch=True, on_lost=told, **SELDOM)
    cause(room, lock)
    eventually(lambda: told.reasons == [reason])
    assert lock.lost_reason is reason


@each_kind
@each_cause
def test_leaving_the_block_raises_after_a_loss(
    room: Room, reason: LossReason, cause: Cause
) -> None:
    """Whether the loss was noticed in the block or is found out by the release."""
    lock = room.lock()
    with pytest.raises(LockLost) as caught, lock:
        cause(room, lock)
    assert caught.value.reason is reason
    assert lock.lost_reason is reason
    assert not lock.held


@each_cause
def test_the_blocks_own_error_comes_before_the_loss(
    room: Room, reason: LossReason, cause: Cause
) -> None:
    """The exception of the body is not replaced; the reason can be asked for."""
    lock = room.lock(**QUICK)

    def body() -> None:
        cause(room, lock)
        eventually(lock.lost.is_set)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), lock:
        body()
    assert lock.lost_reason is reason


@each_kind
def test_a_stolen_key_is_not_released_by_the_loser(room: Room) -> None:
    """Neither the release nor the end of the client touches what another session holds."""
    client = room.client()
    lock = room.lock(client)
    assert lock.acquire()
    thief = room.take()
    with pytest.raises(LockLost):
        lock.release()
    assert room.owner() == thief
    client.close()
    assert room.owner() == thief
    room.clear(thief)


@each_kind
def test_a_lost_lock_can_be_used_again(room: Room) -> None:
    """After the loss was raised, a new acquire is a new hold with a higher token."""
    lock = room.holding(**QUICK)
    token = lock.token
    room.operator.delete(room.key)
    eventually(lock.lost.is_set)
    with pytest.raises(LockLost):
        lock.release()
    assert lock.acquire(timeout=30)
    assert lock.token > token
    assert (lock.lost.is_set(), lock.lost_reason, lock.held) == (False, None, True)
    lock.release()


@each_kind
def test_a_lost_lock_is_not_reacquired_in_silence(room: Room) -> None:
    """A loss stays a loss, though the key would be free again."""
    lock = room.holding(**QUICK)
    room.operator.delete(room.key)
    eventually(lock.lost.is_set)
    # What is left of it goes with its session, which is destroyed meanwhile.
    eventually(lambda: not lock.locked())
    assert not lock.held


@pytest.mark.parametrize("held", [True, False], ids=["first held", "first released"])
def test_a_session_with_shorter_terms_is_looked_after_in_its_own_time(
    room: Room, held: bool
) -> None:
    """The keeper had planned its next look for in three minutes, for another session."""
    told = Told()
    first = room.lock(name=f"{room.name}/first", **SELDOM)
    assert first.acquire()
    if not held:
        first.release()
    lock = room.holding(on_lost=told, **QUICK)
    room.operator.delete(room.key)
    eventually(lambda: told.reasons == [LossReason.KEY_DELETED])
    assert (first.held, lock.held) == (held, False)
    if held:
        first.release()


def test_waiting_on_while_another_user_lost_it(room: Room) -> None:
    """The loss goes to the former holder; the waiter behind it gets a lock that is whole."""
    lock = room.holding(**QUICK)
    other = lock.by(room.actor())
    waiting = other.start("acquire", timeout=60)
    room.operator.delete(room.key)
    assert waiting.result(120) is True
    with pytest.raises(LockLost):
        lock.release()
    assert other.held
    other.release()


def test_an_on_lost_that_fails_changes_nothing(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """Its error is logged, and the lock is as lost as without it."""

    def fail(reason: LossReason) -> None:
        raise ZeroDivisionError

    lock = room.holding(on_lost=fail, **QUICK)
    room.operator.delete(room.key)
    eventually(lock.lost.is_set)
    eventually(lambda: "ZeroDivisionError" in caplog.text)
    assert lock.lost_reason is LossReason.KEY_DELETED


def test_a_released_lock_is_not_lost(room: Room) -> None:
    """Later changes of the key are nobody's loss."""
    told = Told()
    lock = room.holding(on_lost=told, watch=True)
    lock.release()
    room.clear(room.take())
    other = room.others_lock()
    assert other.acquire()
    other.release()
    assert told.reasons == []
    assert not lock.lost.is_set()
