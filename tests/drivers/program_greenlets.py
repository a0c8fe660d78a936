"""A process that gevent monkey-patches; run with ``-m gevent.monkey --module``, the name of a
scene, and addresses.

It prints what it saw, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import gevent

from consul_lock import Client, Lock, Semaphore, Unavailable

NAME = "drivers/greenlets"


class Ticker:
    """A greenlet that others let run, or not."""

    def __init__(self) -> None:
        self.turns = 0
        self._greenlet = gevent.spawn(self._tick)

    def _tick(self) -> None:
        while True:
            gevent.sleep(0.01)
            self.turns += 1

    def stop(self) -> None:
        self._greenlet.kill()


def together(address: str) -> dict[str, Any]:
    """Many greenlets of one client and of several take a lock in turn."""
    inside, most, rounds = 0, 0, 0
    clients = [Client(address) for _ in range(3)]

    def work(client: Client) -> None:
        nonlocal inside, most, rounds
        lock = Lock(NAME, client=client)
        for _ in range(4):
            with lock:
                inside += 1
                most = max(most, inside)
                gevent.sleep(0.002)
                inside -= 1
                rounds += 1

    gevent.joinall([gevent.spawn(work, client) for client in clients * 4], raise_error=True)
    with Semaphore(f"{NAME}/slots", 2, client=clients[0]):
        pass
    for client in clients:
        client.close()
    return {"most": most, "rounds": rounds}


def frozen(address: str) -> dict[str, Any]:
    """A hold, and a request, while the agent does not answer: it is frozen between two lines."""
    told: list[float] = []
    with Client(address) as holder, Client(address, retry_for=0, request_timeout=1.0) as asker:
        lock = Lock(NAME, client=holder, lock_delay=6, on_lost=lambda _: told.append(clock()))
        lock.acquire()
        say("freeze")
        deadline = clock() + lock.remaining()
        ticker, begun = Ticker(), clock()
        try:
            Lock("other", client=asker).locked()
            error = ""
        except Unavailable as caught:
            error = str(caught)
        took, turns = clock() - begun, ticker.turns
        ticker.stop()
        lock.lost.wait(120)
        while not told and clock() < deadline + 20:
            gevent.sleep(0.01)
        late = told[0] - deadline if told else None
        held = lock.held
        say("thaw")
        again = lock.held
    return {
        "error": error,
        "took": took,
        "late": late,
        "held": held,
        "again": again,
        "turns": turns,
    }


def clock() -> float:
    """The time that does not step."""
    return time.monotonic()


def say(word: str) -> None:
    """Tell the test something, and wait until it has done it."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()
    sys.stdin.readline()


SCENES = {"together": together, "frozen": frozen}

if __name__ == "__main__":
    json.dump(SCENES[sys.argv[1]](*sys.argv[2:]), sys.stdout)
