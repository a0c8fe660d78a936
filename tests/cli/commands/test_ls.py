"""`consul-lock ls`: what is held below a prefix, for people and for scripts."""

from __future__ import annotations

import json
import re
import signal
import subprocess

import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.output.lock_json import STATUS
from consul_lock_cli.output.template import Template
from tests.cli.command import COMMAND, Running, consul, environment
from tests.cli.inspect_fixture import (
    LOCK_FLAG,
    SEMAPHORE_FLAG,
    Hand,
    ask,
    hand_fixture,  # noqa: F401 - a fixture, used by its name
    items,
    on_a_terminal,
)
from tests.support.agent import Agent

NOWHERE = "127.0.0.1:1"


def test_what_is_below_a_prefix(holder: Running, hand: Hand, address: str, key: str) -> None:
    """A lock of ours, one of another tool, a semaphore, a value that is no lock."""
    session = hand.hold(f"{key}/other")
    hand.slots(f"{key}/slots", 3, 2)
    hand.put(f"{key}/plain", "hello")
    result = ask(address, "ls", f"{key}/")
    assert (result.returncode, result.stderr) == (0, "")
    head, ours, other, plain, slots = result.stdout.splitlines()
    assert head.split() == ["KEY", "STATE", "MODE", "HOLDER", "SINCE", "WAITERS"]
    assert re.match(rf'{key} +held +lock +\S+:{holder.pid} \S+ "sh" +\S+s +0$', ours)
    assert re.match(rf"{key}/other +held +lock +session {session[:10]}\.\.\. +- +0$", other)
    assert re.match(rf'{key}/plain +foreign +- +value "hello", flags 0 +- +0$', plain)
    assert re.match(rf"{key}/slots +held +sem 2/3 +session \S+ session \S+ +- +0$", slots)
    again = ask(address, "list", f"{key}/").stdout
    assert [row.split()[0] for row in again.splitlines()[1:]] == [
        key, f"{key}/other", f"{key}/plain", f"{key}/slots",
    ]  # fmt: skip


def test_nothing_is_nothing(address: str, key: str) -> None:
    """No header without a table; an empty list is JSON."""
    assert ask(address, "ls", key).stdout == ""
    assert json.loads(ask(address, "ls", key, "--json").stdout) == {"v": 1, "items": []}


