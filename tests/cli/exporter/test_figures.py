"""What one read comes to, in figures."""

from __future__ import annotations

from dataclasses import replace

from consul_lock import CronProblem, Overview, Status
from consul_lock_cli.exporter.figures import NAMES_MAX, Figures, LockFigures, figures_of
from tests.cli.output.examples import (
    ESCAPES,
    NOW,
    SESSION,
    foreign_holder,
    foreign_value,
    holder,
    note,
    record,
    status,
)


def figures(*locks: Status, hidden: bool = False) -> Figures:
    return figures_of(Overview(list(locks), [], hidden))


def only(*locks: Status) -> LockFigures:
    (found,) = figures(*locks).locks
    return found


def test_a_lock_has_its_holder_its_waiters_and_the_time_of_the_oldest_of_each() -> None:
    """The times as their own hosts wrote them."""
    waiters = tuple(holder(f"web{n}", since=NOW - n, session=f"w{n}") for n in (5, 9, 7))
    found = only(status(holder(), waiters=waiters))
    assert found == LockFigures("deploy", "lock", 1, 3, 0, NOW - 192, NOW - 9, None)


def test_one_that_does_not_say_since_when_has_no_age() -> None:
    """A client of Go: its age would be that of the epoch."""
    found = only(status(foreign_holder(), holder(since=0.0)))
    assert (found.holders, found.held_since, found.waited_since) == (2, None, None)


def test_the_dead_are_counted_and_are_no_holders() -> None:
    """Those of a semaphore that have vanished, and one that died with a lock that is free."""
    some = [holder(session="a"), holder(session="b", since=NOW - 999)]
    found = only(status(*some, kind="semaphore", limit=3, vanished=("b",)))
    assert (found.holders, found.dead, found.limit) == (1, 1, 3)
    assert found.held_since == NOW - 192
    free = only(status(last_holder=holder()))
    assert (free.holders, free.dead) == (0, 1)


def test_an_election_is_a_kind_of_its_own() -> None:
    """By what its leader wrote, or while there is none by what a candidate wrote."""
    leader = only(status(holder(candidate=True, value="http://a")))
    assert (leader.kind, leader.holders) == ("election", 1)
    waiting = only(status(waiters=(holder(candidate=True),)))
    assert (waiting.kind, waiting.holders, waiting.waiters) == ("election", 0, 1)


def test_kinds_are_counted_and_what_is_no_lock_has_no_series() -> None:
    """Nor is the note of a break a lock."""
    broken = replace(status(), kind="none", name="gone", last_break=note())
    found = figures_of(
        Overview(
            [status(holder()), foreign_value(b"x"), broken],
            [record(), CronProblem("odd", "odd/.cron", "no record")],
        )
    )
    assert dict(found.kinds) == {"lock": 1, "foreign": 1, "cron": 2}
    assert [each.name for each in found.locks] == ["deploy"]


def test_two_keys_of_one_name_and_kind_are_one_series() -> None:
    """Prometheus refuses a series that is there twice, and with it all others."""
    exact = replace(status(holder(since=NOW - 500, session="e")), key="deploy")
    found = figures(exact, status(holder(), last_holder=None, waiters=(holder(session="w"),)))
    assert found.locks == (LockFigures("deploy", "lock", 2, 1, 0, NOW - 500, NOW - 192, None),)
    assert found.kinds["lock"] == 2


def test_so_many_names_have_series_and_the_rest_is_counted() -> None:
    """The first by name, so that they are the same at each read; cron jobs count, too."""
    names = [f"n{number:05d}" for number in range(NAMES_MAX + 4)]
    locks = [replace(status(holder()), name=name, key=f"{name}/.lock") for name in names]
    jobs = [replace(record(), name=name) for name in ("n00000", "zz")]
    found = figures_of(Overview(locks[::-1], list(jobs)))
    assert [each.name for each in found.locks] == names[:NAMES_MAX]
    assert (found.left_out, found.kinds["lock"], found.kinds["cron"]) == (5, NAMES_MAX + 4, 2)
    assert list(found.crons) == ["n00000"]


def test_a_name_is_harmless() -> None:
    """Metrics are read in terminals, too; and half of a surrogate pair is no UTF-8."""
    found = only(replace(status(holder()), name=f"{ESCAPES}\ud800"))
    assert found.name.isprintable()
    assert found.name.encode().startswith(b"web\\x1b[2J\\r\\n")


def test_what_consul_says_of_hidden_keys_is_kept() -> None:
    """Figures that are too low must not look right."""
    assert figures(status(holder(session=SESSION)), hidden=True).filtered
    assert not figures(status()).filtered
