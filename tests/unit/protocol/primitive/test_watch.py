"""Watches and heartbeats go on after an error that nobody foresaw, and report it once."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.flow import Flow, Request
from consul_lock._protocol.primitive import watch
from consul_lock.errors import LossReason
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, Hand
from tests.unit.protocol.heartbeat_driver import BEATING, beat_for, borrow, passes, status

ODD = ValueError("1, 1")


def test_a_watch_goes_on_after_an_error_nobody_foresaw() -> None:
    """And sees the loss that comes after it; the error is reported once, with its traceback."""
    hand, told = Hand(), list[LossReason]()
    lock = hand.lock(on_lost=told.append)
    hand.acquire(lock)
    assert lock.hold is not None
    hand.failures.extend([ODD] * 3)
    flow: Flow[Any] = watch.watch(lock.client, lock.hold)
    step = hand.until(flow, lambda request: not hand.failures)
    assert not told
    operator(hand.world, f"/v1/kv/{NAME}/.lock", "DELETE")
    hand.run_after(flow, step)
    assert told == [LossReason.KEY_DELETED]
    (warning,) = [each for each in hand.warnings if each.event == "watch-error"]
    assert warning.error is ODD
    assert "goes on" in warning.text


def test_a_heartbeat_goes_on_after_an_error_nobody_foresaw() -> None:
    """The check does not fail for it; the error is reported once, with its traceback."""
    hand, odd = Hand(), list[Request]()
    borrow(hand, hand.client(), BEATING)

    def answer(request: Request) -> None:
        if "/agent/check/pass/" in request.path and len(odd) < 3:
            odd.append(request)
            raise ODD

    hand.instead = answer
    beat_for(hand, 5.0)
    assert len(odd) == 3
    assert passes(hand) > len(odd) + 3
    assert status(hand) == "passing"
    (warning,) = [each for each in hand.warnings if each.event == "pulse-error"]
    assert warning.error is ODD
    assert "goes on" in warning.text
