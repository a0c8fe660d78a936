"""Decides from the histories of a run alone whether what is promised was kept.

It imports nothing of the library, so it can share no mistake with it.  The rules:

| rule | what is wrong |
|---|---|
| overlap | more holders certainly believed than can hold, or believed without the key |
| token | a token is not greater than one that it came after, or is another one's |
| late | a loss was not noticed within the lock-delay, though nobody else came in |
| unnoticed | a release, or a command's exit code, says that a hold was good which had been lost |
| forgotten | a waiter waited for longer than the bound though there was no fault |
| cron | a cron slot was started twice |
| left | keys, sessions, services or processes are left |
| growth | a long-lived client uses more and more descriptors, threads or memory |
| traceback | one is in what a process printed |
| exit-code | not a documented one, nor the command's own |
| nonsense | records that no right caller writes |

After a fault that breaks exclusion (a restored snapshot, a key deleted by hand), overlaps, tokens
and cron starts are listed as not promised: those of holders that began before it was healed.  So
are overlaps with what lives on after its wrapper was killed together with its guardian, and with
nothing else: its session excludes others as long as it is on the key.  With retries, each attempt
at a cron slot is started once.
"""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.torture.exclusion import (
    Overlap,
    foreign_tokens,
    late,
    overlaps,
    unnoticed,
    wrong_tokens,
)
from tests.torture.history import Fault, Record, read_faults, read_history
from tests.torture.holds import Hold, Holds
from tests.torture.liveness import forgotten, outages, takeovers
from tests.torture.observation import Observation, observed
from tests.torture.remains import exits, growth, left
from tests.torture.report import Finding, Report

WAIT_BOUND = 120.0
"""Seconds after the last fault within which each waiter has its turn: a dead holder of the default
times is replaced after 50, some workers with turns of seconds are before it, and a release that a
fault has delayed may take as long again as its session's TTL."""


def check(histories: Sequence[Path], plan: Path, *, wait_bound: float = WAIT_BOUND) -> Report:
    """Judge what is in these files; ``plan`` is the log of the faults."""
    return judge(read_history(histories), read_faults(plan), wait_bound=wait_bound)


def judge(
    records: Sequence[Record], faults: Sequence[Fault], *, wait_bound: float = WAIT_BOUND
) -> Report:
    """Judge these records."""
    return _Judge(list(records), list(faults)).report(wait_bound)


