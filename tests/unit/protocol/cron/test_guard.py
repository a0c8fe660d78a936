"""A run of a cron job from claim to end: what is sent, and how the end is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.cron.guard import CronCore
from consul_lock._protocol.cron.record import CronState
from consul_lock._protocol.cron.slot import Every
from consul_lock._protocol.flow import Identity, Request
from consul_lock.errors import ConfigError, LockLost, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.cron.cron_driver import HOUR, CronDriver
from tests.unit.protocol.fake_driver import NAME, verbs


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
        "check-session+cas",
        "unlock+check-not-exists+delete",
    ]


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


def test_a_lock_that_was_lost_in_the_job_is_reported_at_its_end() -> None:
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


class _Destroys(CronDriver):
    """An operator destroys the session after so many more requests."""

    left = -1

    def _send(self, request: Request) -> Any:
        if self.left == 0:
            for session in self.sessions():
                operator(self.world, f"/v1/session/destroy/{session}")
        self.left -= 1
        return super()._send(request)


@pytest.mark.parametrize("error", [None, SystemExit(3)])
@pytest.mark.parametrize(
    "failures, after, lost",
    [
        (0, 0, True),
        (0, 1, False),
        (0, 2, False),
        # The end is sent, the record is read, the end is sent again.
        (1, 1, True),
        (1, 2, True),
        (1, 3, False),
    ],
)
def test_the_record_and_the_caller_say_the_same_of_a_session_that_ends_with_the_run(
    failures: int, after: int, lost: bool, error: SystemExit | None
) -> None:
    """A run is lost if its session ended before its end was written, and not if it did after."""
    driver = _Destroys()
    core, claim, run = driver.once()
    driver.failures.extend([Unavailable("gone")] * failures)
    driver.left = after
    raised = False
    try:
        driver.run(core.leave(claim, run, error))
    except LockLost:
        raised = True
    assert run.recorded
    assert run.record is not None
    assert (run.record.state is CronState.LOST, raised) == (lost, lost and error is None)


def test_the_name_of_a_record_is_no_name_of_a_job() -> None:
    """The hint says which one is meant."""
    with pytest.raises(ConfigError) as caught:
        CronCore(CronDriver().client(), f"{NAME}/.cron", CronPlan(Every(60.0, 0, None)))
    assert caught.value.hint == f"give {NAME!r}"


@pytest.mark.parametrize(
    "error, state, code",
    [
        (None, "done", None),
        (SystemExit(), "done", None),
        (SystemExit(0), "done", 0),
        (SystemExit(3), "failed", 3),
        (SystemExit("no"), "failed", None),
        (SystemExit(2**63), "failed", None),
        (ZeroDivisionError(), "failed", None),
    ],
)
def test_how_the_block_was_left_is_how_the_run_ended(
    error: BaseException | None, state: str, code: int | None
) -> None:
    """An exit code that a record cannot hold is left out: no host could read the record."""
    driver = CronDriver()
    core, claim, run = driver.once()
    driver.run(core.leave(claim, run, error))
    assert run.record is not None
    assert (run.recorded, run.record.state.value, run.record.exit) == (True, state, code)
    assert (run.record.last_success == run.record.finished_at) is (state == "done")


def test_a_run_that_others_have_followed_already_is_recorded_in_the_history() -> None:
    """With no run lock nothing keeps them apart; the record is the later run's by then."""
    driver = CronDriver()
    plan = CronPlan(Every(HOUR, 0, None), overlap="allow")
    cores = [CronCore(driver.client(label), NAME, plan) for label in ("a", "b")]
    claims = [core.claim(None, hour * HOUR, "me") for hour, core in enumerate(cores, 1)]
    runs = [driver.run(job) for _, job in claims]
    driver.run(cores[0].leave(claims[0][0], runs[0], SystemExit(4)))
    record = runs[0].record
    assert record.slot == runs[1].slot
    assert record.last_success is None
    assert record.state is CronState.RUNNING
    assert [(past.state, past.exit) for past in record.history] == [(CronState.FAILED, 4)]
