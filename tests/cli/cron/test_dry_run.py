"""`cron run --dry-run`: what would happen now, by what is recorded and held; nothing is claimed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consul_lock import Client, CronGuard, CronRecords, CronState, Lock
from consul_lock.testing import serve
from consul_lock_cli.cron import dry_run
from tests.cli.command import consul, environment
from tests.cli.in_process import in_process

HOUR = 3600.0
EIGHT = 500_000 * HOUR
"""2027-01-15 08:00:00Z, the beginning of a slot, with --every 1h."""

_NAME = "jobs/sync"
_NOWHERE = "127.0.0.1:1"

Answer = tuple[int, str]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Consul of these tests alone, in this process."""
    with serve() as served:
        yield served.address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    """Another host; what it has recorded is gone with the test."""
    with Client(address) as made:
        yield made
    consul(address, "DELETE", "/v1/kv/?recurse")


@pytest.fixture
def rehearse(address: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """``rehearse(*options, at=...)``: exit code, and what would happen at that time."""

    def run(*options: str, at: float = EIGHT, where: str = address) -> Answer:
        monkeypatch.setattr(dry_run, "FIRED_AT", at)
        times = () if "--slot" in options else ("--every", "1h")
        codes = ("--skip-exit-code", "9", "--overlap-exit-code", "7")
        words = ("--dry-run", *times, *codes, *options, "--", "echo", "a b")
        done = in_process("cron", "run", "--name", _NAME, *words, env=environment(where))
        if done.stderr:
            return done.returncode, done.stderr.splitlines()[0]
        slot, _, what = done.stdout.rstrip("\n").partition(f" of {_NAME}: ")
        assert slot.startswith("slot ")
        return done.returncode, what

    return run


def _run(client: Client, state: CronState, at: float = EIGHT, **more: Any) -> None:
    """A host runs the slot, to this end."""
    times: dict[str, Any] = {} if "slot" in more else {"every": HOUR}
    with CronGuard(_NAME, client=client, **times, **more).claim(at) as run:
        assert run
        run.ended(state, 0 if state is CronState.DONE else 1)


_RUNS = "would run echo 'a b'"


def test_a_slot_that_nobody_has_would_be_run(address: str, rehearse: Callable[..., Answer]) -> None:
    """As often as it is asked, as nothing is claimed: no key and no session are left."""
    assert [rehearse(), rehearse()] == [(0, _RUNS), (0, _RUNS)]
    assert not consul(address, "GET", "/v1/kv/?keys")
    assert consul(address, "GET", "/v1/session/list") == []


@pytest.mark.parametrize(
    "state, options, expected",
    [
        (CronState.DONE, (), (9, "already done by")),
        (CronState.DONE, ("--retry-failed", "1", "--retry-crashed", "1"), (9, "already done by")),
        (CronState.FAILED, (), (9, "already failed by")),
        (CronState.FAILED, ("--retry-crashed", "1"), (9, "already failed by")),
        (CronState.FAILED, ("--retry-failed", "1"), (0, _RUNS)),
        (CronState.LOST, ("--retry-failed", "1"), (9, "already lost by")),
        (CronState.LOST, ("--retry-crashed", "1"), (0, _RUNS)),
    ],
)
def test_a_slot_that_was_run_would_be_skipped_unless_it_may_be_tried_again(
    client: Client,
    rehearse: Callable[..., Answer],
    state: CronState,
    options: tuple[str, ...],
    expected: Answer,
) -> None:
    """After a failure or a death, as the options say; the next slot is a new one."""
    _run(client, state)
    code, what = rehearse(*options)
    assert (code, what[: len(expected[1])]) == expected
    assert what.endswith(": would skip it") is bool(code)
    assert rehearse(*options, at=EIGHT + HOUR) == (0, _RUNS)


def test_no_more_attempts_than_are_allowed(client: Client, rehearse: Callable[..., Answer]) -> None:
    """The first one does not count."""
    _run(client, CronState.FAILED)
    _run(client, CronState.FAILED, retry_failed=1)
    assert rehearse("--retry-failed", "1")[0] == 9
    assert rehearse("--retry-failed", "2") == (0, _RUNS)


def test_a_slot_before_the_last_one_would_be_skipped(
    client: Client, rehearse: Callable[..., Answer]
) -> None:
    """A clock is slow, or the host was suspended."""
    _run(client, CronState.DONE)
    code, what = rehearse(at=EIGHT - HOUR)
    assert code == 9
    assert what.startswith("slot 2027-01-15T08:00:00Z has begun already, on ")


def test_an_id_that_was_run_before_would_be_skipped(
    client: Client, rehearse: Callable[..., Answer]
) -> None:
    """It has no time, so all that are remembered count."""
    for slot in ("a", "b"):
        _run(client, CronState.DONE, slot=slot)
    assert rehearse("--slot", "a") == (9, "it was run before: would skip it")
    assert rehearse("--slot", "c") == (0, _RUNS)


def test_a_paused_job_would_be_skipped(client: Client, rehearse: Callable[..., Answer]) -> None:
    """Whatever the slot."""
    _run(client, CronState.DONE)
    CronRecords(client).pause(_NAME, reason="deploy")
    assert rehearse(at=EIGHT + HOUR) == (9, "it is paused: would skip it")


@pytest.mark.parametrize("after, code", [(59.0, 0), (61.0, 9)])
def test_a_slot_that_began_too_long_ago_would_be_skipped(
    client: Client, rehearse: Callable[..., Answer], after: float, code: int
) -> None:
    """As after a suspend."""
    what = "it began too long ago: would skip it" if code else _RUNS
    assert rehearse("--max-lateness", "1m", at=EIGHT + after) == (code, what)


@pytest.mark.parametrize(
    "overlap, code, then",
    [("skip", 7, "would skip it"), ("wait", 7, "would wait"), ("allow", 0, _RUNS)],
)
def test_while_an_earlier_run_is_alive(
    client: Client, rehearse: Callable[..., Answer], overlap: str, code: int, then: str
) -> None:
    """By the run lock, which anybody may hold."""
    with Lock(_NAME, client=client):
        found, what = rehearse("--overlap", overlap)
    assert (found, what.rpartition(": ")[2]) == (code, then)
    assert what.startswith("the lock is held by ") is bool(code)


@pytest.mark.parametrize(
    "options, code, said",
    [
        ((), 69, "(69)"),
        (("--unavailable-exit-code", "5"), 5, "(5)"),
        (("--fail-open", "--yes-run-everywhere"), 0, f"{_RUNS}, as every host would"),
    ],
)
def test_without_consul(
    rehearse: Callable[..., Answer], options: tuple[str, ...], code: int, said: str
) -> None:
    """Nothing, unless it may run everywhere."""
    found, what = rehearse("--retry-for", "0", *options, where=_NOWHERE)
    assert found == code
    assert what.endswith(said)
