"""Configuration files: where they are, and what is wrong with them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from consul_lock_cli.settings import config_file
from consul_lock_cli.settings.config_file import find_files
from consul_lock_cli.settings.sources import Settings
from tests.cli.isolated_home import NOWHERE, SECRET, Home
from tests.support.certificates import Certificates


def _raise(error: Exception) -> None:
    raise error


def test_the_users_file_beats_the_systems(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Setting by setting: what the user's does not say, the system's still does."""
    system = tmp_path / "system.toml"
    system.write_text('[consul]\ntoken-file = "/system"\n[defaults]\nttl = 60\nsplay = 3\n')
    home.write('[consul]\ntoken = "mine"\n[defaults]\nttl = 30\n')
    monkeypatch.setattr(config_file, "SYSTEM_FILE", system)
    files = find_files(None, {"XDG_CONFIG_HOME": str(home.folder)}, pytest.fail, pytest.fail)
    settings = Settings({}, files)
    found = {name: settings.find(name) for name in ("ttl", "splay", "token", "token-file", "wait")}
    assert {name: each and (each.value, each.origin.source) for name, each in found.items()} == {
        "ttl": (30, "user file"),
        "splay": (3, "system file"),
        "token": ("mine", "user file"),
        "token-file": None,  # the token is from a stronger source
        "wait": None,
    }


def test_the_table_of_a_key_goes_before_the_defaults(home: Home) -> None:
    """The longer pattern first; with several keys it has to fit all of them."""
    home.write(
        '[defaults]\nttl = 11\nsplay = 1\n[key."*"]\nttl = 12\n[key."jobs/*"]\nttl = 13\n'
        '[key."jobs/a/*"]\nttl = 14\nlimit = 3\n'
    )
    expected = {"other": 12.0, "jobs/b": 13.0, "jobs/a/c": 14.0, "jobs/a/c/d": 14.0}
    assert {key: home.settings("-k", key)["ttl"]["value"] for key in expected} == expected
    assert home.settings()["ttl"]["value"] == 11.0
    assert home.settings("-k", "jobs/a/c")["limit"]["value"] == 3
    assert home.settings("-k", "jobs/b")["limit"]["value"] == 1
    assert home.settings("-k", "jobs/b")["splay"]["value"] == 1.0
    settings = Settings({}, find_files(str(home.file), {}, pytest.fail, pytest.fail))
    assert settings.find("limit", ("jobs/a/c", "jobs/b")) is None
    found = settings.find("ttl", ("jobs/a/c", "jobs/b"))
    assert found is not None
    assert found.value == 13


def test_config_names_the_only_file(home: Home, tmp_path: Path) -> None:
    """Its flag beats its variable; neither leaves the user's file in force."""
    home.write("[defaults]\nttl = 20\nsplay = 1\n")
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text("[defaults]\nttl = 21\n")
    second.write_text("[defaults]\nttl = 22\n")
    named = {"CONSULLOCK_CONFIG": str(first)}
    assert home.settings(**named)["ttl"]["value"] == 21.0
    assert home.settings(**named)["splay"]["value"] == 0.0
    seen = home.settings("--config", str(second), **named)
    assert (seen["ttl"]["value"], seen["ttl"]["source"]) == (22.0, "file")
    assert seen["config"] == {"value": [str(second)], "source": "flag", "from": "--config"}
    assert home.settings("--config", "")["ttl"]["value"] == 10.0


@pytest.mark.parametrize(
    "text, why",
    [
        ("[defaults]\nttl = \n", "line 2"),
        ("[default]\nttl = 1\n", "[default] is not a known table"),
        ("ttl = 20\n", "ttl] is not a known table"),
        ("[defaults]\nlock-dela = 1\n", "did you mean lock-delay?"),
        ("[defaults]\nkey = 'a'\n", "[defaults] key: "),
        ("[defaults]\nno-guardian = true\n", "[defaults] no-guardian: "),
        ("[defaults]\nhttp-addr = 'h'\n", "it belongs into [consul]"),
        ("[defaults]\nlimit = 3\n", 'it belongs into [key."..."]'),
        ("[defaults]\nttl = 'soon'\n", '[defaults] ttl: bad duration "soon"'),
        ("[defaults]\nttl = -3\n", "[defaults] ttl: bad duration"),
        ("[defaults]\nttl = nan\n", "[defaults] ttl: bad duration"),
        ("[defaults]\nttl = true\n", "[defaults] ttl: write a value, not true or false"),
        ("[defaults]\nttl = [1, 2]\n", "[defaults] ttl: write a text, a number"),
        ("[defaults]\nttl = ['1s']\n", "[defaults] ttl: write one value"),
        ("[defaults]\nttl = 5\n", "--ttl comes from"),
        ("[defaults]\nforeground = 'yes'\n", "foreground: 'yes' is neither true nor false"),
        (
            "[defaults]\nconflict-exit-code = 256\n",
            'conflict-exit-code: bad number "256"; use 0 to 255',
        ),
        ("[consul]\nssl = 'true'\n", "[consul] ssl: 'true' is neither"),
        ("[consul]\nhttp-addr = 'h:port'\n", "[consul] http-addr: bad address 'h:port'"),
        ("[consul]\nconnect-timeout = 0\n", "more than 0"),
        ("[key.a]\nkey = 'b'\n", '[key."a"] key: '),
        ("[key]\na = 1\n", '[key."a"] is no table'),
    ],
)
def test_a_fault_of_a_file_is_78_and_is_named(home: Home, text: str, why: str) -> None:
    """With the file, the table and the name; nothing is sent, and nothing is run."""
    file = home.write(text)
    result = home.ask("run", "--dry-run", "-k", "a", "--", "true")
    assert result.returncode == 78, result.stderr
    assert result.stdout == ""
    assert str(file) in result.stderr.splitlines()[0]
    assert why in result.stderr


