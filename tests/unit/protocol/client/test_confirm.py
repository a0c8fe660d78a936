"""The confirmation of a lock that was handed over."""

from __future__ import annotations

import pytest

from consul_lock._protocol.client.confirm import confirm, settle
from consul_lock._protocol.flow import Flow, Request
from consul_lock._protocol.hold.confirmation import COUNTS
from consul_lock._protocol.lock.lock import LockCore
from consul_lock.errors import Unavailable
from tests.unit.protocol.fake_driver import Hand, hold_of, verbs
from tests.unit.protocol.hand_over import handed_over, said


def confirming(hand: Hand, lock: LockCore) -> tuple[Flow[None], Request]:
    """Its confirmation, which is not sent yet."""
    flow = settle(lock.client, hold_of(lock))
    return flow, hand.until(flow, lambda request: verbs(request) == ["check-index", "lock"])


def test_once_confirmed_it_counts_as_any_lock() -> None:
    """Its token stays that of the hand-over, and the key says so."""
    hand = Hand()
    lock, asked = handed_over(hand)
    token = hold_of(lock).token
    flow, request = confirming(hand, lock)
    hand.run_after(flow, request)
    assert said(hand).confirmed
    assert said(hand).token == hold_of(lock).token == token
    assert hold_of(lock).deadline() > asked + 2 * COUNTS
    hand.release(lock)
    assert hand.held() == {}


def test_a_confirmation_whose_answer_was_lost_is_found_out_by_a_read() -> None:
    """It was carried out, so nobody can take over."""
    hand = Hand()
    lock, asked = handed_over(hand)
    flow, request = confirming(hand, lock)
    hand.perform(request)
    effect = flow.throw(Unavailable("no answer came"))
    hand.run_after(flow, effect)
    assert hold_of(lock).deadline() > asked + 2 * COUNTS


@pytest.mark.parametrize("late", [False, True])
def test_confirmation_and_take_over_exclude_each_other(late: bool) -> None:
    """Whichever Raft carries out first; the other one is refused whole."""
    hand = Hand()
    lock, _ = handed_over(hand)
    behind = hand.lock(hand.client("c"))
    other, watching = hand.queue_up(behind)
    taking = hand.until(
        other, lambda request: verbs(request)[:2] == ["check-index", "unlock"], after=watching
    )
    hold = hold_of(lock)
    assert hold.unconfirmed is not None
    handed = (hold.unconfirmed.modify_index, 0.0, hold.token)
    if late:
        assert not hold_of(lock).counts(hand.world.now)
        hand.run_after(other, taking)
        assert hold_of(behind).token == said(hand).token
        assert said(hand).confirmed
        assert not hand.run(
            confirm(lock.client, lock, hold.session, hold.attempt.about, handed)
        ).done
    else:
        assert hand.run(confirm(lock.client, lock, hold.session, hold.attempt.about, handed)).done
        assert not hand.perform(taking).done


def test_a_late_confirmation_is_refused_though_the_lock_is_ours_again() -> None:
    """It was taken over, and handed to us once more: that is to be confirmed by itself."""
    hand = Hand()
    lock, _ = handed_over(hand)
    hold = hold_of(lock)
    assert hold.unconfirmed is not None
    stale = (hold.unconfirmed.modify_index - 1, 0.0, hold.token)
    assert not hand.run(confirm(lock.client, lock, hold.session, hold.attempt.about, stale)).done
    assert not said(hand).confirmed
