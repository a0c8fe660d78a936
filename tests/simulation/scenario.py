"""What happens in one simulated run: written down, so that it can be shrunk and pinned."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from hypothesis import strategies as st

from tests.simulation.simulator import DELAYS


class Trouble(enum.Enum):
    """Faults, and actions of others."""

    REFUSED = "refused"
    LOST = "lost"
    ANSWER_LOST = "answer lost"
    CUT_AFTER = "cut after"
    GHOST = "ghost"
    LATE = "late"
    OLD = "old"
    """A deposed leader answers."""
    CUT = "cut"
    CUT_TO_GHOSTS = "cut to ghosts"
    PARTITION = "partition"
    PAUSE = "pause"
    CANCEL = "cancel"
    CANCEL_QUIETLY = "cancel quietly"
    CRASH = "crash"
    FREEZE = "freeze"
    """Everybody is paused."""
    LEADERLESS = "leaderless"
    ELECT = "elect"
    ERROR_500 = "error 500"
    FOREIGN = "foreign"
    """A client like that of Go takes the lock as soon as it is free, and releases it."""
    FOREIGN_KEY = "foreign key"
    """Somebody uses the key for something else, if it is free."""
    DESTROY = "destroy"
    """An operator destroys a session of the contender."""
    LEAVE = "leave"
    """The node leaves: all sessions end."""
    DEPOSED = "deposed"
    """A leader that was deposed answers the contender: its renewals with 200, and nothing else.
    It does so for longer than any real one, for deadlines to be built on it."""
    DELETE = "delete"
    """An operator deletes the key of the lock."""
    FLEET = "fleet"
    """The session of a holder ends while many come who never met the lock, and try once."""
    CLOSE = "close"
    """The contender closes its client, whatever it is doing."""


HESITANT = (
    Trouble.PAUSE,
    Trouble.PARTITION,
    Trouble.LOST,
    Trouble.LATE,
    Trouble.OLD,
    Trouble.GHOST,
    Trouble.ANSWER_LOST,
    Trouble.CUT_TO_GHOSTS,
    Trouble.CRASH,
)
"""What keeps a waiter from noticing in time that it was handed the lock, or from saying so."""

NEEDS_LOCK_DELAY = {Trouble.DESTROY, Trouble.LEAVE, Trouble.FLEET}
"""Without a lock-delay, nothing protects from these: the documentation says so."""

# Often, as they are what a network does all the time.
_COMMON = (
    Trouble.REFUSED,
    Trouble.LOST,
    Trouble.ANSWER_LOST,
    Trouble.CUT_AFTER,
    Trouble.GHOST,
    Trouble.LATE,
    Trouble.OLD,
    Trouble.CUT,
    Trouble.CUT_TO_GHOSTS,
    Trouble.PAUSE,
    Trouble.CANCEL,
    Trouble.CANCEL_QUIETLY,
    Trouble.FOREIGN,
    Trouble.DESTROY,
)
_RARE = tuple(set(Trouble) - set(_COMMON) - {Trouble.DELETE, Trouble.DEPOSED})

SECONDS = (0.05, 0.7, 4.0, 12.0, 33.0, 75.0)
"""How long a trouble that lasts may last."""

TIMEOUTS = (None, None, 30.0, 3.0, 0.4, 0.0)
"""How long a contender is willing to wait."""


RAFT = ((0.0,), (0.001,), (0.005, 0.3), (0.3, 0.02, 1.3))
"""How long writes are on their way to all servers, on better and worse disks."""


HOLDER, FIRST = 100, 101


class Fault(NamedTuple):
    """One trouble."""

    gap: int
    """Events since the one before."""
    trouble: Trouble
    who: int
    """Number of the contender, modulo; or ``HOLDER``, or ``FIRST`` in the queue, at that time."""
    amount: int = 0
    """Place in ``SECONDS``, or in the sessions of the contender."""


class Client(NamedTuple):
    """One contender."""

    threads: int = 1
    fair: bool = False
    watch: bool = False
    lock_delay: float = 30.0
    timeouts: tuple[int, ...] = (0,)
    """Places in ``TIMEOUTS``: of the first attempt, the second, ..."""
    drift: float = 1.0
    """Seconds of its clock in one second."""
    wishes: tuple[int, ...] = (0,)
    """What its threads want, where there is a choice: the first time, the second, ..."""
    holds: float | None = None
    """Seconds that it holds each time; None: a moment, or several."""
    numbers: bool = True
    """It asks for the numbers of its slots, of a semaphore."""


class Plan(NamedTuple):
    """One run."""

    seed: int
    clients: tuple[Client, ...]
    delays: tuple[int, ...] = (0,)
    """Places in ``DELAYS``, for one message after the other, again and again."""
    faults: tuple[Fault, ...] = ()
    expiry: float = 2.0
    """How many TTLs the server lets a session live."""
    rounds: int = 2
    raft: tuple[float, ...] = (0.0,)
    """Seconds from the admission of a write to its application: of the first, the second, ..."""

    @property
    def calm(self) -> bool:
        """Nothing goes wrong, though some may lose patience."""
        return not self.faults

    @property
    def orderly(self) -> bool:
        """Calm, and everybody waits: then the order is first come, first served."""
        return self.calm and all(set(c.timeouts) <= {0, 1} for c in self.clients)

    @property
    def slowest(self) -> float:
        """Seconds that the slowest message takes one way."""
        return max(DELAYS[place] for place in self.delays or (0,))


def troubles(lock_delay: float) -> tuple[Trouble, ...]:
    """What may happen to clients with such a lock-delay."""
    allowed = (*_COMMON, *_COMMON, *sorted(_RARE, key=lambda trouble: trouble.value))
    return tuple(t for t in allowed if lock_delay or t not in NEEDS_LOCK_DELAY)


def release(seed: int) -> str:
    """Whose rules a run is under: those of newer and of older releases of Consul, half of the runs
    each."""
    return ("1.21", "1.8")[seed // 2 % 2]


def from_seed(
    seed: int,
    *,
    more: tuple[Trouble, ...] = (),
    only: tuple[Trouble, ...] = (),
    orderly: bool = False,
    calm: bool = False,
) -> Plan:
    """A plan, always the same for the same seed; ``more`` troubles may happen, often."""
    random = Random(seed)
    lock_delay = random.choice((30.0, 30.0, 30.0, 5.0, 60.0, 0.0))
    places = range(2) if orderly else range(len(TIMEOUTS))
    clients = tuple(
        Client(
            random.choice((1, 1, 2)),
            random.random() < 0.3,
            random.random() < 0.3,
            lock_delay,
            tuple(random.choice(places) for _ in range(3)),
            random.choice((1.0, 0.98, 1.02)),
        )
        for _ in range(random.choice((3, 3, 4, 5)))
    )
    choice = only or troubles(lock_delay) + more * 5
    if not lock_delay:
        choice = tuple(trouble for trouble in choice if trouble not in NEEDS_LOCK_DELAY)
    faults = tuple(
        _fault(random, choice)
        for _ in range(0 if orderly or calm else random.choice((1, 3, 8, 15)))
    )
    delays = tuple(random.randrange(len(DELAYS)) for _ in range(random.choice((1, 3, 37))))
    expiry = random.choice((1.0, 1.5, 2.0))
    return Plan(seed, clients, delays, faults, expiry, 3, random.choice(RAFT))


def hesitant(seed: int) -> Plan:
    """A few who hand the lock on, again and again, and are kept from noticing it or saying so."""
    random = Random(seed)
    clients = tuple(
        Client(drift=random.choice((1.0, 0.98, 1.02))) for _ in range(random.choice((3, 4)))
    )
    choice = (*HESITANT, *(Trouble.PAUSE, Trouble.PARTITION) * 3)
    faults = tuple(
        Fault(
            random.choice((0, 1, 3, 10, 30)),
            random.choice(choice),
            random.choice((HOLDER, FIRST)),
            random.choice((1, 2, 2, 3)),
        )
        for _ in range(12)
    )
    delays = tuple(random.randrange(len(DELAYS)) for _ in range(random.choice((3, 37))))
    return Plan(seed, clients, delays, faults, 2.0, 4)


def _fault(random: Random, choice: Sequence[Trouble]) -> Fault:
    return Fault(
        random.choice((0, 1, 5, 20, 60)),
        random.choice(choice),
        random.choice((0, 1, 2, 3, 4, HOLDER, HOLDER, HOLDER, FIRST, FIRST)),
        random.randrange(6),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans for Hypothesis, which finds a small one for what it breaks."""
    lock_delay = draw(st.sampled_from((30.0, 5.0, 60.0, 0.0)))
    client = st.builds(
        Client,
        threads=st.sampled_from((1, 2)),
        fair=st.booleans(),
        watch=st.booleans(),
        lock_delay=st.just(lock_delay),
        timeouts=st.lists(st.integers(0, len(TIMEOUTS) - 1), min_size=1, max_size=3).map(tuple),
        drift=st.sampled_from((1.0, 0.98, 1.02)),
        # Named, as Hypothesis would draw what has a default from its type.
        wishes=st.just((0,)),
        holds=st.none(),
        numbers=st.just(True),
    )
    fault = st.builds(
        Fault,
        gap=st.integers(0, 60),
        trouble=st.sampled_from(troubles(lock_delay)),
        who=st.sampled_from((0, 1, 2, 3, 4, HOLDER, FIRST)),
        amount=st.integers(0, 5),
    )
    return Plan(
        draw(st.integers(0, 1000)),
        tuple(draw(st.lists(client, min_size=3, max_size=5))),
        tuple(draw(st.lists(st.integers(0, len(DELAYS) - 1), min_size=1, max_size=12))),
        tuple(draw(st.lists(fault, max_size=15))),
        draw(st.sampled_from((2.0, 1.0, 1.5))),
        draw(st.integers(1, 3)),
        draw(st.sampled_from(RAFT)),
    )
