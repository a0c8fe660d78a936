"""Search for runs that break a promise: ``python -m tests.simulation.search --minutes 30``.

All cores play plans: fresh ones, and mutations of those that reached what no other had.  A plan
that fails is shrunk, and printed as a line for ``tests/simulation/regressions.jsonl``.  At the end
the search says what it never reached.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from random import Random
from typing import NamedTuple

from tests.simulation.coverage_map import Coverage, never_reached
from tests.simulation.shrinking import line_of, shrunk
from tests.simulation.swarm import fresh, mutated, run_of
from tests.simulation.weighted_scenario import CrowdPlan

# Plans that a process plays before it reports.
_BATCH = 8

# Of so many plans, one is fresh; the others are mutations of those that reached something new.
_FRESH_OF = 2

# Plans that are kept to be mutated: the newest ones.
_CORPUS_MAX = 2000

# Failures that are shrunk; more are counted.
_SHRUNK_MAX = 8

Report = Callable[[str], None]


class Played(NamedTuple):
    """What came of one plan."""

    plan: CrowdPlan
    counts: Counter[str]
    seen: frozenset[str]
    failure: str = ""
    seconds: float = 0.0
    """Of CPU time."""


class Result(NamedTuple):
    """What came of a search."""

    plans: int
    totals: Counter[str]
    seen: frozenset[str]
    failures: tuple[tuple[CrowdPlan, str], ...]
    seconds: float
    """Of CPU time."""


def played(plan: CrowdPlan) -> Played:
    """Run a plan, and see what it reaches."""
    began, coverage = time.process_time(), Coverage()
    failure, counts = "", Counter[str]()
    with coverage.observing():
        try:
            run = run_of(plan)
            coverage.watch(run.simulator)
            try:
                run.play()
            finally:
                counts = run.counts
                counts["steps"] = run.simulator.events
                counts[f"under the rules of Consul {run.world.consul}"] = 1
                counts[f"about: {plan.kind}"] = 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure of this plan
            failure = f"{type(error).__name__}: {error}"
    coverage.note_counts(counts)
    seconds = time.process_time() - began
    return Played(plan, counts, frozenset(coverage.seen), failure, seconds)


def fails(plan: CrowdPlan) -> bool:
    """Whether a plan breaks a promise."""
    return bool(played(plan).failure)


def _play_all(plans: Sequence[CrowdPlan]) -> list[Played]:
    return [played(plan) for plan in plans]


class Corpus:
    """Plans that reached something new, and what all have reached."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.seen: set[str] = set()
        self.kept: list[CrowdPlan] = []
        self._random = Random(seed)
        self._drawn = 0

    def next_plan(self) -> CrowdPlan:
        """A fresh one, or a mutation of one that was kept."""
        self._drawn += 1
        if not self.kept or self._drawn % _FRESH_OF == 0:
            return fresh(self.seed + self._drawn)
        # Later ones have reached what is rarer.
        place = max(self._random.randrange(len(self.kept)) for _ in range(2))
        return mutated(self.kept[place], self._random)

    def next_plans(self) -> list[CrowdPlan]:
        """A batch of them."""
        return [self.next_plan() for _ in range(_BATCH)]

    def note(self, one: Played) -> int:
        """Keep a plan if it reached something new; returns how much."""
        new = one.seen - self.seen
        if new and not one.failure:
            self.kept.append(one.plan)
            del self.kept[:-_CORPUS_MAX]
        self.seen |= new
        return len(new)


def search(seed: int, seconds: float, processes: int, say: Report) -> Result:
    """Play plans for so long, in so many processes; one batch at least."""
    end = time.monotonic() + seconds
    corpus, totals, failures = Corpus(seed), Counter[str](), list[tuple[CrowdPlan, str]]()
    plans, spent = 0, 0.0
    next_word = time.monotonic() + 60.0
    with ProcessPoolExecutor(processes) as pool:
        running = {pool.submit(_play_all, corpus.next_plans())}
        while running or time.monotonic() < end:
            while len(running) < 2 * processes and time.monotonic() < end:
                running.add(pool.submit(_play_all, corpus.next_plans()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in (one for future in done for one in future.result()):
                corpus.note(each)
                plans, spent = plans + 1, spent + each.seconds
                totals += each.counts
                if each.failure:
                    failures.append((each.plan, each.failure))
                    say(f"FAILED: {each.failure.splitlines()[0]}\n  {line_of(each.plan)}")
            if time.monotonic() > next_word:
                next_word += 60.0
                say(
                    f"{plans} plans, {totals['granted']} grants, {len(corpus.seen)} features,"
                    f" {len(corpus.kept)} plans kept, {len(failures)} failures"
                )
        small = pool.map(_shrink, [plan for plan, _ in failures[:_SHRUNK_MAX]])
        shrunk_ones = tuple(
            (plan, what) for plan, (_, what) in zip(small, failures, strict=False)
        ) + tuple(failures[_SHRUNK_MAX:])
    return Result(plans, totals, frozenset(corpus.seen), shrunk_ones, spent)


def _shrink(plan: CrowdPlan) -> CrowdPlan:
    return shrunk(plan, fails)


def summary(result: Result) -> str:
    """What a search says at the end."""
    totals = result.totals
    lines = [
        f"{result.plans} plans, {totals['granted']} grants in {result.seconds:.0f} CPU seconds",
        f"{totals['steps']} steps, {totals['requests']} requests, {totals['starts']} cron starts",
        _listed("plans ", totals, "about: "),
        _listed("plans under the rules of ", totals, "under the rules of "),
        _listed("faults injected: ", totals, "trouble: "),
        _listed("losses reported: ", totals, "lost: "),
        "features: " + ", ".join(f"{n} {kind}" for kind, n in _kinds(result.seen).items()),
        f"{totals['histories judged']} histories were linearizable",
        f"{totals['histories that were not decided']} histories were not decided",
        f"{len(result.seen)} features reached; of those known beforehand, never:",
        *(f"  {feature}" for feature in never_reached(result.seen)),
        f"{len(result.failures)} plans failed",
    ]
    for plan, what in result.failures:
        lines += [f"  {what.splitlines()[0]}", f"  {line_of(plan)}"]
    return "\n".join(lines)


def _listed(title: str, totals: Counter[str], prefix: str) -> str:
    found = {what.removeprefix(prefix): n for what, n in totals.items() if what.startswith(prefix)}
    whole = f"{sum(found.values())}: " if found else "none"
    return title + whole + ", ".join(f"{found[what]} {what}" for what in sorted(found))


def _kinds(seen: frozenset[str]) -> Counter[str]:
    """How many features of each kind: steps, steps after steps, transitions of holds, and so on."""
    return Counter(sorted(feature.partition(":")[0] for feature in seen))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args(arguments)
    seed = int.from_bytes(os.urandom(4)) if chosen.seed is None else chosen.seed

    def say(text: str) -> None:
        print(text, flush=True)  # noqa: T201 - this is a command

    say(f"search: seed {seed}, {chosen.processes} processes, {chosen.minutes:g} minutes")
    result = search(seed, chosen.minutes * 60.0, chosen.processes, say)
    say(summary(result))
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
