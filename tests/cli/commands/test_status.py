"""`consul-lock status` and `holders`: one lock, who holds it, and what is behind them."""

from __future__ import annotations

import json
import re
import signal
from base64 import b64decode
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.cli.command import Running, consul, environment
from tests.cli.inspect_fixture import (
    Hand,
    ask,
    hand_fixture,  # noqa: F401 - a fixture, used by its name
    items,
)
from tests.cli.output.json_page import BEHIND, LOCK
from tests.support.agent import Agent
from tests.support.waiting import eventually

Start = Callable[..., Running]


def test_a_held_lock(holder: Running, start: Start, address: str, key: str) -> None:
    """State, holder, session, token, command, and who waits."""
    waiter = start("--", "true")
    eventually(lambda: consul(address, "GET", f"/v1/kv/{key}/.queue/?keys"))
    result = ask(address, "status", key)
    assert (result.returncode, result.stderr) == (0, "")
    first, who, session, command, waiting = result.stdout.splitlines()
    assert first == f"{key}: held (lock)"
    when = r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ, \S+s"
    assert re.fullmatch(rf"  holder     \S+ pid {holder.pid} \(\S+\), {when}", who)
    assert re.fullmatch(r"             session [0-9a-f-]{36} token \d+", session)
    assert command == "             command sh"
    assert re.fullmatch(rf"  waiter 1   \S+ pid {waiter.pid} \(\S+\), {when}", waiting)
    (item,) = items(ask(address, "status", key, "--json"))
    assert set(item) == LOCK
    assert [w["pid"] for w in item["waiters"]] == [waiter.pid]
    template = "{name} {state} {holder.pid} {holder.token}"
    said = ask(address, "status", f"{key}/.lock", "--format", template).stdout
    token = item["holders"][0]["token"]
    assert said == f"{key} held {holder.pid} {token}\n"
    assert f"token {token}" in session


