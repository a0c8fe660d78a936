"""The records of cron jobs, for an operator: pausing, resuming, resetting, and who did it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consul_lock._protocol.cron.admin import CronAdmin
from consul_lock._protocol.cron.codec import encode_record
from consul_lock._protocol.cron.record import CronPast, CronRecord, CronState
from consul_lock._protocol.cron.slot import slot_at
from consul_lock._protocol.flow import Wall
from consul_lock._protocol.keys import CRON_FLAG
from consul_lock.errors import ConfigError, Conflict, LockLost, NotHeld
from consul_lock.limits import CRON_TEXT_MAX, PAUSE_MAX
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, hold_of

KEY = f"{NAME}/.cron"
ONE, TWO = slot_at(3600.0), slot_at(7200.0)
BY_TIME = CronRecord(NAME, *TWO, "c", 2, CronState.FAILED, "web3", 7, "s", 9, every=3600.0)
BY_ID = replace(BY_TIME, slot="v1", epoch=None)


class AdminDriver(FakeDriver):
    """A driver with an operator, and one record."""

    def __init__(self, record: CronRecord | None = None) -> None:
        super().__init__()
        self.admin = CronAdmin(self.client("desk"))
        if record is not None:
            path = f"/v1/kv/{KEY}?flags={CRON_FLAG}"
            operator(self.world, path, body=encode_record(record))

    def record(self) -> Any:
        return self.run(self.admin.record(NAME))


def test_a_pause_is_for_a_job_that_has_not_run_yet_too() -> None:
    """It says since when, until when, why, and who it was; the key of the record is a name, too."""
    driver = AdminDriver()
    now = driver.perform(Wall())
    driver.run(driver.admin.pause(KEY, 60.0, "upgrade", "me@desk"))
    record = driver.record()
    assert tuple(record.paused) == ("me@desk", now, now + 60.0, "upgrade")
    assert tuple(record.changed) == ("paused", "me@desk", now)
    driver.run(driver.admin.pause(NAME, None, "", None))
    assert (driver.record().paused.until, driver.record().paused.by) == (None, "@desk")


def test_resuming_ends_a_pause_and_says_whether_there_was_one() -> None:
    """Where there was none nothing is written, and no record is made."""
    driver = AdminDriver()
    assert driver.run(driver.admin.resume(NAME, "me")) is False
    assert driver.record() is None
    driver.run(driver.admin.pause(NAME, None, "", "me"))
    assert driver.run(driver.admin.resume(NAME, "you")) is True
    record = driver.record()
    assert record.paused is None
    assert record.changed[:2] == ("resumed", "you")


@pytest.mark.parametrize("duration", [0, -1.0, PAUSE_MAX + 1, float("nan"), "soon"])
def test_a_pause_without_a_sensible_length_is_refused(duration: Any) -> None:
    """Before anything is sent."""
    driver = AdminDriver()
    with pytest.raises(ConfigError, match="duration"):
        driver.admin.pause(NAME, duration, "", None)
    assert driver.sent == []


@pytest.mark.parametrize("size, good", [(CRON_TEXT_MAX, True), (CRON_TEXT_MAX + 1, False)])
@pytest.mark.parametrize("what", ["reason", "by"])
def test_texts_are_as_long_as_a_record_has_room_for(what: str, size: int, good: bool) -> None:
    """Counted in bytes, as Consul counts."""
    texts = {"reason": "", "by": "me", what: "é" * (size // 2) + "x" * (size % 2)}
    driver = AdminDriver()
    if good:
        driver.run(driver.admin.pause(NAME, 1.0, texts["reason"], texts["by"]))
    else:
        with pytest.raises(ConfigError, match=f"{what} is text"):
            driver.admin.pause(NAME, 1.0, texts["reason"], texts["by"])


def test_a_reset_forgets_the_last_slot_and_keeps_the_rest() -> None:
    """Its run becomes history, and counts no more: as one that was there, without its claim."""
    paused = CronPast("old", None, 1, CronState.DONE, "h", "claim", 0.0, None, 0)
    driver = AdminDriver(replace(BY_TIME, overlaps=3, history=(paused,)))
    assert driver.run(driver.admin.reset(NAME, None, "me", False)).slot == ""
    record = driver.record()
    assert (record.slot, record.claim, record.state) == ("", "", CronState.IDLE)
    assert (record.every, record.overlaps, record.changed[:2]) == (3600.0, 3, ("reset", "me"))
    assert [(past.slot, past.claim) for past in record.history] == [(TWO.label, ""), ("old", "")]


@pytest.mark.parametrize(
    "found, slot, label, epoch",
    [
        (BY_TIME, ONE.label, ONE.label, ONE.epoch),
        (BY_TIME, 3600, ONE.label, ONE.epoch),
        (BY_ID, "v0", "v0", None),
        (BY_ID, ONE.label, ONE.label, None),  # an ID that looks like a time
        (BY_ID, 3600, ONE.label, ONE.epoch),
    ],
)
def test_a_reset_to_a_slot_counts_as_the_hosts_of_the_job_do(
    found: CronRecord, slot: Any, label: str, epoch: float | None
) -> None:
    """Times stay times, and IDs stay IDs: with one of the other kind no host could go on."""
    driver = AdminDriver(found)
    driver.run(driver.admin.reset(NAME, slot, "me", False))
    record = driver.record()
    assert (record.slot, record.epoch, record.claim) == (label, epoch, "reset")
    assert [past.claim for past in record.history] == ["c"]


def test_a_time_without_its_zone_is_no_slot_of_a_job_that_has_times() -> None:
    """It would be an ID, and nothing is changed."""
    driver = AdminDriver(BY_TIME)
    with pytest.raises(ConfigError, match="no time with its zone"):
        driver.run(driver.admin.reset(NAME, "1970-01-01T01:00:00", "me", False))
    assert driver.record().slot == TWO.label


def test_a_job_without_a_record_has_nothing_to_reset() -> None:
    """And gets none by that."""
    driver = AdminDriver()
    assert driver.run(driver.admin.reset(NAME, None, "me", False)) is None
    assert driver.held() == {}


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_record_is_written_over_by_force_only(force: bool) -> None:
    """Nobody else ever does."""
    driver = AdminDriver()
    operator(driver.world, f"/v1/kv/{KEY}", body=b"precious")
    reset = driver.admin.reset(NAME, None, "me", force)
    if force:
        driver.run(reset)
        assert driver.record().changed.what == "reset"
    else:
        with pytest.raises(Conflict):
            driver.run(reset)
        assert driver.world._server.kv.entries[KEY].value == b"precious"


def test_all_records_below_a_prefix_are_listed() -> None:
    """Those of other names are not."""
    driver = AdminDriver()
    for name in ("jobs/a", "jobs/b", "other"):
        driver.run(driver.admin.pause(name, None, "", None))
    found = driver.run(driver.admin.below("jobs/"))
    assert [record.name for record in found] == ["jobs/a", "jobs/b"]


def test_forgetting_deletes_the_record_and_returns_it() -> None:
    """Of what there is none nothing is sent but the question."""
    driver = AdminDriver(BY_TIME)
    assert driver.run(driver.admin.forget(NAME)).slot == TWO.label
    assert driver.record() is None
    before = len(driver.sent)
    assert driver.run(driver.admin.forget(NAME)) is None
    assert len(driver.sent) == before + 1


@pytest.mark.parametrize("held", [False, True])
def test_a_run_that_begins_meanwhile_is_not_forgotten(held: bool) -> None:
    """Neither by its lock alone nor by the record: the deletion is refused, and then the job is."""
    driver = AdminDriver(BY_TIME)
    begun: list[bool] = []

    def begins(request: Any) -> None:
        if begun or "delete-cas" not in str(request.body):
            return
        begun.append(True)
        if held:
            driver.run(driver.lock().acquire(False, None, "me"))
        else:
            claimed = replace(BY_TIME, state=CronState.RUNNING, session="")
            path = f"/v1/kv/{KEY}?flags={CRON_FLAG}"
            operator(driver.world, path, body=encode_record(claimed))

    driver.instead = begins  # type: ignore[assignment] # it lets everything pass
    with pytest.raises(Conflict) as refused:
        driver.run(driver.admin.forget(NAME))
    assert (refused.value.kind, begun) == ("in-use", [True])
    assert driver.record().slot == TWO.label


def test_a_lost_answer_to_the_deletion_is_no_record_that_never_was() -> None:
    """What was deleted by it is returned."""
    driver = AdminDriver(BY_TIME)
    lost: list[bool] = []

    def answers(request: Any) -> tuple[int, bytes] | None:
        if lost or "delete-cas" not in str(request.body):
            return None
        lost.append(True)
        operator(driver.world, f"/v1/kv/{KEY}", method="DELETE")
        return 500, b"rpc error: EOF"

    driver.instead = answers
    found = driver.run(driver.admin.forget(NAME))
    assert (found.slot, lost) == (TWO.label, [True])


def test_an_extra_run_changes_no_slot_and_outlives_a_reset() -> None:
    """What is no end of a run is refused, and a job without a record gets one."""
    driver = AdminDriver(BY_TIME)
    driver.run(driver.admin.add_run(NAME, CronState.DONE, 0, 9000.0, 2.5))
    record = driver.record()
    assert (record.slot, record.claim, record.state) == (TWO.label, "c", CronState.FAILED)
    (extra,) = record.history
    assert (extra.extra, extra.state, extra.runtime) == (True, CronState.DONE, 2.5)
    assert extra.claimed_at == 9000.0
    driver.run(driver.admin.reset(NAME, None, "me", False))
    assert [bool(past.claim) for past in driver.record().history] == [False, True]
    with pytest.raises(ConfigError, match="no end"):
        driver.admin.add_run(NAME, CronState.RUNNING, None, 0.0, 0.0)
    empty = AdminDriver()
    empty.run(empty.admin.add_run(NAME, CronState.FAILED, 3, 9000.0, 2.5))
    assert empty.record().history[0].exit == 3


@pytest.mark.parametrize("before", [True, False])
def test_an_extra_run_is_recorded_under_its_lock_or_not_at_all(before: bool) -> None:
    """A lock that nobody noticed to be lost is found by it."""
    driver = AdminDriver()
    lock = driver.lock(driver.client())
    driver.acquire(lock)
    if before:
        for session in driver.sessions():
            operator(driver.world, f"/v1/session/destroy/{session}")
    job = driver.admin.add_run(NAME, CronState.DONE, 0, 9000.0, 2.5, lock, "me")
    if before:
        with pytest.raises(LockLost):
            driver.run(job)
        assert hold_of(lock).over or not hold_of(lock).counts(driver.world.now)
        assert f"{NAME}/.cron" not in driver.held()
    else:
        driver.run(job)
        assert driver.record().history[0].state is CronState.DONE
        driver.release(lock)
        with pytest.raises(NotHeld):
            driver.run(driver.admin.add_run(NAME, CronState.DONE, 0, 9.0, 2.5, lock, "me"))


def test_an_extra_run_that_went_well_is_the_last_success() -> None:
    """One that failed leaves that alone."""
    driver = AdminDriver(replace(BY_TIME, last_success=7.0))
    driver.run(driver.admin.add_run(NAME, CronState.FAILED, 3, 9000.0, 2.5))
    assert driver.record().last_success == 7.0
    driver.run(driver.admin.add_run(NAME, CronState.DONE, 0, 9000.0, 2.5))
    assert driver.record().last_success == 9002.5


@pytest.mark.parametrize(
    "slot, every, following",
    [
        (None, 3600.0, 99.0),
        (TWO.label, 3600.0, 10800.0),
        (TWO.label, None, None),
        ("v1", 1.0, None),
    ],
)
def test_a_reset_keeps_what_is_due_or_counts_it_anew(
    slot: str | None, every: float | None, following: float | None
) -> None:
    """From a slot that was set an interval goes on; of an expression nothing is known then."""
    by = BY_ID if slot == "v1" else BY_TIME
    driver = AdminDriver(replace(by, every=every, next_slot=99.0, last_success=7.0))
    driver.run(driver.admin.reset(NAME, slot, "me", False))
    record = driver.record()
    assert (record.next_slot, record.last_success, record.gap) == (following, 7.0, 0)
