"""The confirmation of a lock that was handed over."""

from __future__ import annotations

import pytest

from consul_lock._protocol.client.confirm import confirm, settle
from consul_lock._protocol.flow import Flow, Request
from consul_lock._protocol.hold.confirmation import COUNTS
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.lock.lock import LockCore
from consul_lock.errors import LossReason, PermissionDenied, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import FakeDriver, hold_of, verbs
from tests.unit.protocol.hand_over import KEY, handed_over, said


def confirming(driver: FakeDriver, lock: LockCore) -> tuple[Flow[None], Request]:
    """Its confirmation, which is not sent yet."""
    flow = settle(lock.client, hold_of(lock))
    return flow, driver.until(flow, lambda request: verbs(request) == ["check-index", "lock"])


def test_once_confirmed_it_counts_as_any_lock() -> None:
    """Its token stays that of the hand-over, and the key says so."""
    driver = FakeDriver()
    lock, asked = handed_over(driver)
    token = hold_of(lock).token
    flow, request = confirming(driver, lock)
    driver.run_after(flow, request)
    assert said(driver).confirmed
    assert said(driver).token == hold_of(lock).token == token
    assert hold_of(lock).deadline() > asked + 2 * COUNTS
    driver.release(lock)
    assert driver.held() == {}


def test_a_confirmation_whose_answer_was_lost_is_found_out_by_a_read() -> None:
    """It was carried out, so nobody can take over."""
    driver = FakeDriver()
    lock, asked = handed_over(driver)
    flow, request = confirming(driver, lock)
    driver.perform(request)
    effect = flow.throw(Unavailable("no answer came"))
    driver.run_after(flow, effect)
    assert hold_of(lock).deadline() > asked + 2 * COUNTS


@pytest.mark.parametrize("late", [False, True])
def test_confirmation_and_take_over_exclude_each_other(late: bool) -> None:
    """Whichever Raft carries out first; the other one is refused whole."""
    driver = FakeDriver()
    lock, _ = handed_over(driver)
    behind = driver.lock(driver.client("c"))
    other, watching = driver.queue_up(behind)
    taking = driver.until(
        other, lambda request: verbs(request)[:2] == ["check-index", "unlock"], after=watching
    )
    hold = hold_of(lock)
    assert hold.unconfirmed is not None
    handed = (hold.unconfirmed.modify_index, 0.0, hold.token)
    if late:
        assert not hold_of(lock).counts(driver.world.now)
        driver.run_after(other, taking)
        assert hold_of(behind).token == said(driver).token
        assert said(driver).confirmed
        assert not driver.run(
            confirm(lock.client, lock, hold.session, hold.attempt.about, handed)
        ).done
    else:
        assert driver.run(confirm(lock.client, lock, hold.session, hold.attempt.about, handed)).done
        assert not driver.perform(taking).done


def test_a_late_confirmation_is_refused_though_the_lock_is_held_again() -> None:
    """It was taken over, and handed back to this waiter: that needs a confirmation of its own."""
    driver = FakeDriver()
    lock, _ = handed_over(driver)
    hold = hold_of(lock)
    assert hold.unconfirmed is not None
    stale = (hold.unconfirmed.modify_index - 1, 0.0, hold.token)
    assert not driver.run(confirm(lock.client, lock, hold.session, hold.attempt.about, stale)).done
    assert not said(driver).confirmed


def test_a_confirmation_that_is_denied_is_not_repeated_and_is_no_loss() -> None:
    """As after a change of rules: the lock counts for its few seconds, and the watchdog reports
    its loss then."""
    driver = FakeDriver()
    lock, _ = handed_over(driver)
    driver.sent.clear()
    driver.failures.append(PermissionDenied("no"))
    driver.run(settle(lock.client, hold_of(lock)))
    assert len(driver.sent) == 1
    assert hold_of(lock).unconfirmed is not None
    assert hold_of(lock).counts(driver.world.now)


def test_a_hold_that_has_ended_is_not_confirmed() -> None:
    """Most holds are that short: they cost no request more."""
    driver = FakeDriver()
    lock, _ = handed_over(driver)
    hold = hold_of(lock)
    driver.release(lock)
    driver.sent.clear()
    driver.run(settle(lock.client, hold))
    assert driver.sent == []


@pytest.mark.parametrize(
    "method, reason", [("DELETE", LossReason.KEY_DELETED), ("PUT", LossReason.REVOKED)]
)
def test_a_confirmation_that_finds_the_lock_taken_away_reports_the_loss(
    method: str, reason: LossReason
) -> None:
    """By the key as it was read."""
    driver, reported = FakeDriver(), list[LossReason]()
    lock, _ = handed_over(driver, on_lost=reported.append)
    session = hold_of(lock).session.id
    path = f"/v1/kv/{KEY}" if method == "DELETE" else f"/v1/kv/{KEY}?release={session}"
    operator(driver.world, path, method)
    driver.run(settle(lock.client, hold_of(lock)))
    assert reported == [reason]


def test_a_value_that_was_overwritten_is_as_good_as_a_confirmation() -> None:
    """No waiter can take over any more: that needs the index of the hand-over."""
    driver = FakeDriver()
    lock, asked = handed_over(driver)
    operator(driver.world, f"/v1/kv/{KEY}", body=b"something else")
    driver.run(settle(lock.client, hold_of(lock)))
    assert hold_of(lock).unconfirmed is None
    assert hold_of(lock).deadline() > asked + 2 * COUNTS


def test_a_second_hand_over_is_confirmed_by_its_new_index() -> None:
    """Its session found another index than it knew, and nobody has confirmed it."""
    driver = FakeDriver()
    lock, _ = handed_over(driver)
    token, entry = hold_of(lock).token, driver.world._server.kv.entries[KEY]
    operator(driver.world, f"/v1/kv/{KEY}?flags={LOCK_FLAG}", body=entry.value)
    assert not said(driver).confirmed
    driver.run(settle(lock.client, hold_of(lock)))
    assert said(driver).confirmed
    assert (said(driver).token, hold_of(lock).token) == (token, token)


def test_the_read_that_shows_a_confirmation_is_a_proof_of_life() -> None:
    """At its sending."""
    driver = FakeDriver()
    lock, _ = handed_over(driver)
    flow, request = confirming(driver, lock)
    driver.perform(request)
    driver.world.advance(0.5)
    reading = flow.throw(Unavailable("no answer came"))
    sent = driver.world.now
    driver.run_after(flow, reading)
    assert hold_of(lock).session.alive == sent
