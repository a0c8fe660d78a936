"""The options that say where Consul is, and with which rights it is asked."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from consul_lock_cli.base.console import Console
from consul_lock_cli.group import adopt
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.settings.catalogue import SETTINGS
from consul_lock_cli.settings.sources import Origin
from consul_lock_cli.spec.connection import PARAMETERS, Connection


@click.command
@connection_options
@click.option("--other", default="kept")
def given(connection: Connection, other: str) -> Connection:
    """Give back what arrives."""
    assert other == "kept"
    return connection


adopt(given)


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file and no variable."""
    for setting in SETTINGS.values():
        monkeypatch.delenv(setting.variable or "", raising=False)
    monkeypatch.setenv("CONSULLOCK_CONFIG", "")


def connection_of(*arguments: str, console: Console | None = None) -> Connection:
    found: Connection = given.main([*arguments], standalone_mode=False, obj=console or Console())
    return found


def test_without_options_all_is_left_to_the_library() -> None:
    """But for the times, which have defaults of the command."""
    found = connection_of()
    times = {"connect_timeout": 3.0, "request_timeout": 10.0, "retry_for": 30.0}
    assert found.settings == {**dict.fromkeys(PARAMETERS.values()), **times}
    assert set(found.origins.values()) == {Origin("default")}


@pytest.mark.parametrize("setting, name", PARAMETERS.items())
def test_each_option_arrives_under_the_name_of_the_library(setting: str, name: str) -> None:
    """With where it comes from."""
    flags, timed = setting in ("ssl", "ssl-verify"), "time" in setting or "retry" in setting
    words = [f"--{setting}"] if flags else [f"--{setting}", "7s" if timed else "text"]
    found = connection_of(*words)
    assert found.settings[name] == (True if flags else 7.0 if timed else "text")
    assert found.origins[setting] == Origin("flag", f"--{setting}")


@pytest.mark.parametrize("flag, value", [("--no-ssl", False), ("--ssl", True)])
def test_a_pair_of_flags_can_say_no(flag: str, value: bool) -> None:
    """Which is not the same as nothing."""
    assert connection_of(flag).settings["ssl"] is value


@pytest.mark.parametrize(
    "words, better",
    [(["--token", "t"], "--token-file"), (["--http-auth", "u:p"], "CONSUL_HTTP_AUTH")],
)
def test_a_secret_on_the_command_line_is_warned_of(
    words: list[str], better: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ps` shows it; from the environment it is not warned of."""
    connection_of(*words)
    said = capsys.readouterr().err
    assert (
        f"{words[0]} was visible to every user of this machine until it was read; {better} is not"
        in said
    )
    connection_of("--token-file", "f")
    assert capsys.readouterr().err == ""


def test_a_secret_of_the_environment_is_not_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only its own process, and root, can read that."""
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "t")
    assert connection_of().origins["token"] == Origin("environment", "CONSUL_HTTP_TOKEN")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", [["--datacenter", "x"], []])
def test_the_file_that_is_named_is_read_wherever_its_option_stands(
    words: list[str], tmp_path: Path
) -> None:
    """Before the options whose values it may have."""
    file = tmp_path / "config.toml"
    file.write_text('[consul]\nhttp-addr = "h"\ndatacenter = "dc7"\n')
    found = connection_of(*words, "--config", str(file))
    assert found.settings["address"] == "h"
    assert found.settings["datacenter"] == ("x" if words else "dc7")


@click.command
@console_options
@connection_options
def talking(connection: Connection, console: Console) -> Console:
    """Give back what arrives."""
    return console


adopt(talking)


def test_the_file_is_known_before_the_form_of_messages(tmp_path: Path) -> None:
    """It may say that, which counts from the first message on."""
    file = tmp_path / "config.toml"
    file.write_text('[defaults]\nlog-format = "json"\n')
    assert talking.main(["--config", str(file)], standalone_mode=False, obj=Console()).json


@pytest.mark.parametrize("words", [["--connect-timeout", "0"], ["--request-timeout", "0s"]])
def test_a_request_needs_some_time(words: list[str]) -> None:
    """--retry-for may be 0: that is one try."""
    with pytest.raises(click.UsageError, match="more than 0"):
        connection_of(*words)
    assert connection_of("--retry-for", "0").settings["retry_for"] == 0.0
