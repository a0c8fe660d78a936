"""A counter in Consul that only the holder of the lock can change, even if it is late."""

from __future__ import annotations

from consul_lock import Client, Lock, Op

with Client() as client, Lock("examples/counter", client=client) as lock:
    lock.guard([Op.set("examples/counter-value", "1")])
    (pair,) = lock.guard([Op.get("examples/counter-value")])
    value = int(pair.value) + 1
    lock.guard([Op.cas("examples/counter-value", str(value), index=pair.modify_index)])
    print("the counter is", value)
    lock.guard([Op.delete("examples/counter-value")])
