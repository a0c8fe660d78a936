"""Something with a document of its holders: what proves a hold, why one is lost, who is in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.weighted.base import read_targets
from consul_lock._protocol.weighted.engine import WeightedCore
from consul_lock.errors import LossReason
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import waits
from tests.unit.protocol.weighted_driver import WeightedDriver

KINDS = ["semaphore", "writer", "tree"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def held(driver: WeightedDriver, kind: str) -> tuple[WeightedCore, Hold]:
    lock: Any = getattr(driver, kind)()
    driver.acquire(lock)
    return lock, lock.hold


def rewrite(driver: WeightedDriver, lock: WeightedCore, holders: dict[str, Any]) -> None:
    """An operator writes other holders into the document."""
    target = lock.targets()[-1]
    limit = {"Limit": lock.limit} if lock.limit == 2 else {}
    body = json.dumps({**limit, "Holders": holders}).encode()
    operator(driver.world, f"/v1/kv/{lock.key}?flags={target.kind.flags}", body=body)


LOSSES = {
    "session ended": LossReason.SESSION_INVALID,
    "contender key deleted": LossReason.KEY_DELETED,
    "document deleted": LossReason.KEY_DELETED,
    "taken out": LossReason.REVOKED,
    "written over": LossReason.STOLEN,
}


def lose(driver: WeightedDriver, lock: WeightedCore, hold: Hold, how: str) -> None:
    target, session = lock.targets()[-1], hold.session.id
    match how:
        case "session ended":
            operator(driver.world, f"/v1/session/destroy/{session}")
        case "contender key deleted":
            operator(driver.world, f"/v1/kv/{target.contender_key(session)}", "DELETE")
        case "document deleted":
            operator(driver.world, f"/v1/kv/{lock.key}", "DELETE")
        case "taken out":
            rewrite(driver, lock, {})
        case "written over":
            operator(driver.world, f"/v1/kv/{lock.key}?flags=7", body=b"x")


@each_kind
@pytest.mark.parametrize("how, reason", LOSSES.items())
def test_why_a_hold_is_lost(kind: str, how: str, reason: LossReason) -> None:
    """The keeper's proof is refused or disproved, and a read says why."""
    driver = WeightedDriver()
    lock, hold = held(driver, kind)
    outcome = driver.run(lock.client.api.transact(lock.proof(hold), "proving", lock.rule))
    assert outcome.done
    assert not lock.disproved(hold, outcome.pairs)
    assert driver.run(lock.examine(hold, None, None)) is None
    lose(driver, lock, hold, how)
    outcome = driver.run(lock.client.api.transact(lock.proof(hold), "proving", lock.rule))
    assert not outcome.done or lock.disproved(hold, outcome.pairs)
    assert driver.run(lock.examine(hold, None, None)) is reason
    seen = driver.run(lock.look(hold, 0, 0.0))
    assert driver.run(lock.examine(hold, seen, None)) is reason


def test_a_slot_that_others_fill_is_stolen() -> None:
    """Where there is room still, it was revoked."""
    driver = WeightedDriver()
    lock, hold = held(driver, "semaphore")
    rewrite(driver, lock, {"x": True, "y": True})
    assert driver.run(lock.examine(hold, None, None)) is LossReason.STOLEN


@each_kind
def test_a_guard_is_of_operations_that_hold_while_others_come_and_go(kind: str) -> None:
    """None once it is lost.  The document itself moves with every client that enters."""
    driver = WeightedDriver()
    lock, hold = held(driver, kind)
    operations = driver.run(lock.guarded(hold))
    assert operations
    assert {operation["Verb"] for operation in operations} == {"check-session"}
    assert driver.run(lock.client.api.transact(operations, "guarding", lock.rule)).done
    rewrite(driver, lock, {})
    assert driver.run(lock.guarded(hold)) is None


def test_a_number_that_is_taken_away_is_a_loss() -> None:
    """But not by the answer to a request from before it had one."""
    driver = WeightedDriver()
    lock: Any = driver.semaphore()
    driver.acquire(lock)
    before = driver.run(lock.look(lock.hold, 0, 0.0))
    driver.run(lock.slots(0.0, "me"))
    assert driver.run(lock.examine(lock.hold, before, None)) is None
    operator(driver.world, "/v1/kv/slots/.slot/0", "DELETE")
    outcome = driver.run(lock.client.api.transact(lock.proof(lock.hold), "proving", lock.rule))
    assert not outcome.done
    assert driver.run(lock.examine(lock.hold, None, None)) is LossReason.KEY_DELETED


def test_who_is_in_and_who_waits_are_shown_in_order() -> None:
    """Several slots of one waiter are one; a holder that has died comes last."""
    driver = WeightedDriver()
    first, second = (driver.semaphore(driver.client(label)) for label in "ab")
    driver.acquire(first)
    driver.acquire(second)
    waiting = driver.semaphore(driver.client("w"))
    flow = waiting.acquire(True, None, "me", 2).flow
    driver.until(flow, waits)
    assert [holder.host for holder in driver.run(first.everybody())] == ["a", "b"]
    assert [waiter.host for waiter in driver.run(first.waiters())] == ["w"]
    assert first.hold is not None
    operator(driver.world, f"/v1/session/destroy/{first.hold.session.id}")
    assert [holder.host for holder in driver.run(first.everybody())] == ["b", "a"]
    assert driver.run(first.holder()).host == "b"


def test_nobody_is_shown_of_what_nobody_uses() -> None:
    """There is no document yet."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    assert driver.run(lock.holder()) is None
    assert (driver.run(lock.everybody()), driver.run(lock.waiters())) == ([], [])


def test_several_documents_are_read_at_one_moment() -> None:
    """In one transaction; a single one by a list, which can be a blocking read."""
    driver = WeightedDriver()
    tree, semaphore = driver.tree(), driver.semaphore()
    driver.run(read_targets(semaphore, semaphore.targets()))
    driver.run(read_targets(tree, tree.targets()))
    assert driver.requests() == ["GET kv/slots/", "PUT txn"]
