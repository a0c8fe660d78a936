"""What happens to a lock, as a listener hears it: one waits, the other hands over."""

from __future__ import annotations

import sys
import threading
import time

from consul_lock import Client, Lock
from consul_lock.events import Acquired, Event, HandedOver, Released, Waiting

waits = threading.Event()


def listen(event: Event) -> None:
    """Called by a thread of the client: the program does not wait for it."""
    match event:
        case Waiting():
            say(f"waiting, as it is held by {event.holder and event.holder.meta['name']}")
            waits.set()
        case Acquired(handed_over=True, waited=waited):
            say(f"handed over after a wait: {waited > 0}")
        case HandedOver():
            say(f"handed over to {event.holder and event.holder.meta['name']}")
        case Released(held=held):
            say(f"released after it was held: {held > 0}")


def say(line: str) -> None:
    """Print a line whole: each of the two clients has a thread that calls."""
    sys.stdout.write(line + "\n")


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
    say(f"events that nobody has seen: {one.events_dropped + two.events_dropped}")
