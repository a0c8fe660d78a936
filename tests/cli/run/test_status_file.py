"""The report: what an exit code alone cannot tell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import COMMAND, Running, consul, environment
from tests.cli.conftest import Result
from tests.support.waiting import eventually

LockedRun = Callable[..., Result]
Start = Callable[..., Running]


@pytest.fixture
def status(tmp_path: Path) -> Path:
    """Where the report goes."""
    return tmp_path / "status"


def ending(status: Path) -> tuple[Any, ...]:
    """What the report says of the end: kind, code, signal and our exit code."""
    told = json.loads(status.read_text())
    exit_ = told["exit"]
    return exit_["kind"], exit_["code"], exit_["signal"], told["exit_code"]


@pytest.mark.parametrize(
    "command, expected",
    [
        (["sh", "-c", "exit 75"], ("exit", 75, None, 75)),
        (["true"], ("exit", 0, None, 0)),
        (["sh", "-c", "kill -9 $$"], ("signal", None, 9, 137)),
        (["/no/such"], ("failed", 127, None, 127)),
    ],
)
def test_the_end_of_the_command_is_told_as_it_was(
    locked_run: LockedRun, status: Path, command: list[str], expected: tuple[Any, ...]
) -> None:
    """Its 75 is not ours."""
    locked_run("--status-file", str(status), "--", *command)
    assert ending(status) == expected
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


def test_a_conflict_is_told_with_the_code_of_our_own(
    holder: Running, locked_run: LockedRun, status: Path
) -> None:
    """Whatever -E makes of it."""
    locked_run("--status-file", str(status), "-n", "-E", "0", "--", "true")
    assert ending(status) == ("conflict", 0, None, 0)
    assert json.loads(status.read_text())["acquired"] is False


def test_a_consul_out_of_reach_is_told(locked_run: LockedRun, status: Path) -> None:
    """The command was not started."""
    away = ("--http-addr", "127.0.0.1:1", "--retry-for", "0")
    locked_run("--status-file", str(status), *away, "--", "true")
    assert ending(status) == ("unavailable", 69, None, 69)


def test_a_loss_is_told_with_the_code_of_the_command(
    start: Start, address: str, key: str, status: Path
) -> None:
    """Our 76 wins, and its own code is here."""
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    running = start("--status-file", str(status), "--", "sh", "-c", script)
    assert running.line() == "ready"
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    assert consul(address, "PUT", f"/v1/session/destroy/{entry['Session']}")
    assert running.wait() == 76
    assert ending(status) == ("lost", 9, None, 76)


def test_overtime_is_told(locked_run: LockedRun, status: Path) -> None:
    """124 could be the command's own."""
    result = locked_run("--status-file", str(status), "--max-runtime", "200ms", "sleep", "60")
    assert result.returncode == 124
    assert "which is its --max-runtime; sent TERM to group" in result.stderr
    assert ending(status) == ("timeout", None, signal.SIGTERM, 124)


def test_a_waiter_that_is_interrupted_tells_so(
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


def test_an_old_report_is_replaced_as_a_whole(locked_run: LockedRun, status: Path) -> None:
    """A reader has the old file or the new one; its link count shows which it was."""
    status.write_text("old")
    old = status.open()
    locked_run("--status-file", str(status), "--", "true")
    with old:
        assert old.read() == "old"
    assert ending(status) == ("exit", 0, None, 0)
    umask = os.umask(0)
    os.umask(umask)
    assert status.stat().st_mode & 0o777 == 0o666 & ~umask


def test_what_is_no_file_of_its_own_is_written_to_and_stays(
    locked_run: LockedRun, tmp_path: Path, status: Path
) -> None:
    """Root would have no /dev/null any more, nor anybody the command's stderr."""
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(status)
    status.write_text("old")
    locked_run("--status-file", str(link), "--", "true")
    assert link.is_symlink()
    assert ending(status) == ("exit", 0, None, 0)
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as reader:
        locked_run("--status-file", str(pipe), "--", "true")
        assert json.loads(reader.read())["exit_code"] == 0
    assert pipe.is_fifo()
    stream = tmp_path / "stderr"  # as /dev/stderr is, which a fault would replace
    stream.symlink_to("/proc/self/fd/2")
    result = locked_run("-c", "echo mine >&2", "--status-file", str(stream))
    assert [line[:4] for line in result.stderr.splitlines()] == ["mine", '{"v"']


def test_streams_that_go_to_a_file_keep_what_the_command_wrote(
    address: str, key: str, tmp_path: Path
) -> None:
    """What --status-file /dev/stdout writes is at its end."""
    file, stream = tmp_path / "out", tmp_path / "stdout"
    stream.symlink_to("/proc/self/fd/1")
    arguments = [*COMMAND, "run", "-k", key, "--status-file", str(stream), "--", "echo", "mine"]
    with file.open("w") as out:
        subprocess.run(arguments, env=environment(address), stdout=out, check=True)
    assert [line[:4] for line in file.read_text().splitlines()] == ["mine", '{"v"']


def test_a_report_that_cannot_be_written_does_not_change_the_code(
    locked_run: LockedRun, tmp_path: Path
) -> None:
    """The work was done; a warning is enough."""
    folder = tmp_path / "gone"
    folder.mkdir()
    command = ["sh", "-c", f"rmdir {folder}; exit 5"]
    result = locked_run("--status-file", str(folder / "status"), "--", *command)
    assert result.returncode == 5
    assert "warning: the status could not be written" in result.stderr
