"""What happens to a lock, as a listener hears it: one waits, the other hands over."""

from __future__ import annotations

import threading
import time

from consul_lock import Client, Lock
from consul_lock.events import Acquired, Event, HandedOver, Released, Waiting

waits = threading.Event()


def listen(event: Event) -> None:
    """Called by a thread of the client: the program does not wait for it."""
    match event:
        case Waiting():
            print("waiting, as it is held by", event.holder and event.holder.meta["name"])
            waits.set()
        case Acquired(handed_over=True, waited=waited):
            print("handed over after a wait:", waited > 0)
        case HandedOver():
            print("handed over to", event.holder and event.holder.meta["name"])
        case Released(held=held):
            print("released after it was held:", held > 0)


with (
    Client(on_event=listen, meta={"name": "the first"}) as one,
    Client(on_event=listen, meta={"name": "the second"}) as two,
):
    first, second = Lock("examples/events", client=one), Lock("examples/events", client=two)
    first.acquire()
    thread = threading.Thread(target=second.acquire)
    thread.start()
    waits.wait(timeout=30)
    while not first.waiters():  # it has begun to wait, and is about to enter the queue
        time.sleep(0.01)
    first.release()
    thread.join()
    second.release()
    print("events that nobody has seen:", one.events_dropped + two.events_dropped)
