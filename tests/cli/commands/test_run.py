"""`consul-lock run`: the command under the lock, and what is left afterwards."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.process.descendants import process_of
from tests.cli.command import COMMAND, Running, alive, consul, environment
from tests.cli.conftest import Result
from tests.support.waiting import eventually

LockedRun = Callable[..., Result]
Start = Callable[..., Running]


def test_success_is_silent_and_leaves_nothing(
    start: Start, address: str, key: str, sessions: Callable[[int], list[str]]
) -> None:
    """No word, no key and no session."""
    running = start("--", "true")
    assert running.wait() == 0
    assert running.line() == ""
    assert running.errors() == ""
    assert consul(address, "GET", f"/v1/kv/{key}?recurse") is None
    assert sessions(running.pid) == []


@pytest.mark.parametrize("command", ["run", "leader"])
def test_hooks_are_run_around_the_command_and_after_the_lock(
    address: str, key: str, command: str
) -> None:
    """When the last one is run the lock is free, and its command may take it."""
    again = f"{' '.join(COMMAND)} run -n -k $CONSUL_LOCK_KEY -- echo free"
    hooks = ("--on-acquire", "echo $CONSUL_LOCK_HELD", "--on-failure", again)
    done = subprocess.run(
        [*COMMAND, command, "-k", key, *hooks, "--", "sh", "-c", "echo works >&2; exit 3"],
        env=environment(address), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "true\nworks\nfree\n"


def test_a_hook_under_the_lock_is_killed_with_consul_lock(start: Start, tmp_path: Path) -> None:
    """By its guardian: nobody else would end it."""
    written = tmp_path / "pid"
    hook = f"echo $$ >{written}.new; mv {written}.new {written}; exec sleep 600"
    running = start("--on-acquire", hook, "--hook-timeout", "10m", "--", "echo", "ran")
    eventually(written.exists)
    running.send(signal.SIGKILL)
    eventually(lambda: not alive(int(written.read_text())))
    assert running.line() == ""


def test_a_hook_under_the_lock_does_not_outlive_the_lease_of_a_stopped_consul_lock(
    start: Start, address: str, key: str, tmp_path: Path
) -> None:
    """Nothing is renewed then.  Its guardian ends the hook while nobody else can have the lock."""
    written = tmp_path / "pid"
    hook = f"echo $$ >{written}.new; mv {written}.new {written}; exec sleep 600"
    times = ("--lock-delay", "2s", "--kill-after", "1s", "--hook-timeout", "10m")
    running = start("--on-acquire", hook, *times, "--", "echo", "ran")
    eventually(written.exists)
    running.send(signal.SIGSTOP)
    eventually(lambda: not alive(int(written.read_text())))
    process = process_of(running.pid)
    assert process is not None
    assert process.state == "T"
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    assert entry["Session"]
    running.send(signal.SIGCONT)
    assert running.wait() == ExitCode.LOST
    assert running.line() == ""
    assert "--on-acquire died of KILL" in running.errors()


def test_a_hook_says_that_the_lock_is_busy(holder: Running, locked_run: LockedRun) -> None:
    """The command was not run, so nothing has failed."""
    hooks = ("--on-busy", "echo busy", "--on-failure", "echo bad", "--on-success", "echo good")
    done = locked_run("-n", *hooks, "--", "true")
    assert done.returncode == 75
    assert done.stderr.splitlines()[-1] == "busy"


@pytest.mark.parametrize(
    "command, code",
    [
        (["sh", "-c", "exit 42"], 42),
        (["sh", "-c", "kill -9 $$"], -9),
        (["/no/such"], 127),
    ],
)
def test_the_exit_code_is_the_commands_and_the_lock_is_free(
    locked_run: LockedRun, command: list[str], code: int
) -> None:
    """At once: the next one does not wait for a lock-delay."""
    assert locked_run("--", *command).returncode == code
    assert locked_run("-n", "--", "true").returncode == 0


def test_options_end_at_the_command(locked_run: LockedRun) -> None:
    """Whatever follows belongs to it, with and without --."""
    assert "Usage: ls" in locked_run("--", "ls", "--help").stdout
    assert locked_run("echo", "-n", "-w", "x").stdout == "-w x"


def test_the_command_knows_its_lock(locked_run: LockedRun, address: str, key: str) -> None:
    """And the token is the ModifyIndex of the key, higher than before."""
    seen = dict(
        line.split("=", 1)
        for line in locked_run("--", "env").stdout.splitlines()
        if line.startswith("CONSUL_LOCK_")
    )
    session = seen.pop("CONSUL_LOCK_SESSION")
    assert session.count("-") == 4
    (held,) = json.loads(seen.pop("CONSUL_LOCK_CHAIN"))
    assert (held["keys"], held["mode"], held["session"]) == ([key], "lock", session)
    token = int(seen.pop("CONSUL_LOCK_TOKEN"))
    assert seen.pop("CONSUL_LOCK_ACQUIRED_AT").endswith("Z")
    assert seen == {
        "CONSUL_LOCK_HELD": "true",
        "CONSUL_LOCK_KEY": key,
        "CONSUL_LOCK_MODE": "lock",
        "CONSUL_LOCK_LIMIT": "1",
        "CONSUL_LOCK_TTL": "10",
    }
    later = locked_run("--", "sh", "-c", "echo $CONSUL_LOCK_TOKEN").stdout
    assert int(later) > token


def test_a_token_that_came_as_an_option_is_not_passed_on(
    locked_run: LockedRun, tmp_path: Path
) -> None:
    """Nor is it in any output; one that is in the environment stays there."""
    secret = tmp_path / "token"
    secret.write_text("3d6f0e8c-secret\n")
    secret.chmod(0o600)
    result = locked_run("-vv", "--token-file", str(secret), "--", "env")
    assert result.returncode == 0
    assert "3d6f0e8c" not in result.stdout + result.stderr
    result = locked_run("-vv", "--token", "3d6f0e8c", "--", "env")
    assert "3d6f0e8c" not in result.stdout + result.stderr
    assert "warning: --token was visible" in result.stderr
    assert "CONSUL_HTTP_TOKEN=t" in locked_run("--", "env", CONSUL_HTTP_TOKEN="t").stdout


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_arguments_reach_the_command_byte_by_byte(address: str, key: str, locale: str) -> None:
    """Also those that are no UTF-8."""
    odd = [b"\xff\xfe", "é".encode(), b"a b", b"", b"--"]
    result = subprocess.run(
        [*COMMAND, "run", "--key", key, "--", "printf", "%s\\n", *odd],
        env=environment(address, LC_ALL=locale),
        capture_output=True,
        check=True,
    )
    assert result.stdout == b"".join(each + b"\n" for each in odd)


@pytest.mark.parametrize("name", ["a b", "a%2Fb", "a?b#c", "é"])
def test_odd_names_are_kept_as_they_are(address: str, key: str, name: str) -> None:
    """Whatever an URL makes of their characters."""
    arguments = ["run", "--key", f"{key}/{name}", "--", "sh", "-c", "echo $CONSUL_LOCK_KEY"]
    with Running(arguments, environment(address)) as running:
        assert running.line() == f"{key}/{name}"
        assert running.wait() == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_matter(address: str, key: str, closed: str, tmp_path: Path) -> None:
    """The command runs, and pipes of consul-lock do not take the places of the streams for good."""
    mark = tmp_path / "mark"
    script = f'exec "$@" {closed}'
    arguments = [*COMMAND, "run", "-k", key, "--", "touch", str(mark)]
    command = ["sh", "-c", script, "sh", *arguments]
    assert subprocess.run(command, env=environment(address), check=False).returncode == 0
    assert mark.exists()


def test_the_log_of_a_wait_is_printed_on_request(locked_run: LockedRun) -> None:
    """-v: acquired, ended, released."""
    words = [line.split()[1] for line in locked_run("-v", "--", "true").stderr.splitlines()]
    assert words == ["acquired", "command", "released"]


def test_a_plain_value_at_the_key_is_never_overwritten(
    locked_run: LockedRun, address: str, key: str
) -> None:
    """It is somebody else's data: 65, and what it begins with, but no escape sequence."""
    value = "hello \x1b[31m" + 40 * "o"
    consul(address, "PUT", f"/v1/kv/{key}/.lock", value)
    result = locked_run("--", "true")
    assert result.returncode == 65
    quoted = f'"hello \\x1b[31m{29 * "o"}"... of 51 bytes'
    assert f"not a lock (value {quoted}, flags 0) (65)" in result.stderr
    (found,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    assert base64.b64decode(found["Value"]).decode() == value


@pytest.mark.parametrize(
    "more, code",
    [
        ({"CONSUL_HTTP_ADDR": "127.0.0.1:1"}, 69),
        ({"CONSUL_HTTP_SSL": "maybe"}, 78),
        ({"CONSUL_HTTP_TOKEN_FILE": "/no/such"}, 78),
        ({"CONSUL_CLIENT_CERT": "/tmp/cert"}, 78),
    ],
)
def test_without_consul_the_command_never_starts(
    locked_run: LockedRun, more: dict[str, str], code: int
) -> None:
    """And there is one line that says why, and no traceback."""
    result = locked_run("--retry-for", "0", "--", "echo", "started", **more)
    assert result.returncode == code
    assert result.stdout == ""
    assert result.stderr.startswith("consul-lock: ")
    assert "Traceback" not in result.stderr


def test_vv_shows_where_an_error_comes_from(locked_run: LockedRun) -> None:
    """For bug reports."""
    result = locked_run("-vv", "--retry-for", "0", "--http-addr", "127.0.0.1:1", "--", "true")
    assert result.returncode == 69
    assert "Traceback" in result.stderr


def test_an_option_beats_the_environment(locked_run: LockedRun, address: str) -> None:
    """As with every tool of Consul."""
    result = locked_run("--http-addr", address, "--", "true", CONSUL_HTTP_ADDR="127.0.0.1:1")
    assert result.returncode == 0


def test_stdin_is_the_commands(address: str, key: str) -> None:
    """consul-lock reads nothing of it."""
    result = subprocess.run(
        [*COMMAND, "run", "-k", key, "cat"],
        env=environment(address),
        input=b"typed",
        capture_output=True,
        check=True,
    )
    assert result.stdout == b"typed"


def test_the_lock_is_released_only_when_the_group_is_gone(
    start: Start, locked_run: LockedRun, address: str, key: str
) -> None:
    """A grandchild that ignores TERM still works under the lock."""
    program = (
        "import os, signal, time\n"
        "ready, go = os.pipe()\n"
        "if os.fork(): os.close(go); os.read(ready, 1); os._exit(3)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True)\n"
        "os.close(go); time.sleep(600)\n"
    )
    running = start("--kill-after", "5", "--", sys.executable, "-c", program)
    grandchild = int(running.line())
    # To start a command for this takes longer than the grandchild has, on a busy machine.
    (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
    assert entry["Session"]
    assert alive(grandchild)
    assert running.wait() == 3
    assert not alive(grandchild)
    assert locked_run("-n", "--", "true").returncode == 0


def test_term_reaches_the_command_under_the_lock(start: Start, locked_run: LockedRun) -> None:
    """It says itself how it went, and then the lock is free."""
    running = start(
        "--", "sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    )
    assert running.line() == "ready"
    running.send(signal.SIGTERM)
    assert running.wait() == 7
    assert locked_run("-n", "--", "true").returncode == 0


@pytest.mark.parametrize("more, shown", [((), "sh"), (("--publish-command",), "sh -c ")])
def test_others_see_the_arguments_of_the_command_only_if_it_publishes_them(
    locked_run: LockedRun, key: str, more: tuple[str, ...], shown: str
) -> None:
    """There may be secrets among them."""
    ask = f"{sys.executable} -m consul_lock_cli status {key} --format '{{holder.command}}'"
    seen = locked_run(*more, "--", "sh", "-c", ask).stdout.rstrip("\n")
    assert seen.startswith(shown)
    assert ("consul_lock_cli status" in seen) == bool(more)
