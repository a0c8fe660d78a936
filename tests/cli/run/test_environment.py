"""What a command finds in its environment about its lock."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consul_lock import CronPast, CronState
from consul_lock_cli.run import environment
from consul_lock_cli.run.ancestors import CHAIN
from consul_lock_cli.run.environment import of_lost_run
from consul_lock_cli.spec.lock import LockKind, LockSpec


class _Lock:
    session_id = "a-session"
    token = 42


_LOCK: Any = _Lock()
_SPEC = LockSpec(("deploy", "web"), LockKind.MULTI, ttl=12.5)


def test_a_command_under_a_lock_knows_it() -> None:
    """All names, one a line; times as RFC 3339 and as seconds."""
    seen = environment.locked(_SPEC, _LOCK, None, 1795280595.25, "here")
    (own,) = json.loads(seen.pop(CHAIN) or "")[-1:]
    assert seen == {
        "CONSUL_LOCK_HELD": "true",
        "CONSUL_LOCK_KEY": "deploy\nweb",
        "CONSUL_LOCK_SESSION": "a-session",
        "CONSUL_LOCK_TOKEN": "42",
        "CONSUL_LOCK_MODE": "multi",
        "CONSUL_LOCK_LIMIT": "1",
        "CONSUL_LOCK_SLOT_INDEX": None,
        "CONSUL_LOCK_ACQUIRED_AT": "2026-11-21T17:03:15.250Z",
        "CONSUL_LOCK_TTL": "12.5",
    }
    assert (own["keys"], own["session"], own["place"]) == (["deploy", "web"], "a-session", "here")


@pytest.mark.parametrize(
    "limit, slot, seen",
    [(3, 0, ("3", "0")), (3, 2, ("3", "2")), (None, None, (None, None))],
)
def test_a_semaphore_has_a_limit_and_an_index(
    limit: int | None, slot: int | None, seen: tuple[str | None, str | None]
) -> None:
    """The first index is 0, which is not none; a read lock has no limit."""
    spec = LockSpec(("pool",), LockKind.SEMAPHORE, limit=limit)
    found = environment.locked(spec, _LOCK, slot, 0.0, "")
    assert (found["CONSUL_LOCK_LIMIT"], found["CONSUL_LOCK_SLOT_INDEX"]) == seen


def test_without_a_lock_nothing_is_left_of_an_outer_one() -> None:
    """A command that runs all the same must not write with the token of another lock."""
    seen = environment.unlocked(_SPEC)
    assert (seen["CONSUL_LOCK_HELD"], seen["CONSUL_LOCK_KEY"]) == ("false", "deploy\nweb")
    of_a_lock = {*environment.locked(_SPEC, _LOCK, None, 0.0, "")} - {CHAIN}
    removed = {name for name, value in seen.items() if value is None}
    assert removed == of_a_lock - {"CONSUL_LOCK_HELD", "CONSUL_LOCK_KEY"}


@pytest.mark.parametrize(
    "epoch, attempt, seen",
    [
        (1795280400.0, 1, ("1795280400", "1")),
        (1795280400.5, 2, ("1795280400.5", "2")),
        (None, 0, (None, None)),
    ],
)
def test_a_cron_slot_has_a_name_a_time_and_an_attempt(
    epoch: float | None, attempt: int, seen: tuple[str | None, str | None]
) -> None:
    """As whole seconds where they are; an ID has no time."""
    assert environment.of_slot("backup", "a-slot", epoch, attempt) == {
        "CONSUL_LOCK_CRON_NAME": "backup",
        "CONSUL_LOCK_CRON_SLOT": "a-slot",
        "CONSUL_LOCK_CRON_SLOT_EPOCH": seen[0],
        "CONSUL_LOCK_CRON_ATTEMPT": seen[1],
    }


def test_a_run_that_was_lost_has_variables_of_its_own() -> None:
    """For the hook of the run that has found it."""
    run = CronPast("2026-11-21T16:00:00Z", 0.0, 2, CronState.LOST, "web2", "c0", 0.0, None, None)
    assert of_lost_run(run) == {
        "CONSUL_LOCK_CRON_LOST_SLOT": "2026-11-21T16:00:00Z",
        "CONSUL_LOCK_CRON_LOST_ATTEMPT": "2",
        "CONSUL_LOCK_CRON_LOST_HOST": "web2",
    }
