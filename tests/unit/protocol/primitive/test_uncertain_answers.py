"""What is not known for certain is never relied on: deadlines, old pictures, lost answers."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock._protocol.client.keeper import Keeper
from consul_lock._protocol.consul.models import Pair, ReadResult
from consul_lock._protocol.flow import Batch, Flow, Wait
from consul_lock._protocol.hold import waiter as lines
from consul_lock._protocol.keys import LOCK_FLAG, keys_of_name
from consul_lock._protocol.lock.decision import LockState, decide
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from consul_lock.errors import Unavailable
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, Hand, verbs

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"


def found(session: str, index: int, flags: int = LOCK_FLAG) -> ReadResult:
    return ReadResult(0.0, index, (Pair(KEY, b"", flags, session, 1, index),))


@pytest.mark.parametrize(
    "seen, certain, verdict",
    [
        (None, False, LockState.FREE),
        (ReadResult(0.0, 9, ()), False, LockState.FREE),
        (found("", 9), False, LockState.FREE),
        (found("other", 9), False, LockState.TAKEN),
        (found("mine", 9), False, LockState.OURS),
        (found("mine", 5), False, LockState.STALE),
        (found("mine", 5), True, LockState.OURS),
        (found("mine", 9, flags=0), False, LockState.OURS),
        (found("other", 9, flags=0), False, LockState.TAKEN),
        (found("", 9, flags=1), False, LockState.FOREIGN),
    ],
)
def test_what_a_read_of_the_key_means(
    seen: ReadResult | None, certain: bool, verdict: LockState
) -> None:
    """Our session on a picture that is no newer than our last write proves nothing."""
    session = Session("mine", session_options(), None)
    session.mark_alive(0.0, 5)
    assert decide(seen, session, certain=certain) is verdict


def test_the_hold_ends_before_anybody_else_can_begin() -> None:
    """Lock-delay after the last proof of life, less the margin for clocks that drift."""
    session = Session("mine", session_options(lock_delay=30.0), None)
    session.mark_alive(100.0)
    assert session.deadline() == pytest.approx(130.0 - 1.5)


def test_without_a_lock_delay_only_a_renewal_counts_once_it_is_confirmed() -> None:
    """Then the TTL is all there is, and other requests do not restart it."""
    session = Session("mine", session_options(lock_delay=0.0), None)
    session.renewed = 100.0
    session.mark_alive(105.0)
    assert session.deadline() == pytest.approx(110.0 - 0.5)
    session.was_renewed(106.0)
    session.mark_alive(105.5)
    assert session.deadline() == pytest.approx(110.0 - 0.5)
    session.mark_alive(106.0)
    assert session.deadline() == pytest.approx(116.0 - 0.5)


def keeping(hand: Hand, **asked: float) -> tuple[LockCore, float, Flow[None], Batch]:
    """A lock that is held, its deadline, and the keeper about to renew and to verify."""
    lock = LockCore(hand.client(), keys_of_name(NAME), Settings(session_options(**asked)))
    hand.acquire(lock)
    assert lock.hold is not None
    flow = Keeper(lock.client).run()
    asking = hand.until(flow, lambda request: "/session/renew/" in request.path)
    _, proof = asking.requests
    assert verbs(proof)[0] == "check-session"
    assert ("consistent", "") in proof.params
    return lock, lock.hold.deadline(), flow, asking


def end_turn(hand: Hand, flow: Flow[None], effect: Any) -> None:
    """Let the keeper go on until it waits."""
    while not isinstance(effect, Wait):
        effect = hand.go_on(flow, effect)


def test_a_renewal_is_no_proof() -> None:
    """A leader that was deposed without knowing it yet answers one with 200."""
    for lock_delay in (30.0, 0.0):
        hand = Hand()
        lock, before, flow, asking = keeping(hand, lock_delay=lock_delay)
        hand.failures.extend([None, Unavailable("no answer")])
        end_turn(hand, flow, hand.go_on(flow, asking))
        assert lock.hold is not None
        assert lock.hold.deadline() == before


def test_a_verification_proves_life_at_its_sending_not_at_its_answer() -> None:
    """The session may have died while the answer was on its way."""
    hand = Hand()
    lock, _, flow, asking = keeping(hand)
    sent = hand.world.now
    answers = hand.perform(asking)
    hand.world.advance(3.0)
    end_turn(hand, flow, flow.send(answers))
    assert lock.hold is not None
    assert lock.hold.deadline() == pytest.approx(sent + 30.0 - 1.5)


def test_without_a_lock_delay_the_renewal_counts_that_a_verification_confirms() -> None:
    """From its sending."""
    hand = Hand()
    lock, _, flow, asking = keeping(hand, lock_delay=0.0)
    sent = hand.world.now
    end_turn(hand, flow, hand.go_on(flow, asking))
    assert lock.hold is not None
    assert lock.hold.deadline() == pytest.approx(sent + 10.0 - 0.5)


def test_who_wakes_up_as_the_holder_confirms_before_it_believes() -> None:
    """It was paused while it waited: its session may have died in the meantime."""
    hand = Hand()
    holder, mine = hand.lock(), hand.lock(hand.client("b"))
    hand.acquire(holder)
    flow, watching = hand.queue_up(mine)
    hand.when_blocked = lambda: hand.release(holder)
    seen = hand.perform(watching)
    hand.world.advance(60.0)
    hand.sent.clear()
    effect = flow.send(seen)
    confirming = hand.until(flow, lambda request: verbs(request) != [], after=effect)
    assert verbs(confirming) == ["check-index", "lock"]
    assert hand.sent == []
    made = hand.until(flow, lambda request: "/session/create" in request.path, after=confirming)
    assert made
    assert mine.hold is None


def test_a_try_without_an_answer_costs_the_session() -> None:
    """The write may still come true: only the end of its session makes that harmless."""
    hand = Hand()
    lock = hand.lock()
    job = lock.acquire(False, None, "me")
    taking = hand.until(job.flow, lambda request: "lock" in verbs(request))
    (session,) = hand.sessions()
    with pytest.raises(Unavailable):
        hand.run_from(job.flow, Unavailable("no answer came"))
    assert job.undo is not None
    hand.run(job.undo())
    hand.world.submit(taking)
    assert session not in hand.sessions()
    assert hand.held() == {}


def test_a_release_without_an_answer_is_repeated_and_costs_the_session() -> None:
    """A ghost of it would release what the session holds next."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    hand.failures.extend([Unavailable("no answer came")])
    hand.release(lock)
    assert hand.held() == {}
    pool = lock.client.pool
    assert not pool._idle
    assert len(pool.to_destroy) == 1


