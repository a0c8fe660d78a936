"""Waiting for a lock that somebody holds, or not waiting."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from consul_lock_cli.base.console import Console
from consul_lock_cli.run.acquire import Acquisition
from consul_lock_cli.run.status_file import StatusFile
from consul_lock_cli.run.wait_report import WaitReport
from consul_lock_cli.spec.lock import LockSpec
from consul_lock_cli.spec.run import WaitPolicy
from tests.cli.command import COMMAND, Running, alive, children, consul, environment
from tests.cli.conftest import Result
from tests.cli.inspect_fixture import LOCK_FLAG
from tests.support.agent import Agent
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

LockedRun = Callable[..., Result]
Start = Callable[..., Running]


@pytest.mark.parametrize(
    "option, waits",
    [(["-n"], "-w 10m"), (["-w", "0"], "-w 10m"), (["-w", "3s"], "a longer -w")],
)
def test_a_held_lock_is_75_and_names_the_holder(
    holder: Running, locked_run: LockedRun, key: str, option: list[str], waits: str
) -> None:
    """Host, pid and since when, in one line; the command is not started."""
    result = locked_run(*option, "--", "echo", "started")
    assert result.returncode == 75
    assert result.stdout == ""
    line, hint = result.stderr.splitlines()
    who = rf"consul-lock: {key} is held by \S+ pid {holder.pid} \(\S+, since \S+ \S+Z, \S+s\)"
    assert re.match(who + r": not started \(75\)$", line)
    assert hint == (
        f"hint: {waits} waits; 'consul-lock holders {key}' shows more; if that host is dead, it"
        " frees itself in about 50s"
    )


def test_a_held_lock_that_is_a_success_prints_nothing_if_quiet_is_wanted(
    holder: Running, locked_run: LockedRun
) -> None:
    """Cron mails every line; without -q, or with another code, it stays."""
    assert holder.pid
    silent, said = (locked_run("-n", "-E", "0", *q, "--", "true") for q in (["-q"], []))
    assert (silent.returncode, silent.stderr, said.returncode) == (0, "", 0)
    assert "not started (0)\n" in said.stderr
    assert "not started (3)\n" in locked_run("-n", "-E", "3", "-q", "--", "true").stderr


def test_a_lock_delay_is_distinguished_from_a_held_lock(
    locked_run: LockedRun, address: str, key: str
) -> None:
    """The holder vanished: nobody can be named, and a wait has an end."""
    session = consul(address, "PUT", "/v1/session/create", '{"LockDelay": "15s"}')["ID"]
    path = f"/v1/kv/{key}/.lock?acquire={session}&flags={LOCK_FLAG}"
    assert consul(address, "PUT", path, "")
    consul(address, "PUT", f"/v1/session/destroy/{session}")
    result = locked_run("-n", "--", "true")
    assert result.returncode == 75
    line, hint = result.stderr.splitlines()
    why = "is free, but in lock-delay or freed just now"
    assert line == f"consul-lock: {key} {why}: not started (75)"
    assert hint == "hint: -w 1m waits: a lock-delay is over after 1m00s at most"


def test_giving_up_leaves_no_session(
    holder: Running, start: Start, sessions: Callable[[int], list[str]], address: str, key: str
) -> None:
    """Nor a place in the queue."""
    for option in (["-n"], ["-w", "3s"]):
        hasty = start(*option, "--", "true")
        assert hasty.wait() == 75
        assert sessions(hasty.pid) == []
    assert consul(address, "GET", f"/v1/kv/{key}/.queue?recurse") is None


@pytest.mark.parametrize("code", [0, 1, 200])
def test_the_conflict_code_can_be_chosen(holder: Running, locked_run: LockedRun, code: int) -> None:
    """As flock -E."""
    assert locked_run("-n", "-E", str(code), "--", "true").returncode == code


def test_waiting_has_an_end(holder: Running, locked_run: LockedRun) -> None:
    """-w is about as long as it says."""
    started = time.monotonic()
    assert locked_run("-w", "3s", "--", "true").returncode == 75
    assert time.monotonic() - started >= 3


def test_giving_up_costs_about_as_much_as_a_quick_job(
    holder: Running, locked_run: LockedRun, address: str, key: str
) -> None:
    """-n does not wait for anything: measured beside a job of no length, one after the other."""
    quick, hasty = list[float](), list[float]()
    for turn in range(5):
        started = time.monotonic()
        with Running(["run", "-k", f"{key}/{turn}", "true"], environment(address)) as job:
            assert job.wait() == 0
        between = time.monotonic()
        assert locked_run("-n", "--", "true").returncode == 75
        quick.append(between - started)
        hasty.append(time.monotonic() - between)
    assert min(hasty) < 2 * min(quick)


def test_an_outage_begins_with_the_first_error_that_the_wait_meets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The report of the wait counts its seconds from there."""
    console, begun = Console(), list[float]()
    console.quiet = True
    monkeypatch.setattr(WaitReport, "trouble", lambda _, text, before: begun.append(before))

    def acquire(spec: LockSpec, lock: object, wait: float | None) -> bool:
        console.takers["unavailable"]("Consul is away")
        return True

    monkeypatch.setattr(LockSpec, "acquire", acquire)
    lock: Any = None
    spec = LockSpec(("backup",))
    acquisition = Acquisition(spec, WaitPolicy(retry_for=7.0), console, StatusFile(), lambda: lock)
    assert acquisition.contend(lock)
    assert begun == [7.0]
    assert console.takers == {}


