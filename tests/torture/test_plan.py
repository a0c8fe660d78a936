"""A plan of a torture is data, made from its seed."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path

import pytest

from tests.torture.plan import (
    CUTS_OFF_NOBODY,
    KINDS,
    Fault,
    Plan,
    draw_faults,
    make_plan,
    needs_network,
)
from tests.torture.stage import CLIENTS

_NEED_NO_SERVER = {
    "delay", "loss", "429", "clock step", "worker stopped", "worker killed",
    "kill", "stop", "partition", "cannot send", "cannot receive",
}  # fmt: skip


def test_a_seed_gives_the_same_plan_each_time() -> None:
    """Workers, faults, their times and targets; another seed gives another one."""
    assert make_plan(7, 600) == make_plan(7, 600)
    assert make_plan(7, 600) != make_plan(8, 600)


def test_a_plan_is_written_down_and_read_again() -> None:
    """As JSON."""
    plan = make_plan(1, 100)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_each_kind_with_each_target_has_its_turn_before_any_comes_again() -> None:
    """So that a long run has all of them about equally often."""
    faults = _first_of_each(draw_faults(random.Random(1), 5_000.0))
    pairs = [(kind.name, target) for kind in KINDS for target in kind.targets]
    first = [(fault.kind, fault.target) for fault in faults[: len(pairs)]]
    assert sorted(first) == sorted(pairs)
    counts = Counter((fault.kind, fault.target) for fault in faults)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_faults_follow_one_another_and_keep_to_their_times() -> None:
    """None begins before the one before it has had its time, but for those that come together."""
    faults = draw_faults(random.Random(2), 5_000.0)
    limits = {kind.name: kind.seconds for kind in KINDS}
    for before, after in pairwise(faults):
        assert before.at == after.at or before.at + before.seconds <= after.at + 0.1
    for fault in faults:
        shortest, longest = limits[fault.kind]
        assert shortest - 0.1 <= fault.seconds <= longest + 0.1


def test_some_faults_come_together() -> None:
    """Two of different kinds, of which the second needs no server, nor the target of the first."""
    faults = draw_faults(random.Random(5), 20_000.0)
    moments = [list(group) for _, group in groupby(faults, attrgetter("at"))]
    pairs = [moment for moment in moments if len(moment) > 1]
    assert 0.2 < len(pairs) / len(moments) < 0.4
    for first, second in pairs:
        assert second.kind in _NEED_NO_SERVER
        assert first.kind != second.kind
        assert first.kind[:6] != "worker" or second.kind[:6] != "worker"
        assert second.target in ("", CLIENTS[1])
        assert second.target == "" or first.target != second.target
    firsts = {first.kind for first, _ in pairs}
    assert firsts == {kind.name for kind in KINDS}
    assert {second.kind for _, second in pairs} == _NEED_NO_SERVER


def _first_of_each(faults: Iterable[Fault]) -> list[Fault]:
    """Without those that were injected beside another."""
    return [next(group) for _, group in groupby(faults, attrgetter("at"))]


_OF_THE_FIGURES = {
    (1001, 1): "becba7f3ac5a",
    (1002, 5): "5090df11b26b",
    (1053, 5): "9ad4f724a30e",
    (1026, 1): "b1d46c7c951e",
}
"""By seed and raft_multiplier: the beginning of the SHA-256 of a plan."""


@pytest.mark.parametrize("run", _OF_THE_FIGURES)
def test_the_runs_of_the_figures_can_be_played_again(run: tuple[int, int]) -> None:
    """Those of docs/reliability.md, whose faults came one at a time: it says with which options."""
    seed, multiplier = run
    plan = make_plan(seed, 900.0, raft_multiplier=multiplier, together=0.0, exemptions=False)
    written = json.dumps(plan.to_json(), sort_keys=True)
    assert hashlib.sha256(written.encode()).hexdigest()[:12] == _OF_THE_FIGURES[run]
    assert all(before.at < after.at for before, after in pairwise(plan.faults))
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
    assert re.search(rf"^\| .* \| {seed} \| 900 \| {multiplier} \|", page, re.MULTILINE)


def test_kinds_and_times_can_be_limited() -> None:
    """A kind that needs more than that is left out."""
    faults = draw_faults(random.Random(3), 500.0, ["kill", "no quorum", "stop"], longest=8.0)
    assert {fault.kind for fault in faults} == {"kill", "stop"}
    assert max(fault.seconds for fault in faults) <= 8.0


def test_without_networks_only_what_can_be_is_drawn() -> None:
    """So that no time passes without a fault: what the proxy can do is among them."""
    faults = draw_faults(random.Random(6), 3_000.0, network=False)
    drawn = {(fault.kind, fault.target) for fault in faults}
    assert not any(needs_network(kind, target) for kind, target in drawn)
    assert {("partition", "client-2"), ("delay", "")} <= drawn
    for before, after in pairwise(_first_of_each(faults)):
        assert after.at - before.at <= 60.0
    assert draw_faults(random.Random(6), 100.0, ["loss"], network=False) == ()


def test_go_alone_works_in_groups_of_its_own() -> None:
    """With semaphores, which are not mixed with those of the library."""
    plan = make_plan(4, 60, callers=["go"])
    assert {work.job.caller for work in plan.works} == {"go"}
    assert {work.job.primitive for work in plan.works} == {"lock", "semaphore"}
    for seed in range(50):
        for work in make_plan(seed, 10).works:
            assert (work.job.caller, work.job.primitive) != ("go", "semaphore")


def test_semaphores_of_go_are_mixed_in_where_no_holder_is_cut_off() -> None:
    """By no fault, and by nobody who kills wrappers: with one limit, and only there."""
    for kinds in (["delay"], ["clock step", "maintenance"]):
        plan = make_plan(4, 60, kinds=kinds, groups=7)
        jobs = [work.job for work in plan.works if work.job.primitive == "semaphore"]
        assert {job.caller for job in jobs} == {"thread", "task", "command", "go"}
        assert {(job.limit > 1, job.kills) for job in jobs} == {(True, 0.0)}
        assert len({job.limit for job in jobs}) == 1
    for kind in {kind.name for kind in KINDS} - CUTS_OFF_NOBODY:
        plan = make_plan(4, 60, kinds=["delay", kind], groups=7)
        jobs = [work.job for work in plan.works if work.job.primitive == "semaphore"]
        assert "go" not in {job.caller for job in jobs}


def test_cron_slots_are_tried_again_in_some_plans() -> None:
    """All hosts of a job agree on it; without exemptions nobody does, nor kills both."""
    seen: set[tuple[bool, bool]] = set()
    for seed in range(30):
        jobs = [work.job for work in make_plan(seed, 10, groups=7).works]
        (again,) = {(job.retry_crashed, job.retry_failed) for job in jobs if job.caller == "cron"}
        seen.add((again[0] > 0, again[1] > 0))
        assert all("both" in job.deeds for job in jobs)
        assert not any(job.retries for job in jobs if job.caller != "cron")
        plain = [work.job for work in make_plan(seed, 10, groups=7, exemptions=False).works]
        assert not any(job.retries or "both" in job.deeds for job in plain)
    assert len(seen) == 4


def test_those_that_compete_agree_on_the_lock() -> None:
    """On its limit and its times, and they are on both hosts."""
    for seed in range(20):
        groups: dict[str, set[tuple[float, float, int]]] = {}
        hosts: dict[str, set[str]] = {}
        for work in make_plan(seed, 10).works:
            about = work.job.ttl, work.job.lock_delay, work.job.limit
            groups.setdefault(work.job.name, set()).add(about)
            hosts.setdefault(work.job.name, set()).add(work.host)
        assert all(len(about) == 1 for about in groups.values())
        assert all(len(names) == 2 for names in hosts.values())
