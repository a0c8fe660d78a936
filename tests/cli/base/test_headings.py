"""Options under headings in --help, and every sentence of it whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from consul_lock_cli.base.headings import HeadedCommand, headed
from consul_lock_cli.main import cli


@click.command(cls=HeadedCommand)
@click.option("--plain", is_flag=True)
@headed("First", [click.option("--one", is_flag=True), click.option("--two", is_flag=True)])
@headed("Second", [click.option("--three", is_flag=True, help="The third.")])
@click.argument("word")
def example(**values: object) -> None:
    """Do nothing."""


def _paths(group: click.Group, above: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        yield f"{above}{name}"
        if isinstance(command, click.Group):
            yield from _paths(command, f"{above}{name} ")


def _help(path: str) -> str:
    """What `consul-lock PATH --help` prints on a terminal of 80 columns."""
    ctx = click.Context(cli, info_name="consul-lock", terminal_width=80)
    for name in path.split():
        group = ctx.command
        assert isinstance(group, click.Group)
        command = group.get_command(ctx, name)
        assert command is not None
        ctx = command.context_class(command, parent=ctx, info_name=name)
    return ctx.get_help()


def test_options_stand_under_their_headings_in_the_order_of_the_commands() -> None:
    """Those without one come first, under the usual heading."""
    text = example.get_help(click.Context(example, info_name="x"))
    assert re.findall(r"(?m)^(\w+):|^  (?:-h, )?(--\w+)", text) == [
        ("Usage", ""), ("Options", ""), ("", "--plain"), ("", "--help"),
        ("First", ""), ("", "--one"), ("", "--two"),
        ("Second", ""), ("", "--three"),
    ]  # fmt: skip


def test_the_command_gets_its_options_as_before() -> None:
    """A heading is looks, nothing else."""
    ctx = example.make_context("x", ["--two", "w"])
    assert ctx.params == {"plain": False, "one": False, "two": True, "three": False, "word": "w"}


@pytest.mark.parametrize("path", ["", *_paths(cli)])
def test_nothing_is_cut_off_and_no_range_is_a_formula(path: str) -> None:
    """Neither a summary in a list of commands, nor what a number may be."""
    text = _help(path)
    assert not re.search(r"\w\.\.\.$", text, re.MULTILINE)
    assert not re.search(r"\[[^]]*[<>]=", text)


@pytest.mark.parametrize(
    "path, titles",
    [
        ("run", ["Options", "Lock", "Session", "Waiting", "Command", "Hooks", "Outcome",
                 "Messages", "Consul"]),
        ("ls", ["Options", "Output", "Messages", "Consul"]),
        ("doctor", ["Options", "Messages", "Consul"]),
    ],
)  # fmt: skip
def test_long_lists_of_options_have_headings(path: str, titles: list[str]) -> None:
    """One for each subject."""
    found = re.findall(r"(?m)^([A-Z]\w+(?: \w+)*):$", _help(path))
    assert found[: len(titles)] == titles
