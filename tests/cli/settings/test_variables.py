"""Variables that begin as those of consul-lock, and are none."""

from __future__ import annotations

import pytest

from consul_lock_cli.settings.catalogue import CONFIG_VARIABLE, SETTINGS
from consul_lock_cli.settings.variables import AGAIN, unknown_variables
from tests.cli.isolated_home import Home


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("CONSULLOCK_TLL", "CONSULLOCK_TLL is not a setting; CONSULLOCK_TTL is"),
        ("CONSULLOCK_KILLAFTER", "CONSULLOCK_KILLAFTER is not a setting; CONSULLOCK_KILL_AFTER is"),
        ("CONSULLOCK_ZZZ\x1b", "CONSULLOCK_ZZZ\\x1b is not a setting"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_setting(name: str, sentence: str) -> None:
    """As long as there is one that is near."""
    assert list(unknown_variables([name, "CONSUL_LOCK_TLL", "HOME"])) == [sentence]


def test_every_known_variable_is_left_alone() -> None:
    """Also those that are no setting."""
    known = [setting.variable for setting in SETTINGS.values() if setting.variable]
    assert list(unknown_variables([*known, CONFIG_VARIABLE, AGAIN])) == []


def test_every_command_warns_of_it_and_goes_on(home: Home) -> None:
    """Before Consul is asked; not with -q."""
    typo = {"CONSULLOCK_TLL": "20s"}
    install = ("cron", "install", "--name", "a", "--every", "1h")
    for command in ((*install, "--", "true"), ("config",)):
        result = home.ask(*command, **typo)
        assert result.returncode == 0
        warning = "consul-lock: warning: CONSULLOCK_TLL is not a setting; CONSULLOCK_TTL is\n"
        assert result.stderr.count(warning) == 1
    assert home.ask(*install, "-q", "--", "true", **typo).stderr == ""
