"""Exit codes: they are a contract, and `--help` lists them."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.main import cli

# Scripts compare with these: none of them may ever mean something else.
_CONTRACT = {
    "USAGE": 64, "DATA": 65, "UNAVAILABLE": 69, "SOFTWARE": 70, "OS": 71, "REFUSED": 73,
    "HELD": 75, "LOST": 76, "PERMISSION": 77, "CONFIG": 78, "OVERTIME": 124,
    "NOT_EXECUTABLE": 126, "NOT_FOUND": 127,
}  # fmt: skip


def test_no_code_changes_its_meaning() -> None:
    """Nor does one go."""
    assert {code.name: int(code) for code in ExitCode} == _CONTRACT


def test_a_code_is_a_number_with_a_sentence() -> None:
    """It is found by its number, and printed as one."""
    code = ExitCode(75)
    assert (code, f"{code:d}") == (75, "75")
    assert code.sentence.startswith("another process holds the lock")


def test_help_lists_the_exit_codes() -> None:
    """Each that `run` can give, with its sentence."""
    text = CliRunner().invoke(cli, ["run", "--help"]).output
    listed = {int(code) for code in re.findall(r"^ +(\d+)  \S", text, re.MULTILINE)}
    assert listed == set(ExitCode)


@pytest.mark.parametrize(
    "words", [["run"], ["leader"], ["cron", "run"], ["cron", "run-now"]], ids="-".join
)
def test_help_fits_80_columns(words: list[str]) -> None:
    """Also where click does not fold the lines; each sentence is whole."""
    text = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80).output
    wide = [line for line in text.splitlines() if len(line) > 80]
    assert not wide
    folded = " ".join(text.split())
    assert all(f" {code:d} {code.sentence}" in folded for code in ExitCode)
