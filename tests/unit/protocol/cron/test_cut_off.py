"""The claim and the end of a cron run, when the exception of a signal handler strikes between any
two lines: no run lock is left, and the end is recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from consul_lock._protocol.cron.decision import CronOutcome
from consul_lock._protocol.cron.guard import CronCore
from consul_lock._protocol.cron.run import CronRun
from consul_lock._protocol.flow import Job, Request
from tests.support.effort import scaled
from tests.unit.protocol.cron.cron_driver import HOUR, CronDriver
from tests.unit.protocol.cut_points import cut_off, strikes
from tests.unit.protocol.fake_driver import NAME, verbs


class Scene(NamedTuple):
    """A driver, and a flow about to be performed by it."""

    driver: CronDriver
    core: CronCore
    job: Job
    run: CronRun[Any] | None = None


def claim() -> Scene:
    driver = CronDriver()
    core, _, job = driver.claim()
    return Scene(driver, core, job)


def claim_of_a_slot_that_has_run() -> Scene:
    driver = CronDriver()
    core, claimed, run = driver.once()
    driver.run(core.leave(claimed, run, None))
    core, _, job = driver.claim()
    return Scene(driver, core, job)


def claim_that_loses_a_race() -> Scene:
    """It has the run lock when another host, which needs none, writes the claim."""
    scene = claim()
    driver = scene.driver

    def race(request: Request) -> None:
        if "cas" in verbs(request):
            trace = sys.gettrace()
            sys.settrace(None)  # what others do is not struck
            driver.instead = lambda request: None
            core, _, _ = driver.claim(overlap="allow")
            assert driver.run(core.claim(None, HOUR, "you")[1]).outcome is CronOutcome.RUN
            sys.settrace(trace)

    driver.instead = race
    return scene


def end(error: BaseException | None = None) -> Scene:
    driver = CronDriver()
    core, claimed, run = driver.once()
    return Scene(driver, core, core.leave(claimed, run, error), run)


def end_with_an_exception() -> Scene:
    return end(ValueError())


@pytest.mark.parametrize(
    "build",
    [claim, claim_of_a_slot_that_has_run, claim_that_loses_a_race, end, end_with_an_exception],
)
def test_a_claim_or_an_end_that_was_struck_leaves_no_run_lock(build: Callable[[], Scene]) -> None:
    """And the next slot is run by another host, without any lock-delay."""
    for scene, where in strikes(build, scaled(50)):
        driver, client = scene.driver, scene.core.client
        cut_off(scene, None)
        assert f"{NAME}/.lock" not in driver.held(), where
        assert (len(client.holds), client.local_queues._queues) == (0, {}), where
        assert not [s for s in client.pool.live.values() if s.borrower is not None], where
        assert scene.run is None or scene.run.recorded, where
        _, _, following = driver.once(2)
        assert following.outcome is CronOutcome.RUN, where
