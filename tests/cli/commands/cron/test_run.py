"""`consul-lock cron run`: each slot once, on one of all hosts that fire.

What one host makes of its slot, and what a dry run says of it, is in cron/test_job and
cron/test_dry_run.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from consul_lock import CronState
from tests.cli.command import COMMAND, Running, environment
from tests.cli.cron_fixture import (
    EIGHT,
    HOUR,
    QUICK,
    Job,
    job_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.support.waiting import eventually

_HOURLY = ("--every", "1h")
_TELL = ("--", "sh", "-c", "echo $CONSUL_LOCK_CRON_SLOT")
_STAY = ("--", "sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")


def test_the_first_host_runs_it_and_the_others_are_silent(job: Job) -> None:
    """Nothing is left but the record; -v says who has done it."""
    first = job.fire(*_HOURLY, "--", "echo", "mine", at=EIGHT + 1)
    assert (first.returncode, first.stdout, first.stderr) == (0, "mine\n", "")
    second = job.fire(*_HOURLY, "--", "echo", "mine", at=EIGHT + 2)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    third = job.fire(*_HOURLY, "-v", "--", "echo", "mine", at=EIGHT + HOUR - 60)
    label = f"slot 08:00Z of {job.name}: already done by "
    assert (third.returncode, third.stdout) == (0, "")
    said = third.stderr.splitlines()
    assert len(said) == 1
    assert re.fullmatch(rf"consul-lock: {re.escape(label)}\S+ \(exit 0, 0s\)", said[0]), said
    assert job.left() == ([job.key], [])
    record = job.record()
    assert (record.state, record.exit, record.epoch) == (CronState.DONE, 0, EIGHT)


def test_the_command_gets_its_slot_and_its_lock(job: Job) -> None:
    """Beside what any command under a lock gets."""
    done = job.fire(*_HOURLY, "--", "env", at=EIGHT)
    told = dict(line.split("=", 1) for line in done.stdout.splitlines())
    record = job.record()
    assert {name: text for name, text in told.items() if name.startswith("CONSUL_LOCK_CRON")} == {
        "CONSUL_LOCK_CRON_NAME": job.name,
        "CONSUL_LOCK_CRON_SLOT": record.slot,
        "CONSUL_LOCK_CRON_SLOT_EPOCH": f"{EIGHT:.0f}",
        "CONSUL_LOCK_CRON_ATTEMPT": "1",
    }
    assert told["CONSUL_LOCK_HELD"] == "true"
    assert told["CONSUL_LOCK_KEY"] == job.name
    assert told["CONSUL_LOCK_SESSION"] == record.session
    assert told["CONSUL_LOCK_TOKEN"] == str(record.token)


def test_a_clock_that_is_stepped_back_after_the_firing_makes_no_difference(job: Job) -> None:
    """Five seconds before the slot begins it counts already."""
    early = job.fire(*_HOURLY, *_TELL, at=EIGHT - 5)
    assert early.stdout == "2027-01-15T08:00:00Z\n"
    assert job.fire(*_HOURLY, *_TELL, at=EIGHT + 1).stdout == ""


def test_the_slot_is_that_of_the_firing_whatever_comes_after_it(job: Job) -> None:
    """The clock is read first of all; the next slot begins while the command starts, and sleeps."""
    program = (
        "import time\n"
        f"looks = iter([{EIGHT + 59}])\n"
        f"time.time = lambda: next(looks, {EIGHT + 90})\n"
        "from consul_lock_cli.main import main\n"
        "main()"
    )
    options = ("--every", "60s", "--early", "0", "--splay", "50ms", "-v")
    arguments = ["cron", "run", "--name", job.name, *options, *_TELL]
    with Running(
        arguments, environment(job.address), prefix=(sys.executable, "-c", program)
    ) as host:
        assert host.line() == "2027-01-15T08:00:00Z"
        assert host.wait() == 0
        assert "consul-lock: sleeping for " in host.errors()


def test_a_cron_expression_names_slots_in_its_own_zone(job: Job) -> None:
    """A night's job is run once, be its hosts' clocks a little apart."""
    nightly = ("--schedule", "30 2 * * *", "--timezone", "Europe/Berlin")
    assert job.fire(*nightly, *_TELL, at=EIGHT).stdout == "2027-01-15T01:30:00Z\n"
    assert job.fire(*nightly, *_TELL, at=EIGHT + HOUR).stdout == ""


def test_while_a_run_is_alive_the_next_slot_is_skipped_and_not_burnt(job: Job) -> None:
    """One host of all reports it, never two run at once, and the next host runs the slot."""
    long = job.start(*_HOURLY, *_STAY, at=EIGHT)
    assert long.line() == "ready"
    first = job.fire(*_HOURLY, *_TELL, at=EIGHT + HOUR)
    assert (first.returncode, first.stdout) == (0, "")
    (warning,) = first.stderr.splitlines()
    assert warning.startswith(f"consul-lock: warning: slot 09:00Z of {job.name}: skipped, as an")
    second = job.fire(*_HOURLY, "--overlap-exit-code", "7", *_TELL, at=EIGHT + HOUR)
    assert (second.returncode, second.stdout, second.stderr) == (7, "", "")
    long.send(15)
    assert long.wait() == 0
    assert job.record().overlaps == 1
    third = job.fire(*_HOURLY, *_TELL, at=EIGHT + HOUR + 60)
    assert third.stdout == "2027-01-15T09:00:00Z\n"


def test_with_overlap_wait_the_next_slot_is_run_when_the_run_has_ended(job: Job) -> None:
    """Or skipped, when the time to wait is over."""
    wait = ("--overlap", "wait")
    long = job.start(*_HOURLY, *_STAY, at=EIGHT)
    assert long.line() == "ready"
    short = job.fire(*_HOURLY, *wait, "-w", "3s", "--overlap-exit-code", "7", *_TELL,
                     at=EIGHT + HOUR)  # fmt: skip
    assert (short.returncode, short.stdout) == (7, "")
    waiter = job.start_waiting(*_HOURLY, *wait, *_TELL, at=EIGHT + HOUR)
    long.send(15)
    assert waiter.line() == "2027-01-15T09:00:00Z"
    assert (long.wait(), waiter.wait()) == (0, 0)


def test_with_overlap_allow_runs_are_beside_each_other(job: Job) -> None:
    """There is no lock then, and the command can see that."""
    allow = ("--overlap", "allow")
    long = job.start(*_HOURLY, *allow, *_STAY, at=EIGHT)
    assert long.line() == "ready"
    script = "echo $CONSUL_LOCK_HELD $CONSUL_LOCK_CRON_ATTEMPT $CONSUL_LOCK_TOKEN"
    beside = job.fire(*_HOURLY, *allow, "--", "sh", "-c", script, at=EIGHT + HOUR)
    assert beside.stdout == "false 1\n"
    assert job.fire(*_HOURLY, *allow, "--", "echo", "twice", at=EIGHT + HOUR).stdout == ""
    long.send(15)
    assert long.wait() == 0
    assert job.left() == ([job.key], [])


def test_a_run_that_has_failed_can_be_tried_again(job: Job) -> None:
    """By a host that comes late; the exit code is the command's."""
    again = ("--retry-failed", "1")
    attempt = ("--", "sh", "-c", "exit 4$CONSUL_LOCK_CRON_ATTEMPT")
    codes = [job.fire(*_HOURLY, *again, *attempt, at=EIGHT).returncode for _ in range(3)]
    assert codes == [41, 42, 0]
    record = job.record()
    assert (record.state, record.attempt, record.exit) == (CronState.FAILED, 2, 42)


