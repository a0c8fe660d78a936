"""Nobody gets a lock while a holder that was cut off believes in it: on three servers."""

from __future__ import annotations

import logging

import pytest

from tests.faults.deaths import Make, one, play, two
from tests.support.cluster import Cluster
from tests.support.effort import scaled

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.cluster, pytest.mark.real, pytest.mark.slow]

# Deaths with one holder, all of those within its lock-delay; and in all.  With sessions of the
# behaviour "delete", newcomers get in at a third of the deaths.
_AT_ONCE = 20
_DEATHS = _AT_ONCE * scaled(1)


@pytest.mark.parametrize("make", [one, two], ids=["lock", "multi"])
def test_of_a_fleet_at_a_death_nobody_gets_in(
    cluster: Cluster, fresh_name: str, make: Make
) -> None:
    """Newcomers of all servers meet each lock for the first time, and try once."""
    addresses = [server.address for server in cluster.servers]
    tries, after, overlaps = 0, 0, list[str]()
    for batch in range(0, _DEATHS, _AT_ONCE):
        result = play(cluster.client, addresses, make, f"{fresh_name}/{batch}", _AT_ONCE)
        overlaps += result.overlaps
        tries, after = tries + result.tries, after + result.after
        cluster.client.request("DELETE", f"/v1/kv/{fresh_name}?recurse")
    log.info("%d deaths, %d tries, %d of them after the end", _DEATHS, tries, after)
    log.info("%d overlaps", len(overlaps))
    assert overlaps == []
    assert min(after, tries - after) > _DEATHS
