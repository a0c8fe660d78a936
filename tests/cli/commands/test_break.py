"""`consul-lock break`: take a lock away from its holder."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Running, consul, environment
from tests.cli.hidden_keys import hiding
from tests.cli.inspect_fixture import (
    SEMAPHORE_FLAG,
    Hand,
    ask,
    hand_fixture,  # noqa: F401 - a fixture, used by its name
    items,
    on_a_terminal,
)
from tests.cli.output.json_page import BROKEN
from tests.support.agent import Agent

Start = Callable[..., Running]

IDLE = '{"Limit":3,"Holders":{}}'


def keys(address: str, prefix: str) -> list[str]:
    """All keys below a prefix, but for the notes of who broke it, which go by themselves."""
    found = consul(address, "GET", f"/v1/kv/{prefix}?keys") or []
    return [key for key in found if "/.break/" not in key]


def test_the_holder_loses_its_session(holder: Running, address: str, key: str) -> None:
    """Its own wrapper sees that and stops the command."""
    result = ask(address, "force-release", key, "--yes")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.startswith(f"consul-lock: broke {key}: destroyed the session of ")
    assert f"pid {holder.pid}" in result.stderr
    assert holder.wait() == 76
    again = ask(address, "break", key, "--yes")
    assert (again.returncode, "nothing to break" in again.stderr) == (1, True)


@pytest.mark.parametrize("options", [[], ["--limit", "2"], ["--shared"], ["-k", "MORE"]])
def test_the_author_and_reason_of_a_break_are_shown(
    start: Start, address: str, key: str, options: list[str]
) -> None:
    """By the wrapper that lost it, by `status`, by `ls` and to the next holder's onlookers."""
    options = [f"{key}-more" if option == "MORE" else option for option in options]
    broken = start(*options, "--", "sh", "-c", "echo ready; exec sleep 600")
    assert broken.line() == "ready"
    (was,) = items(ask(address, "holders", key, "--json"))
    escape = "disk full \x1b[2J"
    assert ask(address, "break", key, "--yes", "--reason", escape).returncode == 0
    assert broken.wait() == 76
    by = r"session destroyed by 'consul-lock break' of \S+@\S+: disk full \\x1b\[2J; sent TERM"
    assert re.search(rf"LOST {key}\S*.* after \S+: {by}", broken.errors())
    assert f"\nhint: 'consul-lock status {key}" in broken.errors()
    item = items(ask(address, "ls", key, "--json"))[0]
    last = item["last_break"]
    assert (last["session"], last["reason"]) == (was["session"], escape)
    assert re.search(
        rf"{key} +free +(?:-|lock) +\(broken by \S+@\S+ \S+ ago: disk full", listed(address, key)
    )
    shown = ask(address, "status", key).stdout
    assert re.search(r"last break by \S+@\S+ \S+ ago: disk full \\x1b\[2J\n", shown)
    templated = ask(address, "ls", key, "--format", "{name} {last_break.reason}").stdout
    assert templated.startswith(f"{key} disk full \\x1b[2J\n")


def listed(address: str, key: str) -> str:
    """What `ls` shows to people."""
    return ask(address, "ls", key).stdout


def test_every_holder_gets_the_reason_of_its_own_break(
    start: Start, address: str, key: str
) -> None:
    """All slots of a semaphore at once, in the log as well."""
    options = [
        "--limit",
        "2",
        "--log-format",
        "json",
        "--",
        "sh",
        "-c",
        "echo ready; exec sleep 600",
    ]
    both = [start(*options) for _ in range(2)]
    assert [running.line() for running in both] == ["ready"] * 2
    assert ask(address, "break", key, "--yes", "--reason", "both").returncode == 0
    for running in both:
        assert running.wait() == 76
        (lost,) = [json.loads(line) for line in running.errors().splitlines()]
        assert (lost["event"], lost["reason"]) == ("lost", "session-invalid")
        assert lost["break"]["reason"] == "both"


