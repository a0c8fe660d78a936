"""The keeper: what a renewal and a verification prove, what it reports, when it ends."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.keeper import Keeper
from consul_lock._protocol.flow import Batch, Flow, Request, Wait
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.keys import keys_of_name
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.timing import session_options
from consul_lock._protocol.weighted.semaphore import SemaphoreCore
from consul_lock.errors import ConsulLockError, LockLost, LossReason, PermissionDenied, Unavailable
from tests.support.hostile_answers import REFUSALS
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, NEVER, FakeDriver, Signal, hold_of, verbs
from tests.unit.protocol.heard_reports import HeardReports

BASE = f"{NAME}/.queue"


def keep(driver: FakeDriver, client: ClientCore) -> None:
    """The keeper to its end, with what it lets others do."""
    flow, step = client.keeper.run(), None
    driver.spawned.clear()
    for _ in range(NEVER):
        step, _ = driver._drive(flow, lambda effect: isinstance(effect, Wait), step)
        if step is None:
            return
        while driver.spawned:
            driver.run(driver.spawned.pop())
    raise AssertionError("the keeper does not end")


@pytest.mark.parametrize("case", [name for name, said in REFUSALS.items() if said[:5] == b"HTTP/"])
def test_no_odd_answer_keeps_a_hold_beyond_its_deadline(case: str) -> None:
    """Nor does any end the keeper, which may yet be answered well."""
    driver = FakeDriver()
    client = driver.client()
    lock = driver.lock(client)
    driver.acquire(lock)
    hold, begun = hold_of(lock), driver.world.now
    head, _, body = REFUSALS[case].partition(b"\r\n\r\n")
    driver.instead = lambda request: (int(head.split()[1]), body)
    stopped, _ = driver._drive(client.keeper.run(), lambda _: driver.world.now > begun + 60)
    assert hold.deadline() < driver.world.now
    assert stopped is not None or hold.state is State.LOST


def test_a_keeper_ends_with_the_last_session_and_the_next_one_has_its_own() -> None:
    """A client that is used no more has no thread."""
    driver = FakeDriver()
    client = driver.client()
    lock = driver.lock(client)
    driver.acquire(lock)
    driver.release(lock)
    keeper = client.keeper
    keep(driver, client)
    assert driver.sessions() == set()
    assert client.keeper is None
    driver.acquire(lock)
    assert client.keeper not in (None, keeper)


def test_the_keeper_of_a_client_that_was_dropped_keeps_no_idle_session() -> None:
    """Nobody can use it any more."""
    driver = FakeDriver()
    client = driver.client()
    lock = driver.lock(client)
    driver.acquire(lock)
    driver.release(lock)
    client.dropped, begun = True, driver.world.now
    keep(driver, client)
    assert driver.world.now - begun < 5.0
    assert driver.sessions() == set()


def test_the_keeper_begins_the_undo_of_calls_that_were_left() -> None:
    """A second Ctrl-C may end the main thread's last call before it could."""
    driver = FakeDriver()
    client = driver.client()
    driver.acquire(driver.lock(client))
    caught_up: list[float] = []
    driver.catch_up = lambda: caught_up.append(driver.world.now)  # type: ignore[method-assign] # looked at
    keeper = client.keeper.run()
    driver.drive(keeper, 60)
    keeper.close()
    assert len(caught_up) > 1
    assert max(b - a for a, b in pairwise(caught_up)) <= 10.0


def two_crowded(driver: FakeDriver) -> tuple[LockCore, LockCore]:
    """Two locks of one client; somebody waits for the first, and the second has been deleted."""
    client = driver.client()
    first, second = driver.lock(client), driver.lock(client, "jobs/other")
    driver.acquire(first)
    driver.acquire(second)
    operator(driver.world, f"/v1/kv/{BASE}", body=b"somebody waits")
    operator(driver.world, "/v1/kv/jobs/other/.lock", "DELETE")
    driver.world.advance(5.0)
    return first, second


