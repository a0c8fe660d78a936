"""How long calls go on while Consul fails: never longer than asked for, and never less."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from consul_lock._protocol import keys as names
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.election.election import ElectionCore
from consul_lock._protocol.flow import Flow, Now, Request, Sleep
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
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, NEVER, FakeDriver, took, verbs, waits
from tests.unit.protocol.lock_kinds import LASTING, REQUESTS_MAX, each_kind, settings

KEY, BASE = f"{NAME}/.lock", f"{NAME}/.queue"

RETRY_FOR, CONNECT_TIMEOUT, GRACE = 30.0, 3.0, 1.0


NO_LEADER = (500, b"No cluster leader")


def frozen_scenes(
    make: Callable[[FakeDriver], Lockable], *, held: bool
) -> Iterator[tuple[FakeDriver, Any]]:
    """A driver and a lock, where Consul freezes after 0, 1, 2, ... answers from then on."""
    for place in range(REQUESTS_MAX):
        driver = FakeDriver()
        if held:
            assert driver.run(make(driver).acquire(True, None, "other"))
        lock = make(driver)
        driver.answers_left = place
        yield driver, lock


# -- the caller's own limit


@each_kind
@pytest.mark.parametrize("held", [False, True], ids=["free", "held"])
def test_a_timeout_bounds_a_call_wherever_consul_freezes(
    make: Callable[[FakeDriver], Lockable], held: bool
) -> None:
    """At the first request, in the middle, at the closing of a wait that was in vain."""
    for timeout in (0.1, 1.0, 5.0):
        ends = set()
        for driver, lock in frozen_scenes(make, held=held):
            seconds, end = took(driver, lock.acquire(True, timeout, "me"))
            assert seconds <= timeout + GRACE + 0.1, driver.requests()
            ends.add(end)
        assert Unavailable in ends
        assert ends - {Unavailable} == ({False} if held else {True})


@each_kind
@pytest.mark.parametrize("held", [False, True], ids=["free", "held"])
def test_a_single_try_takes_no_longer_than_connecting_may(
    make: Callable[[FakeDriver], Lockable], held: bool
) -> None:
    """And a second for leaving nothing behind."""
    for driver, lock in frozen_scenes(make, held=held):
        seconds, _ = took(driver, lock.acquire(False, None, "me"))
        assert seconds <= CONNECT_TIMEOUT + GRACE, driver.requests()


@each_kind
def test_the_block_of_a_lock_that_cannot_be_acquired_ends_in_time(
    make: Callable[[FakeDriver], Lockable],
) -> None:
    """It asks who holds it; if there is no answer, that is left out of the error."""
    ends = set()
    for driver, lock in frozen_scenes(make, held=True):
        seconds, end = took(driver, lock.enter(1.0, "me"))
        assert seconds <= 1.0 + GRACE + 0.1, driver.requests()
        ends.add(end)
    assert ends == {Unavailable, LockTimeout}


def test_a_slow_consul_is_not_too_slow_for_a_short_timeout() -> None:
    """The first try is answered within the second that is added."""
    driver = FakeDriver()
    driver.slow_by = 0.2
    assert driver.acquire(driver.lock(), timeout=0.1) is True


def test_a_pause_ends_with_the_timeout() -> None:
    """Pauses in a lock-delay are up to a second long."""
    driver = FakeDriver()
    gone = driver.lock(driver.client("b"))
    driver.acquire(gone)
    for session in driver.sessions():
        operator(driver.world, f"/v1/session/destroy/{session}")
    seconds, end = took(driver, driver.lock().acquire(True, 0.3, "me"))
    assert (end, seconds < 0.6) == (False, True)


# -- retry_for


@each_kind
def test_before_consul_has_answered_once_every_wait_ends(
    make: Callable[[FakeDriver], Lockable],
) -> None:
    """Counted from the first request; the last ones are cut to what is left."""
    driver = FakeDriver()
    lock = make(driver)
    driver.answers_left = 0
    seconds, end = took(driver, lock.acquire(True, None, "me"))
    assert end is Unavailable
    assert RETRY_FOR <= seconds <= RETRY_FOR + 1.0


def polling_failed(flow: Any) -> Any:
    """The blocking read that a flow has begun ends in an error; what it does next."""
    return flow.throw(Unavailable("no leader"))


def test_a_wait_without_a_place_in_a_queue_ends() -> None:
    """Several locks at once are waited for in no queue."""
    driver = FakeDriver()
    driver.acquire(driver.lock(driver.client("b")))
    lock = MultiLockCore(driver.client(), keys_of_names([NAME, "other"]), settings())
    flow = lock.acquire(True, None, "me").flow
    driver.until(flow, waits)
    driver.answers_left = 0
    begun = driver.world.now
    with pytest.raises(Unavailable):
        driver.run_after(flow, polling_failed(flow))
    assert RETRY_FOR <= driver.world.now - begun <= RETRY_FOR + 1.0


QUEUES: dict[str, Callable[[FakeDriver], Lockable]] = {
    "lock": lambda driver: LockCore(driver.client(), names.keys_of_name(NAME), LASTING),
    "semaphore": lambda driver: SemaphoreCore(driver.client(), "slots", 1, LASTING),
    "writer": lambda driver: ReadWriteCore(driver.client(), "a/b", LASTING).writer,
    "tree": lambda driver: TreeCore(driver.client(), names.keys_of_name("a/b"), LASTING),
}

each_queue = pytest.mark.parametrize("make", QUEUES.values(), ids=QUEUES.keys())


def waiting(
    driver: FakeDriver, make: Callable[[FakeDriver], Lockable], timeout: float | None
) -> Any:
    """The flow of one who waits in a queue, at a blocking read."""
    holder, lock = make(driver), make(driver)
    assert driver.run(holder.acquire(True, None, "other"))
    flow = lock.acquire(True, timeout, "me").flow
    driver.until(flow, waits)

    def leave() -> None:
        with suppress(LockLost):
            driver.run(holder.release("other"))
        driver.run(holder.client.pool.sweep(driver.world.now))

    driver.when_blocked = leave
    return flow


@each_queue
def test_a_place_in_a_queue_is_kept_through_an_outage_of_any_length(
    make: Callable[[FakeDriver], Lockable],
) -> None:
    """That is said in the log, once; and when Consul is back it goes on as if nothing had been."""
    driver = FakeDriver()
    flow = waiting(driver, make, None)
    begun = driver.world.now
    driver.failures.extend([Unavailable("no leader")] * 250)
    back: list[float] = []
    leave = driver.when_blocked
    driver.when_blocked = lambda: (back.append(driver.world.now), leave())
    assert driver.run_after(flow, polling_failed(flow)) is True
    assert back[0] - begun > 10 * RETRY_FOR
    (said,) = driver.warned
    assert "no leader" in said
    assert "goes on" in said


@each_queue
def test_in_a_queue_the_timeout_still_ends_the_wait(make: Callable[[FakeDriver], Lockable]) -> None:
    """The wait ends, with no error of its own."""
    driver = FakeDriver()
    flow = waiting(driver, make, 100.0)
    begun = driver.world.now
    driver.failures.extend([Unavailable("no leader")] * 250)
    with pytest.raises(Unavailable):
        driver.run_after(flow, polling_failed(flow))
    assert 95.0 <= driver.world.now - begun <= 101.0


def test_requests_in_a_queue_are_not_cut_short_after_a_while() -> None:
    """A Consul without a leader holds each for 7.4 s, and then answers well if there is one."""
    driver = FakeDriver()
    flow = waiting(driver, QUEUES["lock"], None)
    driver.failures.extend([Unavailable("no leader")] * 100)
    driver.sent.clear()
    driver.run_after(flow, polling_failed(flow))
    waited = [request for request in driver.sent if "/destroy/" not in request.path]
    assert {request.timeout for request in waited} == {None}


# -- one clock for all calls of a client


def test_calls_that_began_together_end_together() -> None:
    """Each had its own time, so five threads failed one after the other."""
    driver = FakeDriver()
    client = driver.client()
    first, second = (driver.lock(client).acquire(True, None, owner) for owner in ("a", "b"))
    begun = driver.world.now
    driver.until(first.flow, lambda request: True)
    queued, _ = driver.drive(second.flow, 0)
    assert type(queued).__name__ == "Wait"
    driver.answers_left = 0
    with pytest.raises(Unavailable):
        driver.run_from(first.flow, Unavailable("no answer came"))
    assert first.undo is not None
    driver.run(first.undo())
    driver.sent.clear()
    with pytest.raises(Unavailable, match="no answer"):
        driver.run_after(second.flow, queued)
    assert driver.sent == []
    assert driver.world.now - begun >= RETRY_FOR


def test_a_call_that_begins_in_the_middle_of_an_outage_has_its_time_too() -> None:
    """Others have been failing for an hour."""
    driver = FakeDriver()
    client = driver.client()
    driver.answers_left = 0
    assert took(driver, driver.lock(client).acquire(True, None, "a"))[1] is Unavailable
    driver.world.advance(3600.0)
    other = driver.lock(client, "another")
    seconds, end = took(driver, other.acquire(True, None, "b"))
    assert end is Unavailable
    assert RETRY_FOR <= seconds <= RETRY_FOR + 1.0
    driver.answers_left = NEVER
    assert driver.acquire(driver.lock(client, "a third")) is True


def test_any_good_answer_begins_the_time_anew() -> None:
    """A renewal is one, or an answer to somebody else."""
    driver = FakeDriver()
    client = driver.client()
    driver.failures.extend([Unavailable("no leader")] * 3)
    driver.acquire(driver.lock(client))
    assert client.contact.trouble is None
    driver.failures.append(Unavailable("no leader"))
    driver.run(driver.lock(client, "x").acquire(True, None, "x"))
    assert client.contact.trouble is None


def test_where_only_writes_fail_the_reads_between_them_do_not_count() -> None:
    """Else such a call would have no end."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.release(lock)
    driver.instead = lambda request: NO_LEADER if "lock" in verbs(request) else None
    lock.client.note(lock.key, contended=True)
    seconds, end = took(driver, lock.acquire(True, None, "me"))
    assert end is Unavailable
    assert RETRY_FOR <= seconds <= RETRY_FOR + 1.0
    assert any(request.method == "GET" for request in driver.sent)