class _Judge:
    def __init__(self, records: list[Record], faults: list[Fault]) -> None:
        self._records = records
        self._faults = faults
        self._seen = observed(records)
        self._read = Holds(records, _deaths(records))
        self._holds = list(self._read.holds.values())
        _name_sessions_of_go(self._holds, self._seen)
        self._end = max((record.when for record in records), default=0.0)
        self._report = Report(reads=self._seen.reads)

    def report(self, wait_bound: float) -> Report:
        """Everything."""
        report = self._report
        report.faults = Counter(fault.kind for fault in self._faults)
        self._count()
        self._overlaps()
        self._tokens()
        self._losses()
        self._cron()
        waits = list(self._read.waits.values())
        for text in forgotten(waits, self._faults, wait_bound, self._end):
            self._find("forgotten", text)
        for text in self._read.nonsense:
            self._find("nonsense", text)
        for text in left(self._records):
            self._find("left", text)
        for text in growth(self._records):
            self._find("growth", text)
        for rule, text in exits(self._records, _signalled(self._faults)):
            self._find(rule, text)
        for outage in outages(self._holds, waits, self._faults, self._end):
            unavailable = report.kind(outage.kind).unavailable
            for fault in outage.faults:
                unavailable[fault] = max(outage.seconds, unavailable.get(fault, 0.0))
        for kind, seconds in takeovers(self._holds, waits):
            report.kind(kind).takeovers.append(seconds)
        return report

    def _count(self) -> None:
        for hold in self._holds:
            kind = self._report.kind(hold.kind)
            kind.holders += 1
            kind.died += hold.ended == "died"
        for wait in self._read.waits.values():
            self._report.kind(wait.kind).waits += 1
        for record in self._records:
            if record.what == "exits":
                code = f"{record.fields['role']} {record.fields['code']}"
                self._report.exit_codes[code] += 1

    def _overlaps(self) -> None:
        found = overlaps(self._holds, self._seen)
        known, listed = {overlap.who for overlap in found}, set[tuple[str, ...]]()
        for overlap in overlaps(self._holds, self._seen, abandoned=True):
            dead = (hold.id for hold in overlap.holds if hold.abandoned < overlap.end)
            what = overlap.name, *dead
            # Of what lives on, the first overlap on each thing is listed: it has many.
            if overlap.who not in known and what not in listed:
                listed.add(what)
                finding = self._finding("overlap", str(overlap), overlap.begin, overlap.end)
                self._report.not_promised.append(finding)
        for overlap in found:
            finding = self._finding("overlap", str(overlap), overlap.begin, overlap.end)
            if self._forgiven(overlap.holds, overlap.end, [overlap.name]):
                self._report.not_promised.append(finding)
                continue
            for side in overlap.sides:
                self._report.kind(_kind(overlap)).overlaps[side] += 1
            of_go = overlap.sides == {"go"}
            (self._report.go if of_go else self._report.findings).append(finding)

    def _tokens(self) -> None:
        strictly = Counter(wrong_tokens(self._holds, []))
        without = Counter(wrong_tokens(self._holds, self._faults))
        for text in without:
            self._find("token", text)
        for text in strictly - without:
            self._report.not_promised.append(Finding("token", text))
        for hold, name in foreign_tokens(self._holds, self._seen):
            self._find_of("token", f"{name}: {hold} has the token of another", [hold], name)

    def _losses(self) -> None:
        for hold, name in unnoticed(self._holds, self._seen):
            text = f"{hold} was not on {name} all the time, and nothing said so"
            self._find_of("unnoticed", text, [hold], name)
        for hold, name, seconds in late(self._holds, self._seen):
            text = f"{hold} believed for {seconds:.1f} s longer than the lock-delay of {name}"
            self._find_of("late", text, [hold], name)

    def _cron(self) -> None:
        starts: defaultdict[tuple[str, str], list[Hold]] = defaultdict(list)
        for hold in self._holds:
            if hold.kind == "cron":
                starts[hold.claims[0].name, hold.slot].append(hold)
                self._report.cron_starts += 1
        for (name, slot), holds in starts.items():
            if all(hold.retries for hold in holds):
                attempts = Counter(hold.attempt for hold in holds)
                twice = [hold for hold in holds if attempts[hold.attempt] > 1]
            else:
                twice = holds if len(holds) > 1 else []
            if twice:
                text = f"{name}: slot {slot} was started by {' and '.join(map(str, twice))}"
                self._find_of("cron", text, twice, name)

    def _find_of(self, rule: str, text: str, holds: list[Hold], name: str) -> None:
        """What is wrong with some holds of a name: a finding, or not promised."""
        begin, end = min(hold.began for hold in holds), max(hold.last_seen for hold in holds)
        forgiven = self._forgiven(holds, end, [name])
        finding = self._finding(rule, text, begin, end)
        (self._report.not_promised if forgiven else self._report.findings).append(finding)

    def _forgiven(self, holds: Iterable[Hold], end: float, names: Iterable[str]) -> bool:
        """Whether something had happened to one of these after which nothing is promised."""
        first = min(hold.began for hold in holds)
        breaking = [f for f in self._faults if any(f.breaks(name) for name in names)]
        return any(fault.begin <= end and first <= fault.end for fault in breaking)

    def _find(self, rule: str, text: str) -> None:
        self._report.findings.append(Finding(rule, text))

    def _finding(self, rule: str, text: str, begin: float, end: float) -> Finding:
        active = {fault.kind for fault in self._faults if fault.touches(begin, end)}
        return Finding(rule, text, begin, tuple(sorted(active)))


def _kind(overlap: Overlap) -> str:
    return overlap.guilty[0].kind


def _deaths(records: Iterable[Record]) -> dict[tuple[int, int], float]:
    """Processes that were killed, by the word of who has waited for them or killed them."""
    return {
        (record.fields["child"], record.fields["child_start"]): record.when
        for record in records
        if record.what in ("exits", "died")
    }


def _signalled(faults: Iterable[Fault]) -> dict[int, set[int]]:
    """What a process may have died of, by its pid: it was killed, or its guardian stopped it."""
    found: defaultdict[int, set[int]] = defaultdict(set)
    for fault in faults:
        for pid in fault.pids:
            found[pid] |= {signal.SIGKILL, signal.SIGTERM}
    return found


def _name_sessions_of_go(holds: Iterable[Hold], seen: Observation) -> None:
    """`consul lock` does not say its session to its command, but names it after the command."""
    for hold in holds:
        if hold.side == "go" and not hold.session:
            hold.session = seen.session_of(hold.id)
