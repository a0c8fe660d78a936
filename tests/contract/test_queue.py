"""The queue of waiters: first come, first served, and everybody can see it."""

from __future__ import annotations

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor

from tests.contract.fixture import QUICK, Room, seen_to_wait
from tests.contract.lock_kinds import each_kind_with_a_line
from tests.support.apis import Sync
from tests.support.waiting import eventually

pytestmark = each_kind_with_a_line


def _line_up(room: Room, locks: list[Sync]) -> list[Future[bool]]:
    """Each joins after the one before is queued."""
    waiting = []
    for number, lock in enumerate(locks, 1):
        waiting.append(lock.start("acquire"))
        room.in_line(number)
    return waiting


def test_five_waiters_are_served_in_the_order_they_came(room: Room) -> None:
    """Each release lets exactly the next one in."""
    holder = room.holding()
    locks = [room.others_lock() for _ in range(5)]
    waiting = _line_up(room, locks)
    for number, lock in enumerate(locks):
        holder.release()
        assert waiting[number].result(120) is True
        assert [future.done() for future in waiting[number + 1 :]] == [False] * (4 - number)
        holder = lock
    holder.release()


def test_a_waiter_that_gives_up_does_not_hold_up_those_behind(room: Room) -> None:
    """The waiters behind it move up."""
    holder, gone, last = room.holding(), room.others_lock(), room.others_lock()
    giving_up = seen_to_wait(
        lambda: gone.start("acquire", timeout=0.7), lambda: room.waiting() == 1
    )
    waiting = last.start("acquire")
    assert giving_up.result(120) is False
    room.in_line(1)
    holder.release()
    assert waiting.result(120) is True
    last.release()


def test_a_waiter_that_gives_up_and_asks_again_is_behind_those_that_came_meanwhile(
    room: Room,
) -> None:
    """It uses its session again, so its second entry has the key of the first: the lock goes to
    the one before it at once, instead of to somebody who does not expect it yet."""
    holder, hasty, patient = room.holding(**QUICK), room.others_lock(), room.others_lock()
    # Long enough for the holder to have looked at the queue, and to remember what it saw.
    giving_up = seen_to_wait(
        lambda: hasty.start("acquire", timeout=4 * QUICK["lock_delay"] / 6),
        lambda: room.waiting() == 1,
    )
    waiting = patient.start("acquire")
    # On a busy machine the first one may have given up by then.
    eventually(lambda: room.waiting() == (1 if giving_up.done() else 2))
    assert giving_up.result(120) is False
    again = hasty.start("acquire")
    room.in_line(2)
    holder.release()
    assert waiting.result(120) is True
    assert not again.done()
    patient.release()
    assert again.result(120) is True
    hasty.release()


def test_a_waiter_that_dies_does_not_hold_up_those_behind(room: Room) -> None:
    """Its session goes, and its place with it; it queues anew, at the end."""
    holder, first, last = room.holding(), room.others_lock(), room.others_lock()
    waiting = _line_up(room, [first, last])
    room.operator.destroy(holder.waiters()[0].session)
    holder.release()
    assert waiting[1].result(120) is True
    last.release()
    assert waiting[0].result(120) is True
    first.release()


def test_a_newcomer_does_not_overtake_the_queue(room: Room) -> None:
    """The lock is handed over, so it is never free while somebody waits."""
    holder, waiter, newcomer = room.holding(), room.others_lock(), room.others_lock()
    (waiting,) = _line_up(room, [waiter])
    holder.release()
    assert newcomer.acquire(timeout=0) is False
    assert holder.acquire(timeout=0) is False
    assert waiting.result(120) is True
    waiter.release()


def test_waiters_are_listed_in_order_with_what_they_say(room: Room) -> None:
    """Their details, in the order in which they will be served."""
    holder = room.holding()
    locks = [room.others_lock(meta={"n": str(n)}, command=f"job {n}") for n in range(3)]
    waiting = _line_up(room, locks)
    line = holder.waiters()
    assert [waiter.meta for waiter in line] == [{"n": "0"}, {"n": "1"}, {"n": "2"}]
    assert [waiter.command for waiter in line] == ["job 0", "job 1", "job 2"]
    assert {waiter.pid for waiter in line} == {os.getpid()}
    assert {waiter.token for waiter in line} == {None}
    assert {waiter.foreign for waiter in line} == {False}
    for number, lock in enumerate(locks):
        holder.release()
        assert waiting[number].result(120)
        assert [w.meta["n"] for w in lock.waiters()] == [str(n) for n in range(number + 1, 3)]
        holder = lock
    holder.release()


def test_the_holder_says_who_it_is(room: Room) -> None:
    """Taken or handed over: host, process, user, command, meta, time and token are its own."""
    before = time.time() - 1
    first = room.lock(meta={"build": "7"}, command="make deploy")
    second = room.others_lock(meta={"build": "8"})
    assert first.holder() is None
    assert first.acquire()
    (waiting,) = _line_up(room, [second])
    for lock, build in ((first, "7"), (second, "8")):
        holder = room.others_lock().holder()
        assert (holder.session, holder.token) == (lock.session_id, lock.token)
        assert (holder.host, holder.pid) == (os.uname().nodename, os.getpid())
        assert holder.meta == {"build": build}
        assert before <= holder.since <= time.time() + 1
        assert str(os.getpid()) in str(holder)
        if lock is first:
            assert holder.command == "make deploy"
            first.release()
            assert waiting.result(120)
    second.release()
    assert second.holder() is None


def test_a_holder_that_says_nothing_is_foreign(room: Room) -> None:
    """Another tool holds the key: its session is known, and nothing is invented."""
    session = room.take()
    holder = room.lock().holder()
    assert (holder.session, holder.foreign, holder.host) == (session, True, "")
    room.clear(session)
    assert room.lock().holder() is None


def test_many_users_of_one_client_are_one_waiter(room: Room) -> None:
    """They queue inside the process, so Consul sees one of them."""
    holder, lock = room.holding(), room.others_lock()
    served: list[int] = []

    def enter(user: Sync) -> None:
        with user:
            served.append(user.token)

    with ThreadPoolExecutor(20) as pool:
        entering = pool.map(enter, [lock.by(room.actor()) for _ in range(20)])
        room.in_line(1)
        assert len(holder.waiters()) == 1
        holder.release()
        list(entering)
    assert len(served) == 20
    assert served == sorted(set(served))
