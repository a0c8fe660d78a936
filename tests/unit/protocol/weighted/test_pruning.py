"""Dead holders are pruned after their own lock-delay, by the next client, and not before."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.flow import Request
from consul_lock._protocol.keys import SEMAPHORE_FLAG
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.weighted.engine import WeightedCore
from consul_lock._protocol.weighted.rwlock import ReadWriteCore
from consul_lock._protocol.weighted.semaphore import SemaphoreCore
from consul_lock._protocol.weighted.tree import TreeCore
from consul_lock.errors import LockLost
from tests.simulation.mutation import Mutant, applied
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import waits
from tests.unit.protocol.weighted_driver import WeightedDriver

NAME = "a/b"

# Seconds: nobody renews sessions here, and only those that are destroyed are to end.
_LONG = 3600.0

Kind = Callable[[WeightedDriver, Settings], WeightedCore]
KINDS: dict[str, Kind] = {
    "semaphore": lambda driver, settings: SemaphoreCore(driver.client(), NAME, 2, settings),
    "writer": lambda driver, settings: ReadWriteCore(driver.client(), NAME, settings).writer,
    "tree": lambda driver, settings: TreeCore(driver.client(), names.keys_of_name(NAME), settings),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.fixture
def driver() -> WeightedDriver:
    return WeightedDriver()


def make(driver: WeightedDriver, kind: Kind, lock_delay: float = 30.0) -> WeightedCore:
    """One more client's."""
    return kind(driver, Settings(terms.session_options(_LONG, lock_delay)))


def semaphore(driver: WeightedDriver, limit: int = 2, lock_delay: float = 30.0) -> SemaphoreCore:
    """One more client's."""
    return SemaphoreCore(
        driver.client(), NAME, limit, Settings(terms.session_options(_LONG, lock_delay))
    )


def die(driver: WeightedDriver, lock: WeightedCore) -> None:
    """Its sessions end, and its client is never heard of again."""
    assert lock.hold is not None
    for session in lock.hold.sessions:
        operator(driver.world, f"/v1/session/destroy/{session.id}")


def try_once(driver: WeightedDriver, lock: WeightedCore) -> bool:
    return bool(driver.acquire_all(lock, timeout=0))


# -- when


@each_kind
@pytest.mark.parametrize("dead, newcomer", [(60.0, 5.0), (5.0, 60.0)])
def test_it_is_the_lock_delay_of_the_dead_that_counts(
    driver: WeightedDriver, kind: Kind, dead: float, newcomer: float
) -> None:
    """Not that of the newcomer, which does not even have to be there all the time."""
    driver.acquire_all(holder := make(driver, kind, dead))
    die(driver, holder)
    died = driver.world.now
    driver.world.advance_to(died + dead - 0.01)
    assert not try_once(driver, make(driver, kind, newcomer))
    driver.world.advance_to(died + dead)
    assert try_once(driver, make(driver, kind, newcomer))


@each_kind
def test_a_waiter_is_in_soon_after_the_lock_delay(driver: WeightedDriver, kind: Kind) -> None:
    """Nothing announces its end, so it tries again and again, without a Raft write."""
    driver.acquire_all(holder := make(driver, kind, 25.0))
    waiter = make(driver, kind)
    died = 0.0

    def holder_dies() -> None:
        nonlocal died
        die(driver, holder)
        died = driver.world.now

    driver.when_blocked = holder_dies
    assert driver.acquire_all(waiter)
    assert died + 25.0 <= driver.world.now <= died + 26.5


def test_a_holder_that_was_seen_alive_is_not_tried() -> None:
    """A request that is admitted while it lives could be carried out just after its end, past its
    lock-delay: two would hold the slot."""
    driver = WeightedDriver()
    driver.acquire_all(holder := semaphore(driver))
    assert holder.hold is not None
    key = f"{NAME}/{holder.hold.session.id}"
    newcomer = semaphore(driver)
    driver.sent.clear()
    assert not try_once(driver, newcomer)
    assert key not in _locked_by(driver.sent)
    die(driver, holder)
    assert not try_once(driver, newcomer)
    assert key in _locked_by(driver.sent)