def test_a_token_that_may_not_write_the_note_breaks_with_a_warning(consul_binary: Path) -> None:
    """It takes the right to end sessions, and no other."""
    rules = 'key_prefix "k/" {{ policy = "{}" }} session_prefix "" {{ policy = "write" }}'
    with Agent(consul_binary, acl=True) as agent:
        hold, end = (
            {"CONSUL_HTTP_TOKEN": agent.token_for(rules.format(p))} for p in ("write", "read")
        )
        arguments = ["run", "-k", "k/a", "--", "sh", "-c", "echo ready; exec sleep 600"]
        with Running(arguments, environment(agent.address, **hold)) as running:
            assert running.line() == "ready"
            result = ask(agent.address, "break", "k/a", "--yes", "--reason", "x", **end)
            assert (result.returncode, running.wait()) == (0, 76)
            assert (
                'warning: the break of k/a is not recorded: that needs key_prefix "k/a/"'
                in result.stderr
            )
            assert "expired, or somebody destroyed it" in running.errors()


def test_no_hold_is_broken_without_a_message(hand: Hand, address: str, key: str) -> None:
    """Without a terminal, --yes is wanted; of what makes no sense, nothing is even read."""
    session = hand.hold(key)
    result = ask(address, "break", key)
    assert (result.returncode, "--yes" in result.stderr) == (64, True)
    assert hand.alive(session)
    for more in (["--force"], ["--session", ""], ["--reason", "x" * 513]):
        assert ask("127.0.0.1:1", "break", key, "--yes", *more).returncode == 64


def test_what_nobody_holds_needs_no_confirmation(address: str, key: str) -> None:
    """Without a terminal, too: there is nothing to break."""
    result = ask(address, "break", key)
    assert result.returncode == 1
    assert f"nothing to break: {key} is free" in result.stderr


def test_a_terminal_is_asked(hand: Hand, address: str, key: str) -> None:
    """It is shown who holds the lock, and may say no."""
    session = hand.hold(key, {"host": "web3", "pid": 42})
    code, output = on_a_terminal(address, "break", key, typed="n\n")
    assert (code, hand.alive(session)) == (1, True)
    assert "web3 pid 42" in output
    assert f"{key} is left unchanged" in output
    for typed, expected in (("\x04", 1), ("\x03", -signal.SIGINT), ("\n", 1)):
        code, output = on_a_terminal(address, "break", key, typed=typed)
        assert (code, hand.alive(session)) == (expected, True), output
    code, output = on_a_terminal(address, "break", key, typed="y\n")
    assert (code, hand.alive(session)) == (0, False)
    assert "Destroy the session? [y/N]" in output


def test_a_hold_that_changes_during_the_confirmation_is_not_broken(
    hand: Hand, address: str, key: str
) -> None:
    """They were shown another holder."""
    old = hand.hold(key, {"host": "web3", "pid": 42})

    def change() -> str:
        hand.let_go(key, old)
        hand.hold(key)
        return "y\n"

    code, output = on_a_terminal(address, "break", key, typed=change)
    assert (code, hand.alive(old)) == (75, True)
    assert f"{key} has changed meanwhile: nothing was broken" in output


def test_a_holder_that_has_changed_is_not_hit(hand: Hand, address: str, key: str) -> None:
    """--session makes it conditional."""
    old = hand.session()
    new = hand.hold(key)
    result = ask(address, "break", key, "--session", old, "--yes", "--json")
    assert (result.returncode, items(result), hand.alive(new)) == (75, [], True)
    assert f"not by session {old}" in result.stderr
    result = ask(address, "break", key, "--session", new, "--yes", "--json")
    assert (result.returncode, hand.alive(new), hand.alive(old)) == (0, False, True)
    (item,) = items(result)
    assert (set(item), item["session"]) == (BROKEN, new)
    assert ask(address, "break", key, "--session", new, "--yes").returncode == 1


def test_one_slot_of_a_semaphore(hand: Hand, address: str, key: str) -> None:
    """Or all of them; the dead are dead already."""
    sessions = hand.slots(key, 5, 3)
    first, *others = sessions
    assert ask(address, "break", key, "--slot", first, "--yes").returncode == 0
    assert [hand.alive(session) for session in sessions] == [False, True, True]
    result = ask(address, "break", key, "--yes", "--json")
    assert sorted(item["session"] for item in items(result)) == others
    assert not any(hand.alive(session) for session in sessions)
    result = ask(address, "break", key, "--yes")
    assert (result.returncode, "is vanished" in result.stderr) == (1, True)