class FrozenWritesDriver(FakeDriver):
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
    driver = FrozenWritesDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.release(lock)
    driver.frozen = True
    lock.client.retry_for = 15.0
    seconds, end = took(driver, lock.acquire(True, None, "me"))
    assert end is Unavailable
    assert 15.0 <= seconds <= 16.0


def test_a_process_that_was_stopped_does_not_blame_consul() -> None:
    """A request took an hour, as this process did not run: that is one error, and no more."""
    driver = FakeDriver()
    lock = driver.lock()
    flow = lock.acquire(True, None, "me").flow
    driver.until(flow, lambda request: "lock" in verbs(request))
    driver.world.advance(3600.0)
    assert driver.run_from(flow, Unavailable("the connection broke")) is True


@each_kind
def test_the_time_of_a_process_that_was_stopped_is_over_which_is_no_error(
    make: Callable[[FakeDriver], Lockable],
) -> None:
    """Wherever it was stopped: Consul has answered each request at once."""
    ends = []
    for place in range(REQUESTS_MAX):
        driver = FakeDriver()
        assert driver.run(make(driver).acquire(True, None, "other"))
        sent = iter(range(REQUESTS_MAX))
        flow = make(driver).acquire(True, 1.0, "me").flow
        try:
            effect = driver.until(flow, lambda request: next(sent) == place)  # noqa: B023 - at once
        except AssertionError:
            break
        driver.world.advance(5.0)
        ends.append(driver.run_after(flow, effect))
    assert len(ends) > 2
    assert set(ends) == {False}


