"""Watches and heartbeats go on after an error that nobody foresaw, and report it once."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.flow import Flow, Request
from consul_lock._protocol.primitive import watch
from consul_lock.errors import LossReason
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver
from tests.unit.protocol.heartbeat_driver import BEATING, beat_for, borrow, passes, status

ODD = ValueError("1, 1")


def test_a_watch_goes_on_after_an_error_nobody_foresaw() -> None:
    """And sees the loss that comes after it; the error is reported once, with its traceback."""
    driver, told = FakeDriver(), list[LossReason]()
    lock = driver.lock(on_lost=told.append)
    driver.acquire(lock)
    assert lock.hold is not None
    driver.failures.extend([ODD] * 3)
    flow: Flow[Any] = watch.watch(lock.client, lock.hold)
    step = driver.until(flow, lambda request: not driver.failures)
    assert not told
    operator(driver.world, f"/v1/kv/{NAME}/.lock", "DELETE")
    driver.run_after(flow, step)
    assert told == [LossReason.KEY_DELETED]
    (warning,) = [each for each in driver.warnings if each.event == "watch-error"]
    assert warning.error is ODD
    assert "goes on" in warning.text


def test_a_heartbeat_goes_on_after_an_error_nobody_foresaw() -> None:
    """The check does not fail for it; the error is reported once, with its traceback."""
    driver, odd = FakeDriver(), list[Request]()
    borrow(driver, driver.client(), BEATING)

    def answer(request: Request) -> None:
        if "/agent/check/pass/" in request.path and len(odd) < 3:
            odd.append(request)
            raise ODD

    driver.instead = answer
    beat_for(driver, 5.0)
    assert len(odd) == 3
    assert passes(driver) > len(odd) + 3
    assert status(driver) == "passing"
    (warning,) = [each for each in driver.warnings if each.event == "pulse-error"]
    assert warning.error is ODD
    assert "goes on" in warning.text
