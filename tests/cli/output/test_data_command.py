"""Commands whose stdout is data: what goes where, also when something goes wrong."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from consul_lock.errors import Unavailable
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.output import data_command
from consul_lock_cli.output.data_command import DataCommand, Output, data_options
from consul_lock_cli.output.template import Template

_ITEMS: list[dict[str, Any]] = [{"name": "a", "size": 1}, {"name": "b", "size": None}]


def _run(act: Callable[[Output], Any], *arguments: str) -> Result:
    @click.command(cls=DataCommand)
    @data_options("name", "size")
    @click.option("--number", type=int)
    @click.argument("words", nargs=-1)
    def command(output: Output, **_: Any) -> None:
        act(output)

    return CliRunner().invoke(command, arguments)


def _show(output: Output) -> None:
    output.document(_ITEMS, lambda: "for people" if not output.wants_items else "never")


@pytest.mark.parametrize(
    "arguments, printed",
    [
        ([], "for people\n"),
        (
            ["--json"],
            '{"v": 1, "items": [{"name": "a", "size": 1}, {"name": "b", "size": null}]}\n',
        ),
        (["--format", "{name}={size}"], "a=1\nb=\n"),
    ],
)
def test_data_is_for_people_or_json_or_by_a_template(arguments: list[str], printed: str) -> None:
    """One document, or a line for each item."""
    result = _run(_show, *arguments)
    assert (result.exit_code, result.output) == (0, printed)


def test_nothing_is_nothing() -> None:
    """No empty line for people; an empty list is JSON."""
    assert _run(lambda output: output.document([], str)).output == ""
    result = _run(lambda output: output.document([], str), "--json")
    assert json.loads(result.output) == {"v": 1, "items": []}


def test_a_stream_is_an_object_or_a_line_for_each() -> None:
    """Each with the version, as nobody knows which is the first that a reader sees."""
    assert _run(lambda output: output.stream(_ITEMS[0]), "--json").output == (
        '{"v": 1, "name": "a", "size": 1}\n'
    )
    assert _run(lambda output: output.stream(_ITEMS[0]), "--format", "{size}").output == "1\n"


def test_json_and_a_template_contradict_each_other() -> None:
    """Misuse, before the command does anything."""
    result = _run(lambda output: pytest.fail("it ran"), "--json", "--format", "{name}")
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 2
    assert "contradict" in result.stderr


def _raise(error: BaseException) -> Callable[[Output], None]:
    def act(output: Output) -> None:
        raise error

    return act


@pytest.mark.parametrize(
    "act, arguments, code, message",
    [
        (_raise(Misuse("wrong name")), [], 64, "wrong name"),
        (_raise(Unavailable("no Consul")), [], 69, "no Consul"),
        (_raise(KeyError("oops")), [], 70, "'oops'"),
        (_show, ["--nonsense"], 64, "No such option"),
        (_show, ["--number", "x"], 64, "--number"),
    ],
)
def test_an_error_is_json_too(
    act: Callable[[Output], None], arguments: list[str], code: int, message: str
) -> None:
    """On stdout, one document without items; the error goes its way as always."""
    printed = _run(act, "--json", *arguments)
    document = json.loads(printed.stdout)
    assert (document["v"], document["items"], document["error"]["code"]) == (1, [], code)
    assert message in document["error"]["message"]
    assert printed.exception is not None
    plain = _run(act, *arguments)
    assert (plain.stdout, type(plain.exception)) == ("", type(printed.exception))


def test_a_word_behind_the_end_of_the_options_is_no_option() -> None:
    """`-- --json` is a name."""
    assert _run(_show, "--nonsense", "--", "--json").stdout == ""


@pytest.mark.parametrize("error", [click.Abort(), click.exceptions.Exit(3)])
def test_an_end_that_is_no_error_prints_nothing(error: Exception) -> None:
    """Somebody said no, or the command has its exit code."""
    assert _run(_raise(error), "--json").stdout == ""
    assert "Usage" in _run(_show, "--json", "--help").stdout


def test_text_that_stdout_cannot_show_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no reason to fail."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    Output(False, None, color=False).text("é")
    assert written.getvalue() == b"\\xe9\n"


@pytest.mark.parametrize("color, printed", [(True, "\x1b[31mx\x1b[0m\n"), (False, "x\n")])
def test_colours_are_printed_only_if_they_are_wanted(
    capsys: pytest.CaptureFixture[str], color: bool, printed: str
) -> None:
    """Whatever stdout is: that was decided before."""
    Output(False, None, color).text(click.style("x", fg="red"))
    assert capsys.readouterr().out == printed


def test_no_record_is_a_no_and_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1; the message is on stderr, and no item on stdout."""
    assert data_command.no_record(Console(), Output(True, None, color=False), "a\x1b") == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["items"] == []
    why = "it has no record, or the token may not read it; 'consul-lock cron ls' lists the jobs"
    assert err == f"consul-lock: there is no cron job a\\x1b: {why}\n"
    template = Output(False, Template("{name}", ("name",)), color=False)
    assert data_command.nothing(Console(), template, "nothing to do") == 1
    assert capsys.readouterr().out == ""
