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
from tests.unit.protocol.fake_driver import FakeDriver, hold_of


def watchdog_of(driver: FakeDriver) -> Flow[None]:
    """The flow that the first hold has started."""
    (flow,) = [f for f in driver.spawned if getattr(f, "__qualname__", "") == "Watchdog.run"]
    return flow


def rest(driver: FakeDriver, flow: Flow[None], effect: Any = None) -> Wait:
    """Perform what takes no time, up to the next pause."""
    effect = next(flow) if effect is None else effect
    while not isinstance(effect, Wait):
        assert isinstance(effect, Now | Call | Warn), f"{effect!r} may take its time"
        effect = driver.go_on(flow, effect)
    return effect


def sleep(driver: FakeDriver, flow: Flow[None], pause: Wait | None, seconds: float) -> Wait | None:
    """Let it go on until so many seconds have passed; None: it has ended."""
    end = driver.world.now + seconds
    while pause is not None and driver.world.now < end:
        try:
            pause = rest(driver, flow, driver.go_on(flow, pause))
        except StopIteration:
            pause = None
    return pause


def test_a_loss_is_reported_at_the_deadline_without_any_request() -> None:
    """The keeper hangs all the while: nobody performs it."""
    driver, told = FakeDriver(), list[tuple[LossReason, float]]()
    lock = driver.lock(on_lost=lambda reason: told.append((reason, driver.world.now)))
    driver.acquire(lock)
    hold = hold_of(lock)
    deadline = hold.deadline()
    flow = watchdog_of(driver)
    driver.sent.clear()
    sleep(driver, flow, rest(driver, flow), 40.0)
    assert told == [(LossReason.DEADLINE, pytest.approx(deadline))]
    assert hold.lost.is_set()
    assert driver.sent == []


def test_a_deadline_that_moved_away_is_looked_at_again() -> None:
    """It is not forgotten, and not reported before its time."""
    driver, told = FakeDriver(), list[float]()
    lock = driver.lock(on_lost=lambda reason: told.append(driver.world.now))
    driver.acquire(lock)
    hold, flow = hold_of(lock), watchdog_of(driver)
    pause = sleep(driver, flow, rest(driver, flow), 20.0)
    hold.mark_alive(driver.world.now)
    deadline = hold.deadline()
    sleep(driver, flow, pause, 60.0)
    assert told == [pytest.approx(deadline)]


def test_a_hold_whose_deadline_comes_first_wakes_it() -> None:
    """It had planned to look again in 2 s; a lock-delay may be shorter than that."""
    driver = FakeDriver()
    client = driver.client()
    driver.acquire(driver.lock(client))
    flow = watchdog_of(driver)
    pause = rest(driver, flow)
    driver.acquire(driver.lock(client, "jobs/other"))
    assert not pause.signal.is_set()
    brief = LockCore(client, keys_of_name("jobs/brief"), Settings(session_options(lock_delay=1.0)))
    driver.acquire(brief)
    assert pause.signal.is_set()


def test_a_hold_past_its_deadline_never_counts_again() -> None:
    """An answer that was on its way moves the deadline away, after somebody got False."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    hold, flow = hold_of(lock), watchdog_of(driver)
    pause = rest(driver, flow)
    late = hold.deadline() + 0.001
    assert not hold.counts(late)
    hold.mark_alive(20.0)
    assert hold.deadline() > late
    assert not hold.counts(late)
    assert not hold.counts(driver.world.now)
    sleep(driver, flow, pause, 30.0)
    assert hold.reason is LossReason.DEADLINE


def test_it_ends_when_nothing_was_held_for_a_while_and_begins_again() -> None:
    """No thread is started for each acquire, and none is left for ever."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    flow = watchdog_of(driver)
    pause = sleep(driver, flow, rest(driver, flow), 12.0)
    driver.release(lock)
    pause = sleep(driver, flow, pause, 5.0)
    driver.acquire(lock)
    driver.release(lock)
    assert watchdog_of(driver) is flow
    assert sleep(driver, flow, pause, 30.0) is None
    driver.spawned.clear()
    driver.acquire(lock)
    assert watchdog_of(driver) is not flow


def test_it_ends_at_once_when_the_client_is_closed() -> None:
    """Closing does not wait for it."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    flow = watchdog_of(driver)
    pause = rest(driver, flow)
    driver.release(lock)
    lock.client.begin_to_close()
    assert pause.signal.is_set()
    with pytest.raises(StopIteration):
        rest(driver, flow, driver.go_on(flow, pause))


def test_an_error_while_one_loss_is_reported_does_not_stop_the_other_reports() -> None:
    """It is written into the log, with its traceback."""
    driver = FakeDriver()
    client = driver.client()
    first, second = driver.lock(client), driver.lock(client, "jobs/other")
    driver.acquire(first)
    driver.acquire(second)

    def broken(attempt: Any) -> None:
        if attempt is hold_of(first).attempt:
            raise RuntimeError("odd")

    client.local_queues.leave = broken  # type: ignore[method-assign] # what nobody foresees
    flow = watchdog_of(driver)
    sleep(driver, flow, rest(driver, flow), 40.0)
    assert hold_of(second).lost.is_set()
    assert [(w.event, repr(w.error)) for w in driver.warnings] == [
        ("watchdog-error", "RuntimeError('odd')")
    ]


def test_no_thread_for_the_watchdog_fails_the_acquire() -> None:
    """A loss could not be reported; the next acquire tries again."""
    driver = FakeDriver()
    lock = driver.lock()
    job = lock.acquire(True, None, "me")
    effect, _ = driver.drive(job.flow, 0)
    while getattr(getattr(effect, "flow", None), "__qualname__", "") != "Watchdog.run":
        effect = driver.go_on(job.flow, effect)
    with pytest.raises(RuntimeError):
        job.flow.throw(RuntimeError("can't start new thread"))
    assert job.undo is not None
    driver.run(job.undo())
    assert driver.held() == {}
    driver.spawned.clear()
    driver.acquire(lock)
    assert watchdog_of(driver)
