"""A lock that was handed over and is not confirmed yet."""

from __future__ import annotations

from consul_lock._protocol.holder import Holder, parse_holder
from consul_lock._protocol.lock.lock import LockCore
from tests.unit.protocol.fake_driver import NAME, Hand

KEY = f"{NAME}/.lock"


def handed_over(hand: Hand, **settings: object) -> tuple[LockCore, float]:
    """A lock that was handed to its waiter, and when the read before the one that showed it was
    sent."""
    holder, waiter = hand.lock(), hand.lock(hand.client("b"), **settings)
    hand.acquire(holder)
    flow, watching = hand.queue_up(waiter)
    asked = hand.world.now
    watching = hand.until(flow, lambda request: request.wait > 0, after=watching)
    assert hand.world.now > asked

    def release() -> None:
        hand.world.advance(0.5)
        hand.release(holder)

    hand.when_blocked = release
    assert hand.run_after(flow, watching) is True
    return waiter, asked


def said(hand: Hand) -> Holder:
    """Who holds it, by the key."""
    entry = hand.world._server.kv.entries[KEY]
    return parse_holder(entry.session, entry.value, entry.modify_index)
