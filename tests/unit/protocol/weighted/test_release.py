"""Leaving a document: who is admitted, what is taken away, and what is changed meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.client.retry import TRIES_MAX
from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.flow import Job, Request
from consul_lock._protocol.hold.cleanup import PAUSE
from consul_lock._protocol.keys import SEMAPHORE_FLAG
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.timing import session_options
from consul_lock._protocol.weighted.document import SEMAPHORE, Document, encode_document
from consul_lock._protocol.weighted.layout import Target
from consul_lock._protocol.weighted.release import litter, settle
from consul_lock._protocol.weighted.semaphore import SemaphoreCore
from consul_lock._protocol.weighted.snapshot import Snapshot, parse_snapshot
from consul_lock.errors import Unavailable
from consul_lock.testing import World
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import verbs, waits
from tests.unit.protocol.weighted_driver import NO_ANSWER, WeightedDriver, leaves

KEY = "slots/.lock"


class DisturbedDriver(WeightedDriver):
    """Once it is disturbed, the index of the document moves before each change of it."""

    disturbing = False
    disturbed = 0

    def perform(self, effect: Any) -> Any:
        changes = isinstance(effect, Request) and {"cas", "delete-cas"} & set(verbs(effect))
        if self.disturbing and changes:
            self.disturbed += 1
            value = self.world._server.kv.entries[KEY].value
            operator(self.world, f"/v1/kv/{KEY}?flags={SEMAPHORE_FLAG}", body=value + b" ")
        return super().perform(effect)


@pytest.fixture
def driver() -> DisturbedDriver:
    """Two hold a slot each; from now on they are disturbed."""
    made = DisturbedDriver()
    made.lock = made.semaphore()  # type: ignore[attr-defined] # for the tests below
    assert made.acquire(made.lock)
    assert made.acquire(made.semaphore(made.client("b")))
    made.disturbing = True
    return made


@pytest.mark.parametrize("what", ["resize", "settle", "release"])
def test_a_change_that_is_refused_each_time_ends_in_an_error(driver: Any, what: str) -> None:
    """It says so, after a number of tries, and has changed nothing."""
    lock, hold = driver.lock, driver.lock.hold
    before = set(driver.held())
    flows = {
        "resize": lambda: lock.resize(5),
        "settle": lambda: Job(settle(lock, lock.targets(), hold.sessions)),
        "release": lambda: Job(lock.let_go(hold, patient=False)),
    }
    with pytest.raises(Unavailable, match=f"{TRIES_MAX} tries were refused"):
        driver.run(flows[what]())
    assert driver.disturbed == TRIES_MAX
    assert set(driver.held()) == before
    assert lock.limit == 2


def test_a_waiter_that_left_and_came_back_is_not_let_in_before_those_who_stayed() -> None:
    """Its session is the same, and its place another one: the releaser has to look again."""
    driver = WeightedDriver()
    rival = driver.rival(driver.semaphore())
    driver.acquire_all(rival)
    lock, other = driver.semaphore(), driver.semaphore(driver.client("b"))
    first = lock.acquire(True, 3.0, "me", 2).flow
    waiting = driver.until(first, waits)
    before = driver.in_queue(lock)
    driver.until(other.acquire(True, None, "me", 2).flow, waits)
    release = rival.release("other").flow
    releasing = driver.until(release, leaves)
    assert not driver.run_after(first, waiting)
    driver.until(lock.acquire(True, None, "me", 2).flow, waits)
    assert driver.in_queue(lock).keys() == before.keys()
    driver.run_after(release, releasing)
    assert set().union(*driver.holders_in_documents().values()) == driver.sessions_of(other.client)


def test_a_release_is_one_write_where_nobody_else_was_seen() -> None:
    """What is in the document is known from the entering; nothing is left."""
    driver = WeightedDriver()
    for lock in (driver.semaphore(), driver.writer(), driver.tree()):
        assert driver.acquire(lock)
        driver.requests()
        driver.release(lock)
        assert driver.requests() == ["PUT txn"]
        assert driver.held() == {}


def test_a_release_whose_answer_was_lost_is_no_loss() -> None:
    """The document and the key are gone, as they should be."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    driver.acquire(lock)
    flow = lock.release("me").flow
    driver.world.submit(driver.until(flow, leaves))
    driver.run_from(flow, Unavailable("no answer came"))
    assert driver.held() == {}


