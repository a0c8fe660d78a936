"""`consul-lock config`: what it shows, and what it never shows."""

from __future__ import annotations

import json

import pytest

from tests.cli.isolated_home import SECRET, Home


def test_config_shows_everything_but_the_settings_of_a_broken_file(home: Home) -> None:
    """Values, sources and the fault; its hint would be to run what is running."""
    file = home.write("broken")
    result = home.ask("config", "--json", CONSULLOCK_TTL="1m")
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
    result = home.ask("config", "--json", **bad)
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
        run = ("run", "--dry-run", "-vvk", "a", *flag, "--", "true")
        for command in (("config", "--json", *flag), ("doctor", "--json", *flag), run):
            result = home.ask(*command, **variables)
            assert result.returncode == 78
            assert SECRET not in result.stdout + result.stderr


def test_a_password_without_a_user_is_not_shown_as_one(home: Home) -> None:
    """A user name may have been forgotten, and a secret written where it should be."""
    assert home.settings(CONSUL_HTTP_AUTH=SECRET)["http-auth"]["value"] == "(hidden)"


def test_a_variable_that_means_nothing_is_pointed_out(home: Home) -> None:
    """By `config` alone, as others may have variables of that name."""
    typo = {"CONSULLOCK_LOCKDELAY": "1"}
    assert "CONSULLOCK_LOCKDELAY is not a setting" in home.ask("config", **typo).stderr
    assert home.ask("version", **typo).stderr == ""
