"""The figures of torture runs, as tables for docs/reliability.md.

`python -m tests.torture.figures RESULT...`: the JSON files that `tests.torture.torture` writes.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.torture.history import Record
from tests.torture.plan import KINDS, Injected
from tests.torture.report import Report, merged


def held_during(
    records: Iterable[Record], injected: Iterable[Injected]
) -> dict[str, dict[str, int]]:
    """By kind of fault and kind of lock: how many holds there were while one was active."""
    spans: dict[str, list[float]] = {}
    kinds: dict[str, str] = {}
    for record in records:
        hold = record.fields.get("hold")
        if record.what == "begins":
            spans.setdefault(hold, [record.when, record.when])
            kinds[hold] = record.fields["kind"]
        elif hold in spans:
            spans[hold][1] = record.when
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for fault in injected:
        for hold, (begin, end) in spans.items():
            if begin <= fault.healed and fault.begun <= end:
                found[fault.fault.kind][kinds[hold]] += 1
    return {kind: dict(counts) for kind, counts in found.items()}


class Figures:
    """Of some runs together."""

    def __init__(self, results: Sequence[dict[str, Any]]) -> None:
        self.results = results
        texts = [json.dumps(result["report"]) for result in results]
        self.report = merged(Report.from_json(text) for text in texts)
        self.locks = sorted(self.report.kinds)
        self.held: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for result in results:
            for fault, counts in result["held_during"].items():
                self.held[fault].update(counts)

    def of_faults(self) -> str:
        """Faults x kinds of locks: how many holds it met, and the longest time without a holder."""
        faults = [kind.name for kind in KINDS if self.report.faults[kind.name]]
        rows = [["fault", "injected", *self.locks]]
        for fault in faults:
            cells = [self._cell(fault, lock) for lock in self.locks]
            rows.append([fault, str(self.report.faults[fault]), *cells])
        return _table(rows)

    def _cell(self, fault: str, lock: str) -> str:
        seconds = self.report.kinds[lock].unavailable.get(fault)
        shown = "-" if seconds is None else f"{seconds:.1f} s"
        return f"{self.held[fault][lock]}; {shown}"

    def of_locks(self) -> str:
        """Holders, overlaps and takeovers of each kind of lock."""
        rows = [
            ["lock", "holders", "waits", "holders that died", "overlaps", "of `consul lock`",
             "takeovers", "median", "longest"],
        ]  # fmt: skip
        for lock in self.locks:
            kind = self.report.kinds[lock]
            times = kind.takeovers
            shown = [f"{statistics.median(times):.1f} s", f"{max(times):.1f} s"] if times else []
            overlaps = kind.overlaps["library"], kind.overlaps["go"]
            numbers = [kind.holders, kind.waits, kind.died, *overlaps, len(times)]
            rows.append([lock, *map(str, numbers), *(shown or ["-", "-"])])
        return _table(rows)

    def of_runs(self) -> str:
        """What was run, to be run again."""
        rows = [["started (UTC)", "Consul", "seed", "seconds", "raft_multiplier", "findings"]]
        for result in sorted(self.results, key=lambda each: str(each["started"])):
            plan = result["plan"]
            findings = str(len(result["report"]["findings"]))
            about = plan["seed"], f"{plan['seconds']:g}", plan["raft_multiplier"], findings
            rows.append([result["started"], result["consul"], *map(str, about)])
        return _table(rows)


def _table(rows: list[list[str]]) -> str:
    head, *rest = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *rest])


def main(paths: Sequence[str]) -> None:
    """Print them."""
    figures = Figures([json.loads(Path(path).read_text()) for path in paths])
    tables = [figures.of_runs(), figures.of_locks(), figures.of_faults()]
    sys.stdout.write("\n\n".join(tables) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