def test_a_single_try_does_not_return_held_while_that_is_unknown() -> None:
    """Another caller of this process comes before it, which has not been answered either."""
    driver = FakeDriver()
    client = driver.client()
    first = driver.lock(client).acquire(True, None, "a")
    driver.until(first.flow, lambda request: True)
    second = driver.lock(client).acquire
    assert took(driver, second(False, None, "b"))[1] is False  # it is being tried just now
    effect = polling_failed(first.flow)
    while not isinstance(effect, Sleep):
        effect = first.flow.send(driver.perform(effect))
    assert took(driver, second(False, None, "b"))[1] is Unavailable
    assert took(driver, second(True, 1.0, "b"))[1] is Unavailable
    assert driver.run_after(first.flow, effect) is True
    driver.failures.append(Unavailable("no leader"))
    assert took(driver, driver.lock(client, "another").acquire(False, None, "c"))[1] is Unavailable
    assert took(driver, second(False, None, "b"))[1] is False  # another thread has it


# -- agents that were just started, and health checks

NODE = (500, b"rpc error making call: Missing node registration")
CHECKS = {
    "critical": (500, b"Check 'web' is in critical state"),
    "missing": (500, b"apply failed: Missing check 'web' registration"),
}

each_check = pytest.mark.parametrize("said", CHECKS.values(), ids=CHECKS.keys())


