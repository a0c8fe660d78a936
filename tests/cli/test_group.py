"""Groups of commands: they load what is asked for, and know where a bad value comes from."""

from __future__ import annotations

from typing import Any

import click
import pytest

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import BadSetting, Misuse
from consul_lock_cli.group import Commands, LazyCommands
from consul_lock_cli.main import cli
from consul_lock_cli.settings.catalogue import COMPLETION_VARIABLE
from consul_lock_cli.settings.context import SettingsContext


@pytest.mark.parametrize(
    "name, package, called",
    [("ls", "", "ls"), ("break", "", "break"), ("run", "cron", "run"), ("ls", "cron", "ls")],
)
def test_a_command_is_found_in_the_module_of_its_name(name: str, package: str, called: str) -> None:
    """A keyword of Python has a _ there, which the command has not."""
    command = LazyCommands((name,), package)[name]
    assert command.name == called
    assert issubclass(command.context_class, SettingsContext)


def test_no_other_command_is_loaded() -> None:
    """Of names that have no module, only the one that is asked for fails."""
    commands = LazyCommands(("no_such", "version"))
    assert (list(commands), len(commands)) == (["no_such", "version"], 2)
    assert commands["version"] is commands["version"]
    with pytest.raises(ModuleNotFoundError):
        commands["no_such"]
    with pytest.raises(KeyError):
        commands["ls"]


def test_a_command_can_be_added_and_taken_out() -> None:
    """As in any mapping: click does so."""
    commands = LazyCommands(())
    commands["x"] = command = click.Command("x")
    assert commands["x"] is command
    del commands["x"]
    assert "x" not in commands


@pytest.mark.parametrize("other, name", [("list", "ls"), ("force-release", "break")])
def test_some_commands_have_a_second_name(other: str, name: str) -> None:
    """Which no list of commands shows."""
    context = click.Context(cli)
    assert cli.get_command(context, other) is cli.get_command(context, name)
    assert other not in cli.list_commands(context)
    assert cli.get_command(context, "nonsense") is None


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``group(*words)``: a group with the command `job`, which refuses both of its times."""
    monkeypatch.setenv("CONSULLOCK_CONFIG", "")

    @click.command(context_settings={})
    @click.option("--ttl", default=10)
    @click.option("--kill-after", default=5)
    @click.option("--hint", default="")
    @click.option("--about", default="--ttl and --kill-after contradict each other")
    def job(about: str, hint: str, **values: Any) -> None:
        if hint == "param":
            ctx = click.get_current_context()
            raise click.BadParameter("too long", ctx, ctx.command.params[0])
        raise Misuse(about, hint)

    job.context_class = SettingsContext
    commands = Commands("all", commands={"job": job})
    return lambda *words: commands.main(["job", *words], standalone_mode=False, obj=Console())


def test_what_was_typed_is_misuse(group: Any) -> None:
    """Nothing else is to blame."""
    with pytest.raises(Misuse) as refused:
        group("--ttl", "5")
    assert refused.value.message == "--ttl and --kill-after contradict each other"
    assert refused.value.hint == ""


def test_a_value_of_a_variable_is_a_bad_setting(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line has no mistake in it."""
    monkeypatch.setenv("CONSULLOCK_TTL", "5")
    with pytest.raises(BadSetting) as refused:
        group()
    assert str(refused.value) == (
        "--ttl and --kill-after contradict each other (--ttl comes from CONSULLOCK_TTL)"
    )


def test_of_two_values_the_one_that_was_typed_can_be_typed_in_another_way(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that is misuse; the hint has where the other comes from."""
    monkeypatch.setenv("CONSULLOCK_TTL", "5")
    for words, hint in (([], ""), (["--hint", "use less"], "use less; ")):
        with pytest.raises(Misuse) as refused:
            group("--kill-after", "9", *words)
        assert refused.value.hint == f"{hint}--ttl comes from CONSULLOCK_TTL"


def test_a_variable_that_is_not_about_it_is_not_blamed(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is only mentioned if the message names its option."""
    monkeypatch.setenv("CONSULLOCK_TTL", "5")
    with pytest.raises(Misuse, match=r"^no command$"):
        group("--about", "no command")


def test_the_parameter_of_an_error_is_meant_too(
    group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Click names it beside the message."""
    monkeypatch.setenv("CONSULLOCK_TTL", "5")
    with pytest.raises(BadSetting, match=r"too long \(--ttl comes from CONSULLOCK_TTL\)"):
        group("--hint", "param")


def test_a_shell_that_completes_a_line_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is run then."""
    asked: list[Any] = []
    monkeypatch.setenv(COMPLETION_VARIABLE, "bash_complete")
    monkeypatch.setattr("sys.argv", ["consul-lock", "run", "--k"])

    def answer(*given: Any) -> int:
        asked.append(given)
        return 0

    monkeypatch.setattr("consul_lock_cli.completion.answer.answer", answer)
    assert cli.main(["version"], standalone_mode=False) == 0
    assert asked == [(cli, ["run", "--k"])]
