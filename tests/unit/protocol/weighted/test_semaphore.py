"""A semaphore: what can be asked of it, and its limit, which may change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.flow import Job, Request, Wait
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.weighted.semaphore import AT_ONCE_MAX, LIMIT_MAX, SemaphoreCore
from consul_lock.errors import ConfigError
from consul_lock.testing import World
from tests.simulation.lock_client import Contender
from tests.simulation.scenario import Client
from tests.simulation.simulator import Simulator
from tests.unit.protocol.fake_driver import FakeDriver, verbs, waits
from tests.unit.protocol.weighted_driver import WeightedDriver


def semaphore(driver: FakeDriver, limit: Any, **more: Any) -> SemaphoreCore:
    settings = Settings(terms.session_options(), **more)
    return SemaphoreCore(driver.client(), "slots", limit, settings)


@pytest.mark.parametrize("limit", [0, -1, True, 1.0, "2", None, LIMIT_MAX + 1])
def test_a_limit_is_a_number_that_a_go_client_can_read(limit: Any) -> None:
    """When it is made, and when it is changed."""
    driver = FakeDriver()
    assert semaphore(driver, LIMIT_MAX).limit == LIMIT_MAX
    with pytest.raises(ConfigError, match="limit"):
        semaphore(driver, limit)
    with pytest.raises(ConfigError, match="limit"):
        semaphore(driver, 2).resize(limit)


@pytest.mark.parametrize("n", [0, -1, True, 1.5, "1", AT_ONCE_MAX + 1])
def test_slots_that_cannot_be_taken_at_once_are_refused(n: Any) -> None:
    """Each is a session, and takes operations of the one transaction that takes them all."""
    with pytest.raises(ConfigError, match="n="):
        semaphore(FakeDriver(), LIMIT_MAX).acquire(True, None, "me", n)


def test_more_slots_than_there_are_contradict_the_limit() -> None:
    """They would be waited for without end."""
    with pytest.raises(ConfigError) as caught:
        semaphore(FakeDriver(), 2).acquire(True, None, "me", 3)
    assert (caught.value.kind, caught.value.settings) == ("contradiction", ("n",))


def test_several_slots_need_several_sessions() -> None:
    """A document has a session once."""
    driver = FakeDriver()
    shared = SharedSession(driver.client(), terms.session_options())
    with pytest.raises(ConfigError) as caught:
        semaphore(driver, 2, shared=shared).acquire(True, None, "me", 2)
    assert caught.value.settings == ("n", "session")


def test_a_limit_of_a_semaphore_that_nobody_uses_is_only_known_here() -> None:
    """Nothing is written: who uses it first writes it down."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    driver.run(lock.resize(7))
    assert (lock.limit, driver.held()) == (7, {})


def test_a_higher_limit_admits_the_waiters_that_fit_in() -> None:
    """In the same write, in order."""
    driver = WeightedDriver()
    holder = driver.semaphore()
    driver.acquire_all(holder)
    waiters = [driver.semaphore(driver.client(label)) for label in "abc"]
    for waiter in waiters:
        driver.until(waiter.acquire(True, None, "me").flow, waits)
    driver.requests()
    driver.run(holder.resize(4))
    assert driver.requests() == ["GET kv/slots/", "PUT txn"]
    (inside,) = driver.holders_in_documents().values()
    mine = [bool(driver.sessions_of(waiter.client) & inside) for waiter in waiters]
    assert (len(inside), mine) == (4, [True, True, False])


def test_the_local_queue_follows_the_limit() -> None:
    """A caller of this process that waits there goes on to Consul, which has room by then."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    for owner in "ab":
        assert driver.acquire(lock, owner=owner)
    flow = lock.acquire(True, None, "c").flow
    waiting, _ = driver.drive(flow, 0)
    assert isinstance(waiting, Wait)
    driver.run(lock.resize(3))
    assert driver.run_after(flow, waiting)


@pytest.mark.parametrize("after", [0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03])
def test_a_limit_changed_while_a_call_of_the_same_object_brings_the_old_one_is_in_force(
    after: float,
) -> None:
    """Nobody used the semaphore when the change looked, and the write was on its way."""
    simulator = Simulator(World(seed=1), 1, (3,))
    contender = Contender(simulator, 0, Client(), lambda thread, hold: None)
    lock = SemaphoreCore(contender.core, "jobs/room", 2, contender.settings)
    ends = dict[str, Any]()

    def start(who: str, job: Job[Any]) -> None:
        contender.start(
            job.flow, who, lambda value, error: ends.update({who: error or value}), is_call=True
        )

    start("first", lock.acquire(True, None, "first"))
    contender.after(after, lambda: start("resize", lock.resize(5)))
    while len(ends) < 2 and simulator.step():
        pass
    start("second", lock.acquire(True, None, "second"))
    while len(ends) < 3 and simulator.step():
        pass
    assert ends == {"first": True, "resize": None, "second": True}
    entry = simulator.world._server.kv.entries["jobs/room/.lock"]
    assert (json.loads(entry.value)["Limit"], lock.limit) == (5, 5)


def _lists(request: Request) -> bool:
    return "recurse" in dict(request.params)


def test_what_was_read_before_the_same_object_changed_the_limit_is_no_conflict() -> None:
    """It is read once more."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    driver.run(lock.acquire(True, None, "me"))
    flow = lock.acquire(True, None, "me").flow
    before = driver.perform(driver.until(flow, _lists))
    driver.run(lock.resize(5))
    assert driver.run_after(flow, driver.next_of(flow, before)) is True
    assert lock.limit == 5


def test_a_limit_that_the_same_object_has_just_written_is_no_conflict() -> None:
    """Its write was carried out, and the answer has not come yet."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    driver.run(lock.acquire(True, None, "me"))
    resizing = lock.resize(5).flow
    written = driver.perform(driver.until(resizing, lambda request: "cas" in verbs(request)))
    assert driver.run(lock.acquire(True, None, "me")) is True
    with pytest.raises(StopIteration):
        driver.next_of(resizing, written)
    assert lock.limit == 5