def last_turn(driver: FakeDriver, lock: LockCore) -> None:
    """One turn of the keeper."""
    keeper = Keeper(lock.client).run()
    driver.until(keeper, lambda request: request.path == f"/v1/kv/{BASE}")
    lock.client.begin_to_close()
    driver.run_from(keeper, Unavailable("reset"))


def test_a_line_that_cannot_be_read_leaves_no_other_lock_unjudged() -> None:
    """The keeper looks at many locks in one request, and reads their lines one by one."""
    driver = FakeDriver()
    first, second = two_crowded(driver)
    last_turn(driver, first)
    assert first.hold is not None
    assert first.hold.state is State.HELD
    assert second.hold is not None
    assert second.hold.lost.is_set()


def test_reading_queues_costs_a_turn_at_most_one_timeout() -> None:
    """With many locks the renewals would come too late: each waits for its timeout."""
    driver = FakeDriver()
    client = driver.client()
    locks = [driver.lock(client, f"{NAME}/{number}") for number in range(10)]
    for lock in locks:
        driver.acquire(lock)
        operator(driver.world, f"/v1/kv/{NAME}/{locks.index(lock)}/.queue", body=b"waits")
    driver.world.advance(5.0)
    keeper = Keeper(client).run()
    driver.until(keeper, lambda request: request.path.endswith("/.queue"))
    driver.sent.clear()
    driver.frozen_for = 3.0
    client.begin_to_close()
    driver.run_from(keeper, Unavailable("no answer came"))
    assert [request.path for request in driver.sent] == []


def test_a_token_for_the_keys_alone_is_enough_to_verify_them() -> None:
    """It may not read who waits; the loss of a key is seen all the same."""
    driver = FakeDriver()
    first, second = two_crowded(driver)
    keeper = Keeper(first.client).run()
    verifying = driver.until(keeper, lambda request: "check-session" in verbs(request))
    first.client.begin_to_close()
    driver.run_failed(keeper, verifying, PermissionDenied("no"))
    assert second.hold is not None
    assert second.hold.lost.is_set()


@pytest.mark.parametrize("contended", [False, True])
def test_a_token_that_may_not_read_one_key_any_more_keeps_the_locks_on_others(
    contended: bool,
) -> None:
    """Consul denies a transaction as a whole, and all of a client are verified in one."""
    driver = FakeDriver()
    client = driver.client()
    locks = [driver.lock(client, f"{NAME}/{number}") for number in range(3)]
    for lock in locks:
        driver.acquire(lock)
        assert lock.hold is not None
        lock.hold.contended = contended

    def denying(request: Request) -> tuple[int, bytes] | None:
        keys = [op["KV"]["Key"] for op in json.loads(request.body)] if verbs(request) else []
        denials = [
            {"OpIndex": place, "What": "Permission denied"}
            for place, key in enumerate(keys)
            if key.startswith(f"{NAME}/1/")
        ]
        return (409, json.dumps({"Results": None, "Errors": denials}).encode()) if denials else None

    before = [lock.hold.deadline() for lock in locks if lock.hold is not None]
    driver.instead = denying
    driver.world.advance(5.0)
    keeper = Keeper(client).run()
    begun = driver.until(keeper, lambda request: "check-session" in verbs(request))
    client.begin_to_close()
    driver.run_after(keeper, begun)
    after = [lock.hold.deadline() for lock in locks if lock.hold is not None]
    assert [new > old for new, old in zip(after, before, strict=True)] == [True, False, True]
    assert locks[0].hold is not None
    assert locks[0].hold.renewal_error is None
    assert locks[1].hold is not None
    assert isinstance(locks[1].hold.renewal_error, PermissionDenied)


def kept(driver: FakeDriver) -> tuple[LockCore, Flow[None], Batch]:
    """A lock that is held, and its keeper about to renew."""
    lock = driver.lock()
    driver.acquire(lock)
    flow = Keeper(lock.client).run()
    return lock, flow, driver.until(flow, lambda request: "/session/renew/" in request.path)


