"""Commands that are plugins: whatever goes wrong is one line on stdout, and exit code 3."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from consul_lock.errors import (
    ConfigError,
    Conflict,
    PermissionDenied,
    Refused,
    Unavailable,
)
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.check.plugin_command import (
    PluginCommand,
    checked_item,
    conclude,
    json_option,
    patient_client,
)
from consul_lock_cli.check.plugin_line import Metric
from consul_lock_cli.check.state import Problem, State, Verdict
from consul_lock_cli.output import data_command
from consul_lock_cli.settings.sources import Origin
from consul_lock_cli.spec.connection import Connection
from tests.cli.check.plugin_line_reader import read
from tests.cli.isolated_home import NOWHERE, Home

_COMMANDS = (("check", "jobs/a"), ("cron", "check", "jobs/a"), ("cron", "check"))


def _run(act: Callable[[], Any], *arguments: str) -> Result:
    @click.command(cls=PluginCommand)
    @json_option
    def command(as_json: bool) -> Any:
        return act()

    return CliRunner().invoke(command, arguments, standalone_mode=False)


def _raise(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("nobody answers", kind="refused", uncertain=False),
        PermissionDenied("denied", rule='key_prefix "a/" { policy = "read" }'),
        Conflict("something else", kind="cron-record", key="a/.cron", flags=0),
        ConfigError("a bad setting", kind="value"),
        Refused("no"),
        OSError(errno.EMFILE, "too many files"),
        MemoryError("no room"),
        RuntimeError("can't start new thread"),
        ZeroDivisionError("a bug\nhere|"),
        click.UsageError("wrong"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_each_error_is_unknown_with_one_line(error: Exception) -> None:
    """Whatever code another command has for it: 64 to 78 mean nothing to a monitoring system."""
    result = _run(_raise(error))
    assert result.return_value == State.UNKNOWN
    status, text, numbers = read(result.stdout.removesuffix("\n"))
    assert (status, numbers) == ("UNKNOWN", [])
    assert text
    assert "Traceback" not in result.output


def test_a_hint_is_on_stderr_and_harmless() -> None:
    """It may quote what somebody has written."""
    result = _run(_raise(Misuse("wrong", "write \x1b[2J")))
    assert (result.stdout, result.stderr) == ("UNKNOWN - wrong\n", "hint: write \\x1b[2J\n")


def test_with_json_an_error_is_json() -> None:
    """With the same code and text."""
    result = _run(_raise(Unavailable("gone", kind="refused", uncertain=False)), "--json")
    document = json.loads(result.stdout)
    assert result.return_value == 3
    assert document["items"] == []
    assert document["error"] == {"code": 3, "message": document["text"]}
    assert (document["status"], document["code"]) == ("UNKNOWN", 3)


@pytest.mark.parametrize("words", _COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    "wrong",
    [
        ["--no-such-option"], ["--retry-for"], ["--retry-for", "soon"], ["--json=yes"],
        ["--max-age", "--max-failures"], ["a//b"], ["", "", ""], ["--http-addr", "ftp://x"],
        ["--token", "a", "--token-file", "b"], ["--config", "/no/such/file"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_option_is_unknown(home: Home, words: tuple[str, ...], wrong: list[str]) -> None:
    """Not 64, and on stdout, where a monitoring system looks; the hint is on stderr."""
    result = home.ask(*words, *wrong, address=NOWHERE, CONSULLOCK_RETRY_FOR="0")
    assert result.returncode == 3
    assert read(result.stdout.removesuffix("\n"))[0] == "UNKNOWN"
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize("words", _COMMANDS, ids=" ".join)
def test_wrong_surroundings_are_unknown(home: Home, words: tuple[str, ...]) -> None:
    """A file or variable that cannot be read is named; Consul that is not there is waited for."""
    home.write("[consul]\nretry-for = 'soon'\n")
    result = home.ask(*words, address=NOWHERE)
    assert result.returncode == 3
    assert str(home.file) in result.stdout
    home.file.unlink()
    result = home.ask(*words, address=NOWHERE, CONSULLOCK_RETRY_FOR="later")
    assert (result.returncode, "CONSULLOCK_RETRY_FOR" in result.stdout) == (3, True)
    result = home.ask(*words, "--retry-for", "0", address=NOWHERE)
    assert (result.returncode, result.stdout[:10]) == (3, "UNKNOWN - ")
    assert "hint: is the agent running?" in result.stderr
    quiet = home.ask(*words, "-q", "--retry-for", "0", address=NOWHERE)
    assert (quiet.stdout, quiet.stderr) == (result.stdout, "")
    quiet = home.ask(*words, "-q", "--wrong", address=NOWHERE)
    assert (quiet.returncode, quiet.stderr) == (3, "")


@pytest.mark.parametrize(
    "words, limit",
    [
        (("cron", "check"), "--max-failures"),
        (("check", "k"), "--max-waiters"),
        (("check", "k"), "--max-age"),
        (("cron", "check"), "--grace"),
    ],
)
def test_a_limit_that_is_none_is_unknown(home: Home, words: tuple[str, ...], limit: str) -> None:
    """It names the option."""
    result = home.ask(*words, limit, "-1", address=NOWHERE)
    assert (result.returncode, limit in result.stdout) == (3, True)


def test_other_commands_keep_their_codes(home: Home) -> None:
    """And so do the words around these two."""
    for words in (["cron", "ls", "--wrong"], ["status"], ["cron", "chek"], ["chek"]):
        assert home.ask(*words, address=NOWHERE).returncode == ExitCode.USAGE


@pytest.mark.parametrize("words", _COMMANDS, ids=" ".join)
def test_the_help_names_the_four_codes(home: Home, words: tuple[str, ...]) -> None:
    """It is asked for, so it is no error."""
    result = home.ask(*words, "--help")
    assert result.returncode == 0
    for text in ("0 OK", "1 WARNING", "2 CRITICAL", "3 UNKNOWN"):
        assert text in " ".join(result.stdout.split())


class _Broken(PluginCommand):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        raise ZeroDivisionError


def test_a_shell_that_completes_the_line_gets_no_line_of_a_plugin(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It would take it for a completion."""
    with pytest.raises(ZeroDivisionError):
        _Broken("c").make_context("c", [], resilient_parsing=True)
    assert capsys.readouterr().out == ""
    with pytest.raises(click.exceptions.Exit):
        _Broken("c").make_context("c", [])
    assert capsys.readouterr().out.startswith("UNKNOWN - ")


