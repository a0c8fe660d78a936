"""What a process that was killed held, or waited for, is released by one that knows its session."""

from __future__ import annotations

import pytest

from consul_lock import LockLost
from tests.contract.fixture import QUICK, Room
from tests.contract.lock_kinds import each_kind
from tests.support.waiting import eventually

pytestmark = each_kind


def test_what_a_dead_process_held_is_free_at_once(room: Room) -> None:
    """Without lock-delay: the next try gets it."""
    dead, survivor = room.holding(), room.others_lock()
    survivor._release_abandoned([dead.session_id])
    assert survivor.acquire(timeout=0)
    survivor.release()
    with pytest.raises(LockLost):
        dead.release()


def test_a_waiter_gets_what_a_dead_process_held(room: Room) -> None:
    """Long before the session would have expired."""
    dead, survivor, waiter = room.holding(**QUICK), room.others_lock(), room.others_lock()
    waiting = waiter.start("acquire", timeout=60)
    room.in_line(1)
    survivor._release_abandoned([dead.session_id])
    assert waiting.result(120) is True
    waiter.release()
    eventually(dead.lost.is_set)