def renew(driver: FakeDriver, flow: Flow[None], asking: Batch, answer: Exception | None) -> Batch:
    """All of a batch is answered with an error, or well; the next batch."""
    if answer is None:
        effect = driver.go_on(flow, asking)
    else:
        effect = flow.send((answer,) * len(asking.requests))
    if isinstance(effect, Request | Batch):
        return effect  # type: ignore[return-value] # the keeper sends batches
    return driver.until(flow, lambda request: "/session/renew/" in request.path, after=effect)


def test_the_keeper_goes_on_after_what_nobody_foresaw() -> None:
    """Whether it comes with an answer, or out of the keeper itself."""
    driver = FakeDriver()
    lock, flow, asking = kept(driver)
    asking = renew(driver, flow, asking, ValueError("1, 1"))
    asking = driver.until(
        flow,
        lambda request: "/session/renew/" in request.path,
        after=flow.throw(ZeroDivisionError()),
    )
    renew(driver, flow, asking, None)
    assert hold_of(lock).state is State.HELD
    assert hold_of(lock).deadline() > 30.0
    events = [(warning.event, type(warning.error)) for warning in driver.warnings]
    assert ("keeper-error", ValueError) in events
    assert ("keeper-error", ZeroDivisionError) in events


def test_one_warning_when_renewals_begin_to_fail_and_one_when_they_work_again() -> None:
    """However often they are tried meanwhile."""
    driver = FakeDriver()
    lock, flow, asking = kept(driver)
    for error in (Unavailable("refused"), PermissionDenied("ACL not found"), Unavailable("no")):
        asking = renew(driver, flow, asking, error)
    assert hold_of(lock).renewal_error is not None
    asking = renew(driver, flow, asking, None)
    assert hold_of(lock).renewal_error is None
    renew(driver, flow, asking, None)
    assert [warning.event for warning in driver.warnings] == ["renewal-failing", "renewal-works"]
    assert "refused" in driver.warnings[0].text


def test_who_listens_hears_when_renewals_begin_to_fail_and_when_they_work_again() -> None:
    """Once for all locks of the client, and once for each that has listeners of its own; the log
    has the warnings already."""
    driver, heard = FakeDriver(), HeardReports(listens=True)
    lock, flow, asking = kept(driver)
    lock.client.reporter = heard
    lock.listeners = (print,)
    for error in (Unavailable("refused"), Unavailable("no"), None, None):
        asking = renew(driver, flow, asking, error)
    assert heard.events == ["renewal-failing"] * 2 + ["renewal-works"] * 2
    of_client, of_lock, *over = heard.reports
    assert (of_client.about["kind"], of_client.listeners) == ("client", ())
    assert (of_lock.about["key"], of_lock.listeners) == (lock.key, (print,))
    assert of_lock.about["attempt"] == hold_of(lock).attempt.number
    for each in (of_client.about, of_lock.about):
        assert (str(each["error"]), each["locks"]) == ("refused", 1)
        assert each["left"] > 0
    assert all(each.about["failing"] > 0 for each in over)
    assert {each.level for each in heard.reports} == {None}


def test_the_loss_says_what_renewals_failed_with() -> None:
    """In its text, as a field, and to those functions that want it."""
    told = list[tuple[LossReason, LockLost]]()

    def on_lost(reason: LossReason, error: LockLost) -> None:
        told.append((reason, error))

    driver = FakeDriver()
    lock = driver.lock(on_lost=on_lost)
    driver.acquire(lock)
    flow = Keeper(lock.client).run()
    asking = driver.until(flow, lambda request: "/session/renew/" in request.path)
    renew(driver, flow, asking, PermissionDenied("403 ACL not found"))
    driver.run(lock.client.lose(hold_of(lock), LossReason.DEADLINE))
    [(reason, error)] = told
    assert reason is LossReason.DEADLINE
    assert isinstance(error.last_error, PermissionDenied)
    assert "403 ACL not found" in str(error)
    assert str(lock.lost_error(hold_of(lock))) == str(error)


