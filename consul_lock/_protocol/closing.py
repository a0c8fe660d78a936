"""The end of a client: everything is given back, nothing is left in Consul."""

from __future__ import annotations

from consul_lock._protocol.client import ClientCore
from consul_lock._protocol.flow import Flow, Job, Now
from consul_lock._protocol.hold import Hold
from consul_lock._protocol.remains import Remainder
from consul_lock._protocol.state import Event, State
from consul_lock.errors import ConsulLockError, LossReason

# Seconds from the first failure, after which closing begins nothing more: with a frozen agent
# each request ends in a time-out, and what is left then dies with its TTL.
_CLOSE_WITHIN = 10.0


def close(client: ClientCore) -> Job:
    """Let go of what is still held, destroy all sessions, end the keeper.

    Cut off in the middle, it is done again from the start: what was done is not there any more.
    """
    return Job(_close(client), lambda: _close(client))


def _close(client: ClientCore) -> Flow[None]:
    client.closed = True
    client.wake.set()
    end = float("inf")
    for hold in list(client.holds):
        now = yield Now()
        if not (yield from _revoke(client, hold, reachable=now < end)):
            end = min(end, now + _CLOSE_WITHIN)
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
