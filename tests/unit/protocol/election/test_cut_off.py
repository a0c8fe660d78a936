"""A candidate, a leader and an observer, when the exception of a signal handler strikes between any
two lines: nobody is left that leads, unless it is the leader, and the leader leads on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from consul_lock._protocol.election.election import ElectionCore
from consul_lock._protocol.election.observer import Observer
from consul_lock._protocol.flow import Job
from consul_lock._protocol.keys import keys_of_name
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import LockLost, LossReason, NotHeld, Unavailable
from tests.support.effort import scaled
from tests.support.world_operator import operator
from tests.unit.protocol.cut_points import strikes
from tests.unit.protocol.fake_driver import NAME, FakeDriver, hold_of

KEY = f"{NAME}/.lock"


class Scene(NamedTuple):
    """A driver, and a flow about to be performed by it."""

    driver: FakeDriver
    core: ElectionCore
    job: Job
    told: list[LossReason]


def candidate(driver: FakeDriver, label: str = "a") -> Scene:
    told = list[LossReason]()
    asked = Settings(session_options(), watch=True, on_lost=told.append)
    core = ElectionCore(driver.client(label), keys_of_name(NAME), asked)
    return Scene(driver, core, core.campaign(label, None, "me"), told)


def campaign() -> Scene:
    return candidate(FakeDriver())


def campaign_behind_a_leader() -> Scene:
    """Until that resigns."""
    driver = FakeDriver()
    before, scene = candidate(driver, "before"), candidate(driver)
    driver.run(before.job)
    driver.when_blocked = lambda: driver.release(before.core)
    return scene


def campaign_that_gives_up() -> Scene:
    scene = campaign_behind_a_leader()
    scene.driver.when_blocked = lambda: None
    return scene._replace(job=scene.core.campaign("a", 3.0, "me"))


def leading() -> Scene:
    scene = campaign()
    scene.driver.run(scene.job)
    return scene


def resign() -> Scene:
    scene = leading()
    return scene._replace(job=scene.core.release("me"))


def end_of_a_term() -> Scene:
    scene = leading()
    return scene._replace(job=scene.core.conclude("me"))


def end_of_a_term_by_an_exception() -> Scene:
    scene = leading()
    return scene._replace(job=scene.core.abandon("me", ValueError()))


def deposed(scene: Scene) -> Scene:
    operator(scene.driver.world, f"/v1/kv/{KEY}", "DELETE")
    return scene


def end_of_a_lost_term() -> Scene:
    return deposed(end_of_a_term())


def end_of_a_lost_term_by_an_exception() -> Scene:
    return deposed(end_of_a_term_by_an_exception())


def end_of_a_term_that_was_resigned() -> Scene:
    scene = end_of_a_term()
    scene.driver.release(scene.core)
    return scene


@pytest.mark.parametrize(
    "build",
    [
        campaign,
        campaign_behind_a_leader,
        campaign_that_gives_up,
        resign,
        end_of_a_term,
        end_of_a_term_by_an_exception,
        end_of_a_lost_term,
        end_of_a_lost_term_by_an_exception,
        end_of_a_term_that_was_resigned,
    ],
)
def test_who_was_struck_does_not_lead(build: Callable[[], Scene]) -> None:
    """Nor waits for it; and it can campaign again."""
    for scene, where in strikes(build, scaled(80)):
        driver, core, client = scene.driver, scene.core, scene.core.client
        scene.job.flow.close()
        assert scene.job.undo is not None
        driver.run(scene.job.undo())
        assert set(driver.held().values()).isdisjoint(client.pool.live), where
        assert (len(client.holds), client.local_queues._queues) == (0, {}), where
        assert not [s for s in client.pool.live.values() if s.borrower is not None], where
        with pytest.raises(NotHeld):
            driver.release(core)
        operator(driver.world, f"/v1/kv/{KEY}", "DELETE")  # of the other leader
        driver.run(core.campaign("again", 1.0, "me"))


def proclaim() -> Scene:
    scene = leading()
    return scene._replace(job=scene.core.proclaim("new", scene.driver.world.now, "me"))


def proclaim_once_more() -> Scene:
    scene = proclaim()
    scene.driver.run(scene.job)
    return scene._replace(job=scene.core.proclaim("newer", scene.driver.world.now, "me"))


def proclaim_in_trouble() -> Scene:
    scene = proclaim()
    scene.driver.failures.extend([None, Unavailable("no answer came")])
    return scene


@pytest.mark.parametrize("build", [proclaim, proclaim_once_more, proclaim_in_trouble])
def test_a_leader_that_was_struck_while_it_proclaimed_leads_on(build: Callable[[], Scene]) -> None:
    """It can say something else, and resign."""
    for scene, where in strikes(build, scaled(80)):
        driver, core = scene.driver, scene.core
        scene.job.flow.close()
        assert hold_of(core).counts(driver.world.now), where
        driver.run(core.proclaim("newest", driver.world.now, "me"))
        leader = driver.run(core.leader())
        assert (leader.value, leader.token) == ("newest", hold_of(core).token), where
        driver.release(core)
        assert driver.held() == {}, where


def proclaim_of_one_that_was_deposed() -> Scene:
    return deposed(proclaim_once_more())


def test_a_proclamation_that_was_struck_and_finds_a_loss_reports_it() -> None:
    """By itself, or the next one does, or the keeper."""
    for scene, where in strikes(proclaim_of_one_that_was_deposed, scaled(80)):
        driver, core = scene.driver, scene.core
        scene.job.flow.close()
        with pytest.raises(LockLost):
            driver.run(core.proclaim("newest", driver.world.now, "me"))
        driver.run(core.client.finish_losses())
        assert hold_of(core).lost.is_set(), where
        assert scene.told == [LossReason.KEY_DELETED], where
        assert len(core.client.holds) == 0, where


class Observation(NamedTuple):
    """An observer about to see something new."""

    driver: FakeDriver
    core: ElectionCore
    observer: Observer
    job: Job


def observe() -> Observation:
    scene = leading()
    driver, core = scene.driver, scene.core
    observer = core.observer()
    driver.run(observer.next())
    driver.when_blocked = lambda: driver.run(core.proclaim("new", driver.world.now, "me"))
    return Observation(driver, core, observer, observer.next())


def test_an_observer_that_was_struck_can_be_followed_by_another() -> None:
    """That sees at once who leads, and Consul counts as well."""
    for scene, where in strikes(observe, scaled(80)):
        driver, core = scene.driver, scene.core
        scene.job.flow.close()
        leader = driver.run(core.observer().next())
        assert leader.value in ("a", "new"), where
        assert core.client.contact.trouble is None, where
