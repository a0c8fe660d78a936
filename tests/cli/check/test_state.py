"""The states of a plugin, and the one that several make together."""

from __future__ import annotations

import itertools

from consul_lock_cli.check.state import Problem, State, Verdict, worst, worst_first


def test_a_state_is_its_exit_code() -> None:
    """As every monitoring system knows them."""
    assert {state.name: int(state) for state in State} == {
        "OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3,
    }  # fmt: skip


def test_the_worst_of_several_is_critical_then_a_warning_then_unknown() -> None:
    """What is not known hides nothing that is known to be wrong; nothing at all is fine."""
    order = [State.CRITICAL, State.WARNING, State.UNKNOWN, State.OK]
    for count in range(1, 5):
        for states in itertools.product(State, repeat=count):
            assert worst(states) is next(state for state in order if state in states)
    assert worst([]) is State.OK


def test_a_verdict_is_its_problems_or_says_that_all_is_well() -> None:
    """The worst first, in the text too."""
    problems = [Problem(State.UNKNOWN, "dark"), Problem(State.CRITICAL, "late"),
                Problem(State.WARNING, "odd"), Problem(State.CRITICAL, "lost")]  # fmt: skip
    verdict = Verdict("a", worst_first(problems), "well")
    assert (verdict.state, verdict.text) == (State.CRITICAL, "late, lost, odd, dark")
    assert (Verdict("a", (), "well").state, Verdict("a", (), "well").text) == (State.OK, "well")
