"""What the checker has found in the histories of a run: to be added up and written down."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was promised."""

    rule: str
    text: str
    when: float = 0.0
    faults: tuple[str, ...] = ()
    """The kinds of faults that were active."""


@dataclass
class Kind:
    """What is known of one kind of lock."""

    holders: int = 0
    waits: int = 0
    died: int = 0
    """Holders that died."""
    overlaps: Counter[str] = field(default_factory=Counter)
    """By the side that they count for."""
    unavailable: dict[str, float] = field(default_factory=dict)
    """By the kind of the faults that were active: the longest time in which one waited and
    nobody held."""
    takeovers: list[float] = field(default_factory=list)
    """Seconds from the death of a holder to the next one, of those that somebody waited for."""

    def add(self, other: Self) -> None:
        """Count what another run has found."""
        self.holders += other.holders
        self.waits += other.waits
        self.died += other.died
        self.overlaps += other.overlaps
        self.takeovers += other.takeovers
        for fault, seconds in other.unavailable.items():
            self.unavailable[fault] = max(seconds, self.unavailable.get(fault, 0.0))


@dataclass
class Report:
    """All that was found."""

    findings: list[Finding] = field(default_factory=list)
    """What makes the run fail."""
    go: list[Finding] = field(default_factory=list)
    """Overlaps for which `consul lock` alone is to blame."""
    not_promised: list[Finding] = field(default_factory=list)
    """What would be findings, under faults for which nothing is promised."""
    kinds: dict[str, Kind] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    """How often each was injected."""
    reads: int = 0
    """How often the observer has looked."""
    cron_starts: int = 0
    exit_codes: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        """Whether all promises held."""
        return not self.findings

    def kind(self, name: str) -> Kind:
        """What is known of a kind of lock."""
        return self.kinds.setdefault(name, Kind())

    def rules(self) -> set[str]:
        """The rules that were broken."""
        return {finding.rule for finding in self.findings}

    def add(self, other: Report) -> None:
        """Count what another run has found."""
        self.findings += other.findings
        self.go += other.go
        self.not_promised += other.not_promised
        self.faults += other.faults
        self.exit_codes += other.exit_codes
        self.reads += other.reads
        self.cron_starts += other.cron_starts
        for name, kind in other.kinds.items():
            self.kind(name).add(kind)

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps({"ok": self.ok, **vars(self)}, default=vars, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` has written."""
        found: dict[str, Any] = json.loads(text)
        found.pop("ok")
        for part in ("findings", "go", "not_promised"):
            found[part] = [
                Finding(**{**each, "faults": tuple(each["faults"])}) for each in found[part]
            ]
        found["kinds"] = {
            name: Kind(**{**kind, "overlaps": Counter(kind["overlaps"])})
            for name, kind in found["kinds"].items()
        }
        for part in ("faults", "exit_codes"):
            found[part] = Counter(found[part])
        return cls(**found)

    def __str__(self) -> str:
        lines = [
            f"{name}: {kind.holders} holders, {sum(kind.overlaps.values())} overlaps"
            f" {dict(kind.overlaps) or ''}, unavailable for"
            f" {max(kind.unavailable.values(), default=0.0):.1f} s at most,"
            f" {len(kind.takeovers)} takeovers within {max(kind.takeovers, default=0.0):.1f} s"
            for name, kind in sorted(self.kinds.items())
        ]
        for title, found in (
            ("FOUND", self.findings), ("consul lock", self.go), ("not promised", self.not_promised)
        ):  # fmt: skip
            lines += [f"{title}: {each.rule}: {each.text}" for each in found]
        return "\n".join(lines)


def merged(reports: Iterable[Report]) -> Report:
    """All of them as one."""
    whole = Report()
    for report in reports:
        whole.add(report)
    return whole


def merged_files(paths: Iterable[Path]) -> Report:
    """Those that were written to files, as one."""
    return merged(Report.from_json(path.read_text()) for path in paths)
