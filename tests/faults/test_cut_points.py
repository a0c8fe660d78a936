"""An uncertain acquire leaves no lock and no session behind: 200 random cut points.

Clients are cut off by the network, by Ctrl-C and by cancelling, while they acquire a free lock,
while they wait, while a lock is handed to them, and while they release.  Whatever became of it:
soon there is no key and no session of theirs, and another client has the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from consul_lock import Client, Lock
from tests.faults.cut_clients import CutClient
from tests.faults.cuts import Interrupt, NetworkCut
from tests.support.agent import Agent
from tests.support.apis import Face
from tests.support.effort import scaled
from tests.support.waiting import eventually

POINTS = scaled(20)
"""Cut points of one situation and face; there are five situations and two faces."""

# So many at a time: a client that waits for a timeout uses no processor.
AT_ONCE = 20

# Seconds after which nothing may be left.  Less than the 20 s after which Consul itself takes
# away the session of a client that has gone, or else nothing would be proved.
BOUND = 15.0


class Scene:
    """The surroundings of a victim: the other clients, all of them well connected."""

    def __init__(self, agent: Agent, other: Client) -> None:
        self.agent = agent
        self.other = other

    def free(self, victim: CutClient) -> None:
        """Nobody else wants the lock."""
        if victim.acquire(5.0):
            victim.let_go()

    def taken(self, victim: CutClient) -> None:
        """Somebody holds it all the time."""
        with Lock(victim.name, client=self.other):
            assert victim.acquire(0.4) is False

    def handed(self, victim: CutClient) -> None:
        """The holder releases while the victim is in the queue."""
        holder = Lock(victim.name, client=self.other)
        holder.acquire()
        with ThreadPoolExecutor(1) as threads:
            acquiring = threads.submit(victim.acquire, 5.0)
            eventually(lambda: acquiring.done() or self._queued(victim.name))
            holder.release()
            if acquiring.result(120):
                victim.let_go()

    def released(self, victim: CutClient) -> None:
        """The victim lets go, and nobody waits."""
        victim.get()
        victim.release()

    def passed_on(self, victim: CutClient) -> None:
        """The victim releases while somebody is in the queue."""
        victim.get()
        waiter = Lock(victim.name, client=self.other)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(waiter.acquire, timeout=60)
            eventually(lambda: self._queued(victim.name))
            victim.release()
            assert waiting.result(120), f"the waiter never got {victim.name}: {victim.cut!r}"
        waiter.release()

    def _queued(self, name: str) -> list[str]:
        return self.agent.living(f"{name}/.queue/")


@pytest.fixture
def other(agent: Agent) -> Iterator[Client]:
    """A client that nothing happens to."""
    with Client(agent.address) as opened:
        yield opened


def see_nothing_left(agent: Agent, prefix: str, victims: list[CutClient]) -> None:
    """No key that somebody holds, and no session but those that are kept for reuse on purpose."""
    eventually(
        lambda: not any(victim.proxy.delayed for victim in victims), message="what is late arrives"
    )

    def nothing() -> bool:
        left = [
            *agent.living(prefix),
            *(found for victim in victims for found in victim.left(agent)),
        ]
        assert not left, left
        return True

    eventually(nothing, BOUND, message="nothing is left in Consul")


def take(client: Client, victim: CutClient) -> None:
    """Another client can have the lock, and then the victim itself."""
    lock = Lock(victim.name, client=client)
    assert lock.acquire(timeout=BOUND), victim.name
    lock.release()
    victim.get()
    victim.let_go()


# The situation, and how many requests and effects its cuts are spread over.
SITUATIONS = [
    pytest.param(Scene.free, 4, 9, id="free"),
    pytest.param(Scene.taken, 8, 20, id="taken"),
    pytest.param(Scene.handed, 7, 20, id="handed over"),
    pytest.param(Scene.released, 1, 2, id="released"),
    pytest.param(Scene.passed_on, 3, 7, id="passed on"),
]


@pytest.mark.parametrize("play, requests, effects", SITUATIONS)
def test_nothing_is_left_wherever_it_was_cut(
    face: Face,
    agent: Agent,
    other: Client,
    play: Callable[[Scene, CutClient], None],
    requests: int,
    effects: int,
) -> None:
    """Each victim is cut off at a random point; then all of Consul is looked at."""
    prefix = f"cut/{face.name}/{play.__name__}/"
    random = Random(prefix)
    scene, victims = Scene(agent, other), []
    for number in range(POINTS):
        cut = Interrupt(random, effects) if number % 2 else NetworkCut(random, requests)
        victims.append(CutClient(face, agent, f"{prefix}{number}", cut, random))
    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for done in [threads.submit(play, scene, victim) for victim in victims]:
                done.result()
            see_nothing_left(agent, prefix, victims)
            for taken in [threads.submit(take, other, victim) for victim in victims]:
                taken.result()
        see_nothing_left(agent, prefix, victims)
        assert sum(v.cut.done for v in victims) >= POINTS * 3 // 4, [v.cut for v in victims]
    finally:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(CutClient.close, victims))
    eventually(lambda: not any(victim.left(agent) for victim in victims), BOUND)
