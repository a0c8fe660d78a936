"""`consul-lock ls`: what is held below a prefix, for people and for scripts."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

from tests.cli.command import COMMAND, Running, consul, environment
from tests.cli.hidden_keys import hiding
from tests.cli.inspect_fixture import (
    LOCK_FLAG,
    Hand,
    ask,
    hand_fixture,  # noqa: F401 - a fixture, used by its name
    items,
    on_a_terminal,
)
from tests.cli.output.examples import ESCAPES
from tests.cli.output.json_page import DOCUMENT, FIELDS, HOLDER, LISTED
from tests.cli.terminal import Terminal
from tests.support.agent import Agent

NOWHERE = "127.0.0.1:1"


def test_the_locks_below_a_prefix(holder: Running, hand: Hand, address: str, key: str) -> None:
    """A lock of consul-lock, one of another tool, a semaphore, a value that is no lock."""
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
    """No header without a table; the token may be to blame, as Consul hides keys in silence."""
    for command, what in (
        (["ls", key], f'there are no keys below "{key}"'),
        (["ls", "--dead", key], f'nothing is left by the dead below "{key}"'),
        (["cron", "ls", key], f'there are no cron jobs below "{key}"'),
    ):
        result = ask(address, *command)
        assert (result.returncode, result.stdout) == (0, "")
        assert result.stderr == f"consul-lock: {what}, or none that the token may read\n"
        assert ask(address, *command, "-q").stderr == ""
    result = ask(address, "holders", key)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == (f"consul-lock: nobody holds {key}, or nobody that the token may see\n")


def test_a_place_that_is_full_is_said_to_be_full(hand: Hand, address: str, key: str) -> None:
    """Not the limits of the user."""
    hand.put(f"{key}/plain", "hello")
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*COMMAND, "ls", key],
            env=environment(address),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 71
    assert result.stderr == (
        "consul-lock: No space left on device (71)\nhint: free some room where the output goes\n"
    )


def test_json_has_it_all(holder: Running, hand: Hand, address: str, key: str) -> None:
    """One document on one line, of the documented fields."""
    dead, _ = hand.slots(f"{key}/slots", 3, 2)
    hand.destroy(dead)
    hand.put(f"{key}/plain", "hello")
    result = ask(address, "ls", f"{key}/", "--json")
    assert len(result.stdout.splitlines()) == 1
    assert set(json.loads(result.stdout)) == DOCUMENT
    lock, plain, slots = items(result)
    for item in (lock, plain, slots):
        assert set(item) == LISTED
        assert all(set(each) == HOLDER for each in item["holders"])
        assert item["cron"] is None
    assert (lock["name"], lock["key"], lock["state"]) == (key, f"{key}/.lock", "held")
    (who,) = lock["holders"]
    assert (who["pid"], who["command"], who["vanished"]) == (holder.pid, "sh", False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", who["since"])
    assert (slots["kind"], slots["limit"]) == ("semaphore", 3)
    assert [each["vanished"] for each in slots["holders"]] == [False, True]
    assert (plain["kind"], plain["value"], plain["size"]) == ("foreign", "hello", 5)


def test_a_template_prints_a_line_for_each(
    holder: Running, hand: Hand, address: str, key: str
) -> None:
    """Unknown fields are empty."""
    hand.put(f"{key}/plain", "hello")
    template = "{name}={kind} {holder.pid}|{holder.meta.build}|{limit}|{mode:>10}|{{}}"
    result = ask(address, "ls", f"{key}/", "--format", template)
    assert result.stdout.splitlines() == [
        f"{key}=lock {holder.pid}||1| exclusive|{{}}",
        f"{key}/plain=foreign |||          |{{}}",
    ]


def test_escape_sequences_are_escaped(hand: Hand, address: str, key: str) -> None:
    """Nothing of what others have written there moves the cursor."""
    hand.hold(f"{key}/a", {"host": ESCAPES, "pid": 1, "user": ESCAPES, "command": ESCAPES})
    hand.put(f"{key}/b", ESCAPES)
    text = ask(address, "ls", f"{key}/").stdout
    assert text.replace("\n", "").isprintable()
    assert text.count("\\x1b[2J") == 4


def test_colours_are_for_terminals_that_want_them(hand: Hand, address: str, key: str) -> None:
    """And not in a pipe."""
    hand.hold(key)
    assert "\x1b[" in on_a_terminal(address, "ls", key)[1]
    assert "\x1b" not in ask(address, "ls", key).stdout


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
    assert (closed.wait(120), errors) == (-signal.SIGPIPE, b"")


def test_a_closed_stdout_is_no_error(address: str, key: str) -> None:
    """`>&-`."""
    script = f"{' '.join(COMMAND)} ls {key} >&-"
    result = subprocess.run(["sh", "-c", script], env=environment(address), check=False)
    assert result.returncode == 0


def test_errors_are_json_too(key: str) -> None:
    """On stdout, with stderr and exit code as always."""
    result = ask(NOWHERE, "ls", key, "--json", CONSULLOCK_RETRY_FOR="0")
    document = json.loads(result.stdout)
    assert set(document) == DOCUMENT | {"error"}
    assert set(document["error"]) == FIELDS["error"]
    assert (result.returncode, document["items"], document["error"]["code"]) == (69, [], 69)
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


def test_500_locks_and_310_jobs(own_agent: Agent) -> None:
    """All of them are listed, the jobs by `cron ls` as well."""
    address = own_agent.address
    assert ask(address, "cron", "run", "--name", "jobs/0", "--slot", "a", "true").returncode == 0
    (record,) = consul(address, "GET", "/v1/kv/jobs/0/.cron")
    lock = {"Value": "eyJob3N0IjogIndlYiIsICJwaWQiOiAxfQ==", "Flags": LOCK_FLAG}
    session = Hand(address).session()
    writes = [
        {"Verb": "lock", "Key": f"locks/{number}/.lock", "Session": session, **lock}
        for number in range(500)
    ] + [
        {"Verb": "set", "Key": f"jobs/{number}/.cron", "Value": record["Value"],
         "Flags": record["Flags"]}
        for number in range(1, 310)
    ]  # fmt: skip
    for start in range(0, len(writes), 60):
        operations = [{"KV": write} for write in writes[start : start + 60]]
        consul(address, "PUT", "/v1/txn", json.dumps(operations))
    assert len(ask(address, "ls", "--format", "{name}").stdout.splitlines()) == 810
    names = ask(address, "cron", "ls", "--format", "{name} {state}").stdout.splitlines()
    assert set(names) == {f"jobs/{number} done" for number in range(310)}


def test_what_is_wanted_is_listed_and_nothing_else(
    holder: Running, hand: Hand, address: str, key: str
) -> None:
    """As a table and as JSON; --dead has no states."""
    hand.put(f"{key}/plain", "hello")
    hand.hold(f"{key}/other")
    _, *rows = ask(address, "ls", f"{key}", "--mine", "--sort", "age").stdout.splitlines()
    assert [row.split()[0] for row in rows] == [key]
    found = items(ask(address, "ls", f"{key}", "--state", "foreign", "--json"))
    assert [item["name"] for item in found] == [f"{key}/plain"]
    assert ask(address, "ls", "--dead", "--mine").returncode == 64


def test_a_list_that_is_watched_is_drawn_anew_on_a_terminal(
    hand: Hand, address: str, key: str
) -> None:
    """After each change of what is wanted, and as large as the window; Ctrl-C ends it."""
    env = environment(address, TERM="xterm")
    arguments = ["ls", "--watch", f"{key}/", "--state", "held", "--color", "never"]
    with Terminal(arguments, env, columns=60) as terminal:
        first = terminal.until(lambda text: "there are no keys" in text)
        assert re.match(rf'\d\d:\d\d:\d\d below "{key}/"\n\n', first)
        hand.put(f"{key}/plain", "no lock")
        session = hand.hold(f"{key}/a", {"host": "a-host-with-a-name", "pid": 1, "user": "someone"})
        shown = terminal.until(lambda text: f"{key}/a" in text)
        assert "plain" not in shown
        assert max(map(len, shown.splitlines())) < 60
        terminal.resize(20, 4)
        small = terminal.until(lambda text: "more" in text)
        assert max(map(len, small.splitlines())) < 20
        assert small.count("\n") < 4
        terminal.resize(120, 24)
        terminal.until(lambda text: "a-host-with-a-name" in text)
        hand.let_go(f"{key}/a", session)
        terminal.until(lambda text: "there are no keys" in text)
        terminal.type("\x03")
        assert terminal.wait() == -signal.SIGINT
        assert "Traceback" not in terminal.seen


def test_a_list_that_is_watched_is_a_document_a_change_in_a_pipe(
    hand: Hand, address: str, key: str
) -> None:
    """What is filtered out is no change; cron jobs alike; a reader that has enough ends it."""
    arguments = ["ls", "--watch", f"{key}/", "--state", "held", "--sort", "age"]
    with (
        Running(arguments, environment(address)) as running,
        Running(["cron", "ls", "--watch", key], environment(address)) as jobs,
    ):
        assert json.loads(running.line()) == {"v": 1, "items": []}
        assert json.loads(jobs.line()) == {"v": 1, "items": []}
        hand.put(f"{key}/plain", "no lock")
        hand.hold(f"{key}/a")
        (item,) = json.loads(running.line())["items"]
        assert set(item) == LISTED
        assert (item["name"], item["state"]) == (f"{key}/a", "held")
        ran = ask(address, "cron", "run", "--name", f"{key}/job", "--slot", "1", "--", "true")
        assert ran.returncode == 0, ran.stderr
        while not (found := json.loads(jobs.line())["items"]):
            pass
        assert found[0]["name"] == f"{key}/job"
        for each in (running, jobs):
            each.send(signal.SIGINT)
            assert each.wait() == -signal.SIGINT
            assert each.errors() == ""
    watched = subprocess.Popen(
        [*COMMAND, "ls", "--watch", key], env=environment(address), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert watched.stdout is not None
    assert watched.stderr is not None
    watched.stdout.readline()
    watched.stdout.close()
    hand.hold(f"{key}/b")
    errors = watched.stderr.read()
    watched.stderr.close()
    assert (watched.wait(30), errors) == (-signal.SIGPIPE, b"")


def test_what_has_no_changes_is_not_watched(key: str) -> None:
    """64, and Consul is not asked."""
    for more in (["--dead"], ["--format", "{name}"]):
        result = ask(NOWHERE, "ls", "--watch", *more, key)
        assert (result.returncode, result.stdout) == (64, "")
    assert ask(NOWHERE, "cron", "ls", "--watch", "--format", "{name}").returncode == 64


def test_a_token_that_may_not_read_all_learns_it(hand: Hand, address: str, key: str) -> None:
    """Where the server says so: by `ls`, `cron ls`, `status` and `holders`, for people and in JSON,
    also if nothing is left to be shown."""
    hand.hold(f"{key}/seen")
    hand.hold(f"{key}/secret")
    below = f'consul-lock: some keys below "{key}" are hidden from this token\n'
    with hiding(address, "secret") as server:
        for command in (["ls"], ["cron", "ls"]):
            result = ask(server, *command, key)
            assert (result.returncode, result.stderr) == (0, below)
            assert "secret" not in result.stdout
            document = json.loads(ask(server, *command, key, "--json").stdout)
            assert document.pop("hidden") is True
            assert set(document) == DOCUMENT
        with Running(["ls", "--watch", key], environment(server)) as running:
            assert json.loads(running.line())["hidden"] is True
        for command in ("status", "holders"):
            result = ask(server, command, f"{key}/secret")
            said = f"consul-lock: some keys of {key}/secret are hidden from this token\n"
            assert (result.returncode, result.stderr) == (0, said)
            document = json.loads(ask(server, command, f"{key}/secret", "--json").stdout)
            assert document.pop("hidden") is True
            assert ask(server, command, f"{key}/seen").stderr == ""