def test_a_waiter_is_handed_the_lock(holder: Running, address: str, key: str) -> None:
    """It starts after one write of its own, which says that it is there, and hardly a read: so
    within moments."""
    with Proxy(address) as proxy:
        arguments = ["run", "-k", key, "--", "sh", "-c", "echo mine; exec sleep 600"]
        with Running(arguments, environment(proxy.address)) as waiter:
            _in_line(address, key)
            eventually(lambda: any("index=" in seen.path for seen in proxy.log))
            writes, reads = proxy.count("PUT", "txn"), proxy.count("GET")
            holder.send(signal.SIGTERM)
            assert waiter.line() == "mine"
            assert proxy.count("PUT", "txn") == writes + 1
            assert proxy.count("GET") <= reads + 3


def test_a_waiter_starts_when_the_holder_ends(holder: Running, start: Start) -> None:
    """Soon: it need not poll."""
    waiter = start("-v", "--", "echo", "mine")
    eventually(lambda: "waiting for" in waiter.errors())
    assert f"pid {holder.pid}" in waiter.errors()
    released = time.monotonic()
    holder.send(signal.SIGTERM)
    assert waiter.line() == "mine"
    assert time.monotonic() - released < 20
    assert waiter.wait() == 0


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT"])
def test_a_waiter_dies_of_a_signal_at_once(
    holder: Running,
    start: Start,
    address: str,
    key: str,
    sessions: Callable[[int], list[str]],
    name: str,
) -> None:
    """A real death by it; the command never ran; nothing of it is left in Consul."""
    waiter = start("-v", "--", "echo", "started")
    _in_line(address, key)
    (guardian,) = children(waiter.pid)
    (launcher,) = children(guardian)
    sent = time.monotonic()
    waiter.send(signal.Signals[f"SIG{name}"])
    assert waiter.wait() == -signal.Signals[f"SIG{name}"]
    assert time.monotonic() - sent < 15
    assert waiter.line() == ""
    assert sessions(waiter.pid) == []
    assert consul(address, "GET", f"/v1/kv/{key}/.queue/?keys") is None
    eventually(lambda: not any(map(alive, [launcher, guardian])))


def test_a_waiter_dies_in_time_even_if_consul_is_frozen(own_agent: Agent, tmp_path: Path) -> None:
    """Cleaning up has a second; what it leaves ends by its TTL.  The status is written."""
    env = environment(own_agent.address)
    status, go, done = tmp_path / "status", tmp_path / "go", tmp_path / "done"
    work = f"until [ -e {go} ]; do sleep 0.05; done"
    script = "echo ready; exec sleep 600"
    with ExitStack() as stack:
        holder = stack.enter_context(Running(["run", "-k", "k", "sh", "-c", script], env))
        assert holder.line() == "ready"
        options = ["run", "-k", "k", "--status-file", str(status)]
        waiter = stack.enter_context(Running([*options, "echo", "started"], env))
        options = ["run", "-k", "l", "--status-file", str(done)]
        releasing = stack.enter_context(Running([*options, "sh", "-c", f"echo up; {work}"], env))
        assert releasing.line() == "up"
        _in_line(own_agent.address, "k")
        own_agent.freeze()
        sent = time.monotonic()
        waiter.send(signal.SIGTERM)
        assert waiter.wait() == -signal.SIGTERM
        assert time.monotonic() - sent < 20
        assert json.loads(status.read_text())["exit"]["kind"] == "interrupted"
        (guardian,) = releasing.children()
        go.touch()
        eventually(lambda: not children(guardian))
        # Whether consul-lock has noticed the end by now is chance, and makes no difference.
        releasing.send(signal.SIGTERM)
        releasing.wait()
        assert json.loads(done.read_text())["exit"] == {"kind": "exit", "code": 0, "signal": None}
        own_agent.thaw()


def test_other_signals_do_not_end_the_waiting(
    holder: Running, start: Start, address: str, key: str
) -> None:
    """They are meant for the command, which does not run yet."""
    waiter = start("--", "echo", "mine")
    _in_line(address, key)
    for signum in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGALRM):
        waiter.send(signum)
    holder.send(signal.SIGTERM)
    assert waiter.line() == "mine"
    assert waiter.wait() == 0


def test_a_waiter_that_is_killed_never_runs_the_command(
    holder: Running, start: Start, address: str, key: str
) -> None:
    """The forked child sees the end of the pipe."""
    waiter = start("--", "echo", "started")
    _in_line(address, key)
    (guardian,) = children(waiter.pid)
    (launcher,) = children(guardian)
    waiter.send(signal.SIGKILL)
    waiter.wait()
    assert waiter.line() == ""  # the end: the launcher had this pipe, too
    eventually(lambda: not alive(launcher))


def test_a_nested_run_of_another_key_is_fine(locked_run: LockedRun, key: str) -> None:
    """Only the same key would be a deadlock."""
    inner = [*COMMAND, "run", "--key"]
    assert locked_run("--", *inner, f"{key}/inner", "--", "echo", "in").stdout == "in\n"
    assert locked_run("--", *inner, key, "--", "true").returncode == 64


def _in_line(address: str, key: str) -> None:
    """Wait until somebody waits for the key."""
    eventually(lambda: consul(address, "GET", f"/v1/kv/{key}/.queue/?keys"))
