"""The search itself: what it prefers, what it says, and that it finds a mistake."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation import search as search_module
from tests.simulation.coverage_map import (
    REFUSALS,
    Coverage,
    error_kinds,
    known_features,
    never_reached,
)
from tests.simulation.scenario import from_seed
from tests.simulation.search import Corpus, Played, Result, main, played, search, summary
from tests.simulation.swarm import fresh
from tests.simulation.weighted_scenario import CrowdPlan


def one(seed: int, *seen: str, failure: str = "") -> Played:
    """What came of a plan that reached these."""
    return Played(fresh(seed), Counter({"granted": 3}), frozenset(seen), failure, 0.5)


def test_a_plan_that_reached_something_new_is_kept_and_mutated_and_others_are_not() -> None:
    """Half of the following plans are fresh, so that it does not stay where it is."""
    corpus = Corpus(7)
    assert corpus.note(one(1, "a", "b")) == 2
    assert corpus.note(one(2, "a")) == 0
    assert corpus.note(one(3, "a", "c")) == 1
    assert corpus.note(one(4, "d", failure="it breaks")) == 1
    assert corpus.kept == [fresh(1), fresh(3)]
    plans = [corpus.next_plan() for _ in range(40)]
    assert sum(plan == fresh(7 + place) for place, plan in enumerate(plans, 1)) == 20
    kept = {fresh(1).kind, fresh(3).kind}
    assert all(plan.kind in kept for place, plan in enumerate(plans, 1) if place % 2)


def test_what_is_never_reached_is_listed() -> None:
    """Refusals, kinds of errors, transitions, losses, faults: by the sources, not by a run."""
    known = known_features()
    assert never_reached(known) == []
    assert never_reached(known - {"hold: held + lose"}) == ["hold: held + lose"]
    assert {f"refusal: {text}" for text in REFUSALS} <= known
    assert {"count: error: contended", "count: lost: stolen", "lock: stale"} <= known
    assert len(error_kinds()) > 15


def test_runs_reach_most_of_what_is_known() -> None:
    """Else the words of the features would not be those of the code."""
    seen = set[str]()
    for seed in range(4):
        one_run = played(CrowdPlan("lock", from_seed(seed)))
        assert not one_run.failure
        seen |= one_run.seen
    assert {"hold: held + release", "hold: releasing + confirm"} <= seen
    assert {"lock: free", "lock: taken", "refusal: exists"} <= seen
    assert any(feature.startswith("in state: 0 holds: txn unlock") for feature in seen)
    assert len([feature for feature in seen if feature.startswith("after: ")]) > 100


def test_how_often_something_happens_counts_by_powers_of_two() -> None:
    """So that a plan in which something rare happens many times is new, too."""
    coverage = Coverage()
    for number in (2, 3, 4):
        coverage.note_counts(Counter({"taken over": number}))
    assert coverage.seen == {
        "count: taken over",
        "often: taken over: 2",
        "often: taken over: 3",
    }


def test_the_summary_says_grants_time_failures_and_what_is_missing() -> None:
    """With the plan of each failure, to be pasted."""
    missing = "hold: held + lose"
    failures = ((fresh(5), "Violation: two hold it\nand more"),)
    totals = Counter(
        {"granted": 1234, "histories judged": 9, "steps": 5, "trouble: pause": 2, "trouble: cut": 1}
    )
    seen = frozenset(known_features() - {missing})
    text = summary(Result(17, totals, seen, failures, 61.4))
    assert "17 plans, 1234 grants in 61 CPU seconds" in text
    assert "5 steps" in text
    assert "faults injected: 3: 1 cut, 2 pause" in text
    assert "losses reported: none" in text
    assert "9 histories were linearizable" in text
    assert f"never:\n  {missing}\n1 plans failed\n  Violation: two hold it\n  {{" in text


def test_a_search_in_processes_reports_what_it_played(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One batch at least, however short it is."""
    monkeypatch.setattr(search_module, "_BATCH", 3)
    result = search(11, 0.0, 1, print)
    assert result.plans == 3
    assert result.totals["granted"] > 0
    assert result.seconds > 0.0
    assert not result.failures, capsys.readouterr().out


def test_the_command_fails_if_a_plan_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The seed that repeats it stands in its first line."""
    for failures in ((), ((fresh(1), "Violation: no"),)):
        result = Result(1, Counter({"granted": 1}), frozenset(), failures, 1.0)
        monkeypatch.setattr(search_module, "search", lambda *_, result=result: result)
        assert main(["--minutes", "1", "--seed", "42", "--processes", "3"]) == bool(failures)
        assert "search: seed 42, 3 processes, 1 minutes" in capsys.readouterr().out