def test_a_lock_that_was_handed_over_and_not_confirmed(
    holder: Running, start: Start, hand: Hand, address: str, key: str
) -> None:
    """Its entry says so."""
    waiter = start("--", "true")
    eventually(lambda: consul(address, "GET", f"/v1/kv/{key}/.queue/?keys"))
    (held,) = items(ask(address, "status", key, "--json"))
    assert [h["confirmed"] for h in held["holders"]] == [True]
    waiter.send(signal.SIGSTOP)
    try:
        holder.send(signal.SIGTERM)
        holder.wait()
        (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    finally:
        waiter.send(signal.SIGCONT)
    # On a busy machine its session would not last for all the questions.
    hand.hold(f"{key}/copy", b64decode(entry["Value"]).decode())
    (item,) = items(ask(address, "status", f"{key}/copy", "--json"))
    assert [(h["pid"], h["confirmed"]) for h in item["holders"]] == [(waiter.pid, False)]


def test_quiet_answers_by_its_exit_code(hand: Hand, address: str, key: str) -> None:
    """0 held, 1 not, 65 no lock; nothing is printed.  Without -q all is well."""
    hand.hold(key)
    hand.put(f"{key}/plain", "x")
    for name, code in ((key, 0), (f"{key}/free", 1), (f"{key}/plain", 65)):
        quiet = ask(address, "status", "-q", name)
        assert (quiet.returncode, quiet.stdout, quiet.stderr) == (code, "", "")
    loud = ask(address, "status", f"{key}/plain")
    assert (loud.returncode, loud.stdout.splitlines()[0]) == (0, f"{key}/plain: foreign (no lock)")


def test_a_semaphore_with_a_dead_holder(hand: Hand, address: str, key: str) -> None:
    """It is held as long as one of them lives."""
    first, second = hand.slots(key, 3, 2)
    hand.destroy(first)
    result = ask(address, "status", key)
    assert result.stdout.startswith(f"{key}: held (semaphore, 2 of 3)\n")
    assert result.stdout.count("VANISHED") == 1
    assert ask(address, "status", "-q", key).returncode == 0
    rows = ask(address, "holders", key).stdout.splitlines()[1:]
    assert ["session gone" in row for row in rows[::2]] == [False, True]
    assert [(first in row, second in row) for row in rows[1::2]] == [(False, True), (True, False)]
    hand.destroy(second)
    assert ask(address, "status", "-q", key).returncode == 1
    assert ask(address, "status", key).stdout.startswith(f"{key}: vanished (semaphore, 2 of 3)\n")


def test_holders_with_their_sessions(holder: Running, address: str, key: str) -> None:
    """The node and its health, the TTL and the lock-delay, and the command."""
    head, row, behind, command = ask(address, "holders", key).stdout.splitlines()
    assert head.split()[:5] == ["HOLDER", "USER", "SINCE", "TOKEN", "HEALTH"]
    # Other tests have checks at this node, which change at any time.
    health = "passing|warning|critical"
    assert re.match(rf"\S+:{holder.pid} +\S+ +\S+s +\d+ +({health}) +10s \+ 30s$", row)
    assert re.fullmatch(r"  session [0-9a-f-]{36}, node node-1", behind)
    assert command == "  command sh"
    (item,) = items(ask(address, "holders", key, "--json"))
    assert set(item) == BEHIND
    assert (item["pid"], item["alive"]) == (holder.pid, True)
    assert item["node_health"] in health.split("|")
    assert item["command"] == "sh"
    assert item["node_checks"]["serfHealth"] == "passing"
    assert (item["ttl"], item["lock_delay"]) == (10.0, 30.0)
    nobody = ask(address, "holders", f"{key}/free")
    assert (nobody.returncode, nobody.stdout) == (0, "")


def test_a_session_that_may_not_be_seen_is_not_gone(consul_binary: Path) -> None:
    """A token for the keys alone: the lock is held, so its session lives."""
    with Agent(consul_binary, acl=True) as agent:
        rules = 'key_prefix "k/" {{ policy = "{}" }} session_prefix "" {{ policy = "{}" }}'
        worker = {"CONSUL_HTTP_TOKEN": agent.token_for(rules.format("write", "write"))}
        reader = {"CONSUL_HTTP_TOKEN": agent.token_for(rules.format("read", "deny"))}
        arguments = ["run", "-k", "k/a", "--", "sh", "-c", "echo ready; exec sleep 600"]
        with Running(arguments, environment(agent.address, **worker)) as running:
            assert running.line() == "ready"
            (item,) = items(ask(agent.address, "holders", "k/a", "--json", **reader))
            assert (item["pid"], item["alive"], item["node"]) == (running.pid, None, None)
            assert " unknown " in ask(agent.address, "holders", "k/a", **reader).stdout
            refused = ask(agent.address, "break", "k/a", "--yes", **reader)
            assert (refused.returncode, "session_prefix" in refused.stderr) == (77, True)
            assert ask(agent.address, "status", "-q", "k/a", **reader).returncode == 0
            assert ask(agent.address, "status", "k/a").returncode == 77


def test_watching_a_status(hand: Hand, address: str, key: str) -> None:
    """Once at the beginning, and after each change, until a signal ends it."""
    with ExitStack() as stack:
        env = environment(address)
        lines = stack.enter_context(Running(["status", key, "--watch", "--json"], env))
        people = stack.enter_context(Running(["status", key, "--watch"], env))
        assert json.loads(lines.line())["state"] == "free"
        assert people.line() == f"{key}: free (nothing is there)"
        session = hand.hold(key)
        seen = json.loads(lines.line())
        assert (seen["v"], seen["state"], seen["holders"][0]["session"]) == (1, "held", session)
        assert [people.line(), people.line()] == ["", f"{key}: held (lock)"]
        for running in (lines, people):
            running.send(signal.SIGTERM)
            assert running.wait() == -signal.SIGTERM
            assert running.errors() == ""
