"""The figures of torture runs are added up and shown as tables."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.torture.figures import Figures, held_during
from tests.torture.history import Record
from tests.torture.plan import Fault, Injected, make_plan
from tests.torture.report import Kind, Report


def _record(what: str, when: float, hold: str) -> Record:
    return Record(what, when, 1, 1, {"hold": hold, "kind": "lock"})


def test_holds_are_counted_under_the_faults_that_met_them() -> None:
    """One that ended before, or began after, is not."""
    records = [
        _record("begins", 1.0, "before"),
        _record("ends", 2.0, "before"),
        _record("begins", 3.0, "across"),
        _record("begins", 5.0, "within"),
        _record("ends", 6.0, "within"),
        _record("looks", 9.0, "across"),
        _record("begins", 9.5, "after"),
    ]
    injected = [Injected(Fault(0.0, "kill", "leader", 1.0), "server-1", 4.0, 8.0)]
    assert held_during(records, injected) == {"kill": {"lock": 2}}


def _result(seed: int) -> dict[str, Any]:
    report = Report(faults=Counter({"kill": 2, "delay": 1}))
    report.kinds["lock"] = Kind(
        10, 12, 1, Counter({"go": 3}), {"kill": float(seed), "none": 0.5}, [4.0, 6.0]
    )
    return {
        "started": "2026-01-01 00:00:00",
        "consul": "1.21.4",
        "plan": make_plan(seed, 60).to_json(),
        "held_during": {"kill": {"lock": 4}},
        "report": json.loads(report.to_json()),
    }


def test_runs_are_added_up() -> None:
    """Counts are sums, times without a holder the longest ones; takeovers have a median."""
    figures = Figures([_result(1), _result(2)])
    assert "| kill | 4 | 8; 2.0 s |" in figures.of_faults()
    assert "| delay | 2 | 0; - |" in figures.of_faults()
    assert "| lock | 20 | 24 | 2 | 0 | 6 | 4 | 5.0 s | 6.0 s |" in figures.of_locks()
    assert figures.of_runs().count("| 1.21.4 |") == 2
