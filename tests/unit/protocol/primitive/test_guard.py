"""Writes that cannot happen without the lock."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol.consul.operations import Op
from consul_lock._protocol.flow import Request
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock.errors import ConfigError, Conflict, LockLost, LossReason, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, hold_of, verbs
from tests.unit.protocol.lock_kinds import each_kind

DATA = "data"


@pytest.fixture
def driver() -> FakeDriver:
    """A new world."""
    return FakeDriver()


@pytest.fixture
def lock(driver: FakeDriver) -> LockCore:
    """One that is held."""
    made = driver.lock()
    driver.acquire(made)
    driver.requests()
    return made


def write(driver: FakeDriver, lock: LockCore, *operations: Op) -> Any:
    return driver.run(lock.guard(operations, driver.world.now, "me"))


def data(driver: FakeDriver) -> bytes | None:
    entry = driver.world._server.kv.entries.get(DATA)
    return None if entry is None else entry.value


def test_only_what_was_asked_for_is_answered(driver: FakeDriver, lock: LockCore) -> None:
    """In one request, and without the keys of the guard itself."""
    written, read = write(driver, lock, Op.set(DATA, "x"), Op.get(DATA))
    assert (written.key, written.modify_index) == (DATA, read.modify_index)
    assert read.value == b"x"
    assert driver.requests() == ["PUT txn"]
    assert write(driver, lock) == []


@pytest.mark.parametrize(
    "refused",
    [
        lambda index: Op.cas(DATA, "new", index + 1),
        lambda index: Op.cas(DATA, "new", 0),
        lambda index: Op.check_index(DATA, index + 1),
        lambda index: Op.check_not_exists(DATA),
        lambda index: Op.delete_cas(DATA, index + 1),
        lambda index: Op.get(f"{DATA}/not-there"),
    ],
    ids=["cas", "cas-new", "check-index", "check-not-exists", "delete-cas", "get"],
)
def test_a_refused_operation_is_a_conflict_and_no_loss(
    driver: FakeDriver, lock: LockCore, refused: Callable[[int], Op]
) -> None:
    """Nothing is written, nothing is asked again."""
    (old,) = write(driver, lock, Op.set(DATA, "old"))
    driver.requests()
    with pytest.raises(Conflict, match=DATA) as caught:
        write(driver, lock, Op.set("other", "x"), refused(old.modify_index))
    assert (caught.value.kind, caught.value.key) == ("guard", f"{NAME}/.lock")
    assert (data(driver), "other" in driver.held()) == (b"old", False)
    assert driver.requests() == ["PUT txn"]
    assert hold_of(lock).counts(driver.world.now)


def test_without_the_lock_nothing_is_written_and_the_loss_is_found(
    driver: FakeDriver, lock: LockCore
) -> None:
    """By a read that no deposed leader answers; its reason is that of the loss."""
    operator(driver.world, f"/v1/kv/{NAME}/.lock", "DELETE")
    with pytest.raises(LockLost) as caught:
        write(driver, lock, Op.set(DATA, "late"))
    assert caught.value.reason is hold_of(lock).reason is LossReason.KEY_DELETED
    assert data(driver) is None


def test_a_guard_that_is_refused_while_the_lock_is_held_is_tried_again(
    driver: FakeDriver, lock: LockCore
) -> None:
    """What it compares may change while the lock is held; but not without end."""

    def refusing(times: int) -> None:
        left = iter(range(times))

        def answer(request: Request) -> tuple[int, bytes] | None:
            if "set" not in verbs(request) or next(left, None) is None:
                return None
            errors = [{"OpIndex": 0, "What": "current modify index differs"}]
            return 409, json.dumps({"Results": None, "Errors": errors}).encode()

        driver.instead = answer

    refusing(9)
    assert len(write(driver, lock, Op.set(DATA, "x"))) == 1
    refusing(10)
    with pytest.raises(Conflict, match="index differs"):
        write(driver, lock, Op.set(DATA, "y"))
    assert data(driver) == b"x"
    assert hold_of(lock).counts(driver.world.now)


@pytest.mark.parametrize("count, fits", [(63, True), (64, False)])
def test_one_transaction_takes_64_operations_with_those_of_the_guard(
    driver: FakeDriver, lock: LockCore, count: int, fits: bool
) -> None:
    """More are refused before anything is sent, with the number that fits."""
    operations = [Op.check_not_exists(DATA)] * count
    if fits:
        assert write(driver, lock, *operations) == []
        return
    with pytest.raises(ConfigError, match="64 operations in one guard; Consul takes 63 at most"):
        write(driver, lock, *operations)
    assert driver.requests() == []


@each_kind
def test_each_kind_says_how_many_operations_fit_beside_its_guard(
    make: Callable[[FakeDriver], Lockable],
) -> None:
    """Some need more than one."""
    driver = FakeDriver()
    lock = make(driver)
    driver.run(lock.acquire(True, None, "me"))
    driver.sent.clear()
    with pytest.raises(ConfigError, match=r"Consul takes 6\d at most beside the \d that are"):
        driver.run(lock.guard([Op.get(DATA)] * 64, driver.world.now, "me"))
    assert not [request for request in driver.sent if DATA.encode() in (request.body or b"")]


def test_a_write_without_an_answer_is_an_error_and_leaves_the_session_in_doubt(
    driver: FakeDriver, lock: LockCore
) -> None:
    """It may have been carried out, so it is not sent again."""
    driver.failures.append(Unavailable("no answer came"))
    with pytest.raises(Unavailable):
        write(driver, lock, Op.set(DATA, "x"))
    assert driver.requests() == ["PUT txn"]
    assert hold_of(lock).session.in_doubt
