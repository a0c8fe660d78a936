"""The line of a plugin, read as Nagios reads it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consul_lock_cli.check.plugin_line import Metric, one_line, plugin_line, summary
from consul_lock_cli.check.state import Problem, State, Verdict
from tests.cli.check.plugin_line_reader import read
from tests.cli.output.examples import ESCAPES
from tests.support.effort import scaled


def test_a_line_has_a_status_a_text_and_numbers_with_their_limits() -> None:
    """Limits at the end that there are not are left out; what is not known is U."""
    line = plugin_line(
        State.CRITICAL,
        "jobs/a: overdue by 2h00m",
        [Metric("overdue", 7200.5, "s", critical=300.0), Metric("failures", 2, "", 0, 2),
         Metric("holders", 1, maximum=5), Metric("age", None, "s"), Metric("jobs", 3)],
    )  # fmt: skip
    assert line == (
        "CRITICAL - jobs/a: overdue by 2h00m | 'overdue'=7200.5s;;300;0 'failures'=2;0;2;0"
        " 'holders'=1;;;0;5 'age'=U;;;0 'jobs'=3;;;0"
    )
    assert plugin_line(State.UNKNOWN, "no record") == "UNKNOWN - no record"


@settings(max_examples=scaled(60))
@given(
    st.text(), st.text(st.characters(exclude_characters="=| ", categories=["L", "N"]), min_size=1),
    st.none() | st.floats(allow_nan=False), st.none() | st.floats(allow_nan=False),
)  # fmt: skip
def test_whatever_is_in_it_it_is_one_line_with_one_pipe(
    text: str, label: str, value: float | None, limit: float | None
) -> None:
    """Text of others, and numbers of any size, without exponents."""
    status, _, numbers = read(plugin_line(State.OK, text, [Metric(label, value, "s", limit)]))
    assert (status, len(numbers)) == ("OK", 1)


def test_text_of_others_is_escaped_and_not_too_long() -> None:
    """NRPE passes on 1 KB."""
    assert one_line(f"a|b{ESCAPES}\n") == r"a\x7cbweb\x1b[2J\r\n\x9b1;1H\u202e3\n"
    assert len(plugin_line(State.OK, "x" * 10_000, [Metric("jobs", 1)])) < 800


def _verdicts(*states: State) -> list[Verdict]:
    return [
        Verdict(f"jobs/{at}", () if state is State.OK else (Problem(state, "odd"),), "done")
        for at, state in enumerate(states)
    ]


@pytest.mark.parametrize(
    "states, text",
    [
        ([State.OK], "jobs/0: done"),
        ([State.WARNING], "jobs/0: odd"),
        ([State.OK] * 3, "3 cron jobs"),
        ([State.OK, State.UNKNOWN, State.WARNING, State.CRITICAL],
         "3 of 4 cron jobs: jobs/3 odd; jobs/2 odd; jobs/1 odd"),
    ],
)  # fmt: skip
def test_of_several_all_that_is_wrong_is_named_the_worst_first(
    states: list[State], text: str
) -> None:
    """One alone says what it does."""
    assert summary(_verdicts(*states), "cron jobs") == text


def test_of_a_great_many_as_much_is_named_as_fits() -> None:
    """And how many there are besides."""
    text = summary(_verdicts(*[State.CRITICAL] * 500), "cron jobs")
    named = re.findall(r"jobs/\d+ odd; ", text)
    assert text.startswith("500 of 500 cron jobs: jobs/0 odd; ")
    assert text.endswith(f"and {500 - len(named)} more")
    assert 600 < len(text) <= 700
    long = [Verdict("n" * 512, (Problem(State.CRITICAL, "|" * 900),), "")] * 3
    assert 300 < len(summary(long, "cron jobs")) <= 700