def test_with_a_fault_in_a_file_nothing_is_run(home: Home) -> None:
    """Not even if only the library finds it."""
    home.write("[consul]\nhttp-addr = 'h:port'\n")
    result = home.run("run", "-k", "a", "--", "echo", "started")
    assert (result.returncode, result.stdout) == (78, "")


def test_secrets_that_others_can_read_are_a_warning(home: Home, tmp_path: Path) -> None:
    """A token file, a configuration file with a secret, and a token that ps shows."""
    file = tmp_path / "token"
    file.write_text(SECRET)
    file.chmod(0o644)
    result = home.ask("config", "--token-file", str(file))
    assert f"every user of this host can read {file}" in result.stderr
    home.write(f"[consul]\nhttp-auth = 'me:{SECRET}'\n").chmod(0o644)
    result = home.ask("config")
    assert f"can read the secret in {home.file}" in result.stderr
    home.file.chmod(0o640)
    assert home.ask("config").stderr == ""
    home.file.chmod(0o644)
    assert "me:(hidden)" in result.stdout
    assert home.ask("config", "-q").stderr == ""
    home.write("[defaults]\nttl = 20\n").chmod(0o644)
    assert home.ask("config").stderr == ""
    result = home.ask("config", "--token", SECRET, CONSUL_HTTP_AUTH=f"me:{SECRET}")
    assert "--token was visible to every user" in result.stderr
    assert SECRET not in result.stdout + result.stderr


def test_what_others_can_change_is_a_warning_and_said_once(home: Home, tmp_path: Path) -> None:
    """They could have the token sent to a server of their own; the key of a client, too."""
    home.write("[defaults]\nttl = 20\n").chmod(0o646)
    result = home.ask("ls", CONSUL_HTTP_ADDR="127.0.0.1:1", CONSULLOCK_RETRY_FOR="0")
    assert result.stderr.count("warning") == 1
    assert f"every user of this host can change {home.file}; run: chmod o-w" in result.stderr
    home.file.chmod(0o664)
    assert home.ask("config").stderr == ""
    (folder := tmp_path / "certificates").mkdir()
    made = Certificates(folder)
    made.client_key.chmod(0o644)
    made.client_cert.chmod(0o644)
    own = ("--client-cert", str(made.client_cert), "--client-key", str(made.client_key))
    result = home.ask("ls", *own, CONSUL_HTTP_ADDR="https://127.0.0.1:1", CONSULLOCK_RETRY_FOR="0")
    assert result.stderr.count("warning") == 1
    assert f"every user of this host can read {made.client_key}; run: chmod o-r" in result.stderr


def test_a_home_of_somebody_else_is_no_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `su` with its environment: there may be nothing there; it is warned of."""

    def closed(path: Path, *arguments: object, **more: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", closed)
    monkeypatch.setattr(Path, "stat", closed)
    monkeypatch.setattr(config_file, "SYSTEM_FILE", home.folder / "none.toml")
    warnings: list[str] = []
    with pytest.raises(config_file.BadSetting, match=r"none\.toml: cannot be read"):
        find_files(None, {"XDG_CONFIG_HOME": str(home.folder)}, warnings.append, _raise)
    assert ["is not accessible to this user" in warning for warning in warnings] == [True]


def test_a_home_that_is_not_absolute_is_ignored(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the settings would depend on the folder in which the command is run."""
    home.write("[defaults]\nttl = 20\n")
    monkeypatch.setattr(config_file, "SYSTEM_FILE", home.folder / "none.toml")
    monkeypatch.chdir(home.folder.parent)
    for environ in ({}, {"XDG_CONFIG_HOME": home.folder.name}, {"HOME": "."}):
        assert find_files(None, environ, pytest.fail, pytest.fail) == []
    there = find_files(None, {"XDG_CONFIG_HOME": str(home.folder)}, pytest.fail, pytest.fail)
    assert [file.source for file in there] == ["user file"]


def test_no_file_costs_no_parser() -> None:
    """A start without a file does not import the reader of TOML."""
    program = (
        "import sys; from consul_lock_cli.main import main, cli\n"
        "from consul_lock_cli import main as m\n"
        "m.leave = lambda code: print('tomllib' in sys.modules)\n"
        "main(['run', '--config', '', '-k', 'a', '--retry-for', '0', '--', 'true'])"
    )
    result = Home(Path("/nonexistent")).run(
        "-c", program, address=NOWHERE, prefix=(sys.executable,)
    )
    assert result.stdout == "False\n"
