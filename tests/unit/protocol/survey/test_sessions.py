"""Sessions, and what is said of their nodes."""

from __future__ import annotations

import pytest

from consul_lock._protocol.survey.sessions import sessions
from consul_lock.errors import ConfigError
from tests.unit.protocol.fake_driver import FakeDriver
from tests.unit.protocol.survey.survey_driver import survey


def test_a_lone_string_is_no_list_of_sessions() -> None:
    """It would be taken for one id a letter."""
    with pytest.raises(ConfigError, match="one string"):
        survey(FakeDriver()).sessions("abc")


def test_sessions_whose_node_is_unknown() -> None:
    """Some Consul servers, or some tokens, hide it: what is known is shown all the same."""
    driver = FakeDriver()
    driver.acquire(lock := driver.lock())
    assert lock.hold is not None
    id_ = lock.hold.session.id
    found = driver.run(sessions(driver.client().api, [id_, "another"]))
    assert list(found) == [id_]
    assert (found[id_].ttl, found[id_].node_checks, found[id_].node_health) == (10.0, {}, "")