def _locked_by(requests: list[Request]) -> set[str]:
    """The keys that transactions lock."""
    bodies = [json.loads(r.body) for r in requests if r.path == "/v1/txn" and r.body]
    operations = [operation["KV"] for body in bodies for operation in body if "KV" in operation]
    return {each["Key"] for each in operations if each["Verb"] == "lock"}


def test_a_try_in_lock_delay_is_no_raft_write(driver: WeightedDriver) -> None:
    """The leader refuses it by itself, however many come and try."""
    driver.acquire_all(holder := make(driver, KINDS["semaphore"]))
    die(driver, holder)
    newcomer = make(driver, KINDS["semaphore"])
    assert not try_once(driver, newcomer)
    before = driver.world._server.index
    assert not try_once(driver, newcomer)
    assert driver.world._server.index == before


# -- whom


def test_one_in_lock_delay_does_not_hold_up_the_others(driver: WeightedDriver) -> None:
    """Those whose lock-delay is over are pruned beside it, in one call of one who tries once."""
    dead = [semaphore(driver, 3, lock_delay) for lock_delay in (5.0, 60.0, 6.0)]
    for each in dead:
        assert driver.run(each.acquire(False, None, "other"))
    for each in dead:
        die(driver, each)
    driver.world.advance(10.0)
    newcomer = semaphore(driver, 3)
    assert driver.run(newcomer.acquire(False, None, "me", 2))
    assert newcomer.hold is not None
    assert dead[1].hold is not None
    inside = {session.id for session in (*newcomer.hold.sessions, *dead[1].hold.sessions)}
    assert driver.holders_in_documents() == {f"{NAME}/.lock": inside}


def test_more_dead_than_fit_into_one_transaction_are_all_pruned(driver: WeightedDriver) -> None:
    """Consul takes 64 operations at a time."""
    holders = [semaphore(driver, 80) for _ in range(4)]
    for holder in holders:
        assert driver.run(holder.acquire(False, None, "other", 20))
    for holder in holders:
        die(driver, holder)
    driver.world.advance(30.0)
    newcomers = [semaphore(driver, 80) for _ in range(4)]
    for newcomer in newcomers:
        assert driver.run(newcomer.acquire(False, None, "me", 20))
    for newcomer in newcomers:
        driver.run(newcomer.release("me"))
    assert driver.held() == {}


def test_a_dead_client_of_go_has_its_lock_delay_though_its_key_is_gone(
    driver: WeightedDriver,
) -> None:
    """With the behaviour "delete"; the name of the key is in lock-delay all the same."""
    settings = {"LockDelay": "15s", "Behavior": "delete"}
    session, document = foreign_holder(driver, settings), f"{NAME}/.lock"
    operator(driver.world, f"/v1/session/destroy/{session}")
    assert set(driver.held()) == {document}
    died = driver.world.now
    newcomer = semaphore(driver, 1, 1.0)
    driver.world.advance_to(died + 14.99)
    assert not try_all(driver, newcomer)
    driver.world.advance_to(died + 15.0)
    assert try_all(driver, newcomer)


def test_a_contender_key_that_is_deleted_by_hand_has_no_lock_delay(driver: WeightedDriver) -> None:
    """As the documentation says: to delete a key ends its hold at once."""
    session = foreign_holder(driver, {})
    operator(driver.world, f"/v1/kv/{NAME}/{session}", "DELETE")
    newcomer = semaphore(driver, 1)
    assert try_all(driver, newcomer)


def test_a_living_hidden_holder_is_not_pruned() -> None:
    """Older servers leave out what a token may not see, so it looks dead; the lock is refused."""
    driver = HiddenKeyDriver()
    session = driver.hidden = foreign_holder(driver, {})
    newcomer = semaphore(driver, 1)
    assert not try_all(driver, newcomer)
    assert driver.holders_in_documents() == {f"{NAME}/.lock": {session}}
    assert driver.held()[f"{NAME}/{session}"] == session


class HiddenKeyDriver(WeightedDriver):
    """One key is never shown to anybody."""

    hidden = ""

    def perform(self, effect: Any) -> Any:
        found = super().perform(effect)
        if isinstance(effect, Request) and effect.path.startswith("/v1/kv/") and self.hidden:
            pairs = tuple(p for p in found.pairs if not p.key.endswith(self.hidden))
            return found._replace(pairs=pairs)
        return found


