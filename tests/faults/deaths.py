"""Deaths of holders that are cut off, and fleets of newcomers that try once at that moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from random import Random
from typing import Any, NamedTuple

from consul_lock import Client, Lock, MultiLock
from tests.stage.actions import DROP_BEFORE, PASS, Action
from tests.stage.inside import Inside
from tests.stage.proxy import Proxy

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
    """Names that somebody got while the one before believed to hold them."""
    after: int
    """Tries that were made after the session had ended, by the operator's clock."""


def play(door: Inside, addresses: Sequence[str], make: Make, prefix: str, deaths: int) -> Result:
    """Let so many holders die, one after the other.  ``door``: where their sessions are ended."""
    cut = threading.Event()

    def rule(method: str, path: str, body: bytes, n: int) -> Action:
        return DROP_BEFORE if cut.is_set() else PASS

    with ExitStack() as stack:
        line = stack.enter_context(Proxy(addresses[0], rule))
        # It cannot let go of what it has lost, and asks for that in vain when it is closed.
        holder = Client(line.address, request_timeout=0.5, retry_for=0.5)
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
    door: Inside,
    locks: Sequence[Lock | MultiLock],
    make: Make,
    prefix: str,
    fleet: list[list[Client]],
) -> Result:
    random, overlaps, tries, after = Random(prefix), list[str](), [0], [0]
    took = 0.05
    for number, lock in enumerate(locks):
        assert lock.held
        name, start, ended = f"{prefix}/{number}", threading.Barrier(_THREADS + 1), [0.0]

        def try_all(
            clients: list[Client],
            name: str = name,
            lock: Any = lock,
            start: threading.Barrier = start,
            ended: list[float] = ended,
        ) -> None:
            wanted = [make(name, client) for client in clients]
            start.wait(30)
            for mine in wanted:
                tries[0] += 1
                after[0] += bool(ended[0])
                if mine.acquire(blocking=False):
                    if lock.held:
                        overlaps.append(name)
                    mine.release()

        threads = [threading.Thread(target=try_all, args=(clients,)) for clients in fleet]
        for thread in threads:
            thread.start()
        session = lock.session_id
        start.wait(30)
        begun = time.monotonic()
        time.sleep(random.uniform(0.0, took))
        answer = door.request("PUT", f"/v1/session/destroy/{session}")
        ended[0] = time.monotonic()
        for thread in threads:
            thread.join(60)
        took = 0.8 * took + 0.2 * (time.monotonic() - begun)
        assert answer.status == 200
    return Result(len(locks), tries[0], sorted(set(overlaps)), after[0])
