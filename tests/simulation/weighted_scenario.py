"""What happens in one simulated run of something that several can hold."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from hypothesis import strategies as st

from tests.simulation.scenario import NEEDS_LOCK_DELAY, Client, Plan, Trouble, from_seed, plans
from tests.simulation.weighted_kinds import KINDS, MENU

# Without a hand that deletes, and without Go's clients, which prune at once: those have runs of
# their own, as exclusion is not owed there.
_APART = {Trouble.DELETE, Trouble.FOREIGN}

# Places in ``TIMEOUTS`` and ``DELAYS``, for runs in a hurry.
_IMPATIENT, _SLOW = (3, 4, 4), (0, 0, 0, 7, 7, 0, 0, 0, 0, 0, 0)
_SLOWEST = 6


ACTIVITIES = ("lock", "election", *KINDS, "observers", "cron")
"""What there is to do in a run of all kinds."""


class CrowdPlan(NamedTuple):
    """One run."""

    kind: str
    plan: Plan
    limit: int = 2
    """How many a semaphore lets in, in the beginning."""
    without: tuple[str, ...] = ()
    """What nobody does in a run of all kinds: names from `ACTIVITIES`."""


def crowd(
    kind: str,
    seed: int,
    *,
    more: tuple[Trouble, ...] = (),
    only: tuple[Trouble, ...] = (),
    orderly: bool = False,
    hurried: bool = False,
) -> CrowdPlan:
    """A plan, always the same for the same kind and seed; ``more`` troubles happen, often, or
    ``only`` those; if ``hurried``, messages take long, and nobody has the patience for that."""
    random = Random(f"{kind} {seed}")
    # Dead holders are what these are about: in half of the runs there are many.
    more += (Trouble.CRASH,) if seed % 2 else ()
    number = len(KINDS) * seed + list(KINDS).index(kind)
    plan = from_seed(number, more=more, orderly=orderly)
    faults = tuple(f for f in plan.faults if f.trouble not in _APART - set(more))
    if only:
        faults = tuple(f._replace(trouble=random.choice(only)) for f in plan.faults * 2)
    mixed = KINDS[kind].documents and random.random() < (0.8 if only else 0.3)
    least = 5.0 if NEEDS_LOCK_DELAY & set(only) else 0.0
    clients = tuple(
        client._replace(
            threads=random.choice((1, 2, 3)),
            lock_delay=random.choice((5.0, 30.0, 60.0)) if mixed else client.lock_delay or least,
            wishes=tuple(random.randrange(MENU) for _ in range(3)),
            timeouts=_IMPATIENT if hurried else client.timeouts,
            numbers=not hurried,  # these leave at once, and are about that
        )
        for client in plan.clients
    )
    plan = plan._replace(clients=clients, faults=faults, delays=_bearable(plan.delays))
    if orderly:
        # On a bad disk who has a part and is hasty for more gives up before its write is applied.
        plan = plan._replace(raft=(min(plan.raft),))
    if hurried:
        plan = plan._replace(delays=_SLOW, rounds=12)
    return CrowdPlan(kind, plan, random.choice((2, 2, 3)))


def _bearable(delays: tuple[int, ...]) -> tuple[int, ...]:
    """The keeper renews all sessions of a client one after the other: if each takes seconds, some
    come too late, and nobody gets on.  Single messages may be late all the same."""
    return tuple(min(each, _SLOWEST) for each in delays)


@st.composite
def crowds(draw: st.DrawFn, kind: str) -> CrowdPlan:
    """Plans for Hypothesis, which finds a small one for what it breaks."""
    plan = draw(plans())
    wishes = st.lists(st.integers(0, MENU - 1), min_size=1, max_size=3).map(tuple)
    clients = tuple(_with(client, draw(wishes)) for client in plan.clients)
    faults = tuple(f for f in plan.faults if f.trouble not in _APART)
    plan = plan._replace(clients=clients, faults=faults, delays=_bearable(plan.delays))
    return CrowdPlan(kind, plan, draw(st.integers(1, 3)))


def _with(client: Client, wishes: tuple[int, ...]) -> Client:
    return client._replace(wishes=wishes)
