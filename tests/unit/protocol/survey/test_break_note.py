"""The note that a break leaves for the holder."""

from __future__ import annotations

import pytest

from consul_lock._protocol.survey.status import statuses_in
from consul_lock.errors import PermissionDenied
from tests.unit.protocol.fake_driver import NAME, FakeDriver
from tests.unit.protocol.survey.survey_driver import KEY, about, pair, survey_of


def test_a_note_goes_by_itself() -> None:
    """With its session, which nobody renews; then nothing is left of it."""
    driver = FakeDriver()
    core, session = survey_of(driver)
    made = driver.run(core.break_hold(NAME, session, "disk full"))
    status = driver.run(core.status(NAME))
    assert (status.kind, status.state, status.last_break) == ("lock", "free", made)
    assert set(driver.held()) == {KEY, f"{NAME}/.break/{session}"}
    driver.world.advance(3500)
    assert driver.run(core.break_of(NAME, session)) == made
    driver.world.advance(4000)
    assert (driver.held(), driver.sessions()) == ({KEY: ""}, set())
    assert driver.run(core.status(NAME)).last_break is None


def test_a_token_that_may_not_write_a_note_breaks_all_the_same() -> None:
    """And leaves no session for a note that is not there."""
    driver = FakeDriver()
    core, session = survey_of(driver)
    driver.failures.extend([None, PermissionDenied("no")])
    assert driver.run(core.break_hold(NAME, session, "disk full")) is None
    assert (driver.held(), driver.sessions()) == ({KEY: ""}, set())


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"at":"x","host":1,"user":2,"reason":3}'])
def test_a_note_that_makes_no_sense_is_passed_over(value: bytes) -> None:
    """The one before it counts; a key that only looks like a note is a key like any other."""
    good = {"v": 1, "at": 9.0, "host": "web3", "user": "alice", "reason": "r"}
    (status,) = statuses_in(
        [
            pair("a/.break/s1", good, session="n1", at=5),
            pair("a/.break/s2", value, session="n2", at=9),
        ]
    )
    assert (status.kind, status.state, status.index) == ("none", "free", 0)
    assert status.last_break is not None
    assert (status.last_break.session, str(status.last_break)) == ("s1", "alice@web3: r")
    assert [s.kind for s in statuses_in([pair("a/.break/s1", good, flags=0)])] == ["foreign"]
    exact = [pair("a", about("web1"), session="s3"), pair("a/.break/s1", good, session="n1")]
    assert [(s.key, bool(s.last_break), s.held) for s in statuses_in(exact)] == [("a", True, True)]
