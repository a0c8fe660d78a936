"""Which of all that there is `ls` lists, and in which order."""

from __future__ import annotations

import getpass
import os

import pytest

from consul_lock import CronState, Overview
from consul_lock_cli.output.cron_table import overview_table
from consul_lock_cli.output.selection import STATES, Selection, since
from tests.cli.output.examples import NOW, SLOT, foreign_value, holder, record, status

_MINE = holder(os.uname().nodename, user=getpass.getuser(), since=NOW - 10)
_LOCKS = {
    "mine": status(_MINE),
    "other": status(holder("web4"), waiters=(holder("web5"),)),
    "root": status(holder(os.uname().nodename, user="nobody-else")),
    "dead": status(holder("web6", session="gone"), vanished=("gone",), state="vanished"),
    "died": status(last_holder=holder("web7")),
    "free": status(),
    "foreign": foreign_value(b"x"),
}
_CRONS = {
    "done": record(),
    "broken": record(state=CronState.FAILED, host="web5"),
    "here": record(host=os.uname().nodename),
}
_ALL = Overview(list(_LOCKS.values()), list(_CRONS.values()))


@pytest.mark.parametrize(
    "wanted, names",
    [
        ({}, {*_LOCKS, *_CRONS}),
        ({"state": "free"}, {"died", "free"}),
        ({"state": "held"}, {"mine", "other", "root"}),
        ({"state": "foreign"}, {"foreign"}),
        ({"state": "failed"}, {"broken"}),
        ({"host": "web4"}, {"other"}),
        ({"host": "web5"}, {"other", "broken"}),
        ({"host": "web"}, set()),
        ({"mine": True}, {"mine", "here"}),
        ({"failed": True}, {"dead", "died", "broken"}),
        ({"failed": True, "host": "web5"}, {"broken"}),
    ],
    # Of a set the order differs from process to process.
    ids=lambda value: str(value) if isinstance(value, dict) else " ".join(sorted(value)),
)
def test_what_is_listed(wanted: dict[str, str], names: set[str]) -> None:
    """All conditions together; without one, everything."""
    chosen = Selection(**wanted).of(_ALL, NOW)  # type: ignore[arg-type] # of several types
    assert chosen.locks == [lock for name, lock in _LOCKS.items() if name in names]
    assert chosen.crons == [job for name, job in _CRONS.items() if name in names]


def test_every_state_of_a_lock_and_of_a_job_can_be_asked_for() -> None:
    """As the column STATE has them."""
    assert {state.value for state in CronState} <= set(STATES)
    assert {"held", "free", "vanished", "foreign"} <= set(STATES)


def test_the_oldest_is_first_and_what_has_no_age_last() -> None:
    """Of several holders the first one counts."""
    young, old = holder(since=NOW - 5), holder(since=NOW - 500)
    assert since(status(young, old)) == NOW - 500
    assert since(record()) == SLOT + 1
    assert since(status()) == float("inf")
    found = Overview([status(), status(young), status(old)], [])
    _, *rows = overview_table(found, NOW, by_age=True).splitlines()
    assert [row.split()[-2] for row in rows] == ["8m20s", "5s", "-"]
