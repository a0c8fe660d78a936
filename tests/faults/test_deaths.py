"""Nobody gets a lock while a holder that was cut off, and whose session ended, believes in it."""

from __future__ import annotations

import logging

import pytest

from tests.faults.deaths import Make, one, play, two
from tests.support.agent import Agent
from tests.support.effort import scaled

log = logging.getLogger(__name__)

pytestmark = [
    pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("busy_servers_answer"),
]  # fmt: skip

# Deaths with one holder, all of those within its lock-delay; and in all.
_AT_ONCE = 25
_DEATHS = _AT_ONCE * scaled(2)


@pytest.mark.parametrize("make", [one, two], ids=["lock", "multi"])
def test_of_a_fleet_at_a_death_nobody_gets_in(agent: Agent, fresh_name: str, make: Make) -> None:
    """Each newcomer meets the lock for the first time, and tries once."""
    tries, after, overlaps = 0, 0, list[str]()
    for batch in range(0, _DEATHS, _AT_ONCE):
        prefix = f"{fresh_name}/{batch}"
        result = play(agent, [agent.address], make, prefix, _AT_ONCE)
        overlaps += result.overlaps
        tries, after = tries + result.tries, after + result.after
        agent.request("DELETE", f"/v1/kv/{fresh_name}?recurse")
    log.info("%d deaths, %d tries, %d of them after the end", _DEATHS, tries, after)
    log.info("%d overlaps", len(overlaps))
    assert overlaps == []
    assert min(after, tries - after) > _DEATHS
