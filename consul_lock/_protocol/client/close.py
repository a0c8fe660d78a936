"""The end of a client: everything is given back, nothing is left in Consul."""

from __future__ import annotations

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.flow import Flow, Now, Wait
from consul_lock._protocol.gather import gather
from consul_lock._protocol.hold.cleanup import PendingCleanup
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.hold.reports import report_lost
from consul_lock._protocol.hold.state import Event
from consul_lock._protocol.reporter import INFO
from consul_lock.errors import ConsulLockError, LossReason

# Seconds from the first failure, after which closing begins nothing more: with a frozen agent
# each request ends in a timeout, and what is left then dies with its TTL.
_CLOSE_WITHIN = 10.0

# Seconds to wait for calls under way and for their clean-up: an answer takes milliseconds as a
# rule, and up to 7.4 s in an election.
_SETTLE = 8.0

# Keys that are released at a time.
_AT_ONCE = 64

# Seconds between looks whether they have ended: the first, doubled each time, and the most.
_LOOK_FIRST, _LOOK_MAX = 0.002, 0.1


def close_client(client: ClientCore) -> Flow[None]:
    """Release what is still held, destroy all sessions, end the keeper.

    In an order in which nobody has to sit out a lock-delay for it:

        t0  nothing new is begun, and nobody waits any more: long polls and pauses end
        t1  calls under way have ended, and those that failed for it are undone
        t2  all holders of what is still held are notified, and then it is released
        t3  the sessions are destroyed, which hold nothing any more

    Without t1, a call in the middle of its write would get the lock just before its session is
    destroyed: a lock-delay for everybody; or enter a semaphore's document just after it: a slot
    of a dead session.  Releases may still begin until t2, so it is waited for them again.

    Cut off in the middle, it can be done again from the start: what was done is not there any
    more.
    """
    client.begin_to_close()
    client.local_queues.end()
    client.surroundings.hang_up()
    limit = _Limit((yield from _settle(client)))
    yield from client.finish_losses()
    yield from _revoke(client)
    yield from _let_go_of_all(client, limit)
    client.watchdog.wake.set()  # nothing is held any more: else it looks in 2 s
    limit.at_most((yield from _settle(client)))
    yield from _destroy_all(client, limit)
    end = limit.until
    for attempt in client.cleanups.due(float("inf")):
        now = yield Now()
        if now < end:
            yield from client.cleanups.clear(attempt)
    now = yield Now()
    if now < end:
        yield from client.clean_up(None)
    yield from client.pool.pulses.close()


def _settle(client: ClientCore) -> Flow[float]:
    """Wait for the calls under way.  Returns until when to go on closing: without end if they
    have ended, for a while longer if Consul does not answer them."""
    never, pause = client.new_signal(), _LOOK_FIRST
    now = yield Now()
    until: float = now + _SETTLE
    while client.surroundings.busy():
        if now >= until:
            return until + _CLOSE_WITHIN
        yield Wait(never, min(pause, until - now))
        pause = min(2 * pause, _LOOK_MAX)
        now = yield Now()
    return float("inf")


class _Limit:
    """Until when closing begins anything more (driver's clock)."""

    def __init__(self, until: float) -> None:
        self.until = until

    def at_most(self, until: float) -> None:
        """No longer than this, either."""
        self.until = min(self.until, until)


def _revoke(client: ClientCore) -> Flow[None]:
    """Notify the holders of what is still held that it is lost.

    Before any of it is released: that may take many times the time of a request, in which nobody
    renews any more.  Deadlines would pass, and a holder has no use for a reason that is not the
    true one.  Also, the work under a lock should stop before it is given away.
    """
    revoked = list[Hold]()
    with client.mutex:
        for hold in client.holds:
            if hold.advance(Event.LOSE):
                hold.reason = LossReason.REVOKED
                revoked.append(hold)
    for hold in revoked:
        hold.lost.set()
    now = yield Now()
    for hold in revoked:
        # No warning: a program that ends is what most often closes a client that holds something.
        report_lost(hold, LossReason.REVOKED, None, now, INFO)
        if (told := hold.telling(LossReason.REVOKED)) is not None:
            yield told


def _let_go_of_all(client: ClientCore, limit: _Limit) -> Flow[None]:
    """Release what was revoked, by this close or by an earlier one that was cut off: only that
    is lost and among the client's holds all the same.

    Many keys at a time; the holds of one key, as the slots of a semaphore, one after the other,
    as they would only get into each other's way.
    """
    of_keys = dict[str, list[Hold]]()
    for hold in client.holds:
        of_keys.setdefault(hold.key, []).append(hold)
    yield from gather((_let_go_of(client, holds, limit) for holds in of_keys.values()), _AT_ONCE)


def _let_go_of(client: ClientCore, holds: list[Hold], limit: _Limit) -> Flow[None]:
    for hold in holds:
        now = yield Now()
        clean, reason = now < limit.until, None
        try:
            if clean:
                reason = yield from hold.lock.let_go(hold, patient=False)
        except ConsulLockError:
            clean = False
            # From the beginning of the failure, as those of others began then, too.
            limit.at_most(now + _CLOSE_WITHIN)
        if hold.lock.leaves_traces and (reason is not None or not clean):
            client.cleanups.leave(hold.attempt, PendingCleanup(0.0, hold.lock, hold.sessions))
        with client.mutex:
            client.holds.drop(hold)
        client.local_queues.leave(hold.attempt)


def _destroy_all(client: ClientCore, limit: _Limit) -> Flow[None]:
    """Destroy every session, many at a time; what fails is tried once more."""
    pool, in_vain = client.pool, 0
    for session in list(pool.live.values()):
        pool.destroy_later(session)
    while pool.to_destroy and in_vain < 2:
        now, left = (yield Now()), len(pool.to_destroy)
        if now >= limit.until:
            return
        yield from pool.sweep(now)
        in_vain = in_vain + 1 if len(pool.to_destroy) == left else 0
        if pool.to_destroy:
            limit.at_most(now + _CLOSE_WITHIN)