def test_while_consul_is_away_one_renewal_a_try_is_sent_and_then_all() -> None:
    """Two thousand sessions would be eight thousand connections a second."""
    driver = FakeDriver()
    client = driver.client()
    locks = [driver.lock(client, f"{NAME}/{number}") for number in range(20)]
    for lock in locks:
        driver.acquire(lock)
    flow = Keeper(client).run()
    asking = driver.until(flow, lambda request: "/session/renew/" in request.path)
    assert len(asking.requests) > 20
    for _ in range(5):
        asking = renew(driver, flow, asking, Unavailable("refused"))
        assert len(asking.requests) == 2
    asking = renew(driver, flow, asking, None)
    assert len(asking.requests) > 19


def test_many_renewals_and_verifications_are_few_requests() -> None:
    """A renewal each, and a verification for 32 locks: a proof and a look at the queue each."""
    driver = FakeDriver()
    client = driver.client()
    for number in range(100):
        driver.acquire(driver.lock(client, f"{NAME}/{number}"))
    flow = Keeper(client).run()
    asking = driver.until(flow, lambda request: "/session/renew/" in request.path)
    renewals = [r for r in asking.requests if "/session/renew/" in r.path]
    assert len(renewals) == 100
    assert len(asking.requests) - len(renewals) == 4


def keeping(driver: FakeDriver, **asked: float) -> tuple[LockCore, float, Flow[None], Batch]:
    """A lock that is held, its deadline, and the keeper about to renew and to verify."""
    lock = LockCore(driver.client(), keys_of_name(NAME), Settings(session_options(**asked)))
    driver.acquire(lock)
    assert lock.hold is not None
    flow = Keeper(lock.client).run()
    asking = driver.until(flow, lambda request: "/session/renew/" in request.path)
    _, proof = asking.requests
    assert verbs(proof)[0] == "check-session"
    assert ("consistent", "") in proof.params
    return lock, lock.hold.deadline(), flow, asking


def end_turn(driver: FakeDriver, flow: Flow[None], effect: Any) -> None:
    """Let the keeper go on until it waits."""
    while not isinstance(effect, Wait):
        effect = driver.go_on(flow, effect)


def test_a_renewal_is_no_proof() -> None:
    """A leader that was deposed without knowing it yet answers one with 200."""
    for lock_delay in (30.0, 0.0):
        driver = FakeDriver()
        lock, before, flow, asking = keeping(driver, lock_delay=lock_delay)
        driver.failures.extend([None, Unavailable("no answer")])
        end_turn(driver, flow, driver.go_on(flow, asking))
        assert lock.hold is not None
        assert lock.hold.deadline() == before


def test_a_verification_proves_life_at_its_sending_not_at_its_answer() -> None:
    """The session may have died while the answer was on its way."""
    driver = FakeDriver()
    lock, _, flow, asking = keeping(driver)
    sent = driver.world.now
    answers = driver.perform(asking)
    driver.world.advance(3.0)
    end_turn(driver, flow, flow.send(answers))
    assert lock.hold is not None
    assert lock.hold.deadline() == pytest.approx(sent + 30.0 - 1.5)


def test_without_a_lock_delay_the_renewal_counts_that_a_verification_confirms() -> None:
    """From its sending."""
    driver = FakeDriver()
    lock, _, flow, asking = keeping(driver, lock_delay=0.0)
    sent = driver.world.now
    end_turn(driver, flow, driver.go_on(flow, asking))
    assert lock.hold is not None
    assert lock.hold.deadline() == pytest.approx(sent + 10.0 - 0.5)


