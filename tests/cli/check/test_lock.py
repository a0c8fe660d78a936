"""What a plugin says of a lock: each way in which it can be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock import Status
from consul_lock_cli.check.lock import LockLimits, judge_lock, lock_metrics
from consul_lock_cli.check.plugin_line import plugin_line
from consul_lock_cli.check.state import State
from tests.cli.check.plugin_line_reader import read
from tests.cli.output.examples import (
    ESCAPES,
    NOW,
    SESSION,
    foreign_holder,
    foreign_value,
    holder,
    status,
)


def judged(seen: Status, **limits: Any) -> tuple[str, str]:
    """The state and the text."""
    verdict = judge_lock(seen, NOW, LockLimits(**limits))
    return verdict.state.name, verdict.text


def test_a_lock_is_fine_if_nothing_is_asked_for() -> None:
    """Held or free; it says by whom and for how long."""
    assert judged(status()) == ("OK", "free, 0 waiters")
    assert judged(status(holder(), waiters=(holder("web4"),))) == (
        "OK", "held by web3:4242 for 3m12s, 1 waiter",
    )  # fmt: skip
    assert judged(status(foreign_holder())) == ("OK", "held by session 01234567-8..., 0 waiters")
    two = status(holder(), holder("web4", since=NOW - 500), kind="semaphore")
    assert judged(two) == ("OK", "held by web4:4242 for 8m20s and 1 more, 0 waiters")


@pytest.mark.parametrize("most, state", [(191.0, "CRITICAL"), (193.0, "OK"), (0.0, "CRITICAL")])
def test_a_hold_that_is_too_old_is_critical(most: float, state: str) -> None:
    """Of several holders the oldest counts."""
    found, text = judged(status(holder(), holder("web4", since=NOW - 1)), max_age=most)
    assert found == state
    assert (text.startswith("held for 3m12s by web3:4242 (more than ")) is (state == "CRITICAL")


def test_a_holder_that_does_not_say_since_when_is_unknown_if_that_is_asked() -> None:
    """Unless another one is too old already."""
    silent = status(foreign_holder())
    assert judged(silent, max_age=60.0)[0] == "UNKNOWN"
    assert judged(status(foreign_holder(), holder()), max_age=60.0)[0] == "CRITICAL"
    assert judged(status(foreign_holder(), holder()), max_age=600.0)[0] == "UNKNOWN"
    ahead = status(holder(since=NOW + 3600))
    assert judged(ahead, max_age=60.0) == ("OK", "held by web3:4242 for 0s, 0 waiters")


@pytest.mark.parametrize("most, state", [(0, "CRITICAL"), (1, "CRITICAL"), (2, "OK")])
def test_too_many_waiters_are_critical(most: int, state: str) -> None:
    """More than are allowed."""
    found, text = judged(status(holder(), waiters=(holder(), holder())), max_waiters=most)
    assert found == state
    assert text.startswith("2 waiters") is (state == "CRITICAL")


def test_dead_holders_are_a_warning() -> None:
    """Of a semaphore, whose slot they keep, and of a lock that nobody has taken since."""
    other = "11234567-89ab-cdef-0123-456789abcdef"
    dead = status(holder(), holder("web4", session=other), kind="semaphore", vanished=(other,))
    assert judged(dead) == (
        "WARNING", "a holder is dead, and keeps its slot until another takes it",
    )  # fmt: skip
    both = status(holder(), holder(session=other), kind="semaphore", vanished=(SESSION, other))
    found, text = judged(both, max_age=1.0)
    assert (found, text.startswith("2 holders are dead")) == ("WARNING", True)
    died = status(last_holder=holder())
    assert judged(died) == ("WARNING", "free, and its last holder died or lost it: web3:4242")


def test_what_is_no_lock_or_hidden_is_unknown() -> None:
    """Nothing can be said of its age then."""
    assert judged(foreign_value(b"x"), max_age=1.0) == ("UNKNOWN", "not a lock: not a lock")
    hidden = status(hidden=True)
    assert judged(hidden) == ("UNKNOWN", "some of its keys are hidden from this token")
    assert judged(status(holder(), hidden=True), max_age=1.0)[0] == "CRITICAL"


def test_its_numbers_have_the_limits_that_were_asked_for() -> None:
    """A lock that is free is held for no time; an age that is not known is U."""
    limits = LockLimits(3600.0, 20)

    def numbers(seen: Status) -> list[str]:
        return read(plugin_line(State.OK, "x", lock_metrics(seen, NOW, limits)))[2]

    assert numbers(status(holder(), waiters=(holder(),), limit=1)) == [
        "'age'=192s;;3600;0", "'holders'=1;;;0;1", "'waiters'=1;;20;0", "'dead'=0;0;;0",
    ]  # fmt: skip
    assert numbers(status())[0] == "'age'=0s;;3600;0"
    assert numbers(status(foreign_holder()))[0] == "'age'=U;;3600;0"


def test_nothing_that_others_write_is_obeyed() -> None:
    """In no field that is shown."""
    evil = f"|{ESCAPES}"
    foreign = status(kind="foreign", state="unknown", value=b"", problem=evil)
    for seen in (status(holder(evil)), status(last_holder=holder(evil)), foreign):
        verdict = judge_lock(seen, NOW, LockLimits(1.0))
        assert verdict.state is not State.OK
        assert r"\x1b[2J" in read(plugin_line(verdict.state, verdict.text))[1]