def test_json_has_it_all(holder: Running, hand: Hand, address: str, key: str) -> None:
    """One document on one line."""
    hand.slots(f"{key}/slots", 3, 2)
    result = ask(address, "ls", f"{key}/", "--json")
    assert len(result.stdout.splitlines()) == 1
    lock, slots = items(result)
    assert (lock["name"], lock["key"], lock["state"]) == (key, f"{key}/.lock", "held")
    (who,) = lock["holders"]
    assert (who["pid"], who["command"], who["vanished"]) == (holder.pid, "sh", False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", who["since"])
    assert (slots["kind"], slots["limit"], len(slots["holders"])) == ("semaphore", 3, 2)


def test_a_template_makes_a_line_for_each(
    holder: Running, hand: Hand, address: str, key: str
) -> None:
    """What is not known is empty."""
    hand.put(f"{key}/plain", "hello")
    template = "{name}={kind} {holder.pid}|{holder.meta.build}|{limit}|{mode:>10}|{{}}"
    result = ask(address, "ls", f"{key}/", "--format", template)
    assert result.stdout.splitlines() == [
        f"{key}=lock {holder.pid}||1| exclusive|{{}}",
        f"{key}/plain=foreign |||          |{{}}",
    ]


@pytest.mark.parametrize(
    "template",
    ["{nonsense}", "{holder.nonsense}", "{", "{}", "{0}", "{name.upper}", "{name.__class__}",
     "{holder.__class__}", "{holder.host.x}", "{holder[0]}", "{limit:d}",
     "{name!r}", "{name:>{limit}}", "{name:99999999999}", "{last_break.x}"],
)  # fmt: skip
def test_a_bad_template_is_misuse(template: str) -> None:
    """Seen before anything is asked."""
    with pytest.raises(Misuse, match=r"^--format: "):
        Template(template, STATUS)


def test_a_template_reaches_no_python() -> None:
    """Where names are free they are those of the item; numbers are text like all others."""
    template = Template("{holder.meta.__class__}|{holder.meta.a.b}|{limit:.1}|{name:>3}", STATUS)
    holder = {"meta": {"a.b": "x"}}
    assert template.line({"name": "n", "limit": 42, "holders": [holder]}) == "|x|4|  n"
    assert template.line({"name": "n"}) == "|||  n"


def test_a_bad_template_is_64() -> None:
    """With a hint that has the fields."""
    result = ask(NOWHERE, "ls", "--format", "{nonsense}")
    assert (result.returncode, "hint: fields: name, key, kind" in result.stderr) == (64, True)


_ESCAPES = "web\x1b[2J\r\n\x9b1;1H\u202e3"


def _is_plain(text: str) -> bool:
    return bool(text) and all(c == "\n" or c.isprintable() for c in text)


def test_escape_sequences_are_escaped(hand: Hand, address: str, key: str) -> None:
    """In names, hosts, users, commands, metadata, values: nothing moves the cursor."""
    about = {"host": _ESCAPES, "pid": 1, "user": _ESCAPES, "command": _ESCAPES,
             "meta": {"a": _ESCAPES, _ESCAPES: "b"}, "value": _ESCAPES}  # fmt: skip
    hand.hold(f"{key}/a", about)
    hand.hold(f"{key}/b", _ESCAPES)
    hand.put(f"{key}/c", _ESCAPES)
    document = json.dumps({"Limit": 1, "Holders": {_ESCAPES: True}})
    hand.put(f"{key}/d/.lock", document, SEMAPHORE_FLAG)
    parts = "{holders} {holder.host} {holder.meta.a} {holder.session} {value}"
    for arguments in (
        ["ls", f"{key}/"], ["ls", f"{key}/", "--format", parts], ["ls", f"{key}/", "--json"],
        ["status", f"{key}/a"], ["status", f"{key}/b"], ["status", f"{key}/c"],
        ["holders", f"{key}/d"],
    ):  # fmt: skip
        result = ask(address, *arguments)
        assert result.returncode == 0, result
        assert _is_plain(result.stdout), result.stdout
        assert "\\x1b[2J" in result.stdout or "\\u001b[2J" in result.stdout


def test_a_time_that_no_calendar_has_is_unknown(hand: Hand, address: str, key: str) -> None:
    """Whoever writes a lock's value can write anything."""
    for number, since in enumerate([1e300, -1e300, float("nan"), float("inf"), 253402300800]):
        hand.hold(f"{key}/{number}", {"host": "web", "pid": 1, "since": since})
    assert ask(address, "ls", key).returncode == 0
    assert ask(address, "status", f"{key}/2").returncode == 0
    for item in items(ask(address, "ls", key, "--json")):
        assert item["holders"][0]["since"] is item["holders"][0]["since_epoch"] is None


def test_colours_are_for_terminals_that_want_them(hand: Hand, address: str, key: str) -> None:
    """Not in a pipe, with NO_COLOR or TERM=dumb, unless they are asked for."""
    hand.hold(key)
    assert "\x1b[" in on_a_terminal(address, "ls", key)[1]
    for more in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        code, output = on_a_terminal(address, "ls", key, **more)
        assert (code, "\x1b" in output, key in output) == (0, False, True)
    assert "\x1b" not in ask(address, "ls", key).stdout
    assert "\x1b[" in ask(address, "ls", key, "--color", "always").stdout


def test_a_reader_that_has_enough_is_no_error(hand: Hand, address: str, key: str) -> None:
    """`ls | head -1`: no traceback, and a death by SIGPIPE as of any other program."""
    for number in range(2):
        hand.put(f"{key}/{number}", "x")
    script = f"{' '.join(COMMAND)} ls {key} | true; echo ${{PIPESTATUS[0]}}"
    # The pipe may be closed before or after the table is written, which is short.
    result = subprocess.run(
        ["bash", "-c", script],
        env=environment(address),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    assert int(result.stdout) in (0, 128 + signal.SIGPIPE)
    closed = subprocess.Popen(
        [*COMMAND, "ls", key], env=environment(address), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert closed.stdout is not None
    assert closed.stderr is not None
    closed.stdout.close()
    errors = closed.stderr.read()
    closed.stderr.close()
    assert (closed.wait(30), errors) == (-signal.SIGPIPE, b"")


def test_a_closed_stdout_is_no_error(address: str, key: str) -> None:
    """`>&-`."""
    script = f"{' '.join(COMMAND)} ls {key} >&-"
    result = subprocess.run(["sh", "-c", script], env=environment(address), check=False)
    assert result.returncode == 0


def test_text_that_the_terminal_cannot_show(hand: Hand, address: str, key: str) -> None:
    """It is escaped, and not a reason to fail."""
    hand.put(f"{key}/é", "ü")
    result = ask(address, "ls", key, PYTHONIOENCODING="ascii")
    assert (result.returncode, f"{key}/\\xe9" in result.stdout) == (0, True)


def test_errors_are_json_too(address: str, key: str) -> None:
    """On stdout, with stderr and exit code as always: misuse, no Consul, no lock."""
    cases = [
        (64, ask(address, "ls", "--json", "a//b")),
        (64, ask(address, "ls", "--json", "--nonsense")),
        (69, ask(NOWHERE, "status", key, "--json", CONSULLOCK_RETRY_FOR="0")),
        (64, ask(address, "break", key, "--json")),
        (78, ask(address, "ls", "--json", CONSULLOCK_RETRY_FOR="soon")),
    ]
    for code, result in cases:
        assert result.returncode == code, result
        document = json.loads(result.stdout)
        assert (document["v"], document["items"]) == (1, [])
        assert document["error"]["code"] == code
        assert document["error"]["message"] in result.stderr


def test_ten_thousand_keys(own_agent: Agent) -> None:
    """They are listed in a moment; the bound is generous, as machines are busy."""
    address = own_agent.address
    value = "eyJob3N0IjogIndlYiIsICJwaWQiOiAxfQ=="
    session = Hand(address).session()
    for start in range(0, 10_000, 50):
        operations = [
            {"KV": {"Verb": "lock", "Key": f"many/{number}/.lock", "Flags": LOCK_FLAG,
                    "Value": value, "Session": session}}
            for number in range(start, start + 50)
        ]  # fmt: skip
        consul(address, "PUT", "/v1/txn", json.dumps(operations))
    result = ask(address, "ls", "--format", "{name} {holder.host}")
    lines = result.stdout.splitlines()
    assert (len(lines), lines[0]) == (10_000, "many/0 web")
    assert len(ask(address, "ls", "many/77").stdout.splitlines()) == 1 + 111
