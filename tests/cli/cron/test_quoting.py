"""The command line of a cron job, as a shell, cron and systemd each read it."""

from __future__ import annotations

import shlex

import pytest

from consul_lock_cli.cron import quoting

# What each of them has its own ideas of.
_NASTY = ["100%", "a b", "$HOME", "it's", 'x"y\\z', "", "é;|&", "%%$$", "$(x)", "`x`"]


def test_words_reach_the_job_as_they_were_typed() -> None:
    """Through a shell, which is what cron starts."""
    assert shlex.split(quoting.for_a_shell(["job", *_NASTY], None)) == ["job", *_NASTY]


@pytest.mark.parametrize(
    "slot, line",
    [
        ("$(date +%F)", '"$(date +%F)"'),
        ("`date`", '"`date`"'),
        ("a-$DAY", '"a-$DAY"'),
        ('${A:-"x"}', '"${A:-\\"x\\"}"'),
        ("$", "'$'"),
        ("5$ a", "'5$ a'"),
        ("plain", "plain"),
    ],
)
def test_a_slot_that_a_shell_fills_in_stays_open_to_it(slot: str, line: str) -> None:
    """Text that the shell would not expand is quoted like everything else."""
    assert quoting.for_a_shell(["--slot", slot], slot) == f"--slot {line}"
    assert quoting.substituted(slot) is line.startswith('"')


def test_only_the_slot_is_open() -> None:
    """A word of the job that looks alike is its own."""
    assert quoting.for_a_shell(["$A", "$(x)"], "$A") == "\"$A\" '$(x)'"
    assert quoting.for_a_shell(["$(x)"], None) == "'$(x)'"


def test_percent_is_the_end_of_the_line_for_cron() -> None:
    """Unless there is a backslash before it."""
    assert quoting.for_cron("date +%F 100%") == r"date +\%F 100\%"


@pytest.mark.parametrize(
    "word, text",
    [
        ("a-b.c/d:e", "a-b.c/d:e"),
        ("100%", "100%%"),
        ("$HOME", "$$HOME"),
        ("a b", '"a b"'),
        ("", '""'),
        ('x"y\\z', '"x\\"y\\\\z"'),
        ("a\nb", '"a\\nb"'),
        ("é", '"é"'),
    ],
)
def test_a_word_for_systemd(word: str, text: str) -> None:
    """It has specifiers and variables of its own, and escapes as C does."""
    assert quoting.for_systemd([word], None) == text


def test_systemd_starts_a_shell_if_there_is_something_to_fill_in() -> None:
    """It runs none by itself."""
    slot = "$(date -u +%F)"
    assert quoting.for_systemd(["a", slot, "$(x)"], slot) == (
        """/bin/sh -c "exec a \\"$$(date -u +%%F)\\" '$$(x)'\""""
    )
    assert quoting.for_systemd(["a", "2026"], "2026") == "a 2026"
