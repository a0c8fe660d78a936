"""Fresh plans, for a search: swarm testing.

A plan in which everything goes wrong all the time never has what comes of two faults alone.  So
each plan turns a random half of the faults off, and draws how often each of the others happens,
how close together they come, and whom they hit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from tests.simulation import lock_run, weighted_run
from tests.simulation.mixed_run import MixedRun
from tests.simulation.scenario import (
    FIRST,
    HOLDER,
    NEEDS_LOCK_DELAY,
    RAFT,
    SECONDS,
    TIMEOUTS,
    Client,
    Fault,
    Plan,
    Trouble,
)
from tests.simulation.simulated_run import Trial
from tests.simulation.simulator import DELAYS
from tests.simulation.weighted_kinds import KINDS, MENU
from tests.simulation.weighted_scenario import ACTIVITIES, CrowdPlan

SUBJECTS = ("lock", *KINDS, "mixed")
"""What a plan is about: one kind of lock, or all of them at once."""

ROUNDS_MAX = 12
"""So often each thread of a plan wants something, at most."""

# A hand that deletes, and a deposed leader that answers for longer than any real one does, have
# runs of their own, as not all promises are owed there.
_APART = {Trouble.DELETE, Trouble.DEPOSED}

# Clients of Go's semaphore prune at once, which costs exclusion.
_OF_THE_LOCK = {Trouble.FOREIGN}

_WHO = (0, 1, 2, 3, 4, HOLDER, FIRST)

# The keeper renews all sessions of a client one after the other: if each takes seconds, some come
# too late, and nobody gets on.  Single messages may be late all the same.
_SLOWEST = len(DELAYS) - 1

_DRIFTS = (1.0, 0.98, 1.02)

# Who releases at once hands over more often.
_HOLDS = (None, 0.0, 0.0, 0.05)


class Swarm(NamedTuple):
    """The faults that one plan draws from."""

    rates: tuple[tuple[Trouble, float], ...]
    gaps: tuple[int, ...]
    """Events between two of them."""

    def draw(self, random: Random) -> Fault:
        """One more fault."""
        troubles, weights = zip(*self.rates, strict=True)
        return Fault(
            random.choice(self.gaps),
            random.choices(troubles, weights)[0],
            random.choice(_WHO),
            random.randrange(len(SECONDS)),
        )


def allowed(subject: str, lock_delay: float) -> list[Trouble]:
    """The faults that may happen to a subject without costing its promises."""
    apart = _APART | (set() if subject in ("lock", "mixed") else _OF_THE_LOCK)
    apart |= set() if lock_delay else NEEDS_LOCK_DELAY
    return [trouble for trouble in Trouble if trouble not in apart]


def swarm(random: Random, troubles: Sequence[Trouble]) -> Swarm:
    """A random half of these faults, and a rate of each."""
    chosen = random.sample(list(troubles), (len(troubles) + 1) // 2)
    most = random.choice((2, 10, 60, 300))
    return Swarm(
        tuple((trouble, random.expovariate(1.0)) for trouble in chosen),
        tuple(random.randrange(most + 1) for _ in range(8)),
    )


def fresh(seed: int, subject: str | None = None) -> CrowdPlan:
    """A plan, always the same for the same seed."""
    random = Random(f"swarm {seed}")
    subject = subject or random.choice(SUBJECTS)
    lock_delay = random.choice((30.0, 30.0, 30.0, 5.0, 60.0, 0.0))
    drawn_from = swarm(random, allowed(subject, lock_delay))
    clients = tuple(_client(random, lock_delay) for _ in range(random.choice((3, 4, 5))))
    faults = tuple(drawn_from.draw(random) for _ in range(random.choice((1, 3, 8, 15, 30))))
    without = _turned_off(random) if subject == "mixed" else ()
    slowest = _SLOWEST + (subject == "lock")
    delays = tuple(random.randrange(slowest) for _ in range(random.choice((1, 3, 37))))
    return CrowdPlan(
        subject,
        Plan(
            random.randrange(10**9),
            clients,
            delays,
            faults,
            random.choice((1.0, 1.5, 2.0)),
            random.choice((2, 3, 6, ROUNDS_MAX)),
            random.choice(RAFT),
        ),
        random.choice((1, 2, 2, 3)),
        without,
    )


def _turned_off(random: Random) -> tuple[str, ...]:
    """As with faults, but in half of the plans only: half of what there is to do."""
    return tuple(random.sample(ACTIVITIES, random.choice((0, len(ACTIVITIES) // 2))))


def _client(random: Random, lock_delay: float) -> Client:
    return Client(
        random.choice((1, 2)),
        random.random() < 0.3,
        random.random() < 0.3,
        lock_delay,
        tuple(random.randrange(len(TIMEOUTS)) for _ in range(3)),
        random.choice(_DRIFTS),
        tuple(random.randrange(MENU) for _ in range(3)),
        random.choice(_HOLDS),
    )


def run_of(plan: CrowdPlan) -> Trial:
    """The run of a plan, from its subject."""
    if plan.kind == "lock":
        return lock_run.Run(plan.plan)
    return MixedRun(plan) if plan.kind == "mixed" else weighted_run.CrowdRun(plan)


def play(plan: CrowdPlan) -> Counter[str]:
    """Run a plan."""
    return run_of(plan).play()


def mutated(plan: CrowdPlan, random: Random) -> CrowdPlan:
    """A plan that differs a little: its faults, its clients, its messages or its seed."""
    for _ in range(random.choice((1, 1, 2, 4))):
        plan = random.choice(_MUTATIONS)(plan, random)
    return plan


def _other_seed(plan: CrowdPlan, random: Random) -> CrowdPlan:
    return plan._replace(plan=plan.plan._replace(seed=random.randrange(10**9)))


def _one_fault_more(plan: CrowdPlan, random: Random) -> CrowdPlan:
    faults = list(plan.plan.faults)
    troubles = allowed(plan.kind, plan.plan.clients[0].lock_delay)
    used = [fault.trouble for fault in faults]
    # Mostly one that it has already: a plan is about the faults that it does not turn off.
    choice = used if used and random.random() < 0.7 else troubles
    new = Swarm(tuple((t, 1.0) for t in choice), (0, 1, 5, 20, 60, 200)).draw(random)
    faults.insert(random.randint(0, len(faults)), new)
    return plan._replace(plan=plan.plan._replace(faults=tuple(faults)))


def _one_fault_less(plan: CrowdPlan, random: Random) -> CrowdPlan:
    faults = list(plan.plan.faults)
    if faults:
        del faults[random.randrange(len(faults))]
    return plan._replace(plan=plan.plan._replace(faults=tuple(faults)))


def _another_fault(plan: CrowdPlan, random: Random) -> CrowdPlan:
    faults = list(plan.plan.faults)
    if faults:
        place = random.randrange(len(faults))
        gap = max(0, faults[place].gap + random.choice((-20, -5, -1, 1, 5, 20)))
        faults[place] = random.choice(
            (
                faults[place]._replace(gap=gap),
                faults[place]._replace(who=random.choice(_WHO)),
                faults[place]._replace(amount=random.randrange(len(SECONDS))),
            )
        )
    return plan._replace(plan=plan.plan._replace(faults=tuple(faults)))


def _another_client(plan: CrowdPlan, random: Random) -> CrowdPlan:
    clients = list(plan.plan.clients)
    place = random.randrange(len(clients))
    clients[place] = _client(random, clients[place].lock_delay)
    return plan._replace(plan=plan.plan._replace(clients=tuple(clients)))


def _other_messages(plan: CrowdPlan, random: Random) -> CrowdPlan:
    delays = tuple(random.randrange(_SLOWEST) for _ in range(random.choice((1, 3, 37))))
    return plan._replace(plan=plan.plan._replace(delays=delays, raft=random.choice(RAFT)))


_MUTATIONS = (
    _other_seed,
    _one_fault_more,
    _one_fault_more,
    _one_fault_less,
    _another_fault,
    _another_fault,
    _another_client,
    _other_messages,
)
