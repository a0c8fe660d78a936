"""The watchdog reports losses in time, without any I/O."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.flow import Call, Flow, Now, Wait, Warn
from consul_lock._protocol.keys import keys_of_name
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import LossReason
from tests.unit.protocol.fake_driver import Hand, hold_of


def watchdog_of(hand: Hand) -> Flow[None]:
    """The flow that the first hold has started."""
    (flow,) = [f for f in hand.spawned if getattr(f, "__qualname__", "") == "Watchdog.run"]
    return flow


def rest(hand: Hand, flow: Flow[None], effect: Any = None) -> Wait:
    """Perform what takes no time, up to the next pause."""
    effect = next(flow) if effect is None else effect
    while not isinstance(effect, Wait):
        assert isinstance(effect, Now | Call | Warn), f"{effect!r} may take its time"
        effect = hand.go_on(flow, effect)
    return effect


def sleep(hand: Hand, flow: Flow[None], pause: Wait | None, seconds: float) -> Wait | None:
    """Let it go on until so many seconds have passed; None: it has ended."""
    end = hand.world.now + seconds
    while pause is not None and hand.world.now < end:
        try:
            pause = rest(hand, flow, hand.go_on(flow, pause))
        except StopIteration:
            pause = None
    return pause


def test_a_loss_is_told_at_the_deadline_without_any_request() -> None:
    """The keeper hangs all the while: nobody performs it."""
    hand, told = Hand(), list[tuple[LossReason, float]]()
    lock = hand.lock(on_lost=lambda reason: told.append((reason, hand.world.now)))
    hand.acquire(lock)
    hold = hold_of(lock)
    deadline = hold.deadline()
    flow = watchdog_of(hand)
    hand.sent.clear()
    sleep(hand, flow, rest(hand, flow), 40.0)
    assert told == [(LossReason.DEADLINE, pytest.approx(deadline))]
    assert hold.lost.is_set()
    assert hand.sent == []


def test_a_deadline_that_moved_away_is_looked_at_again() -> None:
    """It is not forgotten, and not told before its time."""
    hand, told = Hand(), list[float]()
    lock = hand.lock(on_lost=lambda reason: told.append(hand.world.now))
    hand.acquire(lock)
    hold, flow = hold_of(lock), watchdog_of(hand)
    pause = sleep(hand, flow, rest(hand, flow), 20.0)
    hold.mark_alive(hand.world.now)
    deadline = hold.deadline()
    sleep(hand, flow, pause, 60.0)
    assert told == [pytest.approx(deadline)]


def test_a_hold_whose_deadline_comes_first_wakes_it() -> None:
    """It had planned to look again in 2 s; a lock-delay may be shorter than that."""
    hand = Hand()
    client = hand.client()
    hand.acquire(hand.lock(client))
    flow = watchdog_of(hand)
    pause = rest(hand, flow)
    hand.acquire(hand.lock(client, "jobs/other"))
    assert not pause.signal.is_set()
    brief = LockCore(client, keys_of_name("jobs/brief"), Settings(session_options(lock_delay=1.0)))
    hand.acquire(brief)
    assert pause.signal.is_set()


def test_what_has_passed_its_deadline_never_counts_again() -> None:
    """An answer that was on its way moves the deadline away, after somebody was told False."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    hold, flow = hold_of(lock), watchdog_of(hand)
    pause = rest(hand, flow)
    late = hold.deadline() + 0.001
    assert not hold.counts(late)
    hold.mark_alive(20.0)
    assert hold.deadline() > late
    assert not hold.counts(late)
    assert not hold.counts(hand.world.now)
    sleep(hand, flow, pause, 30.0)
    assert hold.reason is LossReason.DEADLINE


def test_it_ends_when_nothing_was_held_for_a_while_and_begins_again() -> None:
    """No thread is started for each acquire, and none is left for ever."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    flow = watchdog_of(hand)
    pause = sleep(hand, flow, rest(hand, flow), 12.0)
    hand.release(lock)
    pause = sleep(hand, flow, pause, 5.0)
    hand.acquire(lock)
    hand.release(lock)
    assert watchdog_of(hand) is flow
    assert sleep(hand, flow, pause, 30.0) is None
    hand.spawned.clear()
    hand.acquire(lock)
    assert watchdog_of(hand) is not flow


def test_it_ends_at_once_when_the_client_is_closed() -> None:
    """Closing does not wait for it."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    flow = watchdog_of(hand)
    pause = rest(hand, flow)
    hand.release(lock)
    lock.client.begin_to_close()
    assert pause.signal.is_set()
    with pytest.raises(StopIteration):
        rest(hand, flow, hand.go_on(flow, pause))


def test_an_error_while_one_loss_is_told_does_not_keep_the_others_from_it() -> None:
    """It is written into the log, with its traceback."""
    hand = Hand()
    client = hand.client()
    first, second = hand.lock(client), hand.lock(client, "jobs/other")
    hand.acquire(first)
    hand.acquire(second)

    def broken(attempt: Any) -> None:
        if attempt is hold_of(first).attempt:
            raise RuntimeError("odd")

    client.local_queues.leave = broken  # type: ignore[method-assign] # what nobody foresees
    flow = watchdog_of(hand)
    sleep(hand, flow, rest(hand, flow), 40.0)
    assert hold_of(second).lost.is_set()
    assert [(w.event, repr(w.error)) for w in hand.warnings] == [
        ("watchdog-error", "RuntimeError('odd')")
    ]


def test_no_thread_for_the_watchdog_fails_the_acquire() -> None:
    """A loss could not be told; the next acquire tries again."""
    hand = Hand()
    lock = hand.lock()
    job = lock.acquire(True, None, "me")
    effect, _ = hand.drive(job.flow, 0)
    while getattr(getattr(effect, "flow", None), "__qualname__", "") != "Watchdog.run":
        effect = hand.go_on(job.flow, effect)
    with pytest.raises(RuntimeError):
        job.flow.throw(RuntimeError("can't start new thread"))
    assert job.undo is not None
    hand.run(job.undo())
    assert hand.held() == {}
    hand.spawned.clear()
    hand.acquire(lock)
    assert watchdog_of(hand)
