"""Which settings there are, and where each may come from."""

from __future__ import annotations

import pytest

from consul_lock_cli.settings.catalogue import CONFIG_VARIABLE, SETTINGS, rivals, variable_of
from consul_lock_cli.settings.context import setting_of
from tests.cli.test_reference import all_commands


def test_every_setting_is_an_option_of_a_command() -> None:
    """A setting that no command has would be accepted, and mean nothing."""
    known = {setting_of(param) for _, command in all_commands() for param in command.params}
    assert set(SETTINGS) == known - {None}


@pytest.mark.parametrize(
    "name, table, variable",
    [
        ("http-addr", "consul", "CONSUL_HTTP_ADDR"),
        ("datacenter", "consul", None),
        ("retry-for", "consul", "CONSULLOCK_RETRY_FOR"),
        ("lock-delay", "defaults", "CONSULLOCK_LOCK_DELAY"),
        ("limit", "key", None),
    ],
)
def test_where_a_setting_may_come_from(name: str, table: str, variable: str | None) -> None:
    """Consul's own variables count where it has one; what is of one key has none."""
    setting = SETTINGS[name]
    assert (setting.name, setting.table, setting.variable) == (name, table, variable)


def test_no_variable_is_one_that_a_command_under_a_lock_is_given() -> None:
    """Its programs would take what describes the lock, CONSUL_LOCK_TTL, for settings."""
    variables = [setting.variable for setting in SETTINGS.values() if setting.variable]
    assert not [name for name in variables if name.startswith("CONSUL_LOCK_")]
    assert len(set(variables)) == len(variables)
    assert variable_of("max-runtime") == "CONSULLOCK_MAX_RUNTIME"
    assert CONFIG_VARIABLE == "CONSULLOCK_CONFIG"


def test_secrets_are_known() -> None:
    """A file that has one must not be read by others."""
    assert {name for name, setting in SETTINGS.items() if setting.secret} == {"token", "http-auth"}


@pytest.mark.parametrize(
    "name, others",
    [
        ("token", {"token-file"}),
        ("token-file", {"token"}),
        ("ca-file", {"ca-path"}),
        ("ca-path", {"ca-file"}),
        ("ttl", set()),
        ("http-auth", set()),
    ],
)
def test_two_settings_for_the_same_thing_are_rivals(name: str, others: set[str]) -> None:
    """The one of the stronger source leaves no room for the other."""
    assert rivals(name) == others


@pytest.mark.parametrize("name", ["key", "dry-run", "no-guardian", "unsafe-timing", "config"])
def test_options_of_one_run_or_without_a_protection_are_no_settings(name: str) -> None:
    """It has to be typed."""
    assert name not in SETTINGS
