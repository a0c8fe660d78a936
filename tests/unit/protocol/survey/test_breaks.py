"""Breaking a hold: what is removed, and when it is not."""

from __future__ import annotations

import pytest

from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock.errors import Conflict, PermissionDenied, Unavailable
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, Hand
from tests.unit.protocol.survey.survey_driver import KEY, survey, survey_of


def test_only_what_is_idle_and_unchanged_is_removed() -> None:
    """Held or foreign: `Conflict`.  Changed since it was seen: False, and it stays."""
    hand = Hand()
    core, lock = survey(hand), hand.lock()
    hand.acquire(lock)
    held = hand.run(core.status(NAME))
    with pytest.raises(Conflict, match="is held"):
        core.remove(held, False)
    operator(hand.world, "/v1/kv/plain", body=b"x")
    with pytest.raises(Conflict, match="not a lock"):
        core.remove(hand.run(core.status("plain")), True)
    hand.release(lock)
    assert hand.run(core.remove(hand.run(core.status(NAME)), False)) is False  # nothing is there
    operator(hand.world, f"/v1/kv/{KEY}?flags={LOCK_FLAG}", body=b"left")
    seen = hand.run(core.status(NAME))
    operator(hand.world, f"/v1/kv/{KEY}?flags={LOCK_FLAG}", body=b"changed")
    assert hand.run(core.remove(seen, False)) is False
    seen = hand.run(core.status(NAME))
    assert hand.run(core.remove(seen, False)) is True
    assert KEY not in hand.held()
    assert hand.run(core.remove(seen, False)) is False


def test_force_removes_under_a_holder() -> None:
    """Whose session stays alive."""
    hand = Hand()
    hand.acquire(hand.lock())
    before = hand.sessions()
    assert hand.run(survey(hand).remove(hand.run(survey(hand).status(NAME)), True)) is True
    assert KEY not in hand.held()
    assert hand.sessions() == before


def test_a_removal_whose_answer_was_lost_is_no_change_by_others() -> None:
    """Tried again it is refused, as it has been done."""
    hand = Hand()
    operator(hand.world, f"/v1/kv/{KEY}?flags={LOCK_FLAG}", body=b"left")
    core = survey(hand)
    flow = core.remove(hand.run(core.status(NAME)), False).flow
    hand.perform(hand.until(flow, lambda request: True))
    assert hand.run_from(flow, Unavailable("no answer", uncertain=True)) is True
    assert KEY not in hand.held()


def test_a_breaking_that_fails_leaves_no_note() -> None:
    """The hold is as it was, and nobody says otherwise."""
    hand = Hand()
    core, session = survey_of(hand)
    job = core.break_hold(NAME, session, "disk full")
    hand.failures.extend([None, None, PermissionDenied("no")])
    with pytest.raises(PermissionDenied):
        hand.run(job)
    assert job.undo is not None
    hand.run(job.undo())
    assert (hand.held(), hand.sessions()) == ({KEY: session}, {session})