def foreign_holder(driver: WeightedDriver, settings: dict[str, str]) -> str:
    """A session that holds the only slot, as a client of Go writes it."""
    made = operator(driver.world, "/v1/session/create", body=json.dumps(settings).encode())
    session = str(json.loads(made)["ID"])
    flags = f"flags={SEMAPHORE_FLAG}"
    operator(driver.world, f"/v1/kv/{NAME}/{session}?acquire={session}&{flags}", body=b"Go")
    document = json.dumps({"Limit": 1, "Holders": {session: True}}).encode()
    operator(driver.world, f"/v1/kv/{NAME}/.lock?{flags}", body=document)
    return session


def try_all(driver: WeightedDriver, lock: SemaphoreCore) -> bool:
    return bool(driver.run(lock.acquire(False, None, "me", lock.limit)))


# -- those who wait


@each_kind
def test_a_waiter_that_dies_holds_up_nobody(driver: WeightedDriver, kind: Kind) -> None:
    """The next one moves up at once, and takes the key away with what it writes."""
    driver.acquire_all(holder := make(driver, kind))
    dying, behind = make(driver, kind), make(driver, kind)
    driver.wait_in_queue(dying)
    flow = behind.acquire(True, None, "me", 2 if kind is KINDS["semaphore"] else 1).flow
    watching = driver.until(flow, waits)
    before = driver.held()
    for session in dying.client.pool.live:
        operator(driver.world, f"/v1/session/destroy/{session}")
    assert set(driver.held()) == set(before)  # the keys stay
    # It watches the one before it, and then everything.
    again = driver.until(flow, waits, after=watching)
    assert again.path != watching.path
    driver.when_blocked = lambda: driver.run(holder.release("other"))
    driver.run_after(flow, again)
    assert behind.hold is not None
    mine = {session.id for session in behind.hold.sessions}
    assert driver.traces() == mine
    assert all(owner in mine for key, owner in driver.held().items() if not key.endswith(".lock"))
    driver.run(behind.release("me"))
    assert driver.held() == {}


def test_a_waiter_behind_others_leaves_pruning_to_the_first(driver: WeightedDriver) -> None:
    """Else a hundred waiters would all ask again and again."""
    driver.acquire_all(holder := make(driver, KINDS["writer"]))
    driver.wait_in_queue(make(driver, KINDS["writer"]))
    driver.wait_in_queue(between := make(driver, KINDS["writer"]))
    last = make(driver, KINDS["writer"])
    flow = last.acquire(True, None, "me").flow
    request = driver.until(flow, waits)
    die(driver, holder)
    for session in between.client.pool.live:
        operator(driver.world, f"/v1/session/destroy/{session}")
    driver.requests()
    for _ in range(3):
        request = driver.until(flow, waits, after=request)
    sent = driver.requests()
    assert "GET kv/a/b/.lock" in sent  # it has seen that the holder is dead
    assert "PUT txn" not in sent


@each_kind
def test_a_holder_that_learns_of_its_loss_gives_its_place_back(
    driver: WeightedDriver, kind: Kind
) -> None:
    """At once, as nobody works under it any more; the others need not wait for the lock-delay."""
    driver.acquire_all(holder := make(driver, kind))
    die(driver, holder)
    with pytest.raises(LockLost):
        driver.run(holder.release("other"))
    assert driver.held() == {}
    assert not holder.client.cleanups.times()


# -- the numbers of slots


def numbered(driver: WeightedDriver, *expected: int, lock_delay: float = 60.0) -> SemaphoreCore:
    """One more holder, with this number."""
    lock = semaphore(driver, lock_delay=lock_delay)
    assert driver.run(lock.acquire(False, None, "me"))
    assert driver.run(lock.slots(driver.world.now, "me")) == expected
    return lock


def test_the_number_of_a_dead_holder_is_free_after_its_lock_delay(driver: WeightedDriver) -> None:
    """Its key has stayed, and is taken over as it is; it is nobody's before."""
    holder, beside = numbered(driver, 0, lock_delay=30.0), numbered(driver, 1)
    die(driver, holder)
    driver.world.advance(29.0)
    assert driver.held()[f"{NAME}/.slot/0"] == ""
    driver.run(beside.release("me"))
    beside = numbered(driver, 1)  # and not the other one, which is in lock-delay
    driver.world.advance(1.0)
    late = numbered(driver, 0)
    for each in (beside, late):
        driver.run(each.release("me"))
    assert driver.held() == {}


