"""What a process that was killed held or waited for: released by one that outlived it.

Left alone, its sessions end by their TTL, and what they held is free only after the lock-delay:

    0 s         the process is killed, and so is everything that worked under its lock
    15 to 30 s  its session expires
    30 to 45 s  the lock-delay is over: the next waiter may acquire the lock

Consul takes a session's ID for its owner.  So a process that knows the ID, and knows that nothing
works under the lock any more, can do at once what the dead one would have done: leave the queue, or
release the lock to the next waiter, which then holds it after milliseconds.  Of the dead process
it knows no more than that it has tried to acquire the lock; that is the case of an acquire that was
cut off, so the clean-up is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from consul_lock._protocol.flow import Flow
from consul_lock._protocol.primitive.primitive import Primitive
from consul_lock._protocol.primitive.release import end_all


def release_abandoned(lock: Primitive, session_ids: Sequence[str]) -> Flow[None]:
    """Release a lock of the same settings for a process that has died, and end its sessions.

    What cannot be released in order ends with the session: then the lock-delay is waited for.
    Raises nothing because of Consul; a session that could not be ended ends by its TTL.
    """
    attempt = lock.attempt(None, True)
    attempt.assume_all()
    sessions = [lock.client.pool.adopt(each, lock.terms, attempt) for each in session_ids]
    in_doubt = yield from lock.withdraw(attempt, sessions)
    yield from end_all(lock, attempt, in_doubt, tidy=lock.leaves_traces)
    for session in sessions:
        if session not in in_doubt:
            yield from lock.client.end(session)
