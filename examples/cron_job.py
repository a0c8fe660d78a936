"""A job that is in the crontab of every host, and run on one; then one that asks its guard more."""

from __future__ import annotations

import time

from consul_lock import Client, CronGuard, CronRecords, once_per

client = Client()


@once_per("examples/clean", every="1h", client=client)
def clean() -> str:
    return "cleaned"


# What three hosts do within the same hour.
results = [clean() for host in range(3)]
print("not more than one of them has run it:", results.count(None) >= 2)

# A guard gives its job the slot and a fencing token.
guard = CronGuard("examples/report", every="1d", offset="12h", retry_failed=1, client=client)
night = time.time() + 86400  # a slot that no earlier run of this example has claimed
records = CronRecords(client)
records.reset("examples/report")
try:
    with guard.claim(at=night) as run:
        print("attempt", run.attempt, "has a token:", run.lock is not None and run.lock.token > 0)
        raise OSError("the disk is full")
except OSError:
    print("it failed")
with guard.claim(at=night) as run:
    if run:
        print("attempt", run.attempt, "is well")
with guard.claim(at=night) as run:
    print("once more:", run.outcome.value)

for record in records.below("examples/report"):
    print(record)
client.close()