@pytest.mark.parametrize(
    "error, signum",
    [(KeyboardInterrupt(), signal.SIGINT), (BrokenPipeError(), signal.SIGPIPE)],
)
def test_a_signal_and_a_closed_pipe_end_it_as_any_program(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, signum: int
) -> None:
    """They are no answer."""
    seen: list[int] = []

    def die(number: int) -> None:
        seen.append(number)
        raise SystemExit(1)

    monkeypatch.setattr(data_command, "die_by", die)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    _run(_raise(error))
    assert seen == [signum]


def test_what_was_found_is_printed_as_a_line_or_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is the state."""
    verdict = Verdict("a", (Problem(State.WARNING, "odd"),), "")
    item = checked_item({"name": "a"}, verdict)
    assert item == {
        "name": "a", "status": "WARNING", "code": 1,
        "problems": [{"status": "WARNING", "code": 1, "text": "odd"}],
    }  # fmt: skip
    found = (State.WARNING, "a: odd\n", [Metric("jobs", 1)], [item])
    assert conclude(*found, as_json=False) == 1
    assert capsys.readouterr().out == "WARNING - a: odd\\n | 'jobs'=1;;;0\n"
    assert conclude(*found, as_json=True, hidden=True) == 1
    assert json.loads(capsys.readouterr().out) == {
        "v": 1, "items": [item], "hidden": True, "status": "WARNING", "code": 1,
        "text": "a: odd\\n",
    }  # fmt: skip


@pytest.mark.parametrize(
    "origins, seconds", [({}, 5.0), ({"retry-for": Origin("flag", "--retry-for")}, None)]
)
def test_consul_is_tried_for_less_time_than_a_plugin_has(
    monkeypatch: pytest.MonkeyPatch, origins: dict[str, Origin], seconds: float | None
) -> None:
    """Unless somebody says for how long."""
    asked: list[Any] = []
    monkeypatch.setattr(Connection, "client", lambda self, _, **more: asked.append(more))
    patient_client(Connection({}, origins), None)  # type: ignore[arg-type] # it is passed on
    assert [more.get("retry_for") for more in asked] == [seconds]


def test_output_that_cannot_be_written_is_unknown_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code is what is left to say it."""

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(data_command.Output, "text", full)
    assert _run(_raise(Refused("no"))).return_value == 3
