"""`consul-lock wait`: for a state, without acquiring."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.cli.command import Running, environment
from tests.cli.inspect_fixture import (
    Hand,
    ask,
    hand_fixture,  # noqa: F401 - a fixture, used by its name
    items,
    polling,
)
from tests.cli.output.json_page import LOCK
from tests.support.waiting import eventually


def test_a_condition_that_holds_already_ends_the_wait_at_once(
    hand: Hand, address: str, key: str
) -> None:
    """Silently."""
    free = ask(address, "wait", key, "--free")
    assert (free.returncode, free.stdout, free.stderr) == (0, "", "")
    hand.hold(key)
    assert ask(address, "wait", key, "--held").returncode == 0


def test_the_end_of_the_time_is_75(hand: Hand, address: str, key: str) -> None:
    """Saying how things stand; -w 0 looks once."""
    hand.hold(key, {"host": "web3", "pid": 42, "user": "root"})
    began = time.monotonic()
    result = ask(address, "wait", key, "--free", "-w", "2s")
    assert time.monotonic() - began >= 2
    assert (result.returncode, result.stdout) == (75, "")
    line, hint = result.stderr.splitlines()
    assert line == f"consul-lock: {key} is still held by web3 pid 42 (root) (75)"
    assert hint == "hint: use -w to wait longer"
    result = ask(address, "wait", f"{key}/other", "--held", "-w", "0", "--json")
    (item,) = items(result)
    assert (result.returncode, set(item), item["state"]) == (75, LOCK, "free")


@pytest.mark.parametrize("goal", ["--free", "--held"])
def test_a_change_ends_the_waiting(
    hand: Hand, address: str, key: str, sessions: Callable[[int], list[str]], goal: str
) -> None:
    """It need not poll, it acquires nothing and makes no session."""
    session = hand.hold(key) if goal == "--free" else hand.session()
    with ExitStack() as stack:
        arguments = ["wait", key, goal, "-w", "60s"]
        waiting = stack.enter_context(Running(arguments, environment(address)))
        eventually(lambda: polling(waiting, address))
        assert sessions(waiting.pid) == []
        if goal == "--free":
            hand.let_go(key, session)
        else:
            hand.hold(key, session=session)
        assert waiting.wait() == 0
        assert waiting.errors() == ""


def test_a_semaphore_is_free_when_all_slots_are(hand: Hand, address: str, key: str) -> None:
    """One that is left by the dead counts as free, as nobody may ever come to take it away."""
    first, second = hand.slots(key, 3, 2)
    hand.destroy(first)
    assert ask(address, "wait", key, "--free", "-w", "0").returncode == 75
    hand.destroy(second)
    assert ask(address, "wait", key, "--free").returncode == 0


def test_a_key_that_is_not_a_lock_is_65(hand: Hand, address: str, key: str) -> None:
    """It is never free, and never held."""
    hand.put(f"{key}/.lock", "hello")
    result = ask(address, "wait", key, "--free")
    assert (result.returncode, "was not written by a lock tool" in result.stderr) == (65, True)


def test_a_signal_ends_it(hand: Hand, address: str, key: str) -> None:
    """A real death by it."""
    hand.hold(key)
    for signum in (signal.SIGTERM, signal.SIGINT):
        with Running(["wait", key, "--free"], environment(address)) as waiting:
            eventually(lambda: polling(waiting, address))
            waiting.send(signum)
            assert waiting.wait() == -signum
            assert waiting.errors() == ""


@pytest.mark.parametrize("arguments", [[], ["--free", "--held"], ["--free", "-w", "-1"]])
def test_misuse(arguments: list[str]) -> None:
    """64, and nothing is asked of Consul."""
    assert ask("127.0.0.1:1", "wait", "k", *arguments).returncode == 64