@pytest.mark.parametrize(
    "error, seconds",
    [
        (Unavailable("x"), 0.375),
        (Unavailable("x", status=500), 0.375),
        (PermissionDenied("x"), 0.375),
        (Unavailable("x", status=503, kind="server-error"), 0.375),
        # A fifth of the time in which the session can be renewed.
        (Unavailable("x", status=429), 3.33),
        (Unavailable("x", status=503, kind="rate-limit"), 3.33),
        (Unavailable("x", status=503, retry_after=0.0), 3.33),
        (Unavailable("x", status=429, retry_after=4.0), 4.0),
        # A quarter of it.
        (Unavailable("x", status=429, retry_after=60.0), 4.17),
    ],
)
def test_a_limit_of_requests_is_heeded_as_far_as_the_session_allows(
    error: Exception, seconds: float
) -> None:
    """So that several tries are left; other errors are no reason to wait longer."""
    driver = FakeDriver()
    _, flow, asking = kept(driver)
    begun = driver.world.now
    renew(driver, flow, asking, error)
    assert driver.world.now - begun == pytest.approx(seconds, abs=0.1)


LIMITED = (503, b"rate limit exceeded for operation that can only be performed by the leader")


def limited(request: Request) -> tuple[int, bytes] | None:
    """The servers refuse renewals, and nothing else."""
    return LIMITED if "/session/renew/" in request.path else None


def renewals(driver: FakeDriver, client: ClientCore, seconds: float) -> tuple[list[float], float]:
    """When renewals are sent in so many seconds, and until when the first lock counts."""
    flow, sent, end = Keeper(client).run(), list[float](), driver.world.now + seconds
    effect = flow.send(None)
    while driver.world.now < end:
        for request in effect.requests if isinstance(effect, Batch) else ():
            if "/session/renew/" in request.path:
                sent.append(driver.world.now)
        try:
            value = driver.perform(effect)
        except ConsulLockError as error:
            effect = flow.throw(error)
        else:
            effect = flow.send(value)
    flow.close()
    return sent, next(iter(client.holds)).deadline() if client.holds else 0.0


def test_renewals_that_are_refused_are_tried_more_often_the_nearer_the_end_is() -> None:
    """Nobody else's is crowded out sooner than needed, and there are many tries until the end."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    begun, driver.instead = driver.world.now, limited
    sent, _ = renewals(driver, lock.client, 20.0)
    pauses = [b - a for a, b in pairwise([begun, *sent])]
    assert pauses[0] == pytest.approx(10 / 3, abs=0.4)
    assert pauses[1] == pytest.approx(10 / 3, abs=0.4)
    assert all(later <= earlier + 0.5 for earlier, later in pairwise(pauses[1:]))
    assert 8 <= len(sent) <= 25


def test_refused_renewals_do_not_move_the_deadline() -> None:
    """Verifications go on, and the lock is held by them; refused as well, it ends when it ends."""
    for refused, later in ((limited, True), (lambda request: LIMITED, False)):
        driver = FakeDriver()
        lock = driver.lock()
        driver.acquire(lock)
        before, driver.instead = hold_of(lock).deadline(), refused
        _, deadline = renewals(driver, lock.client, 18.0)
        assert (deadline > before, deadline == before) == (later, not later)


def test_after_a_limit_renewals_come_less_often_up_to_the_ttl() -> None:
    """And as usual when it has not been met for long enough."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    for number in range(4):
        lock.client.contact.limit.refused(driver.world.now - 8.0 + 2.0 * number)
    sent, _ = renewals(driver, lock.client, 300.0)
    pauses = [b - a for a, b in pairwise(sent)]
    assert 8.0 <= max(pauses) <= 11.0
    assert pauses[-1] == pytest.approx(10 / 3, abs=0.4)


