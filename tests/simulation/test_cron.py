"""A cron job on many hosts, in a world where everything goes wrong.

What is looked at after each start is in `cron_run`: never two starts for one slot and attempt, and
none while an earlier run may be alive.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from consul_lock._protocol.cron.decision import CronPlan
from consul_lock._protocol.cron.slot import Every, parse_slot
from tests.simulation.cron_run import Day, Play, from_seed, label
from tests.simulation.flow_process import EPOCH
from tests.simulation.mutation import Mutant, applied
from tests.simulation.network_message import Fate
from tests.support.effort import scaled

# What has to happen in these runs, and how often at least: else they would prove nothing.
HAPPENS = {
    "starts": 204,
    "attempts after the first": 1,
    "recorded": 175,
    "not recorded": 1,
    "cron: taken": 291,
    "cron: passed": 11,
    "cron: overlap": 11,
    "Unavailable": 5,
    "LockLost": 2,
    "Cancelled": 8,
    "answer lost": 14,
    "cut after": 14,
    "ghosts carried out": 14,
    "late": 14,
    "trouble: crash": 58,
    "trouble: pause": 58,
    "trouble: step": 58,
    "trouble: destroy": 58,
    "trouble: leaderless": 58,
}

_EVERY = 600.0

_FATES = (Fate.LOST, Fate.ANSWER_LOST, Fate.CUT_AFTER, Fate.GHOST, Fate.LATE, Fate.REFUSED)


def _quiet_day(seed: int, retries: int = 9) -> Day:
    """Two slots on three hosts that stand by, with clocks that differ."""
    random = Random(seed)
    return Day(
        seed,
        every=_EVERY,
        slots=2,
        work=random.choice((0.5, 5.0, 40.0)),
        skew=random.choice((0.0, 2.0, 20.0)),
        plan=CronPlan(
            Every(_EVERY, 0, None),
            splay=random.choice((0.0, 5.0)),
            retry_crashed=retries,
            standby=250.0,
        ),
    )


_BOTH = {label(0, _EVERY), label(1, _EVERY)}


@pytest.mark.slow
def test_no_slot_is_begun_twice_whatever_happens() -> None:
    """Skewed and stepping clocks, lost and late answers, pauses, crashes, destroyed sessions."""
    total: Counter[str] = Counter()
    for seed in range(scaled(70)):
        try:
            total += Play(from_seed(seed)).play()
        except Exception as error:
            error.add_note(f"in the play of from_seed({seed})")
            raise
    rare = {what: total[what] for what, least in HAPPENS.items() if total[what] < least}
    assert not rare, total


@pytest.mark.parametrize("retries", [0, 9])
def test_a_crash_before_any_request_begins_nothing_twice_and_standby_runs_every_slot(
    retries: int,
) -> None:
    """One of three hosts dies at each of its steps in turn.  With retries each slot is run to its
    end by somebody; without them at most one host ever begins it."""
    crashes = 0
    for seed in range(scaled(5)):
        for step in range(1, 30):
            play = Play(_quiet_day(seed, retries))
            play.hosts[seed % 3].crash_before = step
            play.play()
            crashes += play.hosts[seed % 3].crashed
            if retries:
                assert play.done() == _BOTH, (seed, step)
            else:
                assert len(play.starts) <= 2, (seed, step)
    assert crashes > 50


def test_a_host_cut_off_at_any_step_leaves_no_lock_and_makes_no_second_start() -> None:
    """Ctrl-C, or a cancelled task: while claiming, in the job, or while its end is recorded."""
    cut = 0
    for seed in range(scaled(4)):
        for step in range(1, 26):
            play = Play(_quiet_day(seed, 9))
            play.hosts[step % 3].cut_before = step
            cut += play.play()["Cancelled"]
            assert (play.left(), len(play.slots())) == ([], 2), (seed, step)
    assert cut > 30


@pytest.mark.parametrize("fate", _FATES, ids=lambda fate: fate.value)
def test_a_request_that_goes_wrong_at_any_step_costs_no_run_and_makes_no_second(fate: Fate) -> None:
    """Each request of one of three hosts in turn, and the one after it."""
    for step in range(24):
        play = Play(_quiet_day(step, 0))
        play.hosts[step % 3].fates.extend([*[Fate.WELL] * step, fate, fate])
        play.play()
        assert (play.done(), len(play.starts)) == (_BOTH, 2), step


def test_many_requests_that_are_lost_in_a_row_may_cost_a_run_and_make_no_second() -> None:
    """So many that a host gives up before it knows what became of its claim; and there is no run
    lock that would keep the others away."""
    for step in range(6):
        for host in range(3):
            day = _quiet_day(step, 0)
            play = Play(day._replace(plan=day.plan._replace(overlap="allow")))
            play.hosts[host].fates.extend([*[Fate.WELL] * step, *[Fate.LOST] * 4])
            play.play()
            assert len(play.starts) <= 2, (step, host)


@pytest.mark.parametrize("skew", [0.0, 2.0, 149.0])
def test_in_good_weather_each_slot_is_run_once(skew: float) -> None:
    """By any host, without anybody standing by, also of clocks that are minutes apart."""
    for seed in range(scaled(10)):
        plan = CronPlan(Every(_EVERY, 0, None))
        play = Play(Day(seed, hosts=5, every=_EVERY, slots=2, skew=skew, plan=plan))
        play.play()
        assert (play.done(), len(play.starts)) == (_BOTH, 2), seed


def test_a_job_longer_than_its_slot_never_overlaps_and_burns_no_slot() -> None:
    """A skipped slot is counted as an overlap; the slots in between are run."""
    plan = CronPlan(Every(60.0, 0, None))
    play = Play(Day(3, hosts=3, every=60.0, slots=6, work=80.0, plan=plan))
    counts = play.play()
    assert len(play.starts) == 3
    assert counts["cron: overlap"] > 3


def test_a_host_that_waited_for_an_earlier_run_begins_no_slot_that_is_over() -> None:
    """When the next slot has begun, that one is run instead."""
    plan = CronPlan(Every(60.0, 0, None), overlap="wait")
    play = Play(Day(5, hosts=3, every=60.0, slots=8, work=80.0, skew=0.0, plan=plan))
    play.play()
    assert 4 < len(play.starts) < 8
    for start in play.starts.values():
        assert parse_slot(start.slot).epoch == Every(60.0, 0, 0.0).slot(EPOCH + start.at).epoch


MUTANTS = (
    Mutant(
        "a host that has waited begins a slot that is over",
        "cron.claim:Firing.followed",
        "!= self.slot",
        "is None",
    ),
    Mutant(
        "the record is overwritten, whatever is there",
        "cron.store:record_write",
        '"Verb": "cas"',
        '"Verb": "set"',
        seed=27,
    ),
    Mutant(
        "a claim whose answer was lost is not known again",
        "cron.decision:decide",
        "record.claim == claim",
        "record.claim == claim + 'x'",
    ),
    Mutant(
        "what became of the claim is not known: it is run",
        "cron.claim:SlotClaim._claim",
        "            raise\n",
        "            return (yield from self._won(record))\n",
    ),
    Mutant(
        "an attempt that is under way is taken for a crashed one",
        "cron.run_lock:RunLockAccess.enter",
        "if seen.lock is None or not seen.lock.session:",
        "if retry:\n            self.undo = tuple\n            return None\n        if True:",
        seed=7,
    ),
    Mutant(
        "the record is not asked which slot was last",
        "cron.decision:decide",
        "if record.slot == slot.label:",
        "if False:",
    ),
    Mutant(
        "an earlier slot is claimed after a later one",
        "cron.decision:decide",
        "if record.epoch < slot.epoch:",
        "if record.epoch != slot.epoch:",
        seed=1,
    ),
    Mutant(
        "each attempt is the first",
        "cron.claim:SlotClaim._claimed",
        "old.attempt + 1 if again else 1",
        "1",
        seed=6,
    ),
    Mutant(
        "who stands by takes one who only looked, and died, for a run that has ended",
        "cron.run_lock:RunLockAccess._until_it_is_free",
        "self._stood_by = _under_way(seen)",
        "self._stood_by = True",
    ),
    Mutant(
        "a run lock that was acquired in vain is kept",
        "cron.run_lock:RunLockAccess.let_go",
        "yield from suppress_lock_errors(job)",
        "yield from ()",
    ),
    Mutant(
        "nobody stands by",
        "cron.run_lock:RunLockAccess.standby",
        "+ self.plan.standby",
        "",
    ),
)


def _finds_out(mutant: Mutant) -> bool:
    """Whether some play sees that something is wrong."""
    try:
        Play(from_seed(mutant.seed)).play()
        test_a_host_that_waited_for_an_earlier_run_begins_no_slot_that_is_over()
        test_in_good_weather_each_slot_is_run_once(2.0)
        for fate in (Fate.ANSWER_LOST, Fate.GHOST):
            test_a_request_that_goes_wrong_at_any_step_costs_no_run_and_makes_no_second(fate)
        test_many_requests_that_are_lost_in_a_row_may_cost_a_run_and_make_no_second()
        test_a_crash_before_any_request_begins_nothing_twice_and_standby_runs_every_slot(9)
        for seed in range(30):
            Play(from_seed(seed)).play()
    except Exception:  # noqa: BLE001 - a wrong flow fails anyhow
        return True
    except AssertionError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.story)
def test_a_wrong_version_is_found_out(mutant: Mutant) -> None:
    """Tests of the tests."""
    with applied(mutant):
        assert _finds_out(mutant)
