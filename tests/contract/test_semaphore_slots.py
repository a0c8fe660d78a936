"""The numbers of a semaphore's slots: never two of the same, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any

import pytest

from consul_lock import ConfigError, LockLost, LossReason, NotHeld
from tests.contract.fixture import LOCK_DELAY, SELDOM, Room
from tests.contract.key_layouts import SEMAPHORE_FLAG
from tests.support.apis import Sync
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

Make = Callable[..., Sync]


@pytest.fixture
def semaphore(room: Room) -> Make:
    """Make a semaphore with the name of the test: ``semaphore(3)``, of a client of its own."""

    def make(limit: int, client: Sync | None = None, **options: Any) -> Sync:
        client = client or room.client(room.actor())
        asked = {"lock_delay": LOCK_DELAY, "client": client.thing, **options}
        return Sync(client.actor.do(room.api.Semaphore, room.name, limit, **asked), client.actor)

    return make


def test_each_holder_has_a_number_and_it_is_free_afterwards(room: Room, semaphore: Make) -> None:
    """From 0 on; it is the same each time that somebody asks."""
    first, second, third = (semaphore(3) for _ in range(3))
    for number, holder in enumerate((first, second, third)):
        assert holder.acquire(timeout=20)
        assert holder.slots() == (number,)
        assert holder.slots() == (number,)
    second.release()
    assert second.acquire(timeout=20)
    assert second.slots() == (1,)
    for holder in (first, second, third):
        holder.release()
    with pytest.raises(NotHeld):
        first.slots()


def test_many_at_once_never_share_a_number(room: Room, semaphore: Make) -> None:
    """All that come have one of so many devices for themselves, again and again."""
    limit, rounds = 3, 4
    used, guard = set[int](), threading.Lock()
    seen = set[int]()

    def work(mine: Sync) -> None:
        for _ in range(rounds):
            assert mine.acquire(timeout=60)
            (number,) = mine.slots()
            with guard:
                assert number not in used
                used.add(number)
                seen.add(number)
            with guard:
                used.remove(number)
            mine.release()

    workers = [semaphore(limit) for _ in range(8)]
    threads = [Future[None]() for _ in workers]

    def run(mine: Sync, done: Future[None]) -> None:
        try:
            done.set_result(work(mine))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            done.set_exception(error)

    for mine, done in zip(workers, threads, strict=True):
        threading.Thread(target=run, args=(mine, done), daemon=True).start()
    for done in threads:
        done.result(120)
    assert seen == set(range(limit))


def test_a_slot_number_costs_one_request_and_only_if_asked_for(room: Room, semaphore: Make) -> None:
    """The first call of a hold; the release takes it back in its own request."""
    with Proxy(room.operator.address) as proxy:
        client = room.actor().do(room.api.Client, proxy.address)
        # So long that the keeper does not look meanwhile.
        mine = semaphore(3, Sync(client, room.actor()), **SELDOM)
        assert mine.acquire(timeout=20)
        before = proxy.count("PUT", "txn")
        mine.release()
        without = proxy.count("PUT", "txn") - before
        assert mine.acquire(timeout=20)
        reads, writes = proxy.count("GET"), proxy.count("PUT", "txn")
        assert mine.slots() == (0,)
        assert mine.slots() == (0,)
        assert (proxy.count("GET"), proxy.count("PUT", "txn")) == (reads, writes + 1)
        mine.release()
        assert proxy.count("PUT", "txn") - writes - 1 == without
        Sync(client, mine.actor).close()


def test_several_slots_have_several_numbers(room: Room, semaphore: Make) -> None:
    """One for each; there is an end to how many can be numbered together."""
    one, pair, many = semaphore(3), semaphore(3), semaphore(40)
    assert one.acquire(timeout=20)
    assert pair.acquire(timeout=20, n=2)
    assert pair.slots() == (1, 2)  # the lowest is left to the holder before, which may ask yet
    assert one.slots() == (0,)
    one.release()
    pair.release()
    assert many.acquire(timeout=20, n=15)
    assert many.slots() == tuple(range(15))
    many.release()
    assert many.acquire(timeout=20, n=16)
    with pytest.raises(ConfigError, match="slots"):
        many.slots()
    many.release()


def test_a_dead_holders_number_is_not_reused_while_it_may_be_at_work(
    room: Room, semaphore: Make
) -> None:
    """Even if its slot is taken at once, as Go's clients do: Consul keeps it in lock-delay."""
    dead, beside, late = (semaphore(2, lock_delay=6.0) for _ in range(3))
    assert dead.acquire(timeout=20)
    assert dead.slots() == (0,)
    assert beside.acquire(timeout=20)
    assert beside.slots() == (1,)
    session = dead.session_id
    destroyed = monotonic()
    room.operator.destroy(session)
    document = f"{room.name}/.lock"
    without = f'{{"Limit":2,"Holders":{{"{beside.session_id}":true}}}}'.encode()
    room.operator.put_flags(document, SEMAPHORE_FLAG, without)
    assert late.acquire(timeout=20)
    waiting = late.start("slots")
    assert waiting.result(120) == (0,)
    assert monotonic() - destroyed >= 6.0
    assert not dead.held
    with pytest.raises(LockLost):
        dead.release()
    for holder in (beside, late):
        holder.release()


