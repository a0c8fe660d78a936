"""Sessions, and what is said of their nodes."""

from __future__ import annotations

import pytest

from consul_lock._protocol.survey.sessions import SessionStatus, sessions
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


@pytest.mark.parametrize(
    "checks, health",
    [
        ({"serfHealth": "passing"}, "passing"),
        ({"serfHealth": "passing", "disk": "warning"}, "warning"),
        ({"disk": "warning", "web": "critical", "serfHealth": "passing"}, "critical"),
        ({"disk": "maintenance"}, ""),
    ],
)
def test_the_health_of_a_node_is_the_worst_of_its_checks(
    checks: dict[str, str], health: str
) -> None:
    """What no Consul says is not known."""
    status = SessionStatus("id", "", "node", 10.0, 15.0, "delete", ("serfHealth",), (), checks)
    assert status.node_health == health
