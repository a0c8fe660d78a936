"""The report: what an exit code alone cannot tell."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consul_lock import CronOutcome, LossReason
from consul_lock.errors import ConsulLockError
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.process.outcome import ProcessResult, StopReason
from consul_lock_cli.run.end_kind import EndKind
from consul_lock_cli.run.execution import conclude
from consul_lock_cli.run.loss import loss_fields
from consul_lock_cli.run.result import RunResult
from consul_lock_cli.run.status_file import StatusFile
from consul_lock_cli.spec.lock import LockKind
from tests.cli.command import COMMAND, Running, consul, environment
from tests.cli.conftest import Result
from tests.cli.output.json_page import FIELDS, PAGE
from tests.support.waiting import eventually

LockedRun = Callable[..., Result]
Start = Callable[..., Running]


@pytest.fixture
def status(tmp_path: Path) -> Path:
    """Where the report goes."""
    return tmp_path / "status"


def ending(status: Path) -> tuple[Any, ...]:
    """What the report says of the end: kind, code, signal and the exit code of consul-lock."""
    told = json.loads(status.read_text())
    exit_ = told["exit"]
    return exit_["kind"], exit_["code"], exit_["signal"], told["exit_code"]


_ENDED = ProcessResult(0, lost=False, typed=False, failure=None)


@pytest.mark.parametrize(
    "ended, code, expected",
    [
        (_ENDED, 0, ("exit", 0, None, 0)),
        (_ENDED._replace(code=75), 75, ("exit", 75, None, 75)),
        (_ENDED._replace(code=-9), 137, ("signal", None, 9, 137)),
        (_ENDED._replace(failure=FileNotFoundError(2, "no")), 127, ("failed", 127, None, 127)),
        (_ENDED._replace(code=9, stopped=StopReason.LOST), 76, ("lost", 9, None, 76)),
        (_ENDED._replace(code=-15, stopped=StopReason.OVERTIME), 124, ("timeout", None, 15, 124)),
    ],
)
def test_each_end_of_a_command_has_its_kind(
    status: Path, ended: ProcessResult, code: int, expected: tuple[Any, ...]
) -> None:
    """The command's own code or signal beside the exit code of consul-lock."""
    file = StatusFile(str(status))
    file.ended(ended)
    file.write(code, Console())
    assert ending(status) == expected


@pytest.mark.parametrize(
    "why, code, kind",
    [
        (ExitCode.HELD, 0, "conflict"),
        (ExitCode.UNAVAILABLE, 3, "unavailable"),
        (ExitCode.LOST, 76, "lost"),
        (ExitCode.USAGE, 64, "failed"),
    ],
)
def test_each_refusal_has_its_kind(status: Path, why: ExitCode, code: int, kind: str) -> None:
    """Whatever exit code was chosen for it."""
    file = StatusFile(str(status))
    file.refused(why, code)
    file.write(code, Console())
    assert ending(status) == (kind, code, None, code)


def test_the_code_of_the_command_is_told_from_that_of_consul_lock(
    locked_run: LockedRun, status: Path
) -> None:
    """Its 75 is not a lock that is held."""
    locked_run("--status-file", str(status), "--", "sh", "-c", "exit 75")
    assert ending(status) == ("exit", 75, None, 75)
    assert json.loads(status.read_text())["acquired"] is True


def test_the_report_names_the_lock(locked_run: LockedRun, key: str, status: Path) -> None:
    """Key, session, token and how long it took; nothing else is in the folder."""
    told = locked_run("--status-file", str(status), "--", "env").stdout
    report = json.loads(status.read_text())
    assert report["key"] == key
    assert f"CONSUL_LOCK_SESSION={report['session']}\n" in told
    assert f"CONSUL_LOCK_TOKEN={report['token']}\n" in told
    assert report["waited_s"] >= 0
    assert os.listdir(status.parent) == [status.name]  # noqa: PTH208 - names are what is compared


