"""A crashed holder with a heartbeat is replaced in seconds."""

from __future__ import annotations

import logging

import pytest

from tests.stress.kinds import KINDS
from tests.stress.takeover import takeover
from tests.support.agent import Agent
from tests.support.waiting import eventually

log = logging.getLogger(__name__)

pytestmark = pytest.mark.slow

# Short, and so long that a busy machine does not end the session of a holder that lives.
HEARTBEAT, LOCK_DELAY = 3.0, 4.0

# Seconds.  It takes about nine; without a heartbeat the TTL alone takes a minute or two, and the
# lock-delay comes on top.
TTL, SOON = 60.0, 45.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_crashed_holder_with_a_heartbeat_is_replaced_long_before_its_ttl(
    own_agent: Agent, fresh_name: str, kind: str
) -> None:
    """But not before its lock-delay: until then it might still believe that it holds."""
    options = {"heartbeat": HEARTBEAT, "lock_delay": LOCK_DELAY, "ttl": TTL}
    took = takeover(own_agent, kind, fresh_name, options)
    log.info("%s: replaced after %.2f s", kind, took)
    assert LOCK_DELAY < took < SOON
    eventually(lambda: own_agent.sessions() == [], message="no session is left")
    assert own_agent.keys(fresh_name) == []
