"""`cron run` when something goes wrong: hosts die, locks are lost, clocks lie, Consul is away."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consul_lock import CronState
from tests.cli.command import Running, alive, consul, environment
from tests.cli.cron_fixture import (
    EIGHT,
    HOUR,
    QUICK,
    Job,
    job_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.in_process import in_process
from tests.support.actions import DROP_AFTER, DROP_BEFORE, PASS, Action, Delay
from tests.support.agent import Agent
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

_HOURLY = ("--every", "1h")
_TELL = ("--", "sh", "-c", "echo $CONSUL_LOCK_CRON_SLOT $CONSUL_LOCK_CRON_ATTEMPT")
_STAY = ("--", "sh", "-c", "echo ready; exec sleep 600")
_NOWHERE = ("--http-addr", "127.0.0.1:1", "--retry-for", "0")


@pytest.fixture(scope="module")
def agent(consul_binary: Path) -> Iterator[Agent]:
    """One for this module: for a while, the checks of hosts that died here stay critical."""
    with Agent(consul_binary) as started:
        yield started


def _writes_the_record(path: str, body: bytes) -> bool:
    return path.startswith("/v1/txn") and b'"cas"' in body


def test_when_the_answer_is_lost_and_then_the_server_nothing_is_run(job: Job, address: str) -> None:
    """69: nobody knows which host has the slot, so nobody runs it."""
    gone = False

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        nonlocal gone
        if gone:
            return DROP_BEFORE
        gone = _writes_the_record(path, body)
        return DROP_AFTER if gone else PASS

    with Proxy(address, rule) as proxy:
        done = job.fire(
            *_HOURLY, "--retry-for", "1s", "--", "echo", "started", at=EIGHT, address=proxy.address
        )
    assert (done.returncode, done.stdout) == (69, "")
    what, hint = done.stderr.splitlines()
    assert "the claim was sent, and Consul never said what became of it" in what
    assert what.endswith(f": job {job.name} not started (69)")
    assert "the slot may be lost" in hint
    assert job.record().state is CronState.CLAIMED
    assert job.fire(*_HOURLY, "--", "echo", "started", at=EIGHT + 1).stdout == ""


def test_an_answer_that_is_lost_costs_nothing(job: Job, address: str) -> None:
    """The claim is found in the record."""

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        return DROP_AFTER if _writes_the_record(path, body) and n % 2 else PASS

    with Proxy(address, rule) as proxy:
        done = job.fire(*_HOURLY, *_TELL, at=EIGHT, address=proxy.address)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2027-01-15T08:00:00Z 1\n", "")
    assert job.record().state is CronState.DONE


def test_an_outage_is_said_once_on_a_host(job: Job, tmp_path: Path) -> None:
    """Cron mails what is printed, each minute; the exit code is the same."""
    away = ("--retry-for", "0", "--outage-quiet", "10m")
    for said in (True, False):
        fired = job.fire(*_HOURLY, *away, "true", address="127.0.0.1:1", TMPDIR=str(tmp_path))
        assert (fired.returncode, bool(fired.stderr)) == (69, said)


def test_an_end_that_cannot_be_recorded_is_a_warning(job: Job, address: str) -> None:
    """The exit code stays that of the command."""
    refused = False

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        writes = refused and _writes_the_record(path, body)
        return Answer(403, {}, b"Permission denied") if writes else PASS

    with Proxy(address, rule) as proxy:
        script = "trap 'exit 7' USR1; echo ready; while :; do sleep 0.05; done"
        running = job.start(*_HOURLY, "--", "sh", "-c", script, address=proxy.address)
        assert running.line() == "ready"
        refused = True
        running.send(signal.SIGUSR1)
        assert running.wait() == 7
        warning, report = running.said()
    assert "could not be recorded" in warning
    assert "failed: exit code 7" in report
    assert job.record().shown is CronState.LOST


def test_term_while_the_end_is_recorded_leaves_it_time(job: Job, address: str) -> None:
    """The command has ended by then: its code is passed on, and recorded once."""
    ended = writing = False

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        nonlocal writing
        if ended and _writes_the_record(path, body):
            writing = True
            return Delay(0.4)
        return PASS

    with Proxy(address, rule) as proxy:
        script = "trap 'exit 7' USR1; echo ready; while :; do sleep 0.05; done"
        running = job.start(*_HOURLY, "--", "sh", "-c", script, address=proxy.address)
        assert running.line() == "ready"
        ended = True
        running.send(signal.SIGUSR1)
        eventually(lambda: writing)
        running.send(signal.SIGTERM)
        assert running.wait() == 7
        (report,) = running.said()
    assert "failed: exit code 7" in report
    assert (job.record().state, job.record().exit) == (CronState.FAILED, 7)
    assert job.left() == ([job.key], [])


@pytest.mark.parametrize("what", ["garbage", "newer", "foreign", "ids"])
def test_a_foreign_record_is_65_and_is_not_overwritten(job: Job, what: str) -> None:
    """Junk, a version of the future, a value of somebody else, IDs where times are expected."""
    if what == "foreign":
        job.write("hello")
    else:
        job.fire(*(("--slot", "x") if what == "ids" else _HOURLY), "--", "true")
    if what == "newer":
        job.forge(v=99)
    elif what == "garbage":
        job.write("{", job.stored()[0])
    before = job.stored()
    for dry in ((), ("--dry-run",)) if what != "ids" else ((),):
        done = job.fire(*_HOURLY, *dry, "--", "echo", "started")
        assert (done.returncode, done.stdout) == (65, "")
        problem, hint = done.stderr.splitlines()
        assert problem.startswith(f"consul-lock: '{job.key}'")
        assert "--name" in hint
    assert job.stored() == before
    assert job.left() == ([job.key], [])


def test_a_record_that_is_too_far_ahead_is_78_and_names_the_host(job: Job) -> None:
    """A little ahead it is a fast host, and nothing to be said."""
    job.fire(*_HOURLY, "--", "true", at=EIGHT + 2 * HOUR)
    behind = job.fire(*_HOURLY, "-v", *_TELL, at=EIGHT + HOUR)
    assert (behind.returncode, behind.stdout) == (0, "")
    assert "has begun already" in behind.stderr
    wrong = job.fire(*_HOURLY, *_TELL, at=EIGHT)
    assert (wrong.returncode, wrong.stdout) == (78, "")
    what, hint = wrong.stderr.splitlines()
    assert what.startswith(f"consul-lock: {job.name}: the record is at slot 2027-01-15T10:00:00Z,")
    assert what.endswith("a clock is wrong by 7200 s or more (78)")
    assert f"'consul-lock cron reset {job.name}'" in hint
    assert job.fire(*_HOURLY, "--max-skew", "3h", *_TELL, at=EIGHT).returncode == 0


@pytest.mark.parametrize(
    "options, why",
    [
        (("--schedule", "0 0 30 2 *"), "--schedule '0 0 30 2 *'"),
        (("--schedule", "every day"), "--schedule 'every day'"),
        (("--schedule", "0 0 * * *", "--timezone", "Mars/Base"), "--timezone 'Mars/Base'"),
    ],
)
def test_a_schedule_that_cannot_be_is_78(options: tuple[str, ...], why: str) -> None:
    """Before anything is sent."""
    words = ("--name", "k", *options, "--dry-run", "--", "echo", "started")
    done = in_process("cron", "run", *words, env=environment("127.0.0.1:1"))
    assert (done.returncode, done.stdout) == (78, "")
    what, hint = done.stderr.splitlines()
    assert what.startswith(f"consul-lock: {why}")
    assert hint.startswith("hint: ")


def test_without_consul_nothing_is_run_unless_it_may_run_everywhere(job: Job) -> None:
    """69, and --fail-open takes two options."""
    away = job.fire(*_HOURLY, *_NOWHERE, *_TELL)
    assert (away.returncode, away.stdout) == (69, "")
    everywhere = ("--fail-open", "--yes-run-everywhere")
    done = job.fire(*_HOURLY, *_NOWHERE, *everywhere, "--", "env", at=EIGHT)
    assert done.returncode == 0
    assert "CONSUL_LOCK_HELD=false\n" in done.stdout
    assert "CONSUL_LOCK_CRON_SLOT=2027-01-15T08:00:00Z\n" in done.stdout
    assert "running WITHOUT the lock" in done.stderr


@pytest.mark.parametrize("kept, code", [("True", 0), ("False", 78)])
def test_a_clock_that_is_not_synchronized_can_be_refused(job: Job, kept: str, code: int) -> None:
    """By the word of the kernel, which is made up here."""
    program = (
        "import consul_lock_cli.main as m, consul_lock_cli.commands.cron.run as r\n"
        f"r.synchronised = lambda: {kept}\n"
        "m.main()"
    )
    arguments = ["cron", "run", "--name", job.name, *_HOURLY, "--require-synced-clock", "true"]
    with Running(
        arguments, environment(job.address), prefix=(sys.executable, "-c", program)
    ) as host:
        assert host.wait() == code
        assert len(host.said()) == (2 if code else 0)


def test_a_lost_run_lock_stops_the_command(job: Job) -> None:
    """76, and the record says so; the next slot is run after the lock-delay."""
    script = "trap 'echo stopped; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    running = job.start(*_HOURLY, *QUICK, "--", "sh", "-c", script, at=EIGHT)
    assert running.line() == "ready"
    assert consul(job.address, "PUT", f"/v1/session/destroy/{job.session()}")
    assert running.line() == "stopped"
    assert running.wait() == 76
    assert any(line.startswith(f"consul-lock: LOST {job.name}") for line in running.said())
    record = job.record()
    assert (record.state, record.exit) == (CronState.LOST, 76)
    following = job.fire(*_HOURLY, *QUICK, *_TELL, at=EIGHT + HOUR)
    assert following.stdout == "2027-01-15T09:00:00Z 1\n"


def test_term_while_the_command_runs_is_for_the_command(job: Job) -> None:
    """consul-lock dies as it does, and the slot has failed."""
    running = job.start(*_HOURLY, *_STAY)
    assert running.line() == "ready"
    running.send(signal.SIGTERM)
    assert running.wait() == -signal.SIGTERM
    assert (job.record().state, job.record().exit) == (CronState.FAILED, 143)
    assert job.left() == ([job.key], [])


@pytest.mark.parametrize("options", [("--standby", "60s", "--retry-crashed", "1"),
                                     ("--overlap", "wait")])  # fmt: skip
def test_term_while_it_waits_ends_it_at_once(job: Job, options: tuple[str, ...]) -> None:
    """The command never ran, and nothing is left of the one who waited."""
    holder = job.start(*_HOURLY, *_STAY, at=EIGHT)
    assert holder.line() == "ready"
    at = EIGHT if "--standby" in options else EIGHT + HOUR
    waiter = job.start_waiting(*_HOURLY, *options, *_TELL, at=at)
    waiter.send(signal.SIGTERM)
    assert waiter.wait() == -signal.SIGTERM
    assert (waiter.line(), waiter.errors()) == ("", "")
    assert holder.running()
    assert job.left()[1] == [job.session()]


def test_a_host_that_dies_loses_its_slot_and_the_next_one_is_run(job: Job) -> None:
    """At most once: nobody repeats it."""
    dying = job.start(*_HOURLY, *QUICK, *_STAY, at=EIGHT)
    assert dying.line() == "ready"
    dying.send(signal.SIGKILL)
    dying.wait()
    eventually(lambda: job.record().shown is CronState.LOST)
    assert job.fire(*_HOURLY, *QUICK, *_TELL, at=EIGHT).stdout == ""
    following = job.fire(*_HOURLY, *QUICK, *_TELL, at=EIGHT + HOUR)
    assert following.stdout == "2027-01-15T09:00:00Z 1\n"
    assert job.record().history[0].state is CronState.LOST


def test_a_crashed_run_is_repeated_once_by_one_when_all_of_it_is_dead(
    job: Job, tmp_path: Path
) -> None:
    """Two stand by; a grandchild that does not care for TERM is killed before."""
    stubborn = tmp_path / "stubborn"
    forever = f"sh -c 'echo $$ >{stubborn}; for _ in $(seq 1200); do sleep 0.05; done'"
    script = f"(trap '' TERM; {forever}) & echo ready; wait"
    dying = job.start(*_HOURLY, *QUICK, "--", "sh", "-c", script, at=EIGHT)
    assert dying.line() == "ready"
    pid = int(eventually(lambda: stubborn.exists() and stubborn.read_text().strip()))
    look = (
        f"if kill -0 {pid} 2>/dev/null; then echo alive; fi; echo again $CONSUL_LOCK_CRON_ATTEMPT"
    )
    stand_by = ("--retry-crashed", "1", "--standby", "60s")
    retry = (*_HOURLY, *QUICK, *stand_by, "--", "sh", "-c", look)
    others = [job.start_waiting(*retry, at=EIGHT) for _ in range(2)]
    assert alive(pid)
    dying.send(signal.SIGKILL)
    dying.wait()
    assert [other.wait() for other in others] == [0, 0]
    assert sorted(other.line() for other in others) == ["", "again 2"]
    assert not alive(pid)
    record = job.record()
    assert (record.state, record.attempt) == (CronState.DONE, 2)
    assert record.history[0].state is CronState.LOST
