"""How long it is held: without a command, for a time at least, and after some sleep."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, PATIENCE, Running, consul, environment
from tests.cli.conftest import Result
from tests.support.waiting import eventually

LockedRun = Callable[..., Result]
Start = Callable[..., Running]


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_hold_prints_a_line_of_json_and_a_signal_ends_it_with_0(
    start: Start, locked_run: LockedRun, address: str, key: str, name: str, tmp_path: Path
) -> None:
    """That is how it is meant to end: 0, and the lock is free at once."""
    holder = start("--hold", "--status-file", str(tmp_path / "status"))
    told = json.loads(holder.line())
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    assert told["event"] == "acquired"
    assert (told["key"], told["keys"], told["mode"]) == (key, [key], "lock")
    assert (told["session"], told["token"]) == (entry["Session"], entry["ModifyIndex"])
    assert locked_run("-n", "--", "true").returncode == 75
    holder.send(signal.Signals[f"SIG{name}"])
    assert holder.wait() == 0
    assert (holder.line(), holder.errors()) == ("", "")
    assert _ending(tmp_path) == ("interrupted", False, 0)
    assert locked_run("-n", "--", "true").returncode == 0


def test_nothing_releases_what_a_killed_hold_has_held(start: Start) -> None:
    """Nobody can stop what relies on it: its time to stop is that of Consul's own rules, and it can
    see the end of the pipe.
    """
    holder = start("--heartbeat", "3s", "--lock-delay", "5s", "--hold")
    assert json.loads(holder.line())["event"] == "acquired"
    assert holder.children() == []
    holder.send(signal.SIGKILL)
    assert holder.line() == ""
    assert start("--", "echo", "mine").line() == "mine"


def _ending(folder: Path) -> tuple[str, bool, int]:
    told = json.loads((folder / "status").read_text())
    return told["exit"]["kind"], told["lost"], told["exit_code"]


def test_hold_ends_with_76_when_the_lock_is_lost(
    start: Start, address: str, key: str, tmp_path: Path
) -> None:
    """Nobody else notifies the programs that rely on it."""
    holder = start("--limit", "2", "--hold", "--status-file", str(tmp_path / "status"))
    session = json.loads(holder.line())["session"]
    assert consul(address, "PUT", f"/v1/session/destroy/{session}")
    assert holder.wait() == 76
    why = f"session {session} expired, or somebody destroyed it"
    assert f"consul-lock: LOST {key}: {why} (76)" in holder.errors()
    assert _ending(tmp_path) == ("lost", True, 76)


@pytest.mark.parametrize("stdout", [">&-", ">/dev/full", ""], ids=["closed", "full", "no reader"])
def test_hold_needs_a_reader(address: str, key: str, stdout: str) -> None:
    """Else nobody would learn of the lock, so it is released."""
    reader, writer = os.pipe()
    os.close(reader)
    command = ["sh", "-c", f'"$@" {stdout}', "sh", *COMMAND, "run", "-k", key, "--hold"]
    result = subprocess.run(
        command, env=environment(address), stdout=writer, stderr=subprocess.PIPE, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    os.close(writer)
    assert "consul-lock: --hold " in result.stderr
    assert (result.returncode, len(result.stderr.splitlines())) == (64, 2)
    assert consul(address, "GET", f"/v1/kv/{key}/.lock") is None


def test_a_quick_command_can_hold_for_longer(
    start: Start, locked_run: LockedRun, address: str, key: str
) -> None:
    """So that a host whose clock is late finds it held; the command's code is kept."""
    begun = time.monotonic()
    quick = start("-v", "--min-hold", "6s", "--", "sh", "-c", "echo done; exit 7")
    assert quick.line() == "done"
    eventually(lambda: "holding for another" in quick.errors())
    # Another process might be started too late to see it.
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    assert entry["Session"]
    assert quick.wait() == 7
    assert time.monotonic() - begun >= 6
    assert locked_run("-n", "--", "true").returncode == 0


def test_a_signal_ends_the_min_hold_too(start: Start, locked_run: LockedRun) -> None:
    """The command has ended; consul-lock dies of the signal, and releases."""
    quick = start("-v", "--min-hold", "60s", "--", "true")
    eventually(lambda: "holding for another" in quick.errors())
    quick.send(signal.SIGTERM)
    assert quick.wait() == -signal.SIGTERM
    assert locked_run("-n", "--", "true").returncode == 0


def test_a_signal_that_ends_the_command_ends_the_min_hold_too(
    start: Start, locked_run: LockedRun
) -> None:
    """The sender of TERM wants consul-lock to end, and would send KILL next."""
    running = start("--min-hold", "60s", "--", "sh", "-c", "echo ready; exec sleep 600")
    assert running.line() == "ready"
    running.send(signal.SIGTERM)
    assert running.wait() == -signal.SIGTERM
    assert locked_run("-n", "--", "true").returncode == 0


def test_a_loss_in_min_hold_harms_nobody(start: Start, address: str, key: str) -> None:
    """The work was done under the lock: its code stands."""
    quick = start("-v", "--min-hold", "60s", "--", "sh", "-c", "exit 7")
    eventually(lambda: "holding for another" in quick.errors())
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    assert consul(address, "PUT", f"/v1/session/destroy/{entry['Session']}")
    assert quick.wait() == 7


def test_a_command_that_cannot_be_run_has_no_min_hold(locked_run: LockedRun) -> None:
    """There was no run to keep others from."""
    begun = time.monotonic()
    assert locked_run("--min-hold", "60s", "--", "/no/such").returncode == 127
    assert time.monotonic() - begun < 30


def test_splay_sleeps_first_and_a_signal_ends_it(
    start: Start, locked_run: LockedRun, sessions: Callable[[int], list[str]]
) -> None:
    """Before Consul is asked for anything; nothing is held meanwhile."""
    sleeper = start("-v", "--splay", "36500d", "--", "echo", "started")
    eventually(lambda: "sleeping for" in sleeper.errors())
    assert locked_run("-n", "--", "true").returncode == 0
    assert sessions(sleeper.pid) == []
    sleeper.send(signal.SIGTERM)
    assert sleeper.wait() == -signal.SIGTERM
    assert sleeper.line() == ""
    result = locked_run("-v", "--splay", "100ms", "--", "echo", "started")
    assert result.stdout == "started\n"
    assert re.search(r"sleeping for 0?\.?\d+(e-\d+)?s", result.stderr)