def refusing(driver: FakeDriver, said: tuple[int, bytes], seconds: float) -> None:
    """Sessions are refused for so long."""
    end = driver.world.now + seconds

    def answer(request: Request) -> tuple[int, bytes] | None:
        creating = request.path == "/v1/session/create" and driver.world.now < end
        return said if creating else None

    driver.instead = answer


@each_queue
def test_a_waiter_survives_a_graceful_restart_of_its_agent(
    make: Callable[[FakeDriver], Lockable],
) -> None:
    """Its session is gone with the node, the agent is away, and then not known to the servers."""
    driver = FakeDriver()
    flow = waiting(driver, make, None)
    sessions = driver.sessions()
    holder = next(iter(sessions))
    for session in sessions - {holder}:
        operator(driver.world, f"/v1/session/destroy/{session}")
    driver.failures.extend([Unavailable("refused", uncertain=False)] * 5)
    refusing(driver, NODE, 12.0)
    assert driver.run_after(flow, polling_failed(flow)) is True


@each_check
def test_a_health_check_is_waited_for_and_named(said: tuple[int, bytes]) -> None:
    """For ``retry_for``, as a check whose name is wrong never comes; with a timeout, for that."""
    driver = FakeDriver()
    refusing(driver, said, 20.0)
    assert driver.acquire(driver.lock()) is True
    assert "'web'" in driver.warned[0]
    refusing(driver, said, 1000.0)
    with pytest.raises(Refused, match=r"'web'.*health check") as caught:
        driver.acquire(driver.lock(driver.client("b"), "x"))
    assert caught.value.temporary
    refusing(driver, said, 200.0)
    assert driver.acquire(driver.lock(driver.client("c"), "y"), timeout=300.0) is True
    refusing(driver, said, 200.0)
    seconds, end = took(driver, driver.lock(driver.client("d"), "z").acquire(True, 5.0, "me"))
    assert end is Refused
    assert seconds <= 5.0 + GRACE
    seconds, end = took(driver, driver.lock(driver.client("e"), "z").acquire(False, None, "me"))
    assert (seconds, end) == (0.0, Refused)


@each_check
def test_a_candidate_waits_for_its_health_check_for_ever(said: tuple[int, bytes]) -> None:
    """A leader whose check failed for three seconds was out for good."""
    driver = FakeDriver()
    refusing(driver, said, 900.0)
    core = ElectionCore(driver.client(), names.keys_of_name(NAME), settings(watch=True))
    driver.run(core.campaign("v", None, "me"))
    assert driver.world.now >= 900.0
    assert len(driver.warned) == 1


def test_a_candidate_goes_on_through_an_outage_once_consul_has_answered() -> None:
    """Also without a place in the queue."""
    driver = FakeDriver()
    core = ElectionCore(driver.client(), names.keys_of_name(NAME), settings(watch=True))
    driver.failures.extend([Unavailable("no leader")] * 300)
    job = core.campaign("v", None, "me")
    assert took(driver, job)[1] is Unavailable
    driver.failures.clear()
    assert job.undo is not None
    driver.run(job.undo())
    driver.run(core.leader())
    driver.failures.extend([Unavailable("no leader")] * 300)
    driver.run(core.campaign("v", None, "you"))
    assert not driver.failures


# -- pauses


def pauses(driver: FakeDriver, error: Unavailable, count: int) -> list[float]:
    """The pauses after so many errors in a row, at most."""
    flow = driver.lock(driver.client("p")).acquire(True, None, "me").flow
    found: list[float] = []
    driver.failures.extend([error] * count)
    effect = flow.send(None)
    while len(found) < count:
        if isinstance(effect, Sleep):
            assert effect.low < effect.high
            found.append(effect.high)
        try:
            effect = flow.send(driver.perform(effect))
        except Unavailable as failed:
            effect = flow.throw(failed)
    return found


