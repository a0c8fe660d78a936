"""One slot of one job on one host: it is run, or skipped with a word or without one."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from consul_lock import (
    Client,
    CronGuard,
    CronRecord,
    CronRecords,
    CronState,
    Lock,
    LockLost,
    NotHeld,
    Survey,
    Unavailable,
)
from consul_lock.testing import serve
from consul_lock_cli.base.console import Console
from consul_lock_cli.cron import claim, job
from consul_lock_cli.cron.job import CronJob
from consul_lock_cli.process.child import no_guardian
from consul_lock_cli.process.interrupt import Interrupted
from consul_lock_cli.process.outcome import ProcessResult, StopReason
from consul_lock_cli.run import execution
from consul_lock_cli.run.deadline import LockDeadline
from consul_lock_cli.run.execution import Execution
from consul_lock_cli.run.hooks import HookRunner
from consul_lock_cli.run.result import RunResult
from consul_lock_cli.run.status_file import StatusFile
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.cron import CronSpec
from consul_lock_cli.spec.hooks import Hooks
from consul_lock_cli.spec.lock import LockSpec
from consul_lock_cli.spec.run import RunSpec, WaitPolicy
from tests.cli.command import consul
from tests.cli.in_process import own_messages

Capture = pytest.CaptureFixture[str]

HOUR = 3600.0
EIGHT = 500_000 * HOUR
"""2027-01-15 08:00:00Z, the beginning of a slot, with --every 1h."""

_NAME = "jobs/sync"
_HOURLY = CronSpec(every=HOUR)
_NO_HOOKS = Hooks()
_DONE = ProcessResult(0, lost=False, typed=False, failure=None)


def _nothing() -> None:
    pass


class _Nobody:
    """In the place of the command's process, and of signals."""

    def holds(self, session: str | None) -> None:
        """Nobody has to know."""

    def hook(self) -> AbstractContextManager[Callable[[int, float], None]]:
        """The same."""
        return nullcontext(no_guardian)

    def dismiss(self) -> None:
        """Nobody is there."""


class Host:
    """Fires jobs; their command ends at once."""

    def __init__(self, address: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.address = address
        self.ran: list[Mapping[str, str | None]] = []
        """The environment of each command that was run."""
        self.command: Callable[[], None] = _nothing
        """What it does."""
        self.end = _DONE
        self.signum: int | None = None
        """A signal that came before the command."""
        self.status: dict[str, Any] = {}
        self._patch = monkeypatch
        self._file = folder / "status"
        # Nothing is started, and no signal handled, in the process of the tests.
        monkeypatch.setattr(execution, "interruptible", lambda signals, act, *_, **__: act())
        monkeypatch.setattr(execution, "asked_to_end", lambda signals: self.signum)
        monkeypatch.setattr(Execution, "run", self._in_place_of_run())

    def _in_place_of_run(self) -> Callable[..., RunResult]:
        def run(act: Any, child: object, deadline: object, variables: Any, *_: object) -> RunResult:
            self.ran.append(variables)
            self.command()
            act._status_file.ended(self.end)
            return RunResult(None, self.end)

        return run

    def fire(
        self, spec: CronSpec = _HOURLY, at: float = EIGHT, address: str = "", verbosity: int = 0,
        hooks: Hooks = _NO_HOOKS, **policy: Any,
    ) -> RunResult:  # fmt: skip
        """At that time by the clock of this host."""
        for module in (job, claim):
            self._patch.setattr(module, "FIRED_AT", at)
        console, status, nobody = Console(), StatusFile(str(self._file)), _Nobody()
        console.verbosity = verbosity
        settings = {"address": address or self.address, "retry_for": 0.0}
        run_spec = RunSpec(LockSpec((_NAME,)), WaitPolicy(**policy), hooks=hooks)
        child: Any = nobody
        signals: Any = nobody
        undertaking = CronJob(
            run_spec, spec, ["sync"], Connection(settings), console, signals, status
        )
        done = undertaking.around(child)
        status.write(done.code or 0, console)
        self.status = json.loads(self._file.read_text())
        return done

    def record(self) -> CronRecord:
        with Client(self.address) as client:
            found = CronRecords(client).record(_NAME)
        assert found is not None
        return found


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Host]:
    """With a Consul in this process, where nobody has fired yet."""
    with serve() as served, own_messages():
        yield Host(served.address, monkeypatch, tmp_path)