def test_delete_removes_an_idle_document(hand: Hand, address: str, key: str) -> None:
    """The document of a semaphore, with its limit.  There must be something."""
    hand.put(f"{key}/.lock", IDLE, SEMAPHORE_FLAG)
    assert ask(address, "break", key, "--yes").returncode == 1
    assert ask(address, "break", key, "--yes", "--delete").returncode == 0
    assert keys(address, key) == []
    assert ask(address, "break", key, "--yes", "--delete").returncode == 1
    session = hand.hold(key)
    assert ask(address, "break", key, "--yes", "--delete").returncode == 0
    assert (keys(address, key), hand.alive(session)) == ([], False)


def test_delete_waits_for_the_former_holder(hand: Hand, address: str, key: str) -> None:
    """Without the document, the next one would enter while the old one is still at work."""
    (session,) = hand.slots(key, 2, 1)
    result = ask(address, "break", key, "--yes", "--delete")
    assert (result.returncode, hand.alive(session)) == (75, False)
    assert f"{key} is vanished: its key is not deleted" in result.stderr
    assert keys(address, key) == [f"{key}/.lock"]
    assert ask(address, "break", key, "--yes", "--delete", "--force").returncode == 0
    assert keys(address, key) == []


def test_force_deletes_under_a_holder(hand: Hand, address: str, key: str) -> None:
    """With a warning, and its session lives on."""
    session = hand.hold(key)
    result = ask(address, "break", key, "--yes", "--delete", "--force")
    assert (result.returncode, hand.alive(session)) == (0, True)
    assert "warning: --force: the old holder's session stays valid" in result.stderr
    assert keys(address, key) == []


@pytest.mark.parametrize("more", [[], ["--delete"], ["--delete", "--force"]])
def test_a_key_that_is_not_a_lock_is_never_touched(
    hand: Hand,
    address: str,
    key: str,
    more: list[str],
) -> None:
    """65, and it stays as it is."""
    hand.put(f"{key}/.lock", "hello")
    assert ask(address, "break", key, "--yes", *more).returncode == 65
    assert keys(address, key) == [f"{key}/.lock"]


def test_locks_that_the_token_may_not_see_may_be_lost_too(
    hand: Hand, address: str, key: str
) -> None:
    """In the question, in the result and in JSON; a lock without a visible holder alike."""
    why = (
        "some keys are hidden from this token: if other locks of the session are among them,"
        " they are lost, too"
    )
    with hiding(address, "secret") as server:
        session = hand.hold(f"{key}/a")
        hand.hold(f"{key}/secret", session=session)
        _, output = on_a_terminal(server, "break", f"{key}/a", typed="n\n")
        assert why in output
        result = ask(server, "break", f"{key}/a", "--yes", "--json")
        assert f"warning: {why}" in result.stderr
        assert json.loads(result.stdout)["hidden"] is True
        again = hand.hold(f"{key}/secret")
        result = ask(server, "break", f"{key}/secret", "--yes")
        assert (result.returncode, "as far as the token may see it" in result.stderr) == (1, True)
        assert hand.alive(again)
    hand.hold(f"{key}/b")
    result = ask(address, "break", f"{key}/b", "--yes", "--json")
    assert "hidden" not in result.stderr + result.stdout


def test_all_rules_that_a_break_needs_are_named_at_once(consul_binary: Path) -> None:
    """Whichever of the two is missing."""
    session = 'session_prefix "" { policy = "write" }'
    keys_ = 'key_prefix "k/a/" { policy = "write" }'
    with Agent(consul_binary, acl=True) as agent:
        hold = {
            "CONSUL_HTTP_TOKEN": agent.token_for(f'{session} key_prefix "k/" {{policy="write"}}')
        }
        arguments = ["run", "-k", "k/a", "--", "sh", "-c", "echo ready; exec sleep 600"]
        with Running(arguments, environment(agent.address, **hold)) as running:
            assert running.line() == "ready"
            token = agent.token_for('key_prefix "k/" { policy = "read" }')
            result = ask(agent.address, "break", "k/a", "--yes", CONSUL_HTTP_TOKEN=token)
            assert result.returncode == 77
            assert f"hint: the token needs  {session} {keys_}  ; " in result.stderr
            assert running.running()
