"""A flag beats the environment, that the user's file, that the system's, that defaults.

What the forms of an address mean (`h`, `h:1`, `[::1]:8500`, `unix:///x.sock` and so on) is shown
by tests/unit/config/test_address.py, as the library reads them; and what becomes of an address
and of ssl that come from two sources by tests/cli/spec/test_connection.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.isolated_home import NOWHERE, SECRET, Home


def test_each_source_beats_the_ones_below_it(home: Home) -> None:
    """Value and source are those of the strongest that says anything."""
    seen = home.settings()["lock-delay"]
    assert seen == {"value": 30.0, "source": "default", "from": None}
    file = home.write('[defaults]\nlock_delay = 20\nttl = "1m"\n')
    assert home.settings()["lock-delay"] == {
        "value": 20.0,
        "source": "user file",
        "from": f"{file}: [defaults] lock-delay",
    }
    assert home.settings()["ttl"]["value"] == 60.0
    seen = home.settings(CONSULLOCK_LOCK_DELAY="25s")["lock-delay"]
    assert seen == {"value": 25.0, "source": "environment", "from": "CONSULLOCK_LOCK_DELAY"}
    seen = home.settings(CONSULLOCK_LOCK_DELAY="")["lock-delay"]
    assert seen["value"] == 20.0, "an empty variable counts as not set"
    home.write('[consul]\nretry-for = "1s"\n')
    assert home.settings(CONSULLOCK_RETRY_FOR="2s")["retry-for"]["value"] == 2.0
    seen = home.settings("--retry-for", "3s", CONSULLOCK_RETRY_FOR="2s")["retry-for"]
    assert seen == {"value": 3.0, "source": "flag", "from": "--retry-for"}


@pytest.mark.parametrize(
    "variable, text, why",
    [
        ("CONSUL_HTTP_SSL", "maybe", "'maybe' is neither true nor false"),
        ("CONSUL_HTTP_SSL_VERIFY", "yes", "'yes' is neither true nor false"),
        ("CONSUL_HTTP_ADDR", "h:port", "bad address 'h:port'"),
        ("CONSUL_HTTP_TOKEN_FILE", "/no/such", "No such file"),
        ("CONSUL_HTTP_TOKEN_FILE", "/tmp", "is a directory"),
        ("CONSUL_HTTP_AUTH", f":{SECRET}", "there is no user"),
        ("CONSULLOCK_TTL", "junk", 'bad duration "junk"'),
        ("CONSULLOCK_TTL", "5s", "Consul takes 10s to 24h"),
        ("CONSULLOCK_KILL_AFTER", "60s", "is too long for --lock-delay"),
        ("CONSULLOCK_ON_LOST", "pray", "pray"),
        ("CONSULLOCK_LOG_FORMAT", "xml", "xml"),
        ("CONSULLOCK_FOREGROUND", "on", "'on' is neither true nor false"),
        ("CONSULLOCK_CONNECT_TIMEOUT", "0", "more than 0"),
        ("CONSULLOCK_CONFIG", "/no/such.toml", "there is no such file"),
        ("CONSULLOCK_CONFIG", "/tmp", "Is a directory"),
    ],
)
def test_a_bad_variable_is_78_and_is_named(home: Home, variable: str, text: str, why: str) -> None:
    """Junk is refused, never guessed, and no secret is repeated."""
    result = home.ask("run", "--dry-run", "-k", "a", "--", "true", **{variable: text})
    assert result.returncode == 78, result.stderr
    assert result.stdout == ""
    first = result.stderr.splitlines()[0]
    assert (text if "CONFIG" in variable else variable) in first
    assert why in first
    assert SECRET not in result.stderr


def test_a_flag_mends_a_bad_variable(home: Home) -> None:
    """It is not even looked at; and what a flag contradicts is misuse, with both named."""
    bad = {"CONSULLOCK_TTL": "junk", "CONSUL_HTTP_SSL": "maybe"}
    arguments = ("--ttl", "20s", "--no-ssl", "--retry-for", "0", "--dry-run", "--", "true")
    assert home.ask("run", "-k", "a", *arguments, address=NOWHERE, **bad).returncode == 69
    result = home.ask("run", "-k", "a", "--lock-delay", "10s", "true", CONSULLOCK_KILL_AFTER="60s")
    assert result.returncode == 64
    assert "--kill-after comes from CONSULLOCK_KILL_AFTER" in result.stderr


TOKEN_ORDER = [
    (("--token-file", "{file}", "--token", "flag"), {"CONSUL_HTTP_TOKEN": "env"}, "token-file"),
    (("--token", "flag"), {"CONSUL_HTTP_TOKEN_FILE": "{file}"}, "token"),
    ((), {"CONSUL_HTTP_TOKEN_FILE": "{file}", "CONSUL_HTTP_TOKEN": "env"}, "token-file"),
    ((), {"CONSUL_HTTP_TOKEN": "env"}, "token"),
]


@pytest.mark.parametrize("arguments, variables, winner", TOKEN_ORDER)
@pytest.mark.parametrize("in_file", ["token = 'x'", "token-file = '/no/such'"])
def test_of_the_tokens_the_strongest_counts(
    home: Home, tmp_path: Path, arguments: tuple[str, ...], variables: dict[str, str],
    winner: str, in_file: str,
) -> None:  # fmt: skip
    """--token-file, --token, CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_TOKEN; all before the file's."""
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    file.chmod(0o600)
    home.write(f"[consul]\n{in_file}\n")
    given = [each.format(file=file) for each in arguments]
    seen = home.settings(*given, **{k: v.format(file=file) for k, v in variables.items()})
    used = {name: seen[name]["value"] for name in ("token", "token-file")}
    assert used == {
        "token": "(hidden)" if winner == "token" else None,
        "token-file": str(file) if winner == "token-file" else None,
    }


def test_a_token_of_a_file_or_a_flag_does_not_reach_the_command(
    home: Home, address: str, key: str
) -> None:
    """The command does not get it, and nothing that is said has it, however much is said."""
    home.write(f"[consul]\ntoken = '{SECRET}'\nhttp-auth = 'me:{SECRET}'\n")
    for arguments in ((), ("--token", SECRET, "--http-auth", f"me:{SECRET}")):
        result = home.run("run", "-vv", "-k", key, *arguments, "--", "env", address=address)
        assert "CONSUL_LOCK_HELD=true" in result.stdout, result.stderr
        assert SECRET not in result.stdout + result.stderr
    assert "--http-auth was visible" in result.stderr
