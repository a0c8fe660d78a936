"""The numbers of a semaphore's slots: which are asked for, and what is in the way of one."""

from __future__ import annotations

import pytest

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.flow import Wait
from consul_lock._protocol.keys import SEMAPHORE_FLAG
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.weighted.document import SEMAPHORE, Document, encode_document
from consul_lock._protocol.weighted.semaphore import SemaphoreCore
from consul_lock._protocol.weighted.slot_numbers import AT_ONCE_MAX, choose
from consul_lock._protocol.weighted.snapshot import Snapshot, parse_snapshot
from consul_lock.errors import ConfigError, Conflict, NotHeld, Unavailable
from consul_lock.limits import LOCK_DELAY_MAX
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import verbs
from tests.unit.protocol.weighted_driver import WeightedDriver


def seen(inside: str, taken: str = "", limit: int = 4, waiting: str = "") -> Snapshot:
    """Letters are sessions, in the order of their coming; ``taken``: who has 0, 1, 2, ...; a dot:
    nobody, a dash: a dead holder has left it."""
    pairs = [
        Pair(f"slots/{session}", b"", SEMAPHORE_FLAG, session, 10 + place, 10 + place)
        for place, session in enumerate(waiting + inside)
    ]
    for number, owner in enumerate(taken):
        if owner != ".":
            session = "" if owner == "-" else owner
            pairs.append(Pair(f"slots/.slot/{number}", b"", SEMAPHORE_FLAG, session, 5, 5))
    document = encode_document(SEMAPHORE, Document(limit, dict.fromkeys(inside, 1), 0))
    pairs.append(Pair("slots/.lock", document, SEMAPHORE_FLAG, "", 1, 9))
    return parse_snapshot(SEMAPHORE, "slots", pairs, limit, 99)


@pytest.mark.parametrize(
    "snapshot, ids, not_now, chosen",
    [
        (seen("a"), "a", set(), (0,)),
        (seen("ab", "b"), "a", set(), (1,)),
        (seen("ab", ".b"), "a", set(), (0,)),
        (seen("ab"), "b", set(), (1,)),  # the first is left to the one who came before
        (seen("ab", "a"), "b", set(), (1,)),  # which has its number here
        (seen("ab"), "a", set(), (0,)),
        (seen("a", waiting="w"), "a", set(), (0,)),  # who waits asks for none
        (seen("abc", limit=3), "bc", set(), (1, 2)),
        (seen("ab", limit=2), "ab", set(), (0, 1)),
        (seen("a", "-"), "a", set(), (1,)),  # those of the dead come last
        (seen("a", "-", limit=1), "a", set(), (0,)),
        (seen("a", "-", limit=1), "a", {0}, ()),  # in lock-delay, as was seen
        (seen("a"), "a", {0, 1}, (2,)),
        (seen("abc", limit=3), "c", {2}, (1,)),  # better one of another's than none
        (seen("ab", "bx", limit=2), "a", set(), ()),
        (seen("ab", limit=1), "ab", set(), ()),
    ],
)
def test_which_numbers_are_asked_for(
    snapshot: Snapshot, ids: str, not_now: set[int], chosen: tuple[int, ...]
) -> None:
    """The lowest that are free, so that clients which come together seldom ask twice."""
    assert choose(snapshot, list(ids), not_now) == chosen


def semaphore(driver: WeightedDriver, limit: int = 2) -> SemaphoreCore:
    return SemaphoreCore(driver.client(), "slots", limit, Settings(terms.session_options()))


def test_numbers_are_asked_for_once_and_cost_one_write() -> None:
    """What was seen on entering will do; from then on they are known."""
    driver = WeightedDriver()
    lock = semaphore(driver)
    driver.acquire(lock)
    driver.requests()
    assert driver.run(lock.slots(0.0, "me")) == (0,)
    assert driver.requests() == ["PUT txn"]
    assert driver.run(lock.slots(0.0, "me")) == (0,)
    assert driver.requests() == []


def test_two_calls_at_once_ask_once() -> None:
    """The second waits for the answer of the first, which both return."""
    driver = WeightedDriver()
    lock = semaphore(driver)
    driver.acquire(lock)
    first, second = lock.slots(0.0, "me").flow, lock.slots(0.0, "me").flow
    claiming = driver.until(first, lambda request: "lock" in verbs(request))
    waiting = next(second)
    assert isinstance(waiting, Wait)
    assert driver.run_after(first, claiming) == (0,)
    assert driver.run_after(second, waiting) == (0,)


def test_a_claim_whose_answer_was_lost_is_found_in_consul() -> None:
    """A second one would leave the first number behind."""
    driver = WeightedDriver()
    lock = semaphore(driver)
    driver.acquire(lock)
    flow = lock.slots(0.0, "me").flow
    driver.world.submit(driver.until(flow, lambda request: "lock" in verbs(request)))
    driver.sent.clear()
    assert driver.run_from(flow, Unavailable("no answer came")) == (0,)
    assert not any("lock" in verbs(request) for request in driver.sent)
    driver.release(lock)
    assert driver.held() == {}


def test_where_no_number_becomes_free_it_is_a_conflict() -> None:
    """After the longest lock-delay there is: then it is none that is in the way."""
    driver = WeightedDriver()
    lock = semaphore(driver, 1)
    driver.acquire(lock)
    operator(driver.world, "/v1/kv/slots/.slot/0", body=b"precious")
    begun = driver.world.now
    with pytest.raises(Conflict, match=r"'slots/\.slot/0' are there"):
        driver.run(lock.slots(0.0, "me"))
    assert driver.world.now - begun > LOCK_DELAY_MAX


def test_numbers_of_what_is_released_meanwhile_are_nobodys() -> None:
    """It was waiting for one to become free."""
    driver = WeightedDriver()
    lock = semaphore(driver, 1)
    driver.acquire(lock)
    operator(driver.world, "/v1/kv/slots/.slot/0", body=b"precious")
    flow = lock.slots(0.0, "me").flow
    effect, _ = driver.drive(flow, 4)
    driver.release(lock)
    with pytest.raises(NotHeld, match="released meanwhile"):
        driver.run_after(flow, effect)


def test_more_slots_than_one_release_can_number_are_refused() -> None:
    """Before anything is sent."""
    driver = WeightedDriver()
    lock = semaphore(driver, 20)
    assert driver.run(lock.acquire(False, None, "me", AT_ONCE_MAX + 1))
    driver.requests()
    with pytest.raises(ConfigError, match=f"{AT_ONCE_MAX} at most"):
        driver.run(lock.slots(0.0, "me"))
    assert driver.requests() == []
