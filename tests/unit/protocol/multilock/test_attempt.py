"""One try to get several locks: the keys read at one moment, and what they mean for it."""

from __future__ import annotations

import pytest

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.lock.decision import LockState
from consul_lock._protocol.multilock.attempt import (
    guarded,
    read_keys,
    refused_keys,
    stand,
    step_in,
    step_out,
)
from consul_lock._protocol.multilock.attempt import (
    locking as locking_operations,
)
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import (
    Unavailable,
)
from tests.unit.protocol.fake_driver import waits
from tests.unit.protocol.multilock_driver import (
    KEYS,
    A,
    B,
    C,
    MultiLockDriver,
    Sharing,
    locking,
)


def test_keys_that_come_and_go_are_read_one_by_one_in_the_end() -> None:
    """There may be no moment at which all can be read, as others never leave the time for it."""
    driver = MultiLockDriver()
    client = driver.client()

    def flip(request: object) -> None:
        if KEYS[B] in driver.held():
            driver.delete(KEYS[B])
        else:
            driver.put(KEYS[B], LOCK_FLAG)

    driver.put(KEYS[A], LOCK_FLAG)
    assert set(driver.run(read_keys(client, list(KEYS.values())))) == {KEYS[A]}
    assert len(driver.sent) == 2
    driver.sent.clear()
    driver.after = flip
    assert KEYS[A] in driver.run(read_keys(client, list(KEYS.values())))
    assert [request.method for request in driver.sent] == ["PUT"] * 4 + ["GET"] * 3
    assert all(("consistent", "") in request.params for request in driver.sent[:4])


@pytest.mark.parametrize(
    "owners, alone, verdict",
    [
        ([None, None], True, LockState.FREE),
        (["", None], True, LockState.FREE),
        (["mine", "mine"], True, LockState.OURS),
        (["mine", None], True, LockState.OURS),
        (["mine", "other"], True, LockState.OURS),
        (["mine", "mine"], False, LockState.TAKEN),
        ([None, "mine"], False, LockState.TAKEN),
        (["", "other"], True, LockState.TAKEN),
    ],
)
def test_where_one_stands(owners: list[str | None], alone: bool, verdict: LockState) -> None:
    """What a shared session has is its own only if no other lock of this process can have it."""
    pairs = {
        key: Pair(key, b"", LOCK_FLAG, owner, 1, 2)
        for key, owner in zip("ab", owners, strict=True)
        if owner is not None
    }
    where = stand("ab", pairs, Session("mine", session_options(), None), alone=alone)
    assert where.verdict is verdict
    assert (where.pair is not None) is (verdict is LockState.TAKEN)


def test_a_waiter_with_a_shared_session_keeps_nobody_from_a_single_lock() -> None:
    """It is in the rooms of the single locks only while it writes, and when it has them."""
    shared = Sharing()
    driver = shared.driver
    other = driver.lock(driver.client("b"), C)
    driver.acquire(other)
    flow, watching = driver.queue_up(shared.several)
    assert driver.acquire(shared.single, timeout=0, owner="one")
    driver.when_blocked = lambda: driver.release(other)
    again = driver.until(flow, waits, after=watching)
    assert again.path == f"/v1/kv/{KEYS[B]}"
    driver.when_blocked = lambda: driver.release(shared.single, owner="one")
    assert driver.run_after(flow, again)


def test_a_user_of_a_shared_session_does_not_queue_behind_local_waiters() -> None:
    """The lock looks free in Consul: somebody of this process is about to take it."""
    shared = Sharing()
    driver = shared.driver
    contending = shared.single.acquire(True, None, "one").flow
    taking = driver.until(contending, lambda request: request.path == "/v1/txn")
    before = driver.world.now
    flow = shared.several.acquire(True, None, "me").flow
    driver.drive(flow, 6)
    assert driver.world.now > before
    assert not shared.several.client.local_queues._queues[KEYS[B]].waiting
    assert driver.run_after(contending, taking)
    assert not driver.acquire(shared.several, timeout=3, owner="another")
    driver.release(shared.single, owner="one")
    assert driver.acquire(shared.several, timeout=0, owner="another")


def test_after_an_unanswered_try_it_keeps_the_others_of_its_session_out() -> None:
    """A ghost of that try may come at any time, and would look like theirs."""
    shared = Sharing()
    driver = shared.driver
    flow = shared.several.acquire(True, None, "me").flow
    ghost = driver.until(flow, locking)
    other = driver.lock(driver.client("b"), C)
    driver.acquire(other)
    effect = flow.throw(Unavailable("no answer came"))
    watching = driver.until(flow, waits, after=effect)
    assert not driver.acquire(shared.single, timeout=0, owner="one")
    driver.release(other)
    driver.world.submit(ghost)
    assert driver.run_after(flow, watching)
    assert driver.owned(shared.several)
    driver.release(shared.several)
    assert driver.held() == {}


SESSION = Session("mine", session_options(), None)


def names(count: int) -> list[str]:
    return [f"key{number}" for number in range(count)]


@pytest.mark.parametrize("count, checked", [(1, True), (32, True), (33, False), (64, False)])
def test_each_key_is_checked_in_the_transaction_that_locks_it_if_there_is_room(
    count: int, checked: bool
) -> None:
    """Of more keys than half as many as Consul takes operations, all are locked unchecked."""
    keys = names(count)
    operations = locking_operations(keys, {}, SESSION, "")
    assert guarded(keys) is checked
    assert len(operations) == count * (1 + checked) <= 64
    assert [op["Key"] for op in operations if op["Verb"] == "lock"] == keys


def test_a_key_is_locked_as_it_was_read() -> None:
    """One that was there by its index, and one that was not only if it is not there still."""
    found = {"b": Pair("b", b"", LOCK_FLAG, "", 1, 7)}
    operations = locking_operations(["a", "b"], found, SESSION, "value")
    assert [operation["Verb"] for operation in operations] == [
        "check-not-exists", "lock", "check-index", "lock"
    ]  # fmt: skip
    assert operations[2]["Index"] == 7
    assert {operation.get("Session") for operation in operations} == {"mine", None}


@pytest.mark.parametrize("count, first", [(2, 2), (33, 1)])
def test_a_refusal_is_of_the_key_that_its_operation_is_about(count: int, first: int) -> None:
    """Of two refusals of one key the first says why."""
    keys = names(count)
    errors = ((first, "one"), (first, "another"), (0, "zero"))
    outcome = TxnResult(0.0, 0, (), errors)
    assert refused_keys(keys, outcome) == {"key1": "one", "key0": "zero"}


def test_who_shares_a_session_is_in_all_local_queues_while_it_writes_or_in_none() -> None:
    """It never waits in one with a place in another; in doubt it stays, as a late answer may
    come."""
    shared = Sharing()
    attempt = shared.several.attempt("me", True)
    attempt.session = shared.driver.run(shared.several.session_for(attempt))
    assert not attempt.alone
    assert step_in(shared.client, attempt)
    assert (attempt.alone, attempt.blocking) == (True, True)
    assert not shared.driver.acquire(shared.single, timeout=0, owner="one")
    attempt.session.uncertain = True
    step_out(shared.client, attempt)
    assert attempt.inside
    attempt.session.uncertain = False
    step_out(shared.client, attempt)
    assert not attempt.inside
    assert shared.driver.acquire(shared.single, timeout=0, owner="one")
    assert not step_in(shared.client, attempt)
    assert not attempt.inside
