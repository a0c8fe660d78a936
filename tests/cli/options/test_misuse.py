"""Misuse that is refused before anything is sent: exit code 64, one line, and a hint.

Which values each option takes, and which of them contradict each other, is in the files beside
this one and in spec/.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.command import COMMAND, PATIENCE, environment
from tests.cli.in_process import Result, in_process

# Nobody listens there: a command that asks Consul ends with 69 and not 64.
_NOWHERE = "127.0.0.1:1"

# Of `cron run`, whose other options are those of `run`.
_NO_TIMETABLES = [
    "", "--every 0", "--every -1", "--every soon", "--every 2000d", "--every 1h --slot x",
    "--every 1h --schedule @daily", "--every 1h --offset 2h", "--slot x --offset 1s",
    "--every 1h --early 1h", "--slot x --early 1s", "--every 1h --timezone UTC",
    "--every 1h -w 1s", "--slot x --retry-crashed 1 --overlap allow", "--slot x --overlap maybe",
    "--slot x --fail-open", "--slot x --history 201", "--slot x --retry-failed -1",
    "--slot x --skip-exit-code 256", "--slot x --kill-after 60s",
]  # fmt: skip


def consul_lock(*arguments: str, **more: str) -> Result:
    """Run it to its end."""
    return in_process(*arguments, env=environment(_NOWHERE, **more))


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"], ["lock", "k", "true"], ["release", "k"], ["help", "nonsense"],
        ["run"], ["run", "-k", "k"], ["run", "true"],
        ["run", "k", "true", "--"],
        ["run", "--", "k", "--", "true"],
        ["run", "-n", "3", "--", "true"],
        ["run", "a//b", "--", "true"],
        ["run", "-k", "k", "--nonsense", "true"],
        ["run", "-k", "k", "-w", "-1", "true"],
        ["run", "-k", "k", "-w", "nan", "true"],
        ["run", "-k", "k", "-w", "1e400", "true"],
        ["run", "-k", "k", "-E", "256", "true"],
        ["run", "-k", "k", "-E", "-1", "true"],
        ["run", "-k", "k", "--ttl", "5s", "true"],
        ["run", "-k", "k", "--ttl", "25h", "true"],
        ["run", "-k", "k", "--lock-delay", "61s", "true"],
        ["run", "-k", "", "true"],
        ["run", "-k", "a//b", "true"],
        ["run", "-k", "/a", "true"],
        ["run", "-k", "a/", "true"],
        ["run", "-k", "..", "true"],
        ["run", "-k", "a\nb", "true"],
        ["run", "-k", "x" * 600, "true"],
        ["run", "-k", "k", "--limit", "0", "true"],
        ["run", "-k", "k", "-c", "a", "b"],
        ["run", "-k", "k", "--hold", "true"],
        ["run", "--hold"],
        ["run", "-k", "k", "-s", "-x", "true"],
        ["run", "-k", "k", "--limit", "2", "--tree", "true"],
        ["run", "-k", "a", "-k", "b", "-s", "true"],
        ["run", "-k", "a", "-k", "a", "true"],
        ["run", "-k", "a", "-k", "a/b", "true"],
        ["run", "-k", " a", "true"],
        ["run", "-k", "k", "--heartbeat", "100ms", "true"],
        ["run", "-k", "k", "--meta", "nothing", "true"],
        ["run", "-k", "k", "--meta", "=x", "true"],
        ["run", "-k", "k", "--status-file", "/no/such/folder/file", "true"],
        ["run", "-k", "k", "--status-file", "/tmp/", "true"],
        ["run", "-k", "k", "--status-fd", "99", "true"],
        ["run", "-k", "k", "--unavailable-exit-code", "256", "true"],
        ["run", "-k", "k", "--splay", "-1", "true"],
        ["run", "-k", "k", "--log-format", "xml", "true"],
        ["leader", "true"],
        ["cron", "run", "--name", "k", "--every", "1h"],
        ["cron", "run", "--slot", "x", "true"],
        ["cron", "run", "--name", "a//b", "--slot", "x", "true"],
        ["cron", "run", "--name", "k", "--slot", "", "true"],
        *(["cron", "run", "--name", "k", *words.split(), "true"] for words in _NO_TIMETABLES),
        ["version", "--nonsense"],
    ],
    ids=lambda arguments: " ".join(arguments)[:40] or "nothing",
)  # fmt: skip
def test_misuse_is_64_with_one_line_and_a_hint(arguments: list[str]) -> None:
    """Nothing is asked of Consul, nothing is run, and there is no traceback."""
    result = consul_lock(*arguments)
    assert result.returncode == 64
    assert result.stdout == ""
    what, hint = result.stderr.splitlines()
    assert what.startswith("consul-lock: ")
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "-k", "k", "--meta", "x=" + 3000 * "x"],
        ["cron", "run", "--name", "k", "--slot", "a\nb"],
        ["cron", "run", "--name", "k", "--slot", "x", "--max-skew", "30d"],
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_a_refusal_by_the_library_alone_is_64_too(arguments: list[str]) -> None:
    """By then there is a process for the command, which never becomes the command."""
    result = subprocess.run(
        [*COMMAND, *arguments, "echo", "started"],
        env=environment(_NOWHERE),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (result.returncode, result.stdout) == (64, "")
    what, hint = result.stderr.splitlines()
    assert what.startswith("consul-lock: ")
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    "arguments, code",
    [
        (["run", "-k", "a//b", "-q", "true"], 64),
        (["run", "--nonsense", "--quiet", "true"], 64),
        (["run", "-q"], 64),
        (["run", "-qk", "k", "--retry-for", "0", "--dry-run", "true"], 69),
        (["run", "-qk", "k", "--token-file", "/no/such", "--dry-run", "true"], 78),
        (["run", "-qk", "k", "--config", "/no/such", "true"], 78),
    ],
)
def test_quiet_leaves_the_hint_out_and_nothing_else(arguments: list[str], code: int) -> None:
    """-q holds wherever it stands before the command; what failed is said all the same."""
    result = consul_lock(*arguments)
    assert (result.returncode, result.stdout) == (code, "")
    (what,) = result.stderr.splitlines()
    assert what.startswith("consul-lock: ")


def test_a_quiet_command_does_not_make_consul_lock_quiet() -> None:
    """Words after -- are not options of consul-lock."""
    assert "\nhint: " in consul_lock("run", "--nonsense", "--", "grep", "-q").stderr


def test_times_that_contradict_each_other_are_named() -> None:
    """With these the command could still run when somebody else has the lock."""
    result = consul_lock("run", "-k", "k", "--kill-after", "60s", "--lock-delay", "15s", "true")
    assert result.returncode == 64
    assert "--kill-after 1m00s" in result.stderr
    assert "--lock-delay 15s" in result.stderr


def test_a_lock_delay_of_zero_is_measured_by_the_ttl() -> None:
    """And it is warned of, as it does not cover a destroyed session."""
    arguments = ["run", "--dry-run", "-k", "k", "--lock-delay", "0", "--ttl", "30s"]
    arguments += ["--retry-for", "0", "true"]
    result = consul_lock(*arguments)
    assert result.returncode == 69
    assert "warning: --lock-delay 0" in result.stderr
    arguments[8:10] = ["--kill-after", "20s"]
    assert consul_lock(*arguments).returncode == 64


@pytest.mark.parametrize(
    "name, meant",
    [("lock", "run --key"), ("acquire", "run --key"), ("unlock", "break"), ("release", "break")],
)
def test_a_command_of_another_tool_leads_to_the_one_that_is_meant(name: str, meant: str) -> None:
    """The hint is a command line to go on with."""
    result = consul_lock(name, "k")
    assert (result.returncode, result.stdout) == (64, "")
    assert f"there is no command '{name}'\nhint: " in result.stderr
    assert f"'consul-lock {meant} " in result.stderr


_UNREACHABLE = ("--retry-for", "0", "--dry-run")


@pytest.mark.parametrize("option", ["-k", "--key", "--name"])
@pytest.mark.parametrize("command", [["run"], ["cron", "run", "--slot", "x"]])
def test_key_and_name_are_one_option(option: str, command: list[str]) -> None:
    """Of locks and of cron jobs."""
    result = consul_lock(*command, option, "backup", *_UNREACHABLE, "--", "true")
    assert result.returncode == 69


@pytest.mark.parametrize(
    "words",
    [["backup", "--", "true"], ["-w", "5m", "backup", "--", "true"], ["--hold", "backup", "--"]],
    ids=" ".join,
)
def test_the_name_may_come_first(words: list[str]) -> None:
    """As with flock and `consul lock`, if -- follows directly: nothing is missing then."""
    assert consul_lock("run", *_UNREACHABLE, *words).returncode == 69


def test_a_word_before_the_two_dashes_is_the_command_if_there_is_a_key() -> None:
    """So a command line that was right stays what it was."""
    result = consul_lock("run", "-k", "k", "--fail-open", *_UNREACHABLE, "env", "--", "x")
    assert "env -- x" in result.stdout


@pytest.mark.parametrize("arguments", [["run", "-n", "3", "k", "true"], ["run", "-kk", "-n", "3"]])
def test_the_n_of_consul_lock_is_no_silent_lock_of_one(arguments: list[str]) -> None:
    """`consul lock -n 3 KEY` is a semaphore; here -n is --nonblock."""
    result = consul_lock(*arguments)
    assert result.returncode == 64
    assert "for a semaphore use --limit 3" in result.stderr


def test_waiting_for_an_ancestor_is_refused() -> None:
    """The wait would be a deadlock; -n, which does not wait, goes on to Consul."""
    held = {"CONSUL_LOCK_HELD": "true", "CONSUL_LOCK_KEY": "k", "CONSUL_LOCK_SESSION": "s1"}
    result = consul_lock("run", "-k", "k", "true", **held)
    assert result.returncode == 64
    assert "would deadlock with an ancestor of this process (session s1)" in result.stderr
    on = ("--retry-for", "0", "--dry-run", "true")
    assert consul_lock("run", "-k", "other", *on, **held).returncode == 69
    assert consul_lock("run", "-nk", "k", *on, **held).returncode == 69


# Help and unknown options of every command are in test_startup.
_LIGHT = """
import os, sys
import consul_lock_cli.main as m
os._exit = sys.exit
light = {f"consul_lock.{name}" for name in ("errors", "limits", "names", "_version")}
for arguments in LINES:
    try:
        m.main(arguments)
    except SystemExit:
        found = {n for n in sys.modules if n == "consul" or n.startswith("consul_lock.")} - light
        assert not found, (arguments, found)
"""


def test_no_client_is_loaded_before_consul_is_asked() -> None:
    """Misuse and the version must be quick; limits and names suffice for it."""
    lines = [["run", "-k", "a//b", "x"], ["run", "-k", " a", "x"], ["version"],
             ["cron", "run", "--name", "k", "--every", "0", "x"]]  # fmt: skip
    command = [sys.executable, "-c", f"LINES = {lines}\n{_LIGHT}"]
    result = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (result.returncode, "Traceback" in result.stderr) == (0, False), result.stderr


def test_version_is_data() -> None:
    """On stdout, with --json as one object."""
    assert consul_lock("version").stdout.startswith("consul-lock ")
    assert consul_lock("version", "--json").stdout.startswith('{"v": 1, "version": "')