def test_a_holder_without_a_slot_number_blocks_nobody(room: Room, semaphore: Make) -> None:
    """A client of Go has none, and a semaphore of consul-lock need not ask for one."""
    unnumbered, mine = semaphore(2), semaphore(2)
    assert unnumbered.acquire(timeout=20)
    assert mine.acquire(timeout=20)
    (number,) = mine.slots()
    assert number in (0, 1)
    mine.release()
    assert mine.acquire(timeout=20)
    assert mine.slots() == (number,)
    mine.release()
    unnumbered.release()


def test_a_foreign_value_is_not_overwritten(room: Room, semaphore: Make) -> None:
    """Its number is not given to anybody."""
    key = f"{room.name}/.slot/0"
    room.operator.put_flags(key, 0, b"hello")
    room.left.add(key)
    mine = semaphore(2)
    assert mine.acquire(timeout=20)
    assert mine.slots() == (1,)
    mine.release()
    assert room.operator.value(key) == b"hello"


def test_the_limit_may_change(room: Room, semaphore: Make) -> None:
    """More slots have more numbers; a number above a lower limit is kept."""
    first, second, third = (semaphore(2) for _ in range(3))
    assert first.acquire(timeout=20)
    assert second.acquire(timeout=20)
    assert (first.slots(), second.slots()) == ((0,), (1,))
    first.resize(3)
    third.resize(3)
    assert third.acquire(timeout=20)
    assert third.slots() == (2,)
    first.resize(1)
    assert third.held
    for holder in (first, second, third):
        holder.release()


def test_a_number_that_is_taken_away_is_a_loss(room: Room, semaphore: Make) -> None:
    """Somebody else could have it from now on."""
    mine = semaphore(2, watch=True)
    assert mine.acquire(timeout=20)
    (number,) = mine.slots()
    room.operator.delete(f"{room.name}/.slot/{number}")
    eventually(mine.lost.is_set)
    assert mine.actor.do(lambda: mine.thing.lost_reason) is LossReason.KEY_DELETED
    with pytest.raises(LockLost):
        mine.slots()


def test_numbers_are_keys_of_the_session(room: Room, semaphore: Make) -> None:
    """So they are nobody's when it ends, and everybody can see who has which."""
    mine = semaphore(2)
    assert mine.acquire(timeout=20)
    mine.slots()
    entry = room.operator.keys(f"{room.name}/.slot/")[f"{room.name}/.slot/0"]
    assert (entry["Session"], entry["Flags"]) == (mine.session_id, SEMAPHORE_FLAG)
    mine.release()
