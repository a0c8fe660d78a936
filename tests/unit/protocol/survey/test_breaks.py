"""Breaking a hold: what is removed, and when it is not."""

from __future__ import annotations

import pytest

from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock.errors import Conflict, PermissionDenied, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver
from tests.unit.protocol.survey.survey_driver import KEY, survey, survey_of


def test_only_what_is_idle_and_unchanged_is_removed() -> None:
    """Held or foreign: `Conflict`.  Changed since it was seen: False, and it stays."""
    driver = FakeDriver()
    core, lock = survey(driver), driver.lock()
    driver.acquire(lock)
    held = driver.run(core.status(NAME))
    with pytest.raises(Conflict, match="is held"):
        core.remove(held, False)
    operator(driver.world, "/v1/kv/plain", body=b"x")
    with pytest.raises(Conflict, match="not a lock"):
        core.remove(driver.run(core.status("plain")), True)
    driver.release(lock)
    assert (
        driver.run(core.remove(driver.run(core.status(NAME)), False)) is False
    )  # nothing is there
    operator(driver.world, f"/v1/kv/{KEY}?flags={LOCK_FLAG}", body=b"left")
    seen = driver.run(core.status(NAME))
    operator(driver.world, f"/v1/kv/{KEY}?flags={LOCK_FLAG}", body=b"changed")
    assert driver.run(core.remove(seen, False)) is False
    seen = driver.run(core.status(NAME))
    assert driver.run(core.remove(seen, False)) is True
    assert KEY not in driver.held()
    assert driver.run(core.remove(seen, False)) is False


def test_force_removes_under_a_holder() -> None:
    """Whose session stays alive."""
    driver = FakeDriver()
    driver.acquire(driver.lock())
    before = driver.sessions()
    assert driver.run(survey(driver).remove(driver.run(survey(driver).status(NAME)), True)) is True
    assert KEY not in driver.held()
    assert driver.sessions() == before


def test_a_removal_whose_answer_was_lost_is_no_change_by_others() -> None:
    """Tried again it is refused, as it has been done."""
    driver = FakeDriver()
    operator(driver.world, f"/v1/kv/{KEY}?flags={LOCK_FLAG}", body=b"left")
    core = survey(driver)
    flow = core.remove(driver.run(core.status(NAME)), False).flow
    driver.perform(driver.until(flow, lambda request: True))
    assert driver.run_from(flow, Unavailable("no answer", uncertain=True)) is True
    assert KEY not in driver.held()


def test_a_breaking_that_fails_leaves_no_note() -> None:
    """The hold is as it was, and nobody says otherwise."""
    driver = FakeDriver()
    core, session = survey_of(driver)
    job = core.break_hold(NAME, session, "disk full")
    driver.failures.extend([None, None, PermissionDenied("no")])
    with pytest.raises(PermissionDenied):
        driver.run(job)
    assert job.undo is not None
    driver.run(job.undo())
    assert (driver.held(), driver.sessions()) == ({KEY: session}, {session})