def test_a_command_that_cannot_be_run_has_failed(job: Job) -> None:
    """127, and so it says in the record; beside what to do, nothing more is printed."""
    done = job.fire(*_HOURLY, "--", "/no/such")
    assert (done.returncode, done.stderr.count("consul-lock: ")) == (127, 1)
    assert (job.record().state, job.record().exit) == (CronState.FAILED, 127)


def test_a_run_that_takes_too_long_is_stopped(job: Job) -> None:
    """124, and the record says so."""
    assert job.fire(*_HOURLY, "--max-runtime", "200ms", "--", "sleep", "60").returncode == 124
    assert (job.record().state, job.record().exit) == (CronState.TIMEOUT, 124)


def test_a_job_that_fails_prints_a_line(job: Job) -> None:
    """Cron mails it; the slot, the attempt and the run time say which run it was."""
    done = job.fire(*_HOURLY, "--", "sh", "-c", "exit 3", at=EIGHT)
    assert done.returncode == 3
    line = f"consul-lock: job {job.name} failed: exit code 3, slot 08:00Z, attempt 1, run time "
    assert re.fullmatch(rf"{re.escape(line)}\S+s\n", done.stderr), done.stderr


def test_the_next_run_says_what_was_lost_and_missed(job: Job) -> None:
    """The host that runs it, once: the one that was killed could not."""
    killed = job.start(*_HOURLY, *QUICK, *_STAY, at=EIGHT)
    assert killed.line() == "ready"
    killed.send(9)
    killed.wait()
    eventually(lambda: job.record().crashed)
    hook = ("--on-lost-run", "echo lost $CONSUL_LOCK_CRON_LOST_SLOT $CONSUL_LOCK_CRON_SLOT")
    options = (*_HOURLY, *QUICK, *hook, "--overlap", "wait", "--", "true")
    lost, missed, hooked = job.fire(*options, at=EIGHT + 3 * HOUR).stderr.splitlines()
    about = f"consul-lock: warning: job {job.name}: "
    assert lost.startswith(f"{about}the run before was lost: slot 08:00Z, attempt 1, on ")
    assert missed.startswith(f"{about}2 slots were missed, from 09:00Z on")
    assert hooked == "lost 2027-01-15T08:00:00Z 2027-01-15T11:00:00Z"
    assert job.fire(*options, at=EIGHT + 4 * HOUR).stderr == ""


