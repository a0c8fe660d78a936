"""The user's ``on_lost`` runs beside what keeps the user's other locks."""

from __future__ import annotations

import threading

from consul_lock import Client, Lock
from consul_lock.testing import World, serve
from tests.support.raw_http import exchange
from tests.support.waiting import eventually


def test_an_on_lost_that_takes_its_time_does_not_hold_up_the_keeper() -> None:
    """The loss of a second lock is noticed while the first one's callback still runs."""
    entered, leave = threading.Event(), threading.Event()

    def slow(reason: object) -> None:
        entered.set()
        leave.wait(60)

    with serve(World()) as served, Client(served.address) as client:
        first = Lock("first", client=client, lock_delay=3, on_lost=slow)
        second = Lock("second", client=client, lock_delay=3)
        host, _, port = served.address.removeprefix("http://").partition(":")
        for lock in first, second:
            assert lock.acquire()
        for lock in first, second:
            exchange(host, int(port), "PUT", f"/v1/session/destroy/{lock.session_id}")
            eventually(entered.is_set)
        noticed = second.lost.wait(120)
        leave.set()
        assert noticed
