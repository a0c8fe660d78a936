"""Two candidates; the leader is lost, here because its session is destroyed as an operator might,
and the other one leads.  Somebody who is no candidate sees it all."""

from __future__ import annotations

import threading
import urllib.request

from consul_lock import Client, Election

finished = threading.Event()


def lead(election: Election) -> None:
    """What only the leader does; a thread cannot be stopped, so it looks whether it still is."""
    while not finished.wait(0.1):
        election.ensure_held()  # raises LockLost, which `run` takes for its sign


def candidate(name: str) -> None:
    with Client() as client:
        # A short lock-delay, as it is the time for which nobody leads after a loss.
        Election("examples/election", client=client, lock_delay=2).run(lead, value=name)


threads = [threading.Thread(target=candidate, args=(f"node-{n}",)) for n in (1, 2)]
for thread in threads:
    thread.start()

with Client() as client:
    led = set[str]()
    for leader in Election("examples/election", client=client).observe():
        if leader is None:
            print("nobody leads")
            continue
        print(f"{leader.value} leads, with the token {leader.token}")
        led.add(leader.value)
        if len(led) == 2:
            break
        url = f"{client.config.origin}/v1/session/destroy/{leader.holder.session}"
        urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=10).close()
        print("it is lost: its session is destroyed")

finished.set()
for thread in threads:
    thread.join()
print("both have led:", *sorted(led))