def test_a_session_in_doubt_is_not_passed_on_inside_the_process() -> None:
    """Its late writes would be passed on with it."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    hand.drive(lock.acquire(True, None, "another thread").flow, 0)
    assert lock.hold is not None
    lock.hold.session.uncertain = True
    flow = lock.release("me").flow
    letting = hand.until(flow, lambda request: "unlock" in verbs(request))
    assert "lock" not in verbs(letting)


def test_a_session_that_is_known_well_is_passed_on_inside_the_process() -> None:
    """In one transaction, which gives the next holder a token of its own."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    hand.drive(lock.acquire(True, None, "another thread").flow, 0)
    flow = lock.release("me").flow
    letting = hand.until(flow, lambda request: "unlock" in verbs(request))
    assert "lock" in verbs(letting)


def test_the_holder_does_not_hand_the_lock_over_to_itself() -> None:
    """Its own entry may be in line, if it was not told that it had joined."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    assert lock.hold is not None
    session = lock.hold.session.id
    operator(hand.world, f"/v1/kv/{BASE}", body=b"sign")
    operator(hand.world, f"/v1/kv/{BASE}/{session}?acquire={session}&flags={LOCK_FLAG}")
    hand.release(lock)
    assert KEY not in hand.held()


def test_the_line_is_in_the_order_of_joining() -> None:
    """What is not an entry locked by its own session is passed over."""
    pairs = [
        Pair(BASE, b"", 0, "", 1, 40),
        Pair(f"{BASE}/c", b"3", 0, "c", 30, 30),
        Pair(f"{BASE}/a", b"1", 0, "a", 10, 35),
        Pair(f"{BASE}/b", b"2", 0, "b", 20, 20),
        Pair(f"{BASE}/x", b"", 0, "", 5, 5),
        Pair(f"{BASE}/y", b"", 0, "z", 5, 5),
        Pair(f"{BASE}r", b"", 0, "q", 5, 5),
    ]
    line = lines.parse_queue(BASE, pairs)
    assert [entry.session for entry in line.entries] == ["a", "b", "c"]
    assert line.sign == 40
    assert line.before("a") == ()
    assert [entry.session for entry in line.before("c")] == ["a", "b"]
    assert [entry.session for entry in line.behind("b").entries] == ["a", "c"]
    with pytest.raises(KeyError):
        line.before("x")
