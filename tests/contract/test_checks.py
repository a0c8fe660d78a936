"""Sessions bound to health checks of the user's: their lock is lost when one turns critical."""

from __future__ import annotations

import uuid
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from consul_lock import LockLost, LossReason, Refused
from tests.contract.fixture import QUICK, Room, Told
from tests.contract.health import Health
from tests.contract.lock_kinds import KINDS
from tests.support.waiting import eventually


class Check(NamedTuple):
    """A check that really is there, and how a lock is bound to it."""

    health: Health
    id: str
    option: str

    @property
    def binding(self) -> dict[str, Any]:
        return {self.option: [self.id]}

    def tell(self, verb: str) -> None:
        self.health.tell(self.id, verb)


@pytest.fixture(params=["service_checks", "checks"], ids=["of-a-service", "of-the-node"])
def check(request: pytest.FixtureRequest, room: Room) -> Check:
    """One of a service, and one of the node, in turn; both pass."""
    health, name = Health(room.operator), f"web-{uuid.uuid4().hex[:8]}"
    if request.param == "checks":
        health.register_check(name)
        room.at_end(lambda: health.tell(name, "deregister"))
        return Check(health, name, request.param)
    found = Check(health, health.register_service(name), request.param)
    room.at_end(lambda: health.deregister(name))
    return found


of_a_service = pytest.mark.parametrize("check", ["service_checks"], indirect=True)
each_private_kind = pytest.mark.parametrize(
    "kind", [k for k in KINDS if k.own_session], indirect=True, ids=lambda kind: kind.name
)


@each_private_kind
@of_a_service
def test_everything_that_is_held_is_lost_with_its_check(room: Room, check: Check) -> None:
    """Each kind looks at its session in its own way."""
    told = Told()
    lock = room.holding(on_lost=told, **QUICK, **check.binding)
    check.tell("fail")
    eventually(lambda: told.reasons)
    assert (told.reasons, lock.held) == ([LossReason.SESSION_INVALID], False)


@pytest.mark.parametrize("verb", ["fail", "deregister"])
def test_a_lock_whose_check_turns_critical_is_lost(room: Room, check: Check, verb: str) -> None:
    """At the next look, not at the deadline: its session is dead by then."""
    told = Told()
    lock = room.holding(on_lost=told, **QUICK, **check.binding)
    session = lock.session_id
    assert lock.held
    check.tell(verb)
    eventually(lambda: told.reasons)
    assert (told.reasons, lock.held) == ([LossReason.SESSION_INVALID], False)
    assert lock.lost_reason is LossReason.SESSION_INVALID
    assert session not in room.operator.sessions()
    with pytest.raises(LockLost) as caught:
        lock.release()
    assert caught.value.reason is LossReason.SESSION_INVALID
    assert f"health checks {check.id!r}" in str(caught.value)


def test_a_warning_is_no_loss(room: Room, check: Check) -> None:
    """Consul ends a session for a critical check only; some renewals later it still lives."""
    lock = room.holding(**check.binding)
    session, left = lock.session_id, []
    check.tell("warn")

    def renewed_twice() -> bool:
        left.append(lock.remaining())
        return sum(after > before for before, after in pairwise(left)) > 1

    eventually(renewed_twice)
    assert (lock.held, lock.session_id) == (True, session)
    lock.release()


def test_the_session_is_bound_to_all_that_was_asked_for(room: Room, check: Check) -> None:
    """The node's own health among them, which Consul would bind it to by itself."""
    binding = {"checks": ["serfHealth"], "service_checks": []}
    binding[check.option] = [*binding[check.option], check.id]
    lock = room.holding(**binding)
    bound = check.health.bound(lock.session_id)
    assert set(bound["NodeChecks"]) == set(binding["checks"])
    assert bound["ServiceChecks"] == binding["service_checks"]
    lock.release()


def test_a_check_of_the_user_and_a_heartbeat_both_end_the_session(room: Room, check: Check) -> None:
    """The heart beats, and the lock is lost all the same."""
    told = Told()
    lock = room.holding(on_lost=told, heartbeat=10.0, **QUICK, **check.binding)
    [heart] = check.health.hearts()
    assert heart in check.health.bound(lock.session_id)["ServiceChecks"]
    check.tell("fail")
    eventually(lambda: told.reasons)
    assert told.reasons == [LossReason.SESSION_INVALID]
    assert check.health.hearts() == {heart: "passing"}


@pytest.mark.parametrize("verb", ["fail", "deregister"])
def test_no_lock_is_acquired_with_a_check_that_fails(room: Room, check: Check, verb: str) -> None:
    """An error that names the check, at once, for one who does not wait."""
    check.tell(verb)
    # The agent tells the servers a moment later; they refuse a session then.
    eventually(lambda: not check.health.takes(check.binding))
    lock = room.lock(**check.binding)
    with pytest.raises(Refused, match=check.id):
        lock.acquire(blocking=False)
    if verb == "fail":
        check.tell("pass")
        eventually(lambda: check.health.takes(check.binding))
        assert lock.acquire()
        lock.release()


@pytest.mark.slow
@of_a_service
def test_a_waiter_whose_check_fails_leaves_the_queue(room: Room, check: Check) -> None:
    """Its place goes with its session; those behind it are not held up.  It takes another place
    when the check passes again."""
    holder, waiter = room.holding(), room.others_lock(**check.binding)
    waiting = waiter.start("acquire")
    room.in_line(1)
    check.tell("fail")
    room.in_line(0)
    assert not waiting.done()
    check.tell("pass")
    room.in_line(1)
    holder.release()
    assert waiting.result(120) is True
    waiter.release()
