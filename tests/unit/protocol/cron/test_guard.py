"""The flows of the cron guard, played by hand: what is sent, and what becomes of errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.cron.claim import SlotClaim
from consul_lock._protocol.cron.decision import CronOutcome, CronPlan
from consul_lock._protocol.cron.guard import CronCore
from consul_lock._protocol.cron.run import CronRun
from consul_lock._protocol.cron.run_lock import RunLock
from consul_lock._protocol.cron.slot import Every
from consul_lock._protocol.flow import Identity, Job, Request, Wall
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import ConsulLockError, LockLost, Unavailable
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, verbs

HOUR = 3600.0


class CronDriver(FakeDriver):
    """A driver that claims slots, each time as another host."""

    def __init__(self) -> None:
        super().__init__()
        self._hosts = 0

    def claim(self, slot: int = 1, **plan: Any) -> tuple[CronCore, SlotClaim, Job]:
        """What claims this slot, on a new host."""
        self._hosts += 1
        client = self.client(f"host{self._hosts}")
        core = CronCore(client, NAME, CronPlan(Every(HOUR, 0, None), **plan))
        lock = RunLock(client, names.keys_of_name(NAME), Settings(terms.session_options()))
        return core, *core.claim(lock, slot * HOUR, "me")

    def once(self, slot: int = 1, **plan: Any) -> tuple[CronCore, SlotClaim, CronRun[Any]]:
        """Claim it, and clean up after an error as the drivers do."""
        core, claim, job = self.claim(slot, **plan)
        try:
            return core, claim, self.run(job)
        except ConsulLockError:
            assert job.undo is not None
            self.run(job.undo())
            raise

    def look_for(self, value: str) -> str:
        """Somebody holds the run lock, and says this.  Returns the session."""
        made = operator(self.world, "/v1/session/create", body=b'{"LockDelay": "0s"}')
        session = str(json.loads(made)["ID"])
        text = json.dumps({"host": "x", "pid": 1, "value": value}).encode()
        path = f"/v1/kv/{NAME}/.lock?acquire={session}&flags={LOCK_FLAG}"
        operator(self.world, path, body=text)
        return session


def claiming(request: Request) -> bool:
    """Whether it writes the record under the run lock."""
    return "cas" in verbs(request) and "check-session" in verbs(request)


def test_a_slot_that_is_taken_costs_one_read_and_no_session() -> None:
    """Of forty hosts thirty-nine do just that."""
    driver = CronDriver()
    core, claim, run = driver.once()
    driver.run(core.leave(claim, run, None))
    before = driver.sessions()
    driver.sent.clear()
    assert driver.once()[2].outcome is CronOutcome.TAKEN
    assert [verbs(request) for request in driver.sent] == [["get-tree", "get-tree"]]
    assert driver.sessions() == before


def test_a_run_costs_eight_requests() -> None:
    """Look, a session and what became of it, lock, claim, note that it runs, its end, release."""
    driver = CronDriver()
    core, claim, run = driver.once()
    driver.run(core.leave(claim, run, None))
    assert [r.path.split("/")[2] if not verbs(r) else "+".join(verbs(r)) for r in driver.sent] == [
        "get-tree+get-tree",
        "session",
        "session",
        "check-not-exists+lock",
        "check-session+lock+cas",
        "cas",
        "cas",
        "unlock+check-not-exists+delete",
    ]


def test_the_slot_is_that_of_the_firing_not_of_the_end_of_the_splay() -> None:
    """Fired a second before the next slot, and half a minute of splay: still the old one."""
    driver = CronDriver()
    client = driver.client()
    core = CronCore(client, NAME, CronPlan(Every(60.0, 0, 0.0), splay=30.0, overlap="allow"))
    _, job = core.claim(None, None, "me")
    driver.world.advance(59.0 - driver.perform(Wall()) % 60)
    fired = driver.perform(Wall())
    run = driver.run(job)
    assert driver.perform(Wall()) // 60 > fired // 60
    assert run.epoch == fired // 60 * 60


def test_one_who_is_stuck_while_looking_is_waited_for_five_seconds() -> None:
    """Then the slot is skipped here."""
    driver = CronDriver()
    driver.look_for("cron: looking")
    begun = driver.world.now
    assert driver.once()[2].outcome is CronOutcome.OVERLAP
    assert driver.world.now - begun == pytest.approx(5.0, abs=0.5)


def test_one_who_looks_and_leaves_is_followed_at_once() -> None:
    """By whoever waits for it."""
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


def test_who_stood_by_beside_an_earlier_run_retries_a_failure_of_its_own_slot() -> None:
    """The earlier run crashed, another host was quicker and has failed: that was no overlap."""
    driver = CronDriver()
    driver.once()
    dead = driver.sessions()
    _, _, job = driver.claim(slot=2, retry_failed=1, standby=500.0)
    waiting = driver.until(job.flow, lambda request: request.wait > 0)
    for session in dead:
        operator(driver.world, f"/v1/session/destroy/{session}")
    driver.world.advance(20.0)
    core, claim, run = driver.once(slot=2)
    driver.run(core.leave(claim, run, ZeroDivisionError()))
    again = driver.run_after(job.flow, waiting)
    assert (again.outcome, again.attempt) == (CronOutcome.RUN, 2)


def test_whoever_waits_for_an_earlier_run_leaves_when_the_next_slot_begins() -> None:
    """Else each firing leaves one more process that waits, until the long run is over."""
    driver = CronDriver()
    driver.look_for("cron: running")
    early = 30.0
    assert driver.once(slot=2, overlap="wait")[2].outcome is CronOutcome.OVERLAP
    assert driver.world.now == pytest.approx(HOUR - early, abs=10.0)


def test_a_slot_for_which_one_has_waited_too_long_is_late() -> None:
    """Counted from its beginning, as at the firing."""
    driver = CronDriver()
    driver.look_for("cron: running")
    assert driver.once(slot=2, overlap="wait", max_lateness=60.0)[2].outcome is CronOutcome.LATE
    assert driver.world.now == pytest.approx(60.0, abs=10.0)


def test_time_in_which_one_was_asked_to_wait_makes_no_slot_late() -> None:
    """A splay that is longer than the lateness would else keep all hosts from running it."""
    driver = CronDriver()
    assert driver.once(splay=40.0, max_lateness=5.0)[2].outcome is CronOutcome.RUN


def test_a_clock_that_is_put_back_while_one_waits_costs_no_slot() -> None:
    """Nor does a time of firing that was given: what has passed since is what counts."""
    driver = CronDriver()
    core, claim, run = driver.once()
    _, _, job = driver.claim(slot=2, overlap="wait")
    waiting = driver.until(job.flow, lambda request: request.wait > 0)
    driver.run(core.leave(claim, run, None))
    assert driver.run_after(job.flow, waiting).outcome is CronOutcome.RUN


def test_a_claim_of_which_nothing_is_known_is_not_run() -> None:
    """It was sent, and then Consul was gone: an error of its own, and no lock is left."""
    driver = CronDriver()
    _, _, job = driver.claim()
    effect = driver.until(job.flow, claiming)
    driver.perform(effect)  # carried out, and the answer is lost
    driver.frozen_for = 3.0
    with pytest.raises(Unavailable, match="never said what became of it") as raised:
        driver.run_from(job.flow, Unavailable("no answer came"))
    assert raised.value.uncertain
    driver.frozen_for = 0.0
    assert job.undo is not None
    driver.run(job.undo())
    assert not driver.held()[f"{NAME}/.lock"]
    assert driver.once()[2].outcome is CronOutcome.TAKEN


def test_a_claim_whose_answer_was_lost_is_known_by_its_id() -> None:
    """It runs, at the first attempt."""
    driver = CronDriver()
    _, claim, job = driver.claim()
    driver.perform(driver.until(job.flow, claiming))
    run = driver.run_from(job.flow, Unavailable("no answer came"))
    assert (run.outcome, run.attempt, run.record.claim) == (CronOutcome.RUN, 1, claim.id)


def test_a_claim_whose_lock_was_lost_before_its_answer_is_written_again_under_a_new_one() -> None:
    """Else the record would say that a run is dead which is alive, and the lock that one looks."""
    driver = CronDriver()
    _, claim, job = driver.claim()
    driver.perform(driver.until(job.flow, claiming))
    for session in driver.sessions():
        operator(driver.world, f"/v1/session/destroy/{session}")
    driver.world.advance(60.0)
    run = driver.run_from(job.flow, Unavailable("no answer came"))
    assert (run.outcome, run.attempt, run.record.claim) == (CronOutcome.RUN, 1, claim.id)
    assert claim.lock is not None
    assert claim.lock.hold is not None
    assert run.record.session == claim.lock.hold.session.id
    assert (run.record.token, run.record.history) == (claim.lock.hold.token, ())
    begun = driver.world.now
    beside = driver.once(slot=2)[2]
    assert (beside.outcome, beside.record.crashed) == (CronOutcome.OVERLAP, False)
    assert driver.world.now == begun


def test_a_claim_under_a_lock_that_is_gone_is_refused_by_consul() -> None:
    """Whoever was stopped between lock and claim cannot begin beside its successor."""
    driver = CronDriver()
    _, _, job = driver.claim()
    effect = driver.until(job.flow, claiming)
    for session in driver.sessions():
        operator(driver.world, f"/v1/session/destroy/{session}")
    run = driver.run_after(job.flow, effect)
    # It has waited for the lock-delay of its own first lock, and claimed anew.
    assert (run.outcome, run.attempt) == (CronOutcome.RUN, 1)
    assert driver.world.now > 29.0


def test_whoever_was_stopped_between_claim_and_job_does_not_begin_beside_its_successor() -> None:
    """Two minutes pass before it notes that it runs; meanwhile a second attempt has begun."""
    driver = CronDriver()
    _, _, job = driver.claim()
    claimed = driver.until(job.flow, claiming)
    noting = driver.until(job.flow, lambda request: verbs(request) == ["cas"], after=claimed)
    driver.world.advance(120.0)
    assert driver.once(retry_crashed=1, standby=60.0)[2].attempt == 2
    with pytest.raises(LockLost):
        driver.run_after(job.flow, noting)


def test_a_finish_that_cannot_be_written_is_no_error() -> None:
    """It is said, and the lock is given back if it can be."""
    driver = CronDriver()
    core, claim, run = driver.once()
    driver.failures.extend(Unavailable("gone") for _ in range(15))
    driver.run(core.leave(claim, run, None))
    assert run.recorded is False
    assert f"{NAME}/.lock" not in driver.held()


def test_a_forked_child_that_leaves_the_block_records_nothing() -> None:
    """Else it would say that the run has failed while its parent is at it."""
    driver = CronDriver()
    core, claim, run = driver.once()
    core.client.forked(driver, Identity({"host": "host1", "pid": 2}, "host1"))
    driver.sent.clear()
    with pytest.warns(RuntimeWarning, match="held by the parent"):
        driver.run(core.leave(claim, run, SystemExit(3)))
    assert driver.sent == []


def test_an_end_that_is_cut_off_is_recorded_all_the_same() -> None:
    """Ctrl-C while Consul is slow: what is left to be done is done by the clean-up."""
    driver = CronDriver()
    core, claim, run = driver.once()
    job = core.leave(claim, run, None)
    driver.until(job.flow, lambda request: "cas" in verbs(request))
    job.flow.close()
    assert job.undo is not None
    driver.run(job.undo())
    assert run.recorded is True
    assert f"{NAME}/.lock" not in driver.held()


def test_a_lock_that_was_lost_in_the_job_is_told_at_its_end() -> None:
    """And recorded, whatever the job says of itself."""
    driver = CronDriver()
    core, claim, run = driver.once()
    for session in driver.sessions():
        operator(driver.world, f"/v1/session/destroy/{session}")
    driver.world.advance(40.0)
    with pytest.raises(LockLost):
        driver.run(core.leave(claim, run, None))
    assert run.record is not None
    assert (run.recorded, run.record.state.value) == (True, "lost")
