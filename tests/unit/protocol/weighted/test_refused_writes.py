"""Somebody writes a document anew just before each write of ours: we do not try for ever."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.client.retry import TRIES_MAX
from consul_lock._protocol.flow import Job, Request
from consul_lock._protocol.keys import SEMAPHORE_FLAG
from consul_lock._protocol.weighted.release import settle
from consul_lock.errors import Unavailable
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import verbs
from tests.unit.protocol.weighted_driver import WeightedDriver

KEY = "slots/.lock"


class DisturbedDriver(WeightedDriver):
    """Once it is disturbed, the index of the document moves before each change of it."""

    disturbing = False
    disturbed = 0

    def perform(self, effect: Any) -> Any:
        changes = isinstance(effect, Request) and {"cas", "delete-cas"} & set(verbs(effect))
        if self.disturbing and changes:
            self.disturbed += 1
            value = self.world._server.kv.entries[KEY].value
            operator(self.world, f"/v1/kv/{KEY}?flags={SEMAPHORE_FLAG}", body=value + b" ")
        return super().perform(effect)


@pytest.fixture
def driver() -> DisturbedDriver:
    """Two hold a slot each; from now on they are disturbed."""
    made = DisturbedDriver()
    made.lock = made.semaphore()  # type: ignore[attr-defined] # for the tests below
    assert made.acquire(made.lock)
    assert made.acquire(made.semaphore(made.client("b")))
    made.disturbing = True
    return made


@pytest.mark.parametrize("what", ["resize", "settle", "release"])
def test_a_change_that_is_refused_each_time_ends_in_an_error(driver: Any, what: str) -> None:
    """It says so, after a number of tries, and has changed nothing."""
    lock, hold = driver.lock, driver.lock.hold
    before = set(driver.held())
    flows = {
        "resize": lambda: lock.resize(5),
        "settle": lambda: Job(settle(lock, lock.targets(), hold.sessions)),
        "release": lambda: Job(lock.let_go(hold, patient=False)),
    }
    with pytest.raises(Unavailable, match=f"{TRIES_MAX} tries were refused"):
        driver.run(flows[what]())
    assert driver.disturbed == TRIES_MAX
    assert set(driver.held()) == before
    assert lock.limit == 2