_HOOKS = Hooks(*(f"echo {event} $CONSUL_LOCK_CRON_SLOT" for event in Hooks._fields[:-1]))
_LABEL = "2027-01-15T08:00:00Z"


def test_each_outcome_has_its_hooks(host: Host, capfd: Capture) -> None:
    """Beside each other only where both have happened."""

    def said(**more: Any) -> list[str]:
        host.fire(hooks=_HOOKS, **more)
        return [line for line in capfd.readouterr().err.splitlines() if line.endswith("00Z")]

    assert said() == [f"acquire {_LABEL}", f"success {_LABEL}"]
    assert said() == [f"skip {_LABEL}"]
    host.end = _DONE._replace(code=3)
    nine = _LABEL.replace("08", "09")
    assert said(at=EIGHT + HOUR) == [f"acquire {nine}", f"failure {nine}"]
    with Client(host.address) as client, Lock(_NAME, client=client):
        assert said(at=EIGHT + 2 * HOUR) == [f"busy {_LABEL.replace('08', '10')}"]


def test_a_signal_during_the_first_hook_keeps_the_command_from_running(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slot counts as failed, and the lock is free."""
    monkeypatch.setattr(HookRunner, "before", lambda *_: 15)
    with pytest.raises(Interrupted):
        host.fire(hooks=_HOOKS)
    assert host.ran == []
    assert (host.record().state, host.record().exit) == (CronState.FAILED, 143)


def test_the_command_is_run_with_its_slot_and_its_lock(host: Host, capfd: Capture) -> None:
    """The end is recorded, nothing is printed, and no lock is left."""
    assert host.fire() == RunResult(None, _DONE)
    (told,) = host.ran
    record = host.record()
    assert (record.state, record.exit, record.epoch) == (CronState.DONE, 0, EIGHT)
    assert {name: text for name, text in told.items() if name.startswith("CONSUL_LOCK_CRON")} == {
        "CONSUL_LOCK_CRON_NAME": _NAME,
        "CONSUL_LOCK_CRON_SLOT": record.slot,
        "CONSUL_LOCK_CRON_SLOT_EPOCH": f"{EIGHT:.0f}",
        "CONSUL_LOCK_CRON_ATTEMPT": "1",
    }
    assert (told["CONSUL_LOCK_HELD"], told["CONSUL_LOCK_KEY"]) == ("true", _NAME)
    assert told["CONSUL_LOCK_SESSION"] == record.session
    assert told["CONSUL_LOCK_TOKEN"] == str(record.token)
    assert (host.status["outcome"], host.status["attempt"]) == ("run", 1)
    assert (host.status["slot_epoch"], host.status["session"]) == (EIGHT, record.session)
    assert consul(host.address, "GET", "/v1/kv/?keys") == [f"{_NAME}/.cron"]
    assert consul(host.address, "GET", "/v1/session/list") == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "end, state, code",
    [
        (_DONE._replace(code=42), CronState.FAILED, 42),
        (_DONE._replace(code=-9), CronState.FAILED, 137),
        (_DONE._replace(stopped=StopReason.OVERTIME), CronState.TIMEOUT, 124),
    ],
)
def test_the_end_of_the_command_is_passed_on_and_recorded(
    host: Host, end: ProcessResult, state: CronState, code: int
) -> None:
    """As it was."""
    host.end = end
    assert host.fire() == RunResult(None, end)
    assert (host.record().state, host.record().exit) == (state, code)


def test_an_id_is_run_once(host: Host) -> None:
    """Whatever the time, of which it has none."""
    host.fire(CronSpec(slot="x"))
    (told,) = host.ran
    assert (told["CONSUL_LOCK_CRON_SLOT"], told["CONSUL_LOCK_CRON_SLOT_EPOCH"]) == ("x", None)
    host.fire(CronSpec(slot="x"), at=EIGHT + HOUR)
    assert len(host.ran) == 1


def test_without_a_run_lock_the_command_is_told_so(host: Host) -> None:
    """With --overlap allow there is none; the slot is claimed all the same."""
    host.fire(_HOURLY._replace(overlap="allow"))
    (told,) = host.ran
    assert told["CONSUL_LOCK_HELD"] == "false"
    assert told["CONSUL_LOCK_TOKEN"] is None
    assert told["CONSUL_LOCK_CRON_ATTEMPT"] == "1"
    assert host.record().state is CronState.DONE


@pytest.mark.parametrize("code", [0, 9])
def test_a_slot_that_another_host_has_is_skipped_without_a_word(
    host: Host, code: int, capfd: Capture
) -> None:
    """-v says who has it."""
    host.fire()
    for verbosity in (0, 1):
        done = host.fire(_HOURLY._replace(skip_code=code, overlap_code=7), verbosity=verbosity)
        assert done == RunResult(code)
    assert len(host.ran) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"consul-lock: slot 08:00Z of {_NAME}: already done by ")
    assert host.status["exit"] == {"kind": "skip", "code": code, "signal": None}
    assert (host.status["outcome"], host.status["acquired"]) == ("taken", False)


def test_a_pause_is_silent(host: Host, capfd: Capture) -> None:
    """On every host, with the code that was chosen for it."""
    with Client(host.address) as client:
        CronRecords(client).pause(_NAME, reason="deploy")
    for code in (0, 9):
        assert host.fire(_HOURLY._replace(skip_code=code)) == RunResult(code)
    assert capfd.readouterr().err == ""
    host.fire(verbosity=1)
    assert "paused by " in capfd.readouterr().err
    assert host.ran == []


def test_a_slot_that_began_too_long_ago_is_skipped(host: Host) -> None:
    """As after a suspend."""
    late = _HOURLY._replace(max_lateness=60.0, skip_code=9)
    assert host.fire(late, at=EIGHT + 90).code == 9
    assert host.fire(late, at=EIGHT + 30).code is None


def test_an_overlap_is_warned_of_by_one_host_of_all(host: Host, capfd: Capture) -> None:
    """With a code of its own; the others are silent."""
    spec = _HOURLY._replace(overlap_code=7, skip_code=9)
    with Client(host.address) as client, Lock(_NAME, client=client):
        first = host.fire(spec)
        (warning,) = capfd.readouterr().err.splitlines()
        second = host.fire(spec)
    assert (first.code, second.code) == (7, 7)
    assert warning.startswith(f"consul-lock: warning: slot 08:00Z of {_NAME}: skipped, as an")
    assert capfd.readouterr().err == ""
    assert host.ran == []


def test_without_consul_nothing_is_run(host: Host) -> None:
    """With the code that was chosen for it."""
    assert host.fire(address="127.0.0.1:1").code == 69
    assert host.fire(address="127.0.0.1:1", unavailable_code=5).code == 5
    assert host.ran == []


def test_a_job_that_may_run_everywhere_is_run_without_consul(host: Host, capfd: Capture) -> None:
    """With its slot, and without a lock; the number of the attempt is not known."""
    assert host.fire(address="127.0.0.1:1", fail_open=True) == RunResult(None, _DONE)
    (told,) = host.ran
    assert told["CONSUL_LOCK_HELD"] == "false"
    assert told["CONSUL_LOCK_CRON_SLOT"] == "2027-01-15T08:00:00Z"
    assert told["CONSUL_LOCK_CRON_ATTEMPT"] is None
    assert "running WITHOUT the lock" in capfd.readouterr().err


def test_a_signal_between_claim_and_command_makes_it_a_run_that_has_failed(host: Host) -> None:
    """The slot is won by then, and the command is not run."""
    host.signum = 15
    with pytest.raises(Interrupted):
        host.fire()
    assert host.ran == []
    assert (host.record().state, host.record().exit) == (CronState.FAILED, 143)


def test_a_lock_that_is_lost_before_the_command_is_76(
    host: Host, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    """As on a host that was stopped for too long: the command is not run."""
    monkeypatch.setattr(LockDeadline, "lost", lambda _: True)
    assert host.fire().code == 76
    assert host.ran == []
    assert host.record().state is CronState.LOST
    assert f"consul-lock: LOST {_NAME} before the command was started" in capfd.readouterr().err


def test_a_loss_that_shows_only_at_the_end_is_76(host: Host, capfd: Capture) -> None:
    """The command has ended by then, and its own code does not count; the record says the same."""

    def command() -> None:
        consul(host.address, "PUT", f"/v1/session/destroy/{host.ran[0]['CONSUL_LOCK_SESSION']}")

    host.command = command
    assert host.fire().code == 76
    assert host.status["lost"] is True
    assert host.record().state is CronState.LOST
    assert "(76)" in capfd.readouterr().err


def test_hosts_whose_clocks_differ_run_each_slot_once(host: Host) -> None:
    """Each fires when its own clock shows the hour; one is an hour ahead of the two others."""
    for hour in range(3):
        for ahead in (HOUR, 1, 0):
            assert host.fire(at=EIGHT + hour * HOUR + ahead).code in (None, 0)
    slots = [told["CONSUL_LOCK_CRON_SLOT"] for told in host.ran]
    assert len(slots) == len(set(slots)) == 3


def test_a_run_that_died_is_said_to_be_lost(host: Host, capfd: Capture) -> None:
    """As `cron ls` has it; while it is under way, it is running."""
    with (
        Client(host.address) as client,
        suppress(LockLost, NotHeld),
        CronGuard(_NAME, every="1h", client=client).claim(EIGHT) as run,
    ):
        assert run.lock is not None
        host.fire(verbosity=1)
        assert "already running by" in capfd.readouterr().err
        Survey(client).break_hold(_NAME, run.lock.session_id, "")
        host.fire(verbosity=1)
        said = capfd.readouterr().err
        run.ended(CronState.LOST)
    assert "the run was lost, and is not repeated without --retry-crashed" in said
    assert "already running" not in said


def test_an_outage_is_said_once_on_a_host(
    host: Host, capfd: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Cron mails what is printed; the exit code and the status file are always the same."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said = []
    for _ in range(3):
        assert host.fire(_HOURLY._replace(outage_quiet=600.0), address="127.0.0.1:1").code == 69
        assert host.status["exit"]["kind"] == "unavailable"
        said.append(capfd.readouterr().err)
    assert "not started (69)" in said[0]
    assert said[1:] == ["", ""]
    host.fire(address="127.0.0.1:1")
    assert "not started (69)" in capfd.readouterr().err


def test_an_outage_names_the_job_that_was_not_started(host: Host, capfd: Capture) -> None:
    """Cron's mail is all that its reader has."""
    assert host.fire(address="127.0.0.1:1").code == 69
    assert f": job {_NAME} not started (69)" in capfd.readouterr().err


def test_a_claim_in_doubt_is_said_in_any_case(
    host: Host, capfd: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its slot may be lost, which another job of the host has not said."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fail(_: object) -> None:
        raise Unavailable("no answer", uncertain=True)

    monkeypatch.setattr(claim.EnteredClaim, "enter", fail)
    for _ in range(2):
        host.fire(_HOURLY._replace(outage_quiet=600.0))
        assert "not started (69)" in capfd.readouterr().err
