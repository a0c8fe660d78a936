"""The end of a client: everything is given back, nothing is left in Consul."""

from __future__ import annotations

from consul_lock._protocol.client import ClientCore
from consul_lock._protocol.flow import Flow, Now, Wait
from consul_lock._protocol.hold import Hold
from consul_lock._protocol.remains import Remainder
from consul_lock._protocol.state import Event, State
from consul_lock.errors import ConsulLockError, LossReason

# Seconds from the first failure, after which closing begins nothing more: with a frozen agent
# each request ends in a time-out, and what is left then dies with its TTL.
_CLOSE_WITHIN = 10.0

# Seconds to wait for calls under way and for their clean-up: an answer takes milliseconds as a
# rule, and up to 7.4 s in an election.
_SETTLE = 8.0

# Seconds between looks whether they have ended: the first, doubled each time, and the most.
_LOOK_FIRST, _LOOK_MOST = 0.002, 0.1


def close(client: ClientCore) -> Flow[None]:
    """Let go of what is still held, destroy all sessions, end the keeper.

    In an order in which nobody has to sit out a lock-delay for it:

        t0  nothing new is begun, and nobody waits any more: long polls and pauses end
        t1  calls under way have ended, and those that failed for it are undone
        t2  what is still held is let go of, and its holder told
        t3  the sessions are destroyed, which hold nothing any more

    Without t1, a call in the middle of its write would get the lock just before its session is
    destroyed: a lock-delay for everybody; or enter a semaphore's document just after it: a slot
    of a dead session.  Releases may still begin until t2, so it is waited for them again.

    Cut off in the middle, it can be done again from the start: what was done is not there any
    more.
    """
    client.closed = True
    client.wake.set()
    client.turns.end()
    client.surroundings.hang_up()
    end = yield from _settle(client)
    for hold in list(client.holds):
        now = yield Now()
        if not (yield from _revoke(client, hold, reachable=now < end)):
            end = min(end, now + _CLOSE_WITHIN)
    end = min(end, (yield from _settle(client)))
    for session in [*client.pool.live.values(), *client.pool.condemned.values()]:
        client.pool.condemn(session)
        now = yield Now()
        if now < end:
            yield from client.pool.destroy(session)
        if session.id in client.pool.condemned:
            end = min(end, now + _CLOSE_WITHIN)
    for attempt in client.remains.due(float("inf")):
        now = yield Now()
        if now < end:
            yield from client.remains.clear(attempt)
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
        pause = min(2 * pause, _LOOK_MOST)
        now = yield Now()
    return float("inf")


def _revoke(client: ClientCore, hold: Hold, *, reachable: bool) -> Flow[bool]:
    """A lock is still held: let go of it in order, but tell its holder that it is lost.

    False: it could not be let go of, and ends with its session.
    """
    with client.mutex:
        # Ours to release, or begun by an earlier close that was cut off.
        begun = hold.advance(Event.RELEASE) or hold.state is State.RELEASING
        if not begun:
            client.holds.drop(hold)
            return True
    clean, reason = reachable, None
    try:
        if reachable:
            reason = yield from hold.lock.let_go(hold, patient=False)
    except ConsulLockError:
        clean = False
    if hold.lock.leaves_traces and (reason is not None or not clean):
        client.remains.leave(hold.attempt, Remainder(0.0, hold.lock, hold.sessions))
    with client.mutex:
        hold.advance(Event.TOO_LATE)
        hold.reason = LossReason.REVOKED
        client.holds.drop(hold)
    client.turns.leave(hold.attempt)
    hold.lost.set()
    if (told := hold.telling(LossReason.REVOKED)) is not None:
        yield told
    return clean
