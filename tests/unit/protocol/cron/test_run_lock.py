"""The run lock of a cron job: whom a host waits for that wants it, and for how long."""

from __future__ import annotations

import json

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.cron.decision import CronOutcome
from consul_lock._protocol.cron.run_lock import LOOKING, OPERATIONS, RunLock, looks
from consul_lock._protocol.cron.slot import slot_at
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.cron.cron_driver import HOUR, CronDriver
from tests.unit.protocol.fake_driver import NAME, FakeDriver, verbs, waits


def test_a_host_that_is_stuck_while_looking_is_waited_for_five_seconds() -> None:
    """Then the slot is skipped here."""
    driver = CronDriver()
    driver.look_for("cron: looking")
    begun = driver.world.now
    assert driver.once()[2].outcome is CronOutcome.OVERLAP
    assert driver.world.now - begun == pytest.approx(5.0, abs=0.5)


def test_a_host_that_only_looks_is_followed_at_once() -> None:
    """By the host that waits for it."""
    driver = CronDriver()
    looker = driver.look_for("cron: looking")
    driver.when_blocked = lambda: operator(driver.world, f"/v1/session/destroy/{looker}")
    assert driver.once()[2].outcome is CronOutcome.RUN
    assert driver.world.now < 1.0


def test_a_run_under_way_is_not_waited_for() -> None:
    """And its slot is counted as an overlap by the first who meets it."""
    driver = CronDriver()
    driver.once()
    begun = driver.world.now
    assert [driver.once(slot=2)[2].first for _ in range(2)] == [True, False]
    assert driver.world.now == begun


def test_a_standby_beside_an_earlier_run_retries_a_failure_of_its_own_slot() -> None:
    """The earlier run crashed, another host was quicker and has failed: that was no overlap."""
    driver = CronDriver()
    driver.once()
    dead = driver.sessions()
    _, _, job = driver.claim(slot=2, retry_failed=1, standby=500.0)
    waiting = driver.until(job.flow, waits)
    for session in dead:
        operator(driver.world, f"/v1/session/destroy/{session}")
    driver.world.advance(20.0)
    core, claim, run = driver.once(slot=2)
    driver.run(core.leave(claim, run, ZeroDivisionError()))
    again = driver.run_after(job.flow, waiting)
    assert (again.outcome, again.attempt) == (CronOutcome.RUN, 2)


@pytest.mark.parametrize(
    "value, looking",
    [
        (b'{"host": "h", "pid": 1, "value": "cron: looking"}', True),
        (b'{"host": "h", "pid": 1, "value": "cron: running 2026-01-01T00:00:00Z"}', False),
        (b'{"host": "h", "pid": 1}', False),
        (b"", False),
        (b"\xff", False),
    ],
)
def test_only_who_says_so_merely_looks(value: bytes, looking: bool) -> None:
    """Of every other holder something is under way, also of one that is no cron job."""
    assert looks(Pair(f"{NAME}/.lock", value, LOCK_FLAG, "s", 1, 2)) is looking


def run_lock(driver: FakeDriver, label: str = "a") -> RunLock:
    keys = names.keys_of_name(NAME)
    return RunLock(driver.client(label), keys, Settings(terms.session_options()))


def said(driver: FakeDriver) -> str:
    found = json.loads(driver.world._server.kv.entries[f"{NAME}/.lock"].value)
    return str(found["value"])


def test_the_claim_turns_a_look_into_a_run_if_the_lock_is_held_still() -> None:
    """Consul refuses all of it otherwise, at the operations that are about the lock."""
    driver = FakeDriver()
    lock = run_lock(driver)
    driver.acquire(lock)
    assert said(driver) == LOOKING
    slot, api = slot_at(HOUR), lock.client.api
    operations = lock.operations(slot, 0.0)
    assert len(operations) == OPERATIONS
    assert driver.run(api.transact(operations, "claiming", lock.rule)).done
    assert said(driver) == "cron: running 1970-01-01T01:00:00Z"
    operator(driver.world, f"/v1/kv/{NAME}/.lock", "DELETE")
    refused = driver.run(api.transact(operations, "claiming", lock.rule))
    assert refused.refusals(0, OPERATIONS)


def test_it_is_tried_once_and_asked_for_again_where_the_answer_was_lost() -> None:
    """With the same session: to give that up would cost all hosts a lock-delay."""
    driver = FakeDriver()
    lock = run_lock(driver)
    flow = lock.acquire(False, None, "me").flow
    driver.perform(driver.until(flow, lambda request: "lock" in verbs(request)))
    (session,) = driver.sessions()
    assert driver.run_from(flow, Unavailable("no answer came"))
    assert driver.held() == {f"{NAME}/.lock": session}
    assert not driver.acquire(run_lock(driver, "b"), timeout=0.0, owner="you")


def test_a_lock_in_lock_delay_is_waited_for_by_a_new_slot_but_not_by_a_retry() -> None:
    """A slot that nobody has claimed is to be run; a retry has only the time of its standby."""
    driver = CronDriver()
    driver.once()
    for session in driver.sessions():
        operator(driver.world, f"/v1/session/destroy/{session}")
    begun = driver.world.now
    assert driver.once(retry_crashed=1)[2].outcome is CronOutcome.TAKEN
    assert driver.world.now - begun < 5.0
    assert driver.once(slot=2)[2].outcome is CronOutcome.RUN
    assert 29.0 < driver.world.now - begun < 36.0


@pytest.mark.parametrize("wait, outcome", [(10.0, CronOutcome.OVERLAP), (None, CronOutcome.RUN)])
def test_an_earlier_run_is_waited_for_as_long_as_was_asked_for(
    wait: float | None, outcome: CronOutcome
) -> None:
    """None is without an end: as long as it is the turn of this slot."""
    driver = CronDriver()
    core, claim, run = driver.once()
    _, _, job = driver.claim(slot=2, overlap="wait", wait=wait)
    begun, waiting = driver.world.now, driver.until(job.flow, waits)
    if outcome is CronOutcome.RUN:
        driver.world.advance(100.0)
        driver.when_blocked = lambda: driver.run(core.leave(claim, run, None))
    assert driver.run_after(job.flow, waiting).outcome is outcome
    if wait is not None:
        assert driver.world.now - begun == pytest.approx(wait, abs=1.0)
