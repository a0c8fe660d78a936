"""Dead holders are pruned when their own lock-delay is over, by whoever comes, and not before."""

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
from tests.simulation.foreign_lock_client import operator
from tests.simulation.mutation import Mutant, applied
from tests.unit.protocol.weighted_driver import Rooms

NAME = "a/b"

# Seconds: nobody renews sessions here, and only those that are destroyed are to end.
_LONG = 3600.0

Kind = Callable[[Rooms, Settings], WeightedCore]
KINDS: dict[str, Kind] = {
    "semaphore": lambda hand, settings: SemaphoreCore(hand.client(), NAME, 2, settings),
    "writer": lambda hand, settings: ReadWriteCore(hand.client(), NAME, settings).writer,
    "tree": lambda hand, settings: TreeCore(hand.client(), names.keys_of_name(NAME), settings),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.fixture
def hand() -> Rooms:
    return Rooms()


def make(hand: Rooms, kind: Kind, lock_delay: float = 30.0) -> WeightedCore:
    """One more client's."""
    return kind(hand, Settings(terms.session_options(_LONG, lock_delay)))


def semaphore(hand: Rooms, limit: int = 2, lock_delay: float = 30.0) -> SemaphoreCore:
    """One more client's."""
    return SemaphoreCore(
        hand.client(), NAME, limit, Settings(terms.session_options(_LONG, lock_delay))
    )


def die(hand: Rooms, lock: WeightedCore) -> None:
    """Its sessions end, and its client is never heard of again."""
    assert lock.hold is not None
    for session in lock.hold.sessions:
        operator(hand.world, f"/v1/session/destroy/{session.id}")


def try_once(hand: Rooms, lock: WeightedCore) -> bool:
    return bool(hand.get(lock, timeout=0))


# -- when


@each_kind
@pytest.mark.parametrize("dead, newcomer", [(60.0, 5.0), (5.0, 60.0)])
def test_it_is_the_lock_delay_of_the_dead_that_counts(
    hand: Rooms, kind: Kind, dead: float, newcomer: float
) -> None:
    """Not that of who comes, who does not even have to be there all the time."""
    hand.get(holder := make(hand, kind, dead))
    die(hand, holder)
    died = hand.world.now
    hand.world.advance_to(died + dead - 0.01)
    assert not try_once(hand, make(hand, kind, newcomer))
    hand.world.advance_to(died + dead)
    assert try_once(hand, make(hand, kind, newcomer))


@each_kind
def test_a_waiter_is_in_soon_after_the_lock_delay(hand: Rooms, kind: Kind) -> None:
    """Nothing announces its end, so it tries again and again, without a Raft write."""
    hand.get(holder := make(hand, kind, 25.0))
    waiter = make(hand, kind)
    died = 0.0

    def holder_dies() -> None:
        nonlocal died
        die(hand, holder)
        died = hand.world.now

    hand.when_blocked = holder_dies
    assert hand.get(waiter)
    assert died + 25.0 <= hand.world.now <= died + 26.5


def test_a_holder_that_was_seen_alive_is_not_tried() -> None:
    """A request that is admitted while it lives could be carried out just after its end, past its
    lock-delay: two would hold the slot."""
    hand = Rooms()
    hand.get(holder := semaphore(hand))
    assert holder.hold is not None
    key = f"{NAME}/{holder.hold.session.id}"
    newcomer = semaphore(hand)
    hand.sent.clear()
    assert not try_once(hand, newcomer)
    assert key not in _locked_by(hand.sent)
    die(hand, holder)
    assert not try_once(hand, newcomer)
    assert key in _locked_by(hand.sent)


def _locked_by(requests: list[Request]) -> set[str]:
    """The keys that transactions lock."""
    bodies = [json.loads(r.body) for r in requests if r.path == "/v1/txn" and r.body]
    operations = [operation["KV"] for body in bodies for operation in body if "KV" in operation]
    return {each["Key"] for each in operations if each["Verb"] == "lock"}


def test_a_try_in_lock_delay_is_no_raft_write(hand: Rooms) -> None:
    """The leader refuses it by itself, however many come and try."""
    hand.get(holder := make(hand, KINDS["semaphore"]))
    die(hand, holder)
    newcomer = make(hand, KINDS["semaphore"])
    assert not try_once(hand, newcomer)
    before = hand.world._server.index
    assert not try_once(hand, newcomer)
    assert hand.world._server.index == before


# -- whom


def test_one_in_lock_delay_does_not_hold_up_the_others(hand: Rooms) -> None:
    """Those whose lock-delay is over are pruned beside it, in one call of one who tries once."""
    dead = [semaphore(hand, 3, lock_delay) for lock_delay in (5.0, 60.0, 6.0)]
    for each in dead:
        assert hand.run(each.acquire(False, None, "other"))
    for each in dead:
        die(hand, each)
    hand.world.advance(10.0)
    newcomer = semaphore(hand, 3)
    assert hand.run(newcomer.acquire(False, None, "me", 2))
    assert newcomer.hold is not None
    assert dead[1].hold is not None
    inside = {session.id for session in (*newcomer.hold.sessions, *dead[1].hold.sessions)}
    assert hand.inside() == {f"{NAME}/.lock": inside}


def test_more_dead_than_fit_into_one_transaction_are_all_pruned(hand: Rooms) -> None:
    """Consul takes 64 operations at a time."""
    holders = [semaphore(hand, 80) for _ in range(4)]
    for holder in holders:
        assert hand.run(holder.acquire(False, None, "other", 20))
    for holder in holders:
        die(hand, holder)
    hand.world.advance(30.0)
    newcomers = [semaphore(hand, 80) for _ in range(4)]
    for newcomer in newcomers:
        assert hand.run(newcomer.acquire(False, None, "me", 20))
    for newcomer in newcomers:
        hand.run(newcomer.release("me"))
    assert hand.held() == {}


def test_a_dead_client_of_go_has_its_lock_delay_though_its_key_is_gone(hand: Rooms) -> None:
    """With the behaviour "delete"; the name of the key is in lock-delay all the same."""
    settings = {"LockDelay": "15s", "Behavior": "delete"}
    session, document = stranger(hand, settings), f"{NAME}/.lock"
    operator(hand.world, f"/v1/session/destroy/{session}")
    assert set(hand.held()) == {document}
    died = hand.world.now
    newcomer = semaphore(hand, 1, 1.0)
    hand.world.advance_to(died + 14.99)
    assert not try_all(hand, newcomer)
    hand.world.advance_to(died + 15.0)
    assert try_all(hand, newcomer)


def test_a_contender_key_that_is_deleted_by_hand_has_no_lock_delay(hand: Rooms) -> None:
    """As the documentation says: who deletes keys ends holds at once."""
    session = stranger(hand, {})
    operator(hand.world, f"/v1/kv/{NAME}/{session}", "DELETE")
    newcomer = semaphore(hand, 1)
    assert try_all(hand, newcomer)


def test_who_lives_and_is_hidden_is_not_pruned() -> None:
    """Older servers leave out what a token may not see, so it looks dead; the lock is refused."""
    hand = Blinkered()
    session = hand.hidden = stranger(hand, {})
    newcomer = semaphore(hand, 1)
    assert not try_all(hand, newcomer)
    assert hand.inside() == {f"{NAME}/.lock": {session}}
    assert hand.held()[f"{NAME}/{session}"] == session


class Blinkered(Rooms):
    """One key is never shown to anybody."""

    hidden = ""

    def perform(self, effect: Any) -> Any:
        found = super().perform(effect)
        if isinstance(effect, Request) and effect.path.startswith("/v1/kv/") and self.hidden:
            pairs = tuple(p for p in found.pairs if not p.key.endswith(self.hidden))
            return found._replace(pairs=pairs)
        return found


def stranger(hand: Rooms, settings: dict[str, str]) -> str:
    """A session that holds the only slot, as a client of Go writes it."""
    made = operator(hand.world, "/v1/session/create", body=json.dumps(settings).encode())
    session = str(json.loads(made)["ID"])
    flags = f"flags={SEMAPHORE_FLAG}"
    operator(hand.world, f"/v1/kv/{NAME}/{session}?acquire={session}&{flags}", body=b"Go")
    document = json.dumps({"Limit": 1, "Holders": {session: True}}).encode()
    operator(hand.world, f"/v1/kv/{NAME}/.lock?{flags}", body=document)
    return session


def try_all(hand: Rooms, lock: SemaphoreCore) -> bool:
    return bool(hand.run(lock.acquire(False, None, "me", lock.limit)))


# -- those who wait


@each_kind
def test_who_dies_while_it_waits_holds_up_nobody(hand: Rooms, kind: Kind) -> None:
    """The next one moves up at once, and takes the key away with what it writes."""
    hand.get(holder := make(hand, kind))
    dying, behind = make(hand, kind), make(hand, kind)
    hand.line_up(dying)
    flow = behind.acquire(True, None, "me", 2 if kind is KINDS["semaphore"] else 1).flow
    watching = hand.until(flow, lambda request: request.wait > 0)
    before = hand.held()
    for session in dying.client.pool.live:
        operator(hand.world, f"/v1/session/destroy/{session}")
    assert set(hand.held()) == set(before)  # the keys stay
    # It watches the one before it, and then everything.
    again = hand.until(flow, lambda request: request.wait > 0, after=watching)
    assert again.path != watching.path
    hand.when_blocked = lambda: hand.run(holder.release("other"))
    hand.run_after(flow, again)
    assert behind.hold is not None
    mine = {session.id for session in behind.hold.sessions}
    assert hand.traces() == mine
    assert all(owner in mine for key, owner in hand.held().items() if not key.endswith(".lock"))
    hand.run(behind.release("me"))
    assert hand.held() == {}


def test_who_waits_behind_others_leaves_pruning_to_the_first(hand: Rooms) -> None:
    """Else a hundred waiters would all ask again and again."""
    hand.get(holder := make(hand, KINDS["writer"]))
    hand.line_up(make(hand, KINDS["writer"]))
    hand.line_up(between := make(hand, KINDS["writer"]))
    last = make(hand, KINDS["writer"])
    flow = last.acquire(True, None, "me").flow
    request = hand.until(flow, lambda request: request.wait > 0)
    die(hand, holder)
    for session in between.client.pool.live:
        operator(hand.world, f"/v1/session/destroy/{session}")
    hand.requests()
    for _ in range(3):
        request = hand.until(flow, lambda request: request.wait > 0, after=request)
    sent = hand.requests()
    assert "GET kv/a/b/.lock" in sent  # it has seen that the holder is dead
    assert "PUT txn" not in sent


@each_kind
def test_who_learns_that_its_hold_is_lost_gives_its_place_back(hand: Rooms, kind: Kind) -> None:
    """At once, as nobody works under it any more; the others need not wait for the lock-delay."""
    hand.get(holder := make(hand, kind))
    die(hand, holder)
    with pytest.raises(LockLost):
        hand.run(holder.release("other"))
    assert hand.held() == {}
    assert not holder.client.cleanups.times()


# -- the numbers of slots


def numbered(hand: Rooms, *expected: int, lock_delay: float = 60.0) -> SemaphoreCore:
    """One more holder, with this number."""
    lock = semaphore(hand, lock_delay=lock_delay)
    assert hand.run(lock.acquire(False, None, "me"))
    assert hand.run(lock.slots(hand.world.now, "me")) == expected
    return lock


def test_the_number_of_a_dead_holder_is_free_after_its_lock_delay(hand: Rooms) -> None:
    """Its key has stayed, and is taken over as it is; it is nobody's before."""
    holder, beside = numbered(hand, 0, lock_delay=30.0), numbered(hand, 1)
    die(hand, holder)
    hand.world.advance(29.0)
    assert hand.held()[f"{NAME}/.slot/0"] == ""
    hand.run(beside.release("me"))
    beside = numbered(hand, 1)  # and not the other one, which is in lock-delay
    hand.world.advance(1.0)
    late = numbered(hand, 0)
    for each in (beside, late):
        hand.run(each.release("me"))
    assert hand.held() == {}


def test_numbers_that_the_dead_have_left_go_with_the_last_holder(hand: Rooms) -> None:
    """Also if nobody asked for a number since."""
    holder, beside = numbered(hand, 0, lock_delay=30.0), numbered(hand, 1)
    die(hand, holder)
    hand.world.advance(30.0)
    newcomer = semaphore(hand)
    assert hand.run(newcomer.acquire(False, None, "me"))
    hand.run(beside.release("me"))
    assert f"{NAME}/.slot/0" in hand.held()
    hand.run(newcomer.release("me"))
    assert hand.held() == {}


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
        test_who_waits_behind_others_leaves_pruning_to_the_first,
    ),
    (
        Mutant(
            "who cannot be seen is dead",
            "weighted.pruning:expiry_check",
            "return [lock, {",
            "return [{**lock, 'Verb': 'delete'}, {",
        ),
        test_who_lives_and_is_hidden_is_not_pruned,
    ),
    (
        Mutant(
            "those who died while they waited are let in",
            "weighted.snapshot:Snapshot.waiting",
            "for c in self.contenders if c.ours",
            "for c in (*self.left.values(), *self.contenders) if c.ours",
        ),
        test_who_dies_while_it_waits_holds_up_nobody,
    ),
    (
        Mutant(
            "those who died while they waited are before those who wait",
            "weighted.snapshot:_before",
            "for c in snapshot.contenders if c.ours",
            "for c in (*snapshot.left.values(), *snapshot.contenders) if c.ours",
        ),
        test_who_dies_while_it_waits_holds_up_nobody,
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
        test_who_learns_that_its_hold_is_lost_gives_its_place_back,
    ),
)


@pytest.mark.parametrize("wrong, test", WRONG, ids=[wrong.story for wrong, _ in WRONG])
def test_a_wrong_version_is_found_out(wrong: Mutant, test: Callable[..., None]) -> None:
    """By the test that pins it."""
    known = {"kind": KINDS["semaphore"], "dead": 60.0, "newcomer": 5.0}
    wanted = inspect.signature(test).parameters
    more = {name: value for name, value in known.items() if name in wanted}
    test(**more, **({"hand": Rooms()} if "hand" in wanted else {}))
    with applied(wrong), pytest.raises(BaseException):  # noqa: B017 - it fails anyhow
        test(**more, **({"hand": Rooms()} if "hand" in wanted else {}))
