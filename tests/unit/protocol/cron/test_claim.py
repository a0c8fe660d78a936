"""Claiming a slot of a cron job: one host gets it, whatever becomes of answers and locks."""

from __future__ import annotations

import pytest

from consul_lock._protocol.client.retry import TRIES_MAX
from consul_lock._protocol.cron.admin import CronAdmin
from consul_lock._protocol.cron.decision import CronOutcome, CronPlan
from consul_lock._protocol.cron.guard import CronCore
from consul_lock._protocol.cron.slot import Every
from consul_lock._protocol.flow import Request, Wall
from consul_lock.errors import LockLost, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.cron.cron_driver import HOUR, CronDriver
from tests.unit.protocol.fake_driver import NAME, verbs, waits


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
    waiting = driver.until(job.flow, waits)
    driver.run(core.leave(claim, run, None))
    assert driver.run_after(job.flow, waiting).outcome is CronOutcome.RUN


def test_a_host_that_waits_for_an_earlier_run_leaves_when_the_next_slot_begins() -> None:
    """Else each firing leaves one more process that waits, until the long run is over."""
    driver = CronDriver()
    driver.look_for("cron: running")
    early = 30.0
    assert driver.once(slot=2, overlap="wait")[2].outcome is CronOutcome.OVERLAP
    assert driver.world.now == pytest.approx(HOUR - early, abs=10.0)


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
    """A host that was stopped between lock and claim cannot begin beside its successor."""
    driver = CronDriver()
    _, _, job = driver.claim()
    effect = driver.until(job.flow, claiming)
    for session in driver.sessions():
        operator(driver.world, f"/v1/session/destroy/{session}")
    run = driver.run_after(job.flow, effect)
    # It has waited for the lock-delay of its own first lock, and claimed anew.
    assert (run.outcome, run.attempt) == (CronOutcome.RUN, 1)
    assert driver.world.now > 29.0


def test_a_host_that_was_stopped_between_claim_and_job_does_not_begin_beside_its_successor() -> (
    None
):
    """Two minutes pass before it notes that it runs; meanwhile a second attempt has begun."""
    driver = CronDriver()
    _, _, job = driver.claim()
    claimed = driver.until(job.flow, claiming)
    noting = driver.until(job.flow, lambda request: verbs(request) == ["cas"], after=claimed)
    driver.world.advance(120.0)
    assert driver.once(retry_crashed=1, standby=60.0)[2].attempt == 2
    with pytest.raises(LockLost):
        driver.run_after(job.flow, noting)


def test_a_claim_keeps_what_the_record_knew_of_other_runs() -> None:
    """The last run becomes history, as long as was asked for, and one that died in it is lost."""
    driver = CronDriver()
    for slot in (1, 2, 3):
        driver.once(slot=slot, history=2)
        for session in driver.sessions():
            operator(driver.world, f"/v1/session/destroy/{session}")
        driver.world.advance(60.0)
    record = driver.once(slot=4, history=2)[2].record
    assert record.attempt == 1
    assert [(past.slot[11:16], past.state.value) for past in record.history] == [
        ("03:00", "lost"),
        ("02:00", "lost"),
    ]


def test_a_record_that_changes_before_each_claim_ends_in_an_error() -> None:
    """Not in a loop without an end; the run lock is given back."""
    driver = CronDriver()
    driver.instead = lambda request: (
        (409, b'{"Errors": [{"OpIndex": 2, "What": "index is stale"}]}')
        if claiming(request)
        else None
    )
    with pytest.raises(Unavailable, match="refused, as it changed each time"):
        driver.once()
    assert sum(map(claiming, driver.sent)) == TRIES_MAX + 1
    assert f"{NAME}/.lock" not in driver.held()


def test_of_two_hosts_that_count_an_overlap_at_once_one_is_the_first() -> None:
    """The write of the other is refused, and what it finds then is not its own write: one warning
    for all hosts is enough."""
    driver = CronDriver()
    driver.once()
    _, _, job = driver.claim(slot=2)
    counting = driver.until(job.flow, lambda request: verbs(request) == ["cas"])
    assert driver.once(slot=2)[2].first is True
    run = driver.run_after(job.flow, counting)
    assert (run.outcome, run.first) == (CronOutcome.OVERLAP, False)


def test_a_slot_that_is_skipped_is_remembered_once_with_its_reason() -> None:
    """For a pause and for an overlap; the next claim keeps it, and shows what was there before."""
    driver = CronDriver()
    core, claim, run = driver.once(1)
    driver.run(core.leave(claim, run, None))
    driver.run(CronAdmin(driver.client()).pause(NAME, None, "", "me"))
    for _ in range(2):
        driver.once(2)
    driver.run(CronAdmin(driver.client()).resume(NAME, "me"))
    session = driver.look_for("something else")
    for _ in range(2):
        driver.once(3)
    operator(driver.world, f"/v1/session/destroy/{session}")
    _, _, run = driver.once(4)
    assert run
    found = driver.run(CronAdmin(driver.client()).record(NAME)).skipped
    assert [skip.why for skip in found] == ["overlap", "paused"]
    assert run.before is not None
    assert run.before.skipped == found


def test_a_claim_says_which_slot_follows_and_its_run_how_it_was_counted() -> None:
    """So that a reader of the record knows what is overdue, and whether hosts agree."""
    driver = CronDriver()
    for slot in (1, 2, 5):
        core, claim, run = driver.once(slot)
        driver.run(core.leave(claim, run, None))
    record = driver.run(CronAdmin(driver.client()).record(NAME))
    assert (record.epoch, record.next_slot, record.gap) == (5 * HOUR, 6 * HOUR, 2)
    assert [(past.every, past.next_slot, past.gap) for past in record.history] == [
        (HOUR, 3 * HOUR, 0),
        (HOUR, 2 * HOUR, 0),
    ]


def test_a_second_attempt_says_the_same_of_its_slot() -> None:
    """Nothing lies between the two."""
    driver = CronDriver()
    core, claim, run = driver.once(1)
    driver.run(core.leave(claim, run, None))
    driver.once(4)
    for session in driver.sessions():
        operator(driver.world, f"/v1/session/destroy/{session}")
    driver.world.advance(60.0)
    record = driver.once(4, retry_crashed=1)[2].record
    assert (record.attempt, record.next_slot, record.gap) == (2, 5 * HOUR, 0)
    assert record.history[0].gap == 2


def test_a_skipped_slot_says_which_one_follows() -> None:
    """As a claim of it would."""
    driver = CronDriver()
    driver.run(CronAdmin(driver.client()).pause(NAME, None, "", "me"))
    driver.once(2)
    (skip,) = driver.run(CronAdmin(driver.client()).record(NAME)).skipped
    assert (skip.epoch, skip.next_slot) == (2 * HOUR, 3 * HOUR)


def test_a_claim_remembers_the_last_success_of_a_history_that_is_not_kept() -> None:
    """Whatever becomes of later runs."""
    driver = CronDriver()
    core, claim, run = driver.once(1, history=0)
    driver.run(core.leave(claim, run, None))
    ended = driver.run(CronAdmin(driver.client()).record(NAME)).finished_at
    for slot in (2, 3):
        driver.world.advance(60.0)
        core, claim, run = driver.once(slot, history=0)
        driver.run(core.leave(claim, run, RuntimeError()))
    record = driver.run(CronAdmin(driver.client()).record(NAME))
    assert (record.history, record.last_success) == ((), ended)
