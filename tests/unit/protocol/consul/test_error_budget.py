"""How long calls go on while Consul fails: never longer than asked for, and never less."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.election.election import ElectionCore
from consul_lock._protocol.flow import Request, Sleep
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.multilock.base import keys_of_names
from consul_lock._protocol.multilock.multilock import MultiLockCore
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.weighted.rwlock import ReadWriteCore
from consul_lock._protocol.weighted.semaphore import SemaphoreCore
from consul_lock._protocol.weighted.tree import TreeCore
from consul_lock.errors import (
    LockLost,
    LockTimeout,
    Refused,
    Unavailable,
)
from tests.simulation.foreign_lock_client import operator
from tests.unit.protocol.fake_driver import NAME, NEVER, Hand, took, verbs
from tests.unit.protocol.lock_kinds import LASTING, REQUESTS_MAX, each_kind, settings

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"

RETRY_FOR, CONNECT_TIMEOUT, GRACE = 30.0, 3.0, 1.0


NO_LEADER = (500, b"No cluster leader")


def frozen_scenes(make: Callable[[Hand], Lockable], *, held: bool) -> Iterator[tuple[Hand, Any]]:
    """A hand and a lock, where Consul freezes after 0, 1, 2, ... answers from then on."""
    for place in range(REQUESTS_MAX):
        hand = Hand()
        if held:
            assert hand.run(make(hand).acquire(True, None, "other"))
        lock = make(hand)
        hand.answers_left = place
        yield hand, lock


# -- the caller's own limit


@each_kind
@pytest.mark.parametrize("held", [False, True], ids=["free", "held"])
def test_a_timeout_bounds_a_call_wherever_consul_freezes(
    make: Callable[[Hand], Lockable], held: bool
) -> None:
    """At the first request, in the middle, at the closing of a wait that was in vain."""
    for timeout in (0.1, 1.0, 5.0):
        ends = set()
        for hand, lock in frozen_scenes(make, held=held):
            seconds, end = took(hand, lock.acquire(True, timeout, "me"))
            assert seconds <= timeout + GRACE + 0.1, hand.requests()
            ends.add(end)
        assert Unavailable in ends
        assert ends - {Unavailable} == ({False} if held else {True})


@each_kind
@pytest.mark.parametrize("held", [False, True], ids=["free", "held"])
def test_a_single_try_takes_no_longer_than_connecting_may(
    make: Callable[[Hand], Lockable], held: bool
) -> None:
    """And a second for leaving nothing behind."""
    for hand, lock in frozen_scenes(make, held=held):
        seconds, _ = took(hand, lock.acquire(False, None, "me"))
        assert seconds <= CONNECT_TIMEOUT + GRACE, hand.requests()


@each_kind
def test_the_block_of_a_lock_that_cannot_be_had_ends_in_time(
    make: Callable[[Hand], Lockable],
) -> None:
    """It asks who holds it; if there is no answer, that is left out of the error."""
    ends = set()
    for hand, lock in frozen_scenes(make, held=True):
        seconds, end = took(hand, lock.enter(1.0, "me"))
        assert seconds <= 1.0 + GRACE + 0.1, hand.requests()
        ends.add(end)
    assert ends == {Unavailable, LockTimeout}


def test_a_slow_consul_is_not_too_slow_for_a_short_timeout() -> None:
    """The first try is answered within the second that is added."""
    hand = Hand()
    hand.slow_by = 0.2
    assert hand.acquire(hand.lock(), timeout=0.1) is True


def test_a_pause_ends_with_the_timeout() -> None:
    """Pauses in a lock-delay are up to a second long."""
    hand = Hand()
    gone = hand.lock(hand.client("b"))
    hand.acquire(gone)
    for session in hand.sessions():
        operator(hand.world, f"/v1/session/destroy/{session}")
    seconds, end = took(hand, hand.lock().acquire(True, 0.3, "me"))
    assert (end, seconds < 0.6) == (False, True)


# -- retry_for


@each_kind
def test_before_consul_has_answered_once_every_wait_ends(
    make: Callable[[Hand], Lockable],
) -> None:
    """Counted from the first request; the last ones are cut to what is left."""
    hand = Hand()
    lock = make(hand)
    hand.answers_left = 0
    seconds, end = took(hand, lock.acquire(True, None, "me"))
    assert end is Unavailable
    assert RETRY_FOR <= seconds <= RETRY_FOR + 1.0


def polling_failed(flow: Any) -> Any:
    """The blocking read that a flow has begun ends in an error; what it does next."""
    return flow.throw(Unavailable("no leader"))


def test_a_wait_without_a_place_in_a_queue_ends() -> None:
    """Several locks at once are waited for in no queue."""
    hand = Hand()
    hand.acquire(hand.lock(hand.client("b")))
    lock = MultiLockCore(hand.client(), keys_of_names([NAME, "other"]), settings())
    flow = lock.acquire(True, None, "me").flow
    hand.until(flow, lambda request: request.wait > 0)
    hand.answers_left = 0
    begun = hand.world.now
    with pytest.raises(Unavailable):
        hand.run_after(flow, polling_failed(flow))
    assert RETRY_FOR <= hand.world.now - begun <= RETRY_FOR + 1.0


QUEUES: dict[str, Callable[[Hand], Lockable]] = {
    "lock": lambda hand: LockCore(hand.client(), names.keys_of_name(NAME), LASTING),
    "semaphore": lambda hand: SemaphoreCore(hand.client(), "slots", 1, LASTING),
    "writer": lambda hand: ReadWriteCore(hand.client(), "a/b", LASTING).writer,
    "tree": lambda hand: TreeCore(hand.client(), names.keys_of_name("a/b"), LASTING),
}

each_queue = pytest.mark.parametrize("make", QUEUES.values(), ids=QUEUES.keys())


def waiting(hand: Hand, make: Callable[[Hand], Lockable], timeout: float | None) -> Any:
    """The flow of one who waits in a queue, at a blocking read."""
    holder, lock = make(hand), make(hand)
    assert hand.run(holder.acquire(True, None, "other"))
    flow = lock.acquire(True, timeout, "me").flow
    hand.until(flow, lambda request: request.wait > 0)

    def leave() -> None:
        with suppress(LockLost):
            hand.run(holder.release("other"))
        hand.run(holder.client.pool.sweep(hand.world.now))

    hand.when_blocked = leave
    return flow


@each_queue
def test_a_place_in_a_queue_is_kept_through_an_outage_of_any_length(
    make: Callable[[Hand], Lockable],
) -> None:
    """That is said in the log, once; and when Consul is back it goes on as if nothing had been."""
    hand = Hand()
    flow = waiting(hand, make, None)
    begun = hand.world.now
    hand.failures.extend([Unavailable("no leader")] * 250)
    back: list[float] = []
    leave = hand.when_blocked
    hand.when_blocked = lambda: (back.append(hand.world.now), leave())
    assert hand.run_after(flow, polling_failed(flow)) is True
    assert back[0] - begun > 10 * RETRY_FOR
    (said,) = hand.warned
    assert "no leader" in said
    assert "goes on" in said


@each_queue
def test_in_a_queue_the_timeout_still_ends_the_wait(make: Callable[[Hand], Lockable]) -> None:
    """What ends is the wait, and not the error."""
    hand = Hand()
    flow = waiting(hand, make, 100.0)
    begun = hand.world.now
    hand.failures.extend([Unavailable("no leader")] * 250)
    with pytest.raises(Unavailable):
        hand.run_after(flow, polling_failed(flow))
    assert 95.0 <= hand.world.now - begun <= 101.0


def test_requests_in_a_queue_are_not_cut_short_after_a_while() -> None:
    """A Consul without a leader holds each for 7.4 s, and then answers well if there is one."""
    hand = Hand()
    flow = waiting(hand, QUEUES["lock"], None)
    hand.failures.extend([Unavailable("no leader")] * 100)
    hand.sent.clear()
    hand.run_after(flow, polling_failed(flow))
    waited = [request for request in hand.sent if "/destroy/" not in request.path]
    assert {request.timeout for request in waited} == {None}


# -- one clock for all calls of a client


def test_calls_that_began_together_end_together() -> None:
    """Each had its own time, so five threads failed one after the other."""
    hand = Hand()
    client = hand.client()
    first, second = (hand.lock(client).acquire(True, None, owner) for owner in ("a", "b"))
    begun = hand.world.now
    hand.until(first.flow, lambda request: True)
    queued, _ = hand.drive(second.flow, 0)
    assert type(queued).__name__ == "Wait"
    hand.answers_left = 0
    with pytest.raises(Unavailable):
        hand.run_from(first.flow, Unavailable("no answer came"))
    assert first.undo is not None
    hand.run(first.undo())
    hand.sent.clear()
    with pytest.raises(Unavailable, match="no answer"):
        hand.run_after(second.flow, queued)
    assert hand.sent == []
    assert hand.world.now - begun >= RETRY_FOR


def test_a_call_that_begins_in_the_middle_of_an_outage_has_its_time_too() -> None:
    """Others have been failing for an hour."""
    hand = Hand()
    client = hand.client()
    hand.answers_left = 0
    assert took(hand, hand.lock(client).acquire(True, None, "a"))[1] is Unavailable
    hand.world.advance(3600.0)
    other = hand.lock(client, "another")
    seconds, end = took(hand, other.acquire(True, None, "b"))
    assert end is Unavailable
    assert RETRY_FOR <= seconds <= RETRY_FOR + 1.0
    hand.answers_left = NEVER
    assert hand.acquire(hand.lock(client, "a third")) is True


def test_any_good_answer_begins_the_time_anew() -> None:
    """A renewal is one, or an answer to somebody else."""
    hand = Hand()
    client = hand.client()
    hand.failures.extend([Unavailable("no leader")] * 3)
    hand.acquire(hand.lock(client))
    assert client.contact.trouble is None
    hand.failures.append(Unavailable("no leader"))
    hand.run(hand.lock(client, "x").acquire(True, None, "x"))
    assert client.contact.trouble is None


def test_where_only_writes_fail_the_reads_between_them_do_not_count() -> None:
    """Else such a call would have no end."""
    hand = Hand()
    lock = hand.lock()
    hand.acquire(lock)
    hand.release(lock)
    hand.instead = lambda request: NO_LEADER if "lock" in verbs(request) else None
    lock.client.note(lock.key, contended=True)
    seconds, end = took(hand, lock.acquire(True, None, "me"))
    assert end is Unavailable
    assert RETRY_FOR <= seconds <= RETRY_FOR + 1.0
    assert any(request.method == "GET" for request in hand.sent)


class Half(Hand):
    """Reads are answered; writes of a lock are not."""

    frozen = False

    def _send(self, request: Request) -> Any:
        if self.frozen and "lock" in verbs(request):
            self.sent.append(request)
            self.world.advance(10.0 if request.timeout is None else request.timeout)
            raise Unavailable("no answer came")
        return super()._send(request)


def test_where_only_writes_are_not_answered_they_are_cut_to_what_is_left() -> None:
    """The reads between them make the time no longer."""
    hand = Half()
    lock = hand.lock()
    hand.acquire(lock)
    hand.release(lock)
    hand.frozen = True
    lock.client.retry_for = 15.0
    seconds, end = took(hand, lock.acquire(True, None, "me"))
    assert end is Unavailable
    assert 15.0 <= seconds <= 16.0


def test_a_process_that_was_stopped_does_not_blame_consul() -> None:
    """A request took an hour, as this process did not run: that is one error, and no more."""
    hand = Hand()
    lock = hand.lock()
    flow = lock.acquire(True, None, "me").flow
    hand.until(flow, lambda request: "lock" in verbs(request))
    hand.world.advance(3600.0)
    assert hand.run_from(flow, Unavailable("the connection broke")) is True


@each_kind
def test_the_time_of_a_process_that_was_stopped_is_over_which_is_no_error(
    make: Callable[[Hand], Lockable],
) -> None:
    """Wherever it was stopped: Consul has answered each request at once."""
    ends = []
    for place in range(REQUESTS_MAX):
        hand = Hand()
        assert hand.run(make(hand).acquire(True, None, "other"))
        sent = iter(range(REQUESTS_MAX))
        flow = make(hand).acquire(True, 1.0, "me").flow
        try:
            effect = hand.until(flow, lambda request: next(sent) == place)  # noqa: B023 - at once
        except AssertionError:
            break
        hand.world.advance(5.0)
        ends.append(hand.run_after(flow, effect))
    assert len(ends) > 2
    assert set(ends) == {False}


def test_one_who_does_not_wait_is_not_told_that_it_is_held_while_nobody_can_say() -> None:
    """Of this process somebody is before us, who has not been answered either."""
    hand = Hand()
    client = hand.client()
    first = hand.lock(client).acquire(True, None, "a")
    hand.until(first.flow, lambda request: True)
    second = hand.lock(client).acquire
    assert took(hand, second(False, None, "b"))[1] is False  # it is being tried just now
    effect = polling_failed(first.flow)
    while not isinstance(effect, Sleep):
        effect = first.flow.send(hand.perform(effect))
    assert took(hand, second(False, None, "b"))[1] is Unavailable
    assert took(hand, second(True, 1.0, "b"))[1] is Unavailable
    assert hand.run_after(first.flow, effect) is True
    hand.failures.append(Unavailable("no leader"))
    assert took(hand, hand.lock(client, "another").acquire(False, None, "c"))[1] is Unavailable
    assert took(hand, second(False, None, "b"))[1] is False  # another thread has it


# -- agents that were just started, and health checks

NODE = (500, b"rpc error making call: Missing node registration")
CHECKS = {
    "critical": (500, b"Check 'web' is in critical state"),
    "missing": (500, b"apply failed: Missing check 'web' registration"),
}

each_check = pytest.mark.parametrize("said", CHECKS.values(), ids=CHECKS.keys())


def refusing(hand: Hand, said: tuple[int, bytes], seconds: float) -> None:
    """Sessions are refused for so long."""
    end = hand.world.now + seconds

    def answer(request: Request) -> tuple[int, bytes] | None:
        creating = request.path == "/v1/session/create" and hand.world.now < end
        return said if creating else None

    hand.instead = answer


@each_queue
def test_a_waiter_survives_a_graceful_restart_of_its_agent(
    make: Callable[[Hand], Lockable],
) -> None:
    """Its session is gone with the node, the agent is away, and then not known to the servers."""
    hand = Hand()
    flow = waiting(hand, make, None)
    sessions = hand.sessions()
    holder = next(iter(sessions))
    for session in sessions - {holder}:
        operator(hand.world, f"/v1/session/destroy/{session}")
    hand.failures.extend([Unavailable("refused", uncertain=False)] * 5)
    refusing(hand, NODE, 12.0)
    assert hand.run_after(flow, polling_failed(flow)) is True


@each_check
def test_a_health_check_is_waited_for_and_named(said: tuple[int, bytes]) -> None:
    """For ``retry_for``, as a check whose name is wrong never comes; with a timeout, for that."""
    hand = Hand()
    refusing(hand, said, 20.0)
    assert hand.acquire(hand.lock()) is True
    assert "'web'" in hand.warned[0]
    refusing(hand, said, 1000.0)
    with pytest.raises(Refused, match=r"'web'.*health check") as caught:
        hand.acquire(hand.lock(hand.client("b"), "x"))
    assert caught.value.temporary
    refusing(hand, said, 200.0)
    assert hand.acquire(hand.lock(hand.client("c"), "y"), timeout=300.0) is True
    refusing(hand, said, 200.0)
    seconds, end = took(hand, hand.lock(hand.client("d"), "z").acquire(True, 5.0, "me"))
    assert end is Refused
    assert seconds <= 5.0 + GRACE
    seconds, end = took(hand, hand.lock(hand.client("e"), "z").acquire(False, None, "me"))
    assert (seconds, end) == (0.0, Refused)


@each_check
def test_a_candidate_waits_for_its_health_check_for_ever(said: tuple[int, bytes]) -> None:
    """A leader whose check failed for three seconds was out for good."""
    hand = Hand()
    refusing(hand, said, 900.0)
    core = ElectionCore(hand.client(), names.keys_of_name(NAME), settings(watch=True))
    hand.run(core.campaign("v", None, "me"))
    assert hand.world.now >= 900.0
    assert len(hand.warned) == 1


def test_a_candidate_goes_on_through_an_outage_once_consul_has_answered() -> None:
    """Also without a place in the queue."""
    hand = Hand()
    core = ElectionCore(hand.client(), names.keys_of_name(NAME), settings(watch=True))
    hand.failures.extend([Unavailable("no leader")] * 300)
    job = core.campaign("v", None, "me")
    assert took(hand, job)[1] is Unavailable
    hand.failures.clear()
    assert job.undo is not None
    hand.run(job.undo())
    hand.run(core.leader())
    hand.failures.extend([Unavailable("no leader")] * 300)
    hand.run(core.campaign("v", None, "you"))
    assert not hand.failures


# -- pauses


def pauses(hand: Hand, error: Unavailable, count: int) -> list[float]:
    """The pauses after so many errors in a row, at most."""
    flow = hand.lock(hand.client("p")).acquire(True, None, "me").flow
    found: list[float] = []
    hand.failures.extend([error] * count)
    effect = flow.send(None)
    while len(found) < count:
        if isinstance(effect, Sleep):
            assert effect.low < effect.high
            found.append(effect.high)
        try:
            effect = flow.send(hand.perform(effect))
        except Unavailable as failed:
            effect = flow.throw(failed)
    return found


def test_pauses_grow_and_are_longer_where_there_are_too_many_requests() -> None:
    """The limit is for all clients together."""
    assert pauses(Hand(), Unavailable("x"), 6) == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    limited = Unavailable("x", uncertain=False, status=429)
    assert pauses(Hand(), limited, 4) == [1.0, 2.0, 4.0, 8.0]


def test_a_limit_that_says_when_to_come_back_is_obeyed() -> None:
    """By its Retry-After."""
    asked = Unavailable("x", uncertain=False, status=429, retry_after=4.0)
    hand = Hand()
    begun = hand.world.now
    assert pauses(hand, asked, 1) == [8.0]  # at least half of it
    assert hand.world.now - begun >= 4.0