def test_pauses_grow_and_are_longer_where_there_are_too_many_requests() -> None:
    """The limit is for all clients together."""
    assert pauses(FakeDriver(), Unavailable("x"), 6) == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    limited = Unavailable("x", uncertain=False, status=429)
    assert pauses(FakeDriver(), limited, 4) == [1.0, 2.0, 4.0, 8.0]


def test_a_limit_that_says_when_to_come_back_is_obeyed() -> None:
    """By its Retry-After."""
    asked = Unavailable("x", uncertain=False, status=429, retry_after=4.0)
    driver = FakeDriver()
    begun = driver.world.now
    assert pauses(driver, asked, 1) == [8.0]  # at least half of it
    assert driver.world.now - begun >= 4.0


LIMIT = (503, b"rate limit exceeded for operation that can only be performed by the leader")


def refused_at(driver: FakeDriver, client: ClientCore, *before: float) -> None:
    """A limit has refused requests of the client so many seconds ago."""
    client.contact.reached = True
    for seconds in before:
        client.contact.limit.refused(driver.world.now - seconds)


def test_calls_keep_a_distance_after_a_limit_has_refused_some() -> None:
    """The first begins at once, and each further one later."""
    driver = FakeDriver()
    client = driver.client()
    driver.world.advance(10.0)
    refused_at(driver, client, 4.0, 2.0)
    times = []
    for number in range(3):
        seconds, _ = took(driver, driver.lock(client, f"{NAME}/{number}").acquire(True, None, "me"))
        times.append(seconds)
    assert times[0] == pytest.approx(0.0, abs=0.1)
    assert all(1.5 <= seconds <= 3.0 for seconds in times[1:])


def test_a_distance_takes_half_of_a_timeout_and_a_single_try_keeps_none() -> None:
    """A call is never given up for its sake."""
    driver = FakeDriver()
    client = driver.client()
    driver.world.advance(20.0)
    refused_at(driver, client, 8.0, 6.0, 4.0, 2.0)
    assert driver.acquire(driver.lock(client, "a"))
    seconds, got = took(driver, driver.lock(client, "b").acquire(True, 2.0, "me"))
    assert (got, seconds) == (True, pytest.approx(1.0, abs=0.2))
    seconds, got = took(driver, driver.lock(client, "c").acquire(False, None, "me"))
    assert (got, seconds) == (True, pytest.approx(0.0, abs=0.1))


def test_a_release_keeps_no_distance_and_gives_way_to_nobody() -> None:
    """Others wait for what it gives back."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.world.advance(10.0)
    refused_at(driver, lock.client, 4.0, 2.0, 0.0)
    lock.client.contact.limit.before_call(driver.world.now)
    lock.client.contact.limit.renewals_wait = True
    seconds, _ = took(driver, lock.release("me"))
    assert seconds == pytest.approx(0.0, abs=0.1)
    assert driver.held() == {}


def test_nothing_is_sent_while_renewals_are_refused() -> None:
    """A call waits, as if it were refused; a single try fails at once."""
    driver = FakeDriver()
    client = driver.client()
    lock = driver.lock(client)
    client.contact.limit.renewals_wait = client.contact.limit.known = True
    seconds, error = took(driver, lock.acquire(False, None, "me"))
    assert (seconds, error) == (0.0, Unavailable)
    flow = driver.lock(client, "jobs/other").acquire(True, None, "me").flow
    effect = flow.send(None)
    while not isinstance(effect, Sleep):
        effect = flow.send(driver.perform(effect))
    assert driver.sent == []
    client.contact.limit.renewals_wait = False
    assert driver.run_after(flow, effect) is True


def test_a_call_that_gives_way_for_too_long_says_why() -> None:
    """It lasts as long as after refusals of its own."""
    driver = FakeDriver()
    client = driver.client()
    lock = driver.lock(client)
    client.contact.limit.renewals_wait = client.contact.limit.known = True
    for timeout, lasts in ((None, RETRY_FOR), (5.0, 5.0)):
        begun_at = driver.world.now
        with pytest.raises(Unavailable, match="refuses even renewals") as caught:
            driver.run(lock.acquire(True, timeout, "me"))
        assert caught.value.kind == "rate-limit"
        assert lasts - 1.0 <= driver.world.now - begun_at <= lasts + GRACE + 0.1
    assert driver.sent == []


def test_who_is_next_in_a_queue_may_take_the_lock_while_renewals_are_refused() -> None:
    """It would stand still otherwise; but nobody looks for a change meanwhile."""
    driver = FakeDriver()
    client = driver.client()
    limit = client.contact.limit
    budget = ErrorBudget(client, endless=lambda: True)
    client.contact.reached = limit.renewals_wait = limit.known = True
    driver.run(budget.bound(client.api.get("a")))
    with pytest.raises(Unavailable):
        driver.run(budget.bound(client.api.get("a", 1, 10.0)))
    assert len(driver.sent) == 1


def test_a_write_that_a_limit_refuses_leaves_its_session_in_no_doubt() -> None:
    """The leader has not looked at it: the session need not be destroyed, nor made anew."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.release(lock)
    refusals = iter([LIMIT, LIMIT])
    driver.instead = lambda request: next(refusals, None) if verbs(request) else None
    before = driver.sessions()
    assert driver.acquire(lock)
    assert driver.sessions() == before


