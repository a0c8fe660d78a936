"""What is not known for certain is never relied on: stale reads, lost answers."""

from __future__ import annotations

import pytest

from consul_lock._protocol.consul.models import Pair, ReadResult
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.lock.decision import LockState, decide
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, verbs

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


def found(session: str, index: int, flags: int = LOCK_FLAG) -> ReadResult:
    return ReadResult(0.0, index, (Pair(KEY, b"", flags, session, 1, index),))


@pytest.mark.parametrize(
    "seen, certain, verdict",
    [
        (None, False, LockState.FREE),
        (ReadResult(0.0, 9, ()), False, LockState.FREE),
        (found("", 9), False, LockState.FREE),
        (found("other", 9), False, LockState.TAKEN),
        (found("mine", 9), False, LockState.OURS),
        (found("mine", 5), False, LockState.STALE),
        (found("mine", 5), True, LockState.OURS),
        (found("mine", 9, flags=0), False, LockState.OURS),
        (found("other", 9, flags=0), False, LockState.TAKEN),
        (found("", 9, flags=1), False, LockState.FOREIGN),
    ],
)
def test_what_a_read_of_the_key_means(
    seen: ReadResult | None, certain: bool, verdict: LockState
) -> None:
    """Our session on a picture that is no newer than our last write proves nothing."""
    session = Session("mine", session_options(), None)
    session.mark_alive(0.0, 5)
    assert decide(seen, session, certain=certain) is verdict


def test_who_wakes_up_as_the_holder_confirms_before_it_believes() -> None:
    """It was paused while it waited: its session may have died in the meantime."""
    driver = FakeDriver()
    holder, mine = driver.lock(), driver.lock(driver.client("b"))
    driver.acquire(holder)
    flow, watching = driver.queue_up(mine)
    driver.when_blocked = lambda: driver.release(holder)
    seen = driver.perform(watching)
    driver.world.advance(60.0)
    driver.sent.clear()
    effect = flow.send(seen)
    confirming = driver.until(flow, lambda request: verbs(request) != [], after=effect)
    assert verbs(confirming) == ["check-index", "lock"]
    assert driver.sent == []
    made = driver.until(flow, lambda request: "/session/create" in request.path, after=confirming)
    assert made
    assert mine.hold is None


def test_a_session_in_doubt_is_not_passed_on_inside_the_process() -> None:
    """Its late writes would be passed on with it."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.drive(lock.acquire(True, None, "another thread").flow, 0)
    assert lock.hold is not None
    lock.hold.session.uncertain = True
    flow = lock.release("me").flow
    letting = driver.until(flow, lambda request: "unlock" in verbs(request))
    assert "lock" not in verbs(letting)


def test_a_session_that_is_known_well_is_passed_on_inside_the_process() -> None:
    """In one transaction, which gives the next holder a token of its own."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.drive(lock.acquire(True, None, "another thread").flow, 0)
    flow = lock.release("me").flow
    letting = driver.until(flow, lambda request: "unlock" in verbs(request))
    assert "lock" in verbs(letting)


def test_the_holder_does_not_hand_the_lock_over_to_itself() -> None:
    """Its own entry may be in line, if it was not told that it had joined."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    assert lock.hold is not None
    session = lock.hold.session.id
    operator(driver.world, f"/v1/kv/{BASE}", body=b"sign")
    operator(driver.world, f"/v1/kv/{BASE}/{session}?acquire={session}&flags={LOCK_FLAG}")
    driver.release(lock)
    assert KEY not in driver.held()
