"""Deaths of holders that are cut off, and fleets of newcomers that try once at that moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from random import Random
from typing import NamedTuple

from consul_lock import Client, Lock, MultiLock
from tests.support.actions import DROP_BEFORE, PASS, Action
from tests.support.proxy import Proxy
from tests.support.raw_kv import RawConsul

# Seconds: longer than all deaths together take, so that each holder believes till after its own.
_LOCK_DELAY = 60.0

# Threads, and the clients of each: every client meets every name once.
_THREADS, _CLIENTS = 6, 6

Make = Callable[[str, Client], Lock | MultiLock]


def one(name: str, client: Client) -> Lock:
    """A lock."""
    return Lock(name, client=client, lock_delay=_LOCK_DELAY)


def two(name: str, client: Client) -> MultiLock:
    """Two locks at once."""
    return MultiLock([f"{name}/a", f"{name}/b"], client=client, lock_delay=_LOCK_DELAY)


class Result(NamedTuple):
    """What came of it."""

    deaths: int
    tries: int
    overlaps: list[str]
    """Names that somebody acquired while the holder before still counted on them."""
    after: int
    """Tries that began when the operator knew that the session had ended."""


def play(door: RawConsul, addresses: Sequence[str], make: Make, prefix: str, deaths: int) -> Result:
    """Let so many holders die, one after the other.  ``door``: where their sessions are ended."""
    cut = threading.Event()

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        return DROP_BEFORE if cut.is_set() else PASS

    with ExitStack() as stack:
        line = stack.enter_context(Proxy(addresses[0], rule))
        # It cannot release what it has lost, and asks for that in vain when it is closed.
        # Its connections are cut then, so no request of it takes any time.
        holder = Client(line.address, retry_for=0.5)
        fleet = [
            [stack.enter_context(Client(addresses[n % len(addresses)])) for _ in range(_CLIENTS)]
            for n in range(_THREADS)
        ]
        locks = [make(f"{prefix}/{number}", holder) for number in range(deaths)]
        for lock in locks:
            assert lock.acquire(timeout=30)
        for clients in fleet:
            for client in clients:
                _have_a_session(make, prefix, client)
        cut.set()
        line.cut()
        result = _deaths(door, locks, make, prefix, fleet)
        with ExitStack() as end:
            end.callback(cut.clear)
            holder.close()
        return result


def _have_a_session(make: Make, prefix: str, client: Client) -> None:
    lock = make(f"{prefix}/of-{id(client)}", client)
    assert lock.acquire(timeout=30)
    lock.release()


def _deaths(
    door: RawConsul,
    locks: Sequence[Lock | MultiLock],
    make: Make,
    prefix: str,
    fleet: list[list[Client]],
) -> Result:
    random, tries, after, overlaps = Random(prefix), 0, 0, list[str]()
    for number, lock in enumerate(locks):
        assert lock.held
        death = _Death(make, f"{prefix}/{number}", lock, random.randrange(_THREADS * _CLIENTS))
        threads = [threading.Thread(target=death.come, args=(clients,)) for clients in fleet]
        for thread in threads:
            thread.start()
        assert death.now.wait(120)
        answer = door.request("PUT", f"/v1/session/destroy/{lock.session_id}")
        assert answer.status == 200
        death.over = True
        for thread in threads:
            thread.join(60)
        tries, after = tries + len(death.tries), after + sum(death.tries)
        overlaps += [death.name] if death.overlaps else []
    return Result(len(locks), tries, overlaps, after)


class _Death:
    """One of them."""

    def __init__(self, make: Make, name: str, lock: Lock | MultiLock, when: int) -> None:
        self.name = name
        self.now = threading.Event()
        """Set at the try at which the holder shall die."""
        self.over = False
        self.tries: list[bool] = []
        """Whether each of them began when it was over."""
        self.overlaps = 0
        self._make, self._lock, self._when = make, lock, when
        self._start = threading.Barrier(_THREADS)

    def come(self, clients: list[Client]) -> None:
        """Try once with each client."""
        wanted = [self._make(self.name, client) for client in clients]
        self._start.wait(120)
        for mine in wanted:
            self.tries.append(self.over)
            if len(self.tries) > self._when:
                self.now.set()
            if mine.acquire(blocking=False):
                self.overlaps += self._lock.held
                mine.release()