def test_a_job_that_is_chronic_prints_only_if_it_fails(job: Job) -> None:
    """All that it has printed, whatever it was started with."""
    script = 'echo out; echo err >&2; echo again >/dev/stderr; exit "$0"'
    for code, shown in ((0, ""), (3, "out\nerr\nagain\n")):
        slot = ("--slot", f"id-{code}")
        done = job.fire(*slot, "--chronic", "--", "sh", "-c", script, str(code))
        assert (done.returncode, done.stdout) == (code, shown)
        assert "out" not in done.stderr


def test_the_report_and_the_log_show_a_skip(job: Job, tmp_path: Path) -> None:
    """With the slot and the reason, for programs."""
    status = tmp_path / "status"
    options = (*_HOURLY, "--log-format", "json", "-v", "--status-file", str(status))
    job.fire(*options, "--", "true", at=EIGHT)
    report = json.loads(status.read_text())
    assert (report["outcome"], report["attempt"], report["exit"]["kind"]) == ("run", 1, "exit")
    assert (report["slot_epoch"], report["acquired"]) == (EIGHT, True)
    skipped = job.fire(*options, "--skip-exit-code", "9", "--", "true", at=EIGHT)
    (event,) = map(json.loads, skipped.stderr.splitlines())
    assert (event["event"], event["outcome"], event["code"]) == ("skipped", "taken", 9)
    assert (event["key"], event["slot"]) == (job.name, "2027-01-15T08:00:00Z")
    report = json.loads(status.read_text())
    assert report["exit"] == {"kind": "skip", "code": 9, "signal": None}
    assert (report["exit_code"], report["outcome"], report["acquired"]) == (9, "taken", False)


def test_a_job_that_waits_for_its_own_ancestor_is_refused(job: Job) -> None:
    """It would never end; to skip the slot is no waiting."""
    inner = [*COMMAND, "cron", "run", "--name", job.name, "--slot", "b"]
    waiting = job.fire("--slot", "a", "--", *inner, "--overlap", "wait", "true")
    assert waiting.returncode == 64
    assert "would deadlock with an ancestor of this process" in waiting.stderr
    skipping = job.fire("--slot", "c", "--", *inner, "echo", "started")
    assert (skipping.returncode, skipping.stdout) == (0, "")