def test_pauses_after_a_limit_are_at_least_the_distance_of_calls() -> None:
    """However many good answers there were in between."""
    driver = FakeDriver()
    limited = Unavailable("x", uncertain=False, status=503, kind="rate-limit")
    assert pauses(driver, limited, 2) == [1.0, 2.0]
    client = driver.client()
    driver.world.advance(20.0)
    refused_at(driver, client, 6.0, 4.0, 2.0, 0.0)
    budget = begun(driver, client)
    flow = budget.ride_out(limited)
    effect = flow.send(None)
    while not isinstance(effect, Sleep):
        effect = flow.send(driver.perform(effect))
    assert 6.5 <= effect.high <= 8.0


def begun(driver: FakeDriver, client: ClientCore, **limits: Any) -> ErrorBudget:
    """The budget of a call that has just begun."""
    budget = ErrorBudget(client, **limits)
    driver.run(budget.bound(_ for _ in ()))
    return budget


@pytest.mark.parametrize(
    "failed, seconds, overdue",
    [(None, 100.0, False), (0.0, 29.9, False), (0.0, 30.0, True), (-3600.0, 29.9, False)],
)
def test_a_call_that_has_sent_nothing_fails_with_those_before_it(
    failed: float | None, seconds: float, overdue: bool
) -> None:
    """When they have not been answered for as long as it is willing to wait since it began."""
    driver = FakeDriver()
    client = driver.client()
    budget = begun(driver, client)
    if failed is not None:
        client.contact.failed(driver.world.now + failed, Unavailable("of another"))
    assert (budget.overdue(driver.world.now + seconds) is not None) is overdue


def test_a_close_ends_the_retries_at_once() -> None:
    """With the error that there was."""
    driver = FakeDriver()
    client = driver.client()
    budget = begun(driver, client)
    driver.run(budget.ride_out(Unavailable("x")))
    client.begin_to_close()
    with pytest.raises(Unavailable, match="x"):
        driver.run(budget.ride_out(Unavailable("x")))


def test_requests_after_the_end_of_a_call_take_a_second_together() -> None:
    """The process was stopped for longer than the call was to take, and Consul is slow now."""
    driver = FakeDriver()
    client, asked = driver.client(), list[float]()
    driver.run(client.api.sessions())

    def asking() -> Flow[None]:
        driver.world.advance(5.0)
        yield Now()
        for _ in range(10):
            asked.append(driver.world.now)
            yield from client.api.get("k")

    driver.slow_by = 0.25
    with pytest.raises(Unavailable) as caught:
        driver.run(ErrorBudget(client, within=1.0).bound(asking()))
    assert caught.value.kind == "no-time"
    assert asked[-1] - asked[0] == 1.0
    assert [request.timeout for request in driver.sent[-4:]] == [1.0, 0.75, 0.5, 0.25]
