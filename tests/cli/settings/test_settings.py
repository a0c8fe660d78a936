"""Settings: a flag beats the environment, that the user's file, that the system's, that defaults.

What the forms of an address mean (`h`, `h:1`, `[::1]:8500`, `unix:///x.sock` and so on) is shown
by tests/unit/config/test_address_and_environment.py, as the library reads them; here it is where
they come from.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from consul_lock_cli.settings import config_file
from consul_lock_cli.settings.catalogue import SETTINGS
from consul_lock_cli.settings.config_file import find_files
from consul_lock_cli.settings.context import setting_of
from consul_lock_cli.settings.sources import Settings
from tests.cli.command import Running
from tests.cli.cron_fixture import Job, job_fixture  # noqa: F401 - a fixture, used by its name
from tests.cli.isolated_home import NOWHERE, Home
from tests.cli.test_reference import all_commands

SECRET = "s3cr3t-t0ken"


def _raise(error: Exception) -> None:
    raise error


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


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


def test_the_command_obeys_what_was_found(home: Home) -> None:
    """Not only `config` knows of it: its commands behave so, and the flag mends it."""
    home.write("[defaults]\nunavailable-exit-code = 44\n[consul]\nretry-for = 0\n")
    run = ("run", "-k", "jobs/a", "--", "true")
    assert home.run(*run, address=NOWHERE).returncode == 44
    code = {"CONSULLOCK_UNAVAILABLE_EXIT_CODE": "45"}
    assert home.run(*run, address=NOWHERE, **code).returncode == 45
    flag = ("run", "--unavailable-exit-code", "46", *run[1:])
    assert home.run(*flag, address=NOWHERE, **code).returncode == 46


def test_the_address_of_a_file_leads_to_consul(home: Home, address: str) -> None:
    """As a job of cron gets it, which has hardly any environment."""
    home.write(f'[consul]\nhttp-addr = "{address}"\n[key."cli/*"]\nwait = 0\n')
    result = home.run("run", "-k", "cli/from-a-file", "--", "sh", "-c", "echo $CONSUL_LOCK_HELD")
    assert (result.returncode, result.stdout) == (0, "true\n"), result.stderr


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
        ("[defaults]\nconflict-exit-code = 256\n", "conflict-exit-code: 256"),
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
    result = home.run("run", "-k", "a", "--", "echo", "started", address=None)
    assert result.returncode == 78, result.stderr
    assert result.stdout == ""
    assert str(file) in result.stderr.splitlines()[0]
    assert why in result.stderr


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
    result = home.run("run", "-k", "a", "--", "echo", "started", **{variable: text})
    assert result.returncode == 78, result.stderr
    assert result.stdout == ""
    first = result.stderr.splitlines()[0]
    assert (text if "CONFIG" in variable else variable) in first
    assert why in first
    assert SECRET not in result.stderr


def test_a_flag_mends_a_bad_variable(home: Home) -> None:
    """It is not even looked at; and what a flag contradicts is misuse, with both named."""
    bad = {"CONSULLOCK_TTL": "junk", "CONSUL_HTTP_SSL": "maybe"}
    arguments = ("--ttl", "20s", "--no-ssl", "--retry-for", "0", "--", "true")
    assert home.run("run", "-k", "a", *arguments, address=NOWHERE, **bad).returncode == 69
    result = home.run("run", "-k", "a", "--lock-delay", "10s", "true", CONSULLOCK_KILL_AFTER="60s")
    assert result.returncode == 64
    assert "--kill-after comes from CONSULLOCK_KILL_AFTER" in result.stderr


def test_nonblock_is_not_overruled_by_a_file(
    home: Home, holder: Running, key: str, address: str
) -> None:
    """-n on the command line beats the wait of a file, which else counts."""
    assert holder.running()
    home.write('[defaults]\nwait = "1h"\n')
    assert home.run("run", "-k", key, "-n", "--", "true", address=address).returncode == 75
    home.write(f'[defaults]\nwait = "1h"\n[key."{key}"]\nwait = 0\nconflict-exit-code = 9\n')
    assert home.run("run", "-k", key, "--", "true", address=address).returncode == 9


def test_help_reads_no_file(home: Home) -> None:
    """Nor does the version: with a broken file one still has to find out what to do."""
    home.write("broken")
    for arguments in (["--help"], ["run", "--help"], ["version"], ["completion", "bash"]):
        result = home.run(*arguments, CONSULLOCK_TTL="junk")
        assert (result.returncode, result.stderr) == (0, "")


def test_what_a_command_is_told_about_its_lock_is_no_setting(home: Home) -> None:
    """A nested run would take the key of its parent for its own, and wait for ever."""
    told = {"CONSUL_LOCK_KEY": "parent", "CONSUL_LOCK_TTL": "77", "CONSUL_LOCK_LIMIT": "9"}
    seen = home.settings(**told)
    assert seen["ttl"]["value"] == 10.0
    assert seen["limit"]["value"] == 1
    assert home.run("run", "true", **told, CONSULLOCK_KEY="a").returncode == 64


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


def test_what_others_can_read_is_warned_of(home: Home, tmp_path: Path) -> None:
    """A token file, a configuration file with a secret, and a token that ps shows."""
    file = tmp_path / "token"
    file.write_text(SECRET)
    file.chmod(0o644)
    result = home.run("config", "--token-file", str(file))
    assert f"every user of this host can read {file}" in result.stderr
    home.write(f"[consul]\nhttp-auth = 'me:{SECRET}'\n").chmod(0o644)
    result = home.run("config")
    assert f"can read the secret in {home.file}" in result.stderr
    home.file.chmod(0o640)
    assert home.run("config").stderr == ""
    home.file.chmod(0o644)
    assert "me:(hidden)" in result.stdout
    assert home.run("config", "-q").stderr == ""
    home.write("[defaults]\nttl = 20\n").chmod(0o644)
    assert home.run("config").stderr == ""
    result = home.run("config", "--token", SECRET, CONSUL_HTTP_AUTH=f"me:{SECRET}")
    assert "--token can be seen" in result.stderr
    assert SECRET not in result.stdout + result.stderr


def test_a_token_of_a_file_or_a_flag_stays_with_us(home: Home, address: str, key: str) -> None:
    """The command does not get it, and nothing that is said has it, however much is said."""
    home.write(f"[consul]\ntoken = '{SECRET}'\nhttp-auth = 'me:{SECRET}'\n")
    for arguments in ((), ("--token", SECRET, "--http-auth", f"me:{SECRET}")):
        result = home.run("run", "-vv", "-k", key, *arguments, "--", "env", address=address)
        assert "CONSUL_LOCK_HELD=true" in result.stdout, result.stderr
        assert SECRET not in result.stdout + result.stderr
    assert "--http-auth can be seen" in result.stderr


# Arguments, variables, the [consul] table, and where that leads.
SCHEMES = [
    ((), {}, "", "http://127.0.0.1:8500"),
    (("--ssl",), {}, "", "https://127.0.0.1:8500"),
    (("--ssl", "--http-addr", "h"), {}, "", "https://h:8500"),
    (("--ssl", "--http-addr", "http://h:1/p"), {}, "", "https://h:1/p"),
    (("--no-ssl", "--http-addr", "[::1]:2"), {"CONSUL_HTTP_SSL": "1"}, "", "http://[::1]:2"),
    (("--no-ssl",), {"CONSUL_HTTP_ADDR": "https://h"}, "", "http://h:8500"),
    (("--http-addr", "http://h"), {"CONSUL_HTTP_SSL": "1"}, "", "http://h:8500"),
    (("--http-addr", "http://h"), {}, "ssl = true", "http://h:8500"),
    (("--http-addr", "h"), {}, "ssl = true", "https://h:8500"),
    ((), {"CONSUL_HTTP_ADDR": "http://h"}, "ssl = true", "http://h:8500"),
    ((), {"CONSUL_HTTP_ADDR": "h"}, "ssl = true", "https://h:8500"),
    ((), {"CONSUL_HTTP_SSL": "true"}, "http-addr = 'http://h'", "https://h:8500"),
    ((), {"CONSUL_HTTP_SSL": "false"}, "http-addr = 'https://h'", "http://h:8500"),
    ((), {"CONSUL_HTTP_SSL": "0"}, "http-addr = 'h'\nssl = true", "http://h:8500"),
    ((), {}, "http-addr = 'https://h'\nssl = false", "https://h:8500"),
    ((), {}, "http-addr = 'http://h'\nssl = true", "https://h:8500"),
    ((), {}, "http-addr = 'h:1'", "http://h:1"),
    ((), {}, "ssl = false\nhttp-addr = 'unix:///x.sock'", "unix:///x.sock"),
    ((), {"CONSUL_HTTP_ADDR": "unix:///x.sock"}, "http-addr = 'h'", "unix:///x.sock"),
]


@pytest.mark.parametrize("arguments, variables, table, origin", SCHEMES)
def test_address_and_ssl_meet_from_all_sources(
    home: Home, arguments: tuple[str, ...], variables: dict[str, str], table: str, origin: str
) -> None:
    """The stronger source decides; from one source, TLS is never dropped; the port stays."""
    home.write(f"[consul]\n{table}\n")
    assert home.settings(*arguments, **variables)["http-addr"]["value"] == origin


def test_a_contradiction_about_tls_is_refused(home: Home) -> None:
    """An https address with --no-ssl; what else is in the address is not repeated."""
    result = home.run("config", "--no-ssl", "--http-addr", f"https://me:{SECRET}@h")
    assert result.returncode == 64
    assert "--no-ssl" in result.stderr
    assert SECRET not in result.stdout + result.stderr


def test_a_unix_socket_may_speak_tls(home: Home) -> None:
    """Consul can be configured so."""
    seen = home.settings("--ssl", "--http-addr", "unix:///x.sock")
    assert (seen["http-addr"]["value"], seen["ssl"]["value"]) == ("unix:///x.sock", True)


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


def test_the_wait_of_an_acquire_is_not_that_of_the_command_wait(home: Home) -> None:
    """Of [key."jobs/*"] wait = 0 a job is meant, not whoever waits for it to end."""
    arguments = ("wait", "a", "--free", "--retry-for", "0")
    assert home.run(*arguments, address=NOWHERE, CONSULLOCK_WAIT="junk").returncode == 69


def test_a_setting_that_means_nothing_for_a_job_does_not_disturb_it(home: Home, job: Job) -> None:
    """It was meant for locks, or for other jobs; and a job has its own table by its name."""
    home.write(
        '[defaults]\nwait = 0\ntimezone = "Europe/Berlin"\nearly = "1s"\nfail-open = true\n'
        f'[consul]\nretry-for = 0\n[key."{job.name}"]\nretry-failed = 1\nskip-exit-code = 9\n'
    )
    fire = ("cron", "run", "--name", job.name, "--slot", "a", "--", "sh", "-c")
    for code in (41, 42, 9):
        done = home.run(*fire, "exit 4$CONSUL_LOCK_CRON_ATTEMPT", address=job.address)
        assert (done.returncode, done.stderr) == (code, "")
    away = home.run(*fire, "echo started", address=NOWHERE)
    assert (away.returncode, away.stdout) == (69, "")
    assert home.settings("-k", job.name)["retry-failed"]["value"] == 1
    home.write('[defaults]\noverlap = "maybe"\n')
    assert home.run(*fire, "echo started", address=NOWHERE).returncode == 78


def test_every_setting_is_an_option_of_a_command() -> None:
    """A setting that no command has would be accepted, and mean nothing."""
    known = {setting_of(param) for _, command in all_commands() for param in command.params}
    assert set(SETTINGS) == known - {None}


def test_several_values_of_a_variable_have_spaces_between_them(home: Home) -> None:
    """And those of a file are a list."""
    assert home.settings(CONSULLOCK_CHECK="a b")["check"]["value"] == ["a", "b"]
    home.write("[defaults]\ncheck = ['a b', 'c']\nmeta = 'k=v'\n")
    seen = home.settings()
    assert seen["check"]["value"] == ["a b", "c"]
    assert seen["meta"]["value"] == ["k=v"]


def test_config_shows_all_but_what_a_broken_file_says(home: Home) -> None:
    """Values, sources and the fault; its hint would be to run what is running."""
    file = home.write("broken")
    result = home.run("config", "--json", CONSULLOCK_TTL="1m")
    assert result.returncode == 78
    document = json.loads(result.stdout)
    assert {"name": "ttl", "value": 60.0, "source": "environment", "from": "CONSULLOCK_TTL"} in (
        document["items"]
    )
    assert str(file) in document["error"]["message"]
    assert str(file) in result.stderr
    assert "hint" not in result.stderr


def test_config_shows_what_it_can_of_bad_settings(home: Home) -> None:
    """The values as they are written, without secrets, and the error; in JSON, too."""
    bad = {"CONSUL_HTTP_SSL": "maybe", "CONSUL_HTTP_TOKEN": SECRET}
    result = home.run("config", "--json", **bad)
    assert result.returncode == 78
    assert '"value": "maybe"' in result.stdout
    assert '"error": {"code": 78, "message": "CONSUL_HTTP_SSL: ' in result.stdout
    assert SECRET not in result.stdout + result.stderr
    assert "CONSUL_HTTP_SSL" in result.stderr


@pytest.mark.parametrize("address", [f"http://me:{SECRET}@h", f"h/?token={SECRET}", f"h#{SECRET}"])
def test_a_secret_in_an_address_is_never_shown(home: Home, address: str) -> None:
    """It is refused, and repeated by nobody: wherever it comes from, however much is said."""
    for source in ("variable", "flag", "file"):
        home.write(f"[consul]\nhttp-addr = '{address}'\n" if source == "file" else "")
        variables = {"CONSUL_HTTP_ADDR": address} if source == "variable" else {}
        flag = ("--http-addr", address) if source == "flag" else ()
        run = ("run", "-vvk", "a", *flag, "--", "true")
        for command in (("config", "--json", *flag), ("doctor", "--json", *flag), run):
            result = home.run(*command, **variables)
            assert result.returncode == 78
            assert SECRET not in result.stdout + result.stderr


def test_a_password_without_a_user_is_not_shown_as_one(home: Home) -> None:
    """Whoever forgot the user wrote a secret where the user should be."""
    assert home.settings(CONSUL_HTTP_AUTH=SECRET)["http-auth"]["value"] == "(hidden)"


def test_a_variable_that_means_nothing_is_pointed_out(home: Home) -> None:
    """By `config` alone, as others may have variables of that name."""
    typo = {"CONSULLOCK_LOCKDELAY": "1"}
    assert "CONSULLOCK_LOCKDELAY is not a setting" in home.run("config", **typo).stderr
    assert home.run("version", **typo).stderr == ""


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
