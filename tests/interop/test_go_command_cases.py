"""The test cases of the command `consul lock`, C1 to C15: what it does, and what consul-lock does.

docs/interop.md has the table; C9 to C12 are in test_go_monitor_cases.py.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.cli.command import Running
from tests.interop.command import run_command
from tests.interop.go_command import Peer, run_go
from tests.interop.semaphores import Slots, semaphore
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.waiting import eventually

Go = Callable[..., Peer]
Command = Callable[..., Running]
Acquiring = Callable[[Any], "Future[float]"]


def test_c1_no_tabs(agent: Agent) -> None:
    """Help is read in terminals of all widths of a tab."""
    go_help, help_text = run_go(agent, "-h"), run_command(agent.address, "--help")
    for said in (go_help.stdout + go_help.stderr, help_text.stdout):
        assert "-n" in said
        assert "\t" not in said


@pytest.mark.parametrize(
    "go_arguments, says, arguments",
    [
        pytest.param("-try=blah", "invalid value", ["-w", "blah"], id="c2"),
        pytest.param("-try=-10s", "Timeout must be positive", ["-w", "-10s"], id="c3"),
        pytest.param("-monitor-retry=-5", "must be >= 0", ["--retry-for", "-5s"], id="c4"),
    ],
)
def test_c2_c3_c4_bad_arguments(
    agent: Agent, tmp_path: Path, go_arguments: str, says: str, arguments: list[str]
) -> None:
    """Go ends with 1, its code for everything; consul-lock with 64; neither starts the command."""
    ran = tmp_path / "ran"
    refused = run_go(agent, go_arguments, "bad", "touch", str(ran))
    assert (refused.returncode, says in refused.stderr) == (1, True)
    refused = run_command(agent.address, *arguments, "-k", "bad", "--", "touch", str(ran))
    assert (refused.returncode, arguments[1] in refused.stderr) == (64, True)
    assert not ran.exists()
    assert agent.keys("bad") == []


def test_c5_the_command_runs_through_a_shell(agent: Agent, tmp_path: Path) -> None:
    """Go's way by default; consul-lock starts a shell only where one is named."""
    script = f"echo ran >'{tmp_path}'/\"$CONSUL_LOCK_HELD\""
    assert run_go(agent, "c5", script).returncode == 0
    ran = tmp_path / "true"
    assert ran.read_text() == "ran\n"
    ran.unlink()
    assert run_command(agent.address, "-k", "c5", "--", script).returncode == 127
    assert run_command(agent.address, "-k", "c5", "--", "sh", "-c", script).returncode == 0
    assert ran.read_text() == "ran\n"
    assert agent.keys("c5") == []


def test_c6_the_command_runs_without_a_shell(agent: Agent, tmp_path: Path) -> None:
    """An argument with a space and a dollar stays one, and as it is."""
    by_go, by_command = tmp_path / "go $HOME", tmp_path / "own $HOME"
    assert run_go(agent, "-shell=false", "c6", "touch", str(by_go)).returncode == 0
    assert run_command(agent.address, "-k", "c6", "--", "touch", str(by_command)).returncode == 0
    assert set(tmp_path.iterdir()) == {by_go, by_command}


def test_c7_try_lock_gets_it_in_time(agent: Agent, go: Go, command: Command) -> None:
    """Each side waits for the other, and runs when that ends."""
    holder = command("-k", "c7", "--", "sh", "-c", "echo mine; exec sleep 600")
    assert holder.line() == "mine"
    peer = go("c7", "-try=20s")
    peer.waits()
    holder.send(signal.SIGTERM)
    peer.holds()
    waiter = command("-k", "c7", "-w", "20s", "--", "echo", "mine again")
    eventually(lambda: agent.keys("c7/.queue/"))
    peer.finish()
    assert peer.wait() == 0, peer.output
    assert waiter.line() == "mine again"
    assert waiter.wait() == 0


def test_c7_try_lock_gives_up(agent: Agent, go: Go, command: Command) -> None:
    """Go ends with 1, here too; consul-lock has a code for it, 75."""
    holder = command("-k", "c7-late", "--", "sh", "-c", "echo mine; exec sleep 600")
    assert holder.line() == "mine"
    begin = monotonic()
    late = go("c7-late", "-timeout=1s")
    assert (late.wait(), late.started) == (1, False)
    assert monotonic() - begin >= 1.0
    holder.send(signal.SIGTERM)
    holder.wait()
    peer = go("c7-late")
    peer.holds()
    begin = monotonic()
    result = run_command(agent.address, "-k", "c7-late", "-w", "1s", "--", "echo", "started")
    assert (result.returncode, result.stdout) == (75, "")
    assert monotonic() - begin >= 1.0


def test_c8_try_semaphore_gets_a_slot_in_time(
    face: Face, client: Any, agent: Agent, go: Go, acquiring: Acquiring
) -> None:
    """consul-lock holds all three slots: one is left to Go, and then Go's to a waiter here."""
    held = semaphore(face, "c8", 3, client)
    for _ in range(3):
        assert held.acquire()
    peer = go("c8", "-n=3", "-try=20s")
    peer.waits_for_a_slot()
    held.release()
    peer.holds()
    slots = Slots(agent, "c8")
    assert (peer.session in slots.holders, len(slots.holders)) == (True, 3)
    last = semaphore(face, "c8", 3, client)
    had = acquiring(last)
    eventually(lambda: len(slots.contenders) == 4)
    assert not had.done()
    peer.finish()
    had.result(120)
    assert peer.wait() == 0, peer.output
    for slot in (held, held, last):
        slot.release()


def test_c8_try_semaphore_gives_up(face: Face, client: Any, agent: Agent, go: Go) -> None:
    """And leaves the slots to their holders."""
    held = semaphore(face, "c8-late", 3, client)
    assert held.acquire(n=2)
    peer = go("c8-late", "-n=3")
    peer.holds()
    before = Slots(agent, "c8-late").document
    late = go("c8-late", "-n=3", "-timeout=1s")
    begin = monotonic()
    assert semaphore(face, "c8-late", 3, client).acquire(timeout=1) is False
    assert monotonic() - begin >= 1.0
    assert (late.wait(), late.started) == (1, False)
    assert Slots(agent, "c8-late").document == before
    held.release()


@pytest.mark.parametrize(
    "options, script, code_of_go, code",
    [
        pytest.param(["-child-exit-code"], "exit 0", 0, 0, id="c13"),
        pytest.param(["-child-exit-code"], "exit 3", 2, 3, id="c14"),
        pytest.param([], "exit 3", 0, 3, id="c15"),
    ],
)
def test_c13_c14_c15_the_exit_code_of_the_command(
    agent: Agent, options: list[str], script: str, code_of_go: int, code: int
) -> None:
    """Go hides it, or ends with 2 for all of them; consul-lock passes on the command's own."""
    assert run_go(agent, *options, "code", script).returncode == code_of_go
    assert run_command(agent.address, "-k", "code", "--", "sh", "-c", script).returncode == code