def test_without_a_lock_delay_a_stretched_renewal_is_confirmed_at_once() -> None:
    """The promise is built on it: two thirds of the TTL at most, each with a verification."""
    driver = FakeDriver()
    lock = LockCore(driver.client(), keys_of_name(NAME), Settings(session_options(lock_delay=0.0)))
    driver.acquire(lock)
    for number in range(4):
        lock.client.contact.limit.refused(driver.world.now - 8.0 + 2.0 * number)
    sent, deadline = renewals(driver, lock.client, 60.0)
    assert max(b - a for a, b in pairwise(sent)) <= 7.5
    assert deadline == pytest.approx(sent[-1] + 9.5)


def test_a_refusal_is_reported_when_the_session_is_near_its_end() -> None:
    """Under a limit each renewal is refused now and then."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.instead = limited
    renewals(driver, lock.client, 14.0)
    assert driver.warned == []
    renewals(driver, lock.client, 5.0)
    (text,) = driver.warned
    assert "renewing sessions fails" in text
    assert "limits the rate" in text


def test_a_verification_that_an_agent_holds_back_keeps_no_renewal_waiting() -> None:
    """An agent tries a refused read again for 7 s and more, and the renewal goes with it."""
    for known, most in ((False, 8.0), (True, 3.0)):
        driver = FakeDriver()
        lock = driver.lock()
        driver.acquire(lock)
        if known:
            lock.client.contact.limit.refused(driver.world.now)
        flow = Keeper(lock.client).run()
        asking = driver.until(flow, lambda request: "check-session" in verbs(request))
        assert asking.requests[-1].timeout == most


def test_a_client_with_many_sessions_tries_one_after_a_refusal() -> None:
    """What is refused for one is refused for any."""
    driver = FakeDriver()
    client = driver.client()
    for number in range(20):
        driver.acquire(driver.lock(client, f"{NAME}/{number}"))
    driver.instead = limited
    sent, _ = renewals(driver, client, 15.0)
    together = [sent.count(when) for when in sorted(set(sent))]
    assert together[0] == 20
    assert set(together[1:]) == {1}
    assert len(sent) <= 20 + 15 / 0.25


def test_while_renewals_are_refused_queues_are_not_read_and_nothing_is_destroyed() -> None:
    """The renewals have all that the servers serve."""
    driver = FakeDriver()
    first, _ = two_crowded(driver)
    client = first.client
    client.to_look[hold_of(first)] = None
    hold_of(first).look_at = driver.world.now + 1.0
    client.pool.destroy_later(driver.run(client.pool.borrow(session_options(), "me")))
    driver.instead = limited
    driver.sent.clear()
    renewals(driver, client, 15.0)
    assert client.contact.limit.renewals_wait is False  # the keeper has ended
    paths = [request.path for request in driver.sent]
    assert f"/v1/kv/{BASE}" not in paths
    assert not [path for path in paths if "destroy" in path]


def test_everything_else_of_the_client_waits_until_a_renewal_succeeds() -> None:
    """Or the session that could not be renewed is gone."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    limit = lock.client.contact.limit
    flow = Keeper(lock.client).run()
    asking = driver.until(flow, lambda request: "/session/renew/" in request.path)
    driver.instead = limited
    end_turn(driver, flow, driver.go_on(flow, asking))
    assert limit.renewals_wait
    driver.instead = lambda request: None
    asking = driver.until(
        flow, lambda request: "/session/renew/" in request.path, after=Wait(Signal(), 5.0)
    )
    end_turn(driver, flow, driver.go_on(flow, asking))
    assert not limit.renewals_wait


