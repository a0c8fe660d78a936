"""Contending with patience: errors of the server are ridden out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from consul_lock._protocol.client.retry import Patience
from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.flow import Batch, Flow, Now, Warn
from consul_lock._protocol.hold.attempt import Attempt
from consul_lock._protocol.hold.hold import Grant, Hold
from consul_lock._protocol.lock.decision import LOCK_FLAG, written_over
from consul_lock._protocol.session import timing as rules
from consul_lock.errors import AlreadyHeld, Refused, Unavailable

if TYPE_CHECKING:
    from consul_lock._protocol.client.client import ClientCore
    from consul_lock._protocol.primitive.primitive import Primitive
    from consul_lock._protocol.session.session import Session

T = TypeVar("T")

# Seconds before the next try, when others were quicker to change what we had read.
QUICKER = (0.0, 0.02)

# Such tries in a row: whoever is still not served then has met something else than others.
TRIES_MOST = 200


def too_busy(lock: Primitive, doing: str) -> Unavailable:
    """The error for a change that others, or something unknown, kept us from again and again."""
    return Unavailable(
        f"{doing} {lock.key!r}: {TRIES_MOST} tries were refused, as it changed each time",
        hint="is something else writing there?",
        kind="contended",
        uncertain=False,
        key=lock.key,
    )


def persist(contend: Callable[[Any], Flow[Grant | None]], attempt: Attempt) -> Flow[Grant | None]:
    """Get it from Consul.  None: it was not to be had in time."""
    patience = attempt.patience
    assert patience is not None
    while True:
        try:
            return (yield from contend(attempt))
        except (Unavailable, Refused) as error:
            failed = error
        yield from patience.ride_out(failed)
        attempt.forget_what_was_seen()


def patiently(client: ClientCore, once: Callable[[], Flow[T]]) -> Flow[T]:
    """Ask or do something that may be done twice.  Errors of the server are ridden out."""
    patience = Patience(client)
    return patience.bound(_again(patience, once, lambda: None))


def until_let_go(
    client: ClientCore, hold: Hold, once: Callable[[], Flow[T]], *, patient: bool
) -> Flow[T]:
    """Give something back.  Errors of the server are ridden out while it counts as held
    (``patient``), then raised."""
    patience = Patience(client, retries=patient)
    return patience.bound(_again(patience, once, hold.deadline))


def _again(
    patience: Patience, once: Callable[[], Flow[T]], until: Callable[[], float | None]
) -> Flow[T]:
    while True:
        try:
            return (yield from once())
        except Unavailable as error:
            failed = error
        yield from patience.ride_out(failed, until())


def believe(client: ClientCore, session: Session) -> Flow[bool]:
    """Whether a session that Consul shows as the holder's is alive, by a proof of late.

    A process that was paused while it waited must not wake up believing.  A renewal alone, such
    as the keeper's of the time it waited, is no proof.
    """
    asked = session.terms
    now = yield Now()
    known = session.alive if asked.lock_delay else session.renewed
    if now - known > 1.5 * rules.period(asked):
        asking = (client.wire.renewal(session.id), client.wire.proof_of_life(session.id))
        info, shown = yield Batch(asking)
        for answer in (info, shown):
            if isinstance(answer, Exception):
                raise answer
        if info is None or shown is None:
            yield from client.lose_session(session)
            return False
        session.was_renewed(info.sent)
        session.proved(shown)
    return True


def may_wait(attempt: Attempt) -> Flow[bool]:
    """Whether the caller is willing to wait any longer."""
    if not attempt.blocking:
        return False
    now = yield Now()
    return attempt.deadline is None or now < attempt.deadline


def complain(attempt: Attempt, pair: Pair | None) -> Flow[None]:
    """Say once that a lock which is waited for was written over; it is waited for all the same."""
    if pair is not None and pair.flags != LOCK_FLAG and not attempt.complained:
        attempt.complained = True
        yield Warn(written_over(pair), "overwritten")


def has_part(lock: Primitive, attempt: Attempt) -> bool:
    """Whether the caller holds some of what it asks for.

    Then those in line may be waiting for that: behind them it would wait for itself.  So it may
    overtake them.
    """
    wanted = {claim.resource for claim in attempt.claims}
    own = (hold for hold in list(lock.client.holds) if hold.owner == attempt.owner)
    return any(claim.resource in wanted for hold in own for claim in hold.attempt.claims)


def not_for_oneself(lock: Primitive, attempt: Attempt) -> None:
    """Raise `AlreadyHeld` for whoever is about to wait for what it holds itself.

    Even if everybody else let go, there would be no room: only another thread or task could end
    the wait, by releasing what this one has acquired.  That is a common use of a semaphore (one
    acquires, its workers release), and possible with any lock.  So the wait is refused only where
    it is most likely a mistake that nothing else would ever show: for a lock, without a timeout.
    """
    if attempt.deadline is not None or lock.handed_on:
        return
    own = [c for h in list(lock.client.holds) if h.owner == attempt.owner for c in h.attempt.claims]
    for claim in attempt.claims:
        weight = sum(c.weight for c in own if c.resource == claim.resource)
        if weight and weight + claim.weight > claim.limit:
            raise AlreadyHeld(
                f"waiting for {lock.name!r} would deadlock: this thread or task holds it already",
                hint="release it first, use blocking=False to try once, or, if another thread or"
                " task is to release it, wait with a timeout",
                kind="deadlock",
                key=lock.key,
            )