def test_numbers_that_the_dead_have_left_go_with_the_last_holder(driver: WeightedDriver) -> None:
    """Also if nobody asked for a number since."""
    holder, beside = numbered(driver, 0, lock_delay=30.0), numbered(driver, 1)
    die(driver, holder)
    driver.world.advance(30.0)
    newcomer = semaphore(driver)
    assert driver.run(newcomer.acquire(False, None, "me"))
    driver.run(beside.release("me"))
    assert f"{NAME}/.slot/0" in driver.held()
    driver.run(newcomer.release("me"))
    assert driver.held() == {}


# -- wrong versions

WRONG = (
    (
        Mutant(
            "one dead holder in lock-delay holds up the others",
            "weighted.pruning:_prune",
            "attempt.guarded |= delayed",
            "attempt.guarded |= set(dead) if delayed else delayed",
        ),
        test_one_in_lock_delay_does_not_hold_up_the_others,
    ),
    (
        Mutant(
            "only who is in the queue prunes",
            "weighted.pruning:prune",
            "if not attempt.joined or",
            "if attempt.joined and",
        ),
        test_it_is_the_lock_delay_of_the_dead_that_counts,
    ),
    (
        Mutant(
            "all who wait prune",
            "weighted.pruning:prune",
            "if not attempt.joined or",
            "if True or",
        ),
        test_a_waiter_behind_others_leaves_pruning_to_the_first,
    ),
    (
        Mutant(
            "who cannot be seen is dead",
            "weighted.pruning:expiry_check",
            "return [lock, {",
            "return [{**lock, 'Verb': 'delete'}, {",
        ),
        test_a_living_hidden_holder_is_not_pruned,
    ),
    (
        Mutant(
            "those who died while they waited are let in",
            "weighted.snapshot:Snapshot.waiting",
            "for c in self.contenders if c.ours",
            "for c in (*self.left.values(), *self.contenders) if c.ours",
        ),
        test_a_waiter_that_dies_holds_up_nobody,
    ),
    (
        Mutant(
            "those who died while they waited are before those who wait",
            "weighted.snapshot:_before",
            "for c in snapshot.contenders if c.ours",
            "for c in (*snapshot.left.values(), *snapshot.contenders) if c.ours",
        ),
        test_a_waiter_that_dies_holds_up_nobody,
    ),
    (
        Mutant(
            "who waits does not try again before something changes",
            "weighted.queue:_poll_time",
            "if attempt.guarded else",
            "if False else",
        ),
        test_a_waiter_is_in_soon_after_the_lock_delay,
    ),
    (
        Mutant(
            "the number that a dead holder has left is taken for one that nobody has had",
            "weighted.slot_numbers:_claim",
            "if index := seen.left_slots.get(number):",
            "if index := 0:",
        ),
        test_the_number_of_a_dead_holder_is_free_after_its_lock_delay,
    ),
    (
        Mutant(
            "who has lost its place leaves its own key",
            "weighted.release:_withdrawn",
            "return [delete_if_unchanged(key, left.modify_index)] if left else []",
            "return []",
        ),
        test_a_holder_that_learns_of_its_loss_gives_its_place_back,
    ),
)


@pytest.mark.parametrize("wrong, test", WRONG, ids=[wrong.story for wrong, _ in WRONG])
def test_a_wrong_version_is_found_out(wrong: Mutant, test: Callable[..., None]) -> None:
    """By the test that pins it."""
    known = {"kind": KINDS["semaphore"], "dead": 60.0, "newcomer": 5.0}
    wanted = inspect.signature(test).parameters
    more = {name: value for name, value in known.items() if name in wanted}
    test(**more, **({"driver": WeightedDriver()} if "driver" in wanted else {}))
    with applied(wrong), pytest.raises(BaseException):  # noqa: B017 - it fails anyhow
        test(**more, **({"driver": WeightedDriver()} if "driver" in wanted else {}))