def test_a_run_that_is_killed_leaves_running_and_not_the_outcome_before(
    start: Start, locked_run: LockedRun, status: Path
) -> None:
    """Which process it was, and since when; an orderly end adds how long the command ran."""
    locked_run("--status-file", str(status), "--", "true")
    ended = json.loads(status.read_text())
    assert (ended["exit_code"], ended["runtime_s"] >= 0) == (0, True)
    running = start("--status-file", str(status), "--", "sh", "-c", "echo ready; exec sleep 600")
    assert running.line() == "ready"
    running.send(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    left = json.loads(status.read_text())
    assert ending(status) == ("running", None, None, None)
    assert (left["pid"], left["runtime_s"]) == (running.pid, None)
    assert left["started"] > ended["started"]


def test_only_a_file_says_that_it_runs(tmp_path: Path, status: Path) -> None:
    """A reader of a pipe or a descriptor expects one object."""
    ours, theirs = os.pipe()
    StatusFile(None, theirs).begin(Console())
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    StatusFile(str(fifo)).begin(Console())
    assert os.read(reader, 1) == b""
    os.close(theirs)
    assert os.read(ours, 1) == b""
    for descriptor in (ours, reader):
        os.close(descriptor)
    StatusFile(str(status)).begin(Console())
    assert ending(status) == ("running", None, None, None)


def test_a_file_that_cannot_be_written_at_the_start_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run goes on."""
    StatusFile(str(tmp_path / "gone" / "status")).begin(Console())
    assert "warning: the status could not be written: " in capsys.readouterr().err


def test_a_conflict_is_reported_with_its_own_code(
    holder: Running, locked_run: LockedRun, status: Path
) -> None:
    """Whatever -E makes of it."""
    locked_run("--status-file", str(status), "-n", "-E", "0", "--", "true")
    assert ending(status) == ("conflict", 0, None, 0)
    assert json.loads(status.read_text())["acquired"] is False


def test_an_unreachable_consul_is_reported(locked_run: LockedRun, status: Path) -> None:
    """The command was not started."""
    away = ("--http-addr", "127.0.0.1:1", "--retry-for", "0")
    locked_run("--status-file", str(status), *away, "--", "true")
    assert ending(status) == ("unavailable", 69, None, 69)


def test_a_loss_is_reported_with_the_code_of_the_command(
    start: Start, address: str, key: str, status: Path
) -> None:
    """The 76 of consul-lock wins, and the command's code is in the report."""
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    running = start("--status-file", str(status), "--", "sh", "-c", script)
    assert running.line() == "ready"
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    assert consul(address, "PUT", f"/v1/session/destroy/{entry['Session']}")
    assert running.wait() == 76
    assert ending(status) == ("lost", 9, None, 76)


def test_overtime_is_reported(locked_run: LockedRun, status: Path) -> None:
    """124 could be the command's own."""
    result = locked_run("--status-file", str(status), "--max-runtime", "200ms", "sleep", "60")
    assert result.returncode == 124
    assert "which is its --max-runtime; sent TERM to group" in result.stderr
    assert ending(status) == ("timeout", None, signal.SIGTERM, 124)


def test_a_waiter_that_is_interrupted_reports_it(
    holder: Running, start: Start, address: str, key: str, status: Path
) -> None:
    """Nothing was acquired."""
    waiter = start("--status-file", str(status), "--", "true")
    eventually(lambda: consul(address, "GET", f"/v1/kv/{key}/.queue/?keys"))
    waiter.send(signal.SIGINT)
    assert waiter.wait() == -signal.SIGINT
    assert ending(status) == ("interrupted", None, signal.SIGINT, 130)


def test_a_descriptor_gets_it_in_one_piece_and_the_command_does_not_have_it(
    address: str, key: str
) -> None:
    """A daemon that the command leaves would keep a reader waiting for the end."""
    ours, theirs = os.pipe()
    arguments = [*COMMAND, "run", "-k", key, "--status-fd", str(theirs), "--"]
    command = ["sh", "-c", f"test ! -e /proc/self/fd/{theirs}"]
    subprocess.run([*arguments, *command], env=environment(address), pass_fds=[theirs], check=True)
    os.close(theirs)
    with os.fdopen(ours) as report:
        assert json.loads(report.read())["exit_code"] == 0


def test_an_old_report_is_replaced_as_a_whole(status: Path) -> None:
    """A reader has the old file or the new one; it is for others, as any new file is."""
    status.write_text("old")
    old = status.open()
    StatusFile(str(status)).write(5, Console())
    with old:
        assert old.read() == "old"
    assert ending(status) == ("failed", 5, None, 5)
    umask = os.umask(0)
    os.umask(umask)
    assert status.stat().st_mode & 0o777 == 0o666 & ~umask
    assert list(status.parent.iterdir()) == [status]


def test_a_device_is_written_to_and_stays(tmp_path: Path, status: Path) -> None:
    """Root would have no /dev/null any more; and a link leads where it led."""
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(status)
    status.write_text("old")
    StatusFile(str(link)).write(5, Console())
    assert link.is_symlink()
    assert ending(status) == ("failed", 5, None, 5)
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as reader:
        StatusFile(str(pipe)).write(5, Console())
        assert json.loads(reader.read())["exit_code"] == 5
    assert pipe.is_fifo()


def test_a_stream_keeps_what_the_command_wrote(locked_run: LockedRun, tmp_path: Path) -> None:
    """As /dev/stderr, which a fault would replace."""
    stream = tmp_path / "stderr"
    stream.symlink_to("/proc/self/fd/2")
    result = locked_run("-c", "echo mine >&2", "--status-file", str(stream))
    assert [line[:4] for line in result.stderr.splitlines()] == ["mine", '{"v"']


def test_streams_that_go_to_a_file_keep_what_the_command_wrote(
    address: str, key: str, tmp_path: Path
) -> None:
    """The report of --status-file /dev/stdout is at the end of it."""
    file, stream = tmp_path / "out", tmp_path / "stdout"
    stream.symlink_to("/proc/self/fd/1")
    arguments = [*COMMAND, "run", "-k", key, "--status-file", str(stream), "--", "echo", "mine"]
    with file.open("w") as out:
        subprocess.run(arguments, env=environment(address), stdout=out, check=True)
    assert [line[:4] for line in file.read_text().splitlines()] == ["mine", '{"v"']


def test_a_report_that_cannot_be_written_does_not_change_the_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The work was done; a warning is enough."""
    gone = StatusFile(str(tmp_path / "gone" / "status"))
    assert conclude(RunResult(None, _ENDED._replace(code=5)), ["make"], Console(), gone) == 5
    assert "warning: the status could not be written" in capsys.readouterr().err


def test_docs_describe_each_field(tmp_path: Path, locked_run: LockedRun, address: str) -> None:
    """Of the object itself, its end, a loss, and a cron slot; each kind of an end and each reason
    and outcome is named."""
    file = tmp_path / "status"
    locked_run("--status-file", str(file), "--", "true")
    written = json.loads(file.read_text())
    assert set(written) == FIELDS["status file"]
    assert set(written["exit"]) == FIELDS["exit"]
    job = ["cron", "run", "--name", f"docs/{os.getpid()}", "--slot", "1"]
    subprocess.run(
        [*COMMAND, *job, "--status-file", str(file), "--", "true"],
        env=environment(address),
        check=True,
    )
    assert set(json.loads(file.read_text())) == FIELDS["status file"] | FIELDS["slot"]
    error = ConsulLockError("x")
    assert {*loss_fields(LossReason.DEADLINE, error), "break"} == FIELDS["loss"]
    words = re.findall(r"`([a-z-]+)`", PAGE.read_text().partition("## status file")[2])
    assert {kind.value for kind in EndKind} <= set(words)
    reasons = set(LossReason) - {LossReason.FORKED}  # consul-lock does not use a lock in a child
    assert {each.value for each in (*reasons, *CronOutcome, *LockKind)} <= set(words)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user")
def test_a_link_that_another_user_has_put_there_is_refused_before_anything_starts(
    tmp_path: Path, locked_run: LockedRun
) -> None:
    """In a folder such as /tmp: root would replace the file of that user's choice."""
    victim, folder = tmp_path / "victim", tmp_path / "tmp"
    victim.write_text("precious")
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / "status").symlink_to(victim)
    os.chown(folder / "status", 65534, 65534, follow_symlinks=False)
    result = locked_run("--status-file", str(folder / "status"), "--", "echo", "started")
    assert (result.returncode, result.stdout) == (64, "")
    assert "is another user's link in a folder that everybody can write" in result.stderr
    StatusFile(str(folder / "status")).write(5, Console())
    assert victim.read_text() == "precious"