def test_waiters_are_admitted_with_the_write_that_leaves() -> None:
    """As many as there is room for, in order; the document goes with the last one."""
    driver = WeightedDriver()
    holder = driver.semaphore()
    driver.acquire(holder)
    driver.acquire(driver.semaphore(driver.client("stays")))
    waiters = [driver.semaphore(driver.client(label)) for label in "ab"]
    for waiter in waiters:
        driver.until(waiter.acquire(True, None, "me").flow, waits)
    before = driver.world._server.kv.entries
    order = [driver.sessions_of(waiter.client) for waiter in waiters]
    assert all(key in before for key in driver.held())
    assert holder.hold is not None
    holder.hold.contended = True
    driver.requests()
    driver.release(holder)
    assert driver.requests() == ["GET kv/slots/", "PUT txn"]
    inside = set().union(*driver.holders_in_documents().values())
    assert [bool(each & inside) for each in order] == [True, False]


def test_groups_that_were_lost_one_after_the_other_are_taken_out_in_several_writes() -> None:
    """Consul cannot be reached as the first two are given up, and 1.8 carries out 64 operations
    together: two for each of 58 sessions that live still."""
    driver = WeightedDriver()
    driver.world = World(seed=3, consul="1.8")
    lock = SemaphoreCore(driver.client(), "slots", 90, Settings(session_options()))
    flow = lock.acquire(True, None, "me", 30).flow
    entering = driver.until(flow, _enters)
    for _ in range(2):
        driver.world.submit(entering)
        first = min(driver.traces() & set(lock.client.pool.live))
        operator(driver.world, f"/v1/session/destroy/{first}")
        driver.world.advance(6.0)  # its last renewal is too long ago to believe in
        driver.instead = lambda request: None if _is_answered(request) else (500, b"EOF")
        entering = driver.until(flow, _enters, after=flow.throw(NO_ANSWER))
        driver.instead = lambda request: None
    driver.run_after(flow, entering)
    assert lock.hold is not None
    (attempt,) = lock.client.cleanups.due(driver.world.now + PAUSE)
    driver.run(lock.client.cleanups.clear(attempt))
    assert driver.holders_in_documents() == {KEY: {s.id for s in lock.hold.sessions}}


def _enters(request: Request) -> bool:
    return "lock" in verbs(request)


def _is_answered(request: Request) -> bool:
    return not leaves(request) and "/destroy/" not in request.path


DEAD = "0b1d3c1e-55c1-7a39-3e12-5a4a5e0f7f11"
OTHER = "ff651299-6001-f5eb-e2fb-b4eb5c974b9e"
TARGET = Target(SEMAPHORE, "slots", "slot", 2)


def left(*, holders: tuple[str, ...] = (), waiters: tuple[str, ...] = ()) -> Snapshot:
    """A dead contender and the number of a dead holder have been left, beside these."""
    pairs = [
        Pair(f"slots/{DEAD}", b"", SEMAPHORE_FLAG, "", 3, 33),
        Pair("slots/.slot/1", b"", SEMAPHORE_FLAG, "", 4, 44),
        *(Pair(f"slots/{each}", b"", SEMAPHORE_FLAG, each, 5, 5) for each in waiters),
    ]
    document = Document(2, dict.fromkeys(holders, 1), 0)
    pairs.append(Pair(KEY, encode_document(SEMAPHORE, document), SEMAPHORE_FLAG, "", 1, 9))
    return parse_snapshot(SEMAPHORE, "slots", pairs, 2, 99)


@pytest.mark.parametrize(
    "seen, leaving, room, gone",
    [
        (left(), "", 9, {33, 44}),
        (left(holders=(DEAD,)), "", 9, set()),  # its lock-delay may run: its key guards its slot
        (left(holders=(OTHER,)), "", 9, {33}),
        (left(waiters=(OTHER,)), "", 9, {33}),
        (left(holders=(OTHER,), waiters=(OTHER,)), OTHER, 9, {33, 44}),
        (left(), "", 1, {33}),
        (left(), "", 0, set()),
        (left(), "", -1, set()),
    ],
)
def test_what_the_dead_have_left_goes_when_it_guards_nothing(
    seen: Snapshot, leaving: str, room: int, gone: set[int]
) -> None:
    """Numbers with the last who cares for the semaphore; as much as there is room for."""
    operations = litter([TARGET], [seen], room, frozenset([leaving] if leaving else []))
    assert {operation["Verb"] for operation in operations} <= {"delete-cas"}
    assert {operation["Index"] for operation in operations} == gone


def test_sessions_that_are_in_no_document_need_no_write_to_leave() -> None:
    """One look shows it."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    driver.acquire(lock)
    assert lock.hold is not None
    sessions = lock.hold.sessions
    driver.release(lock)
    driver.requests()
    driver.run(settle(lock, lock.targets(), sessions))
    assert driver.requests() == ["GET kv/slots/"]
