"""What is reported of slots: taken, skipped, missed, started, ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consul_lock._api.cron_schedule import Schedule
from consul_lock._protocol.cron.record import CronChange, CronRecord, CronSkip
from consul_lock._protocol.cron.reports import missed
from consul_lock._protocol.cron.slot import Every, Once, Rhythm, slot_at, slot_of_id
from consul_lock._protocol.reporter import DEBUG, WARNING
from consul_lock.errors import Unavailable
from tests.unit.protocol.cron.cron_driver import HOUR, CronDriver
from tests.unit.protocol.fake_driver import NAME
from tests.unit.protocol.heard_reports import HeardReports

# A slot that begins later than the clock of these hosts shows.
_LATER = 444_445


class HeardDriver(CronDriver):
    """All its hosts report to one place."""

    def __init__(self, *, listens: bool = True) -> None:
        super().__init__()
        self.heard = HeardReports(listens=listens, level=10 if listens else 30)

    def client(self, label: str = "a", **options: Any) -> Any:
        return super().client(label, reporter=self.heard, **options)

    @property
    def slots(self) -> list[str]:
        """What was reported of slots, in order."""
        return [each.event for each in self.heard.reports if "slot" in each.about]


def test_a_run_is_started_and_ended() -> None:
    """With the number of its run lock's acquire, the state and the exit code."""
    driver = HeardDriver()
    core, claim, run = driver.once()
    driver.world.advance(3)
    driver.run(core.leave(claim, run, SystemExit(3)))
    assert driver.slots == ["started", "ended"]
    started, ended = driver.heard.only("started"), driver.heard.only("ended")
    assert (started["name"], started["kind"], started["key"]) == (NAME, "cron", f"{NAME}/.cron")
    assert (started["slot"], started["epoch"]) == ("1970-01-01T01:00:00Z", HOUR)
    assert started["run"] == 1
    assert started["attempt"] == driver.heard.only("acquired")["attempt"] == ended["attempt"]
    assert (ended["state"], ended["exit"], ended["recorded"]) == ("failed", 3, True)
    assert ended["runtime"] >= 3
    assert driver.heard.only("acquired")["kind"] == "cron"


def test_another_host_sees_that_it_is_taken() -> None:
    """And by which host."""
    driver = HeardDriver()
    core, claim, run = driver.once()
    driver.run(core.leave(claim, run, None))
    driver.once()
    assert driver.slots == ["started", "ended", "taken"]
    assert driver.heard.only("taken")["host"] == "host1"


def test_what_is_not_run_for_another_reason_is_skipped() -> None:
    """An overlap, and by which host it was met first; a slot that is too old."""
    driver = HeardDriver()
    driver.once()
    driver.once(2)
    driver.once(2)
    _, claim, _ = driver.claim(3, max_lateness=0.0)
    driver.run(claim.flow(3 * HOUR + 30))
    skips = [each.about for each in driver.heard.reports if each.event == "skipped"]
    assert [(skip["why"], skip["first"]) for skip in skips] == [
        ("overlap", True),
        ("overlap", False),
        ("late", False),
    ]


def test_slots_that_nobody_has_claimed_are_missed_and_said_before_the_start() -> None:
    """By the host that claims the next slot, as one event."""
    driver = HeardDriver()
    core, claim, run = driver.once(_LATER)
    driver.run(core.leave(claim, run, None))
    driver.once(_LATER + 3)
    assert driver.slots == ["started", "ended", "missed", "started"]
    gap = driver.heard.only("missed")
    assert (gap["slots"], gap["epoch"]) == (2, (_LATER + 1) * HOUR)


def test_a_claim_that_is_tried_again_says_so() -> None:
    """Once as a warning; it is about no slot, but about the job."""
    driver = HeardDriver()
    driver.failures.extend([Unavailable("away", uncertain=False)] * 2)
    driver.once()
    retries = [each for each in driver.heard.reports if each.event == "retrying"]
    assert [each.level for each in retries] == [WARNING, DEBUG]
    assert (retries[0].about["name"], retries[0].about["kind"]) == (NAME, "cron")
    assert str(retries[0].about["error"]) == "away"


def test_nothing_is_made_if_nobody_wants_to_hear() -> None:
    """The log has warnings alone, and nobody listens."""
    driver = HeardDriver(listens=False)
    core, claim, run = driver.once()
    driver.run(core.leave(claim, run, None))
    assert driver.heard.reports == []


_RECORD = CronRecord(NAME, epoch=HOUR, every=HOUR, claimed_at=HOUR + 1, runtime=10.0)


@pytest.mark.parametrize(
    "before, slot, rhythm, found",
    [
        (_RECORD, slot_at(2 * HOUR), Every(HOUR, 0, None), None),
        (_RECORD, slot_at(3 * HOUR), Every(HOUR, 0, None), (2 * HOUR, 1)),
        (_RECORD, slot_at(HOUR), Every(HOUR, 0, None), None),
        (None, slot_at(9 * HOUR), Every(HOUR, 0, None), None),
        # Another schedule than that of the run before.
        (_RECORD, slot_at(9 * HOUR), Every(2 * HOUR, 0, None), None),
        (replace(_RECORD, offset=60.0), slot_at(9 * HOUR), Every(HOUR, 0, None), None),
        (replace(_RECORD, epoch=None), slot_of_id("a"), Once("a"), None),
        # As a cron expression counts them.
        (
            replace(_RECORD, every=None, schedule="0 * * * * UTC"),
            slot_at(4 * HOUR),
            Schedule("0 * * * *", "UTC", None),
            (2 * HOUR, 2),
        ),
        # Skipped on purpose, or begun while the run before was at it.
        (
            replace(_RECORD, skipped=(CronSkip("", 2 * HOUR, "paused"),)),
            slot_at(3 * HOUR),
            Every(HOUR, 0, None),
            None,
        ),
        (replace(_RECORD, runtime=1.5 * HOUR), slot_at(3 * HOUR), Every(HOUR, 0, None), None),
        (
            replace(_RECORD, runtime=1.5 * HOUR),
            slot_at(4 * HOUR),
            Every(HOUR, 0, None),
            (3 * HOUR, 1),
        ),
        # An operator has changed it since.
        (
            replace(_RECORD, changed=CronChange("reset", "me", HOUR + 2)),
            slot_at(9 * HOUR),
            Every(HOUR, 0, None),
            None,
        ),
    ],
)
def test_what_was_missed(
    before: CronRecord | None, slot: Any, rhythm: Rhythm, found: tuple[float, int] | None
) -> None:
    """Only what nobody came to, between two slots of one schedule."""
    seen = missed(before, slot, rhythm)
    assert (None if seen is None else (seen[0].epoch, seen[1])) == found
