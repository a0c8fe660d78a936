"""A process that listens to events, and forks; run with ``-m``, an address and what it does.

"fork" prints, as JSON, what child and parent heard; "dropped" drops its client and prints which
threads are left; "end" ends with a listener that blocks, without closing its client.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading

from consul_lock import Client, Lock
from consul_lock.events import Event
from tests.support.waiting import eventually

NAME = "drivers/events"


class Ear:
    """A listener that refers to its client, as a program's own class may do."""

    def __init__(self, address: str) -> None:
        self.heard: list[str] = []
        self.client = Client(address, on_event=self.listen)

    def listen(self, event: Event) -> None:
        """Remember it."""
        self.heard.append(f"{event.name} {event.event}")


def wait_for(ear: Ear, count: int) -> None:
    """So many events."""
    eventually(lambda: len(ear.heard) >= count)


def fork(address: str) -> None:
    """The lock of the parent is held meanwhile; the child acquires one of its own."""
    ear = Ear(address)
    parents = Lock(f"{NAME}/parent", client=ear.client)
    parents.acquire()
    wait_for(ear, 1)
    reader, writer = os.pipe()
    if os.fork() == 0:
        ear.heard.clear()
        begun = threading.active_count()
        with Lock(f"{NAME}/child", client=ear.client):
            pass
        wait_for(ear, 2)
        ear.client.close()
        with os.fdopen(writer, "w") as out:
            json.dump({"heard": ear.heard, "threads": begun}, out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        child = json.loads(said.read())
    parents.release()
    wait_for(ear, 2)
    ear.client.close()
    json.dump({"child": child, "parent": ear.heard}, sys.stdout)


def dropped(address: str) -> None:
    """Nothing refers to the client but its own listener."""
    ear = Ear(address)
    with Lock(NAME, client=ear.client):
        pass
    wait_for(ear, 2)
    del ear
    eventually(_ended)
    json.dump(_listening(), sys.stdout)


def _ended() -> bool:
    gc.collect()
    return not _listening()


def _listening() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "consul-lock-events"]


def end(address: str) -> None:
    """The program is over, though its listener is not."""
    client = Client(address, on_event=lambda event: threading.Event().wait())
    with Lock(NAME, client=client):
        pass
    sys.stdout.write("over\n")


if __name__ == "__main__":
    {"fork": fork, "dropped": dropped, "end": end}[sys.argv[2]](sys.argv[1])
