"""What a lock answers at once, by its caller's own hold and the clock."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consul_lock import LossReason, PermissionDenied
from consul_lock._api import lock_state
from consul_lock._api.lock_state import LockState
from consul_lock._protocol.hold.hold import Attempt, Grant, Held, Hold
from consul_lock._protocol.hold.owners import Owners
from consul_lock._protocol.hold.state import Event
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options

VALID = 9.5
"""Seconds after a proof of its session for which a hold counts, with a lock-delay of 10 s."""


class Lock(LockState):
    """A lock without the part that talks to Consul; ``asks`` is whose question it answers."""

    asks = "caller"

    def __init__(self) -> None:
        self.owners = Owners()
        self._core = cast(
            "Lockable",
            SimpleNamespace(
                name="web", key="web/.lock", owners=self.owners, current=self.owners.asked
            ),
        )

    def _me(self) -> Any:  # type: ignore[override] # who asks is chosen by the test
        return self.asks

    def grant(self, token: int = 7, owner: str = "caller", proven: float = 100.0) -> Hold:
        """A hold of an owner, whose session was alive at this time."""
        session = Session(f"session-{token}", session_options(ttl=20, lock_delay=10), None)
        session.mark_alive(proven)
        core = cast("Held", SimpleNamespace(key="web/.lock", on_lost=None))
        attempt = cast("Attempt", SimpleNamespace(owner=owner))
        hold = Hold(core, Grant(session, token, contended=False, queue=None), attempt)
        self.owners.add(hold)
        return hold

    def end(self) -> None:
        """Nothing of it is held any more: it can be dropped without a warning."""
        self.owners = self._core.owners = Owners()


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """One that was never held, at the time 100."""
    at(monkeypatch, 100.0)
    made = Lock()
    yield made
    made.end()


def at(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    monkeypatch.setattr(lock_state, "clock", lambda: now)


def answers(lock: Lock) -> tuple[object, ...]:
    return lock.held, lock.token, lock.session_id, lock.remaining(), lock.lost_reason


def test_a_lock_that_was_never_held_has_nothing(lock: Lock) -> None:
    """But its name and its key."""
    assert (lock.name, lock.key) == ("web", "web/.lock")
    assert answers(lock) == (False, None, None, 0.0, None)
    assert lock.renewal_error is None
    assert repr(lock) == f"<{__name__}.Lock 'web': never held>"


def test_a_hold_counts_until_its_deadline_and_never_again(
    lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that comes after it moves the deadline away, when it is too late."""
    hold = lock.grant(proven=99.0)
    assert answers(lock) == (True, 7, "session-7", VALID - 1.0, None)
    assert repr(lock).endswith("'web': held>")
    at(monkeypatch, 99.0 + VALID)
    assert answers(lock) == (False, 7, "session-7", 0.0, LossReason.DEADLINE)
    hold.session.mark_alive(108.0)
    assert answers(lock) == (False, 7, "session-7", 0.0, LossReason.DEADLINE)


@pytest.mark.parametrize(
    "events, reason, state",
    [
        ((Event.RELEASE, Event.CONFIRM), None, "released"),
        ((Event.LOSE,), LossReason.REVOKED, "lost"),
    ],
    ids=["released", "lost"],
)
def test_a_hold_that_is_over_keeps_its_token(
    lock: Lock, events: tuple[Event, ...], reason: LossReason | None, state: str
) -> None:
    """To see what was written with it."""
    hold = lock.grant()
    for event in events:
        assert hold.advance(event)
    hold.reason = reason
    assert answers(lock) == (False, 7, None, 0.0, reason)
    assert repr(lock).endswith(f"'web': {state}>")


def test_each_caller_is_answered_about_its_own_hold(lock: Lock) -> None:
    """One that lost it does not hold it because another thread does."""
    lost = lock.grant(7)
    lost.advance(Event.LOSE)
    lock.grant(8, owner="other")
    assert (lock.held, lock.token) == (False, 7)
    lock.asks = "other"
    assert (lock.held, lock.token) == (True, 8)


def test_an_error_of_renewals_is_seen_while_it_is_held(lock: Lock) -> None:
    """Errors are no loss."""
    hold = lock.grant()
    hold.session.failure = PermissionDenied("no", rule="")
    assert lock.renewal_error is hold.session.failure
    assert lock.held


def test_it_has_no_truth_value(lock: Lock) -> None:
    """``if lock:`` could mean anything."""
    with pytest.raises(TypeError, match=r"use \.held"):
        bool(lock)


def test_one_that_is_dropped_while_it_is_held_is_warned_of() -> None:
    """By its name; one that is not held is dropped in silence."""
    with pytest.warns(ResourceWarning, match="'web' was dropped while it is held"):
        _drop_after()
    _drop_after(Event.LOSE)


def _drop_after(*events: Event) -> None:
    lock = Lock()
    hold = lock.grant()
    for event in events:
        hold.advance(event)
    del lock
    gc.collect()