def test_nothing_waits_for_a_session_that_nobody_uses() -> None:
    """It is as good as a new one."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.release(lock)
    limit = lock.client.contact.limit
    flow = Keeper(lock.client).run()
    asking = driver.until(flow, lambda request: "/session/renew/" in request.path)
    driver.instead = limited
    end_turn(driver, flow, driver.go_on(flow, asking))
    assert limit.known
    assert not limit.renewals_wait


@pytest.mark.parametrize("found", [None, "deleted", "overwritten"])
def test_a_loss_to_the_limit_says_so(found: str | None) -> None:
    """Whatever is found of the key when the session has expired."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    hold = hold_of(lock)
    driver.instead = limited
    renewals(driver, lock.client, 15.0)
    if found == "deleted":
        operator(driver.world, f"/v1/kv/{lock.key}", "DELETE")
    elif found == "overwritten":
        operator(driver.world, f"/v1/kv/{lock.key}?release={hold.session.id}")
    else:
        driver.instead = lambda request: LIMITED
    driver.world.advance(5.0)
    if found is None:
        driver.world.advance(20.0)
        driver.run(lock.client.watchdog._tell_losses())
    else:
        renewals(driver, lock.client, 10.0)
    assert hold.reason is LossReason.REQUEST_LIMIT
    error = lock.lost_error(hold)
    assert error.kind == "request-limit"
    assert "refused by the server's request limit" in str(error)
    assert error.last_error is not None
    assert error.last_error.kind == "rate-limit"


def test_a_key_that_is_deleted_soon_after_a_refusal_was_deleted() -> None:
    """The session cannot have expired yet."""
    driver = FakeDriver()
    lock = driver.lock()
    driver.acquire(lock)
    driver.instead = limited
    renewals(driver, lock.client, 5.0)
    operator(driver.world, f"/v1/kv/{lock.key}", "DELETE")
    driver.world.advance(1.0)
    driver.run(lock.client.lose(hold_of(lock), LossReason.KEY_DELETED))
    assert hold_of(lock).reason is LossReason.KEY_DELETED


def test_the_same_unforeseen_error_is_reported_once_a_minute() -> None:
    """However often it comes; another one at once."""
    driver = FakeDriver()
    _, flow, asking = kept(driver)
    for error in (ValueError("a"), ValueError("a"), ValueError("b"), ValueError("a")):
        asking = renew(driver, flow, asking, error)
    reported = [repr(w.error) for w in driver.warnings if w.event == "keeper-error"]
    assert reported == ["ValueError('a')", "ValueError('b')"]
    driver.world.advance(60.0)
    renew(driver, flow, asking, ValueError("a"))
    assert [w.event for w in driver.warnings].count("keeper-error") == 3


def test_while_nobody_answers_what_became_of_locks_they_are_asked_about_with_pauses() -> None:
    """Answers showed several as lost: no error is taken for a proof, and the losses are found
    later."""
    driver, asked = FakeDriver(), list[float]()
    client = driver.client()
    locks = [SemaphoreCore(client, f"s{n}", 1, Settings(session_options())) for n in range(3)]
    for lock in locks:
        driver.run(lock.acquire(True, None, "me"))
        operator(driver.world, f"/v1/kv/{lock.key}", "DELETE")
    flow = Keeper(client).run()
    effect = driver.until(flow, lambda request: "/session/renew/" in request.path)
    while len(asked) < 6:
        if isinstance(effect, Request):
            asked.append(driver.world.now)
            effect = flow.throw(Unavailable("away"))
        else:
            effect = flow.send(driver.perform(effect))
    assert min(after - before for before, after in pairwise(asked)) >= 0.25
    assert {hold_of(lock).state for lock in locks} == {State.HELD}
    while any(hold_of(lock).state is State.HELD for lock in locks):
        effect = flow.send(driver.perform(effect))
    assert {hold_of(lock).reason for lock in locks} == {LossReason.KEY_DELETED}


def test_a_keeper_that_was_cut_off_is_replaced_by_the_next_session() -> None:
    """As the tasks of an ending loop are; one that has been replaced already ends by itself."""
    driver = FakeDriver()
    client = driver.client()
    driver.acquire(driver.lock(client))
    first = client.keeper
    flow = first.run()
    next(flow)
    flow.close()
    assert client.keeper is None
    driver.acquire(driver.lock(client, "another"))
    assert client.keeper not in (None, first)
    with pytest.raises(StopIteration):
        next(first.run())
