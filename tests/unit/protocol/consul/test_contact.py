"""A client's knowledge of outages: strange answers, and the clock of trouble."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol.consul.contact import Contact
from consul_lock._protocol.consul.models import parse_sessions
from consul_lock._protocol.cron.decision import CronOutcome
from consul_lock._protocol.flow import Reply
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock.errors import ConfigError, ConsulLockError, PermissionDenied, Refused, Unavailable
from tests.unit.protocol.cron.cron_driver import CronDriver
from tests.unit.protocol.fake_driver import NAME, FakeDriver, took
from tests.unit.protocol.lock_kinds import REQUESTS_MAX, each_kind

KEY = f"{NAME}/.lock"


def failure(text: str = "no answer", **more: Any) -> Unavailable:
    return Unavailable(text, **more)


@pytest.mark.parametrize(
    "events, since",
    [
        (["failed 5"], 5.0),
        (["failed 5", "failed 9"], 5.0),
        (["failed 5", "well 6"], None),
        (["failed 5", "well 6", "failed 7"], 7.0),
        (["well 8", "failed 5"], 8.0),
        (["well 8", "well 3", "failed 5"], 8.0),
    ],
)
def test_trouble_counts_from_the_first_failure_since_the_last_good_answer(
    events: list[str], since: float | None
) -> None:
    """Not from the sending of a request that others have overtaken with a good one."""
    contact = Contact()
    for kind, sent in (event.split() for event in events):
        if kind == "well":
            contact.well(float(sent))
        else:
            contact.failed(float(sent), failure())
    assert contact.trouble == since
    assert (contact.error is None) == (since is None)


def test_a_call_that_has_sent_nothing_gets_the_last_error_of_another() -> None:
    """Whatever that was uncertain of, this call is certain that nothing was carried out."""
    contact = Contact()
    assert contact.again().kind == "no-answer"
    contact.failed(0.0, failure("first"))
    contact.failed(1.0, failure("second", kind="x", status=500, uncertain=True))
    found = contact.again()
    assert (str(found), found.kind, found.status, found.uncertain) == ("second", "x", 500, False)


def answered(contact: Contact, status: int, body: bytes) -> type[ConsulLockError] | None:
    """What comes of an answer to a request of sessions: the class of the error."""
    parse = contact.heard(parse_sessions)
    try:
        parse(Reply(status, {}, body, 1.0))
    except ConsulLockError as error:
        return type(error)
    return None


@pytest.mark.parametrize(
    "status, body, error, good",
    [
        (200, b"[]", None, True),
        (403, b"Permission denied", PermissionDenied, True),
        (400, b"Bad request", Refused, True),
        (500, b"No cluster leader", Unavailable, False),
        (429, b"slow down", Unavailable, False),
        (200, b"<html>", Unavailable, False),
    ],
)
def test_a_refusal_is_an_answer_too(
    status: int, body: bytes, error: type[ConsulLockError] | None, good: bool
) -> None:
    """It ends the trouble; an error of a server, or a page of something else, does not."""
    contact = Contact()
    contact.well(0.0)
    contact.failed(0.5, failure())
    assert answered(contact, status, body) is error
    assert (contact.trouble is None) is good


STRANGE = {
    "a page": (200, b"<html>Sign in</html>"),
    "a page that is not found": (404, b"<html>not found</html>"),
    "a redirect": (302, b""),
    "a login": (401, b"who are you?"),
    "a proxy's timeout": (408, b"Request Timeout"),
    "a proxy's denial": (403, b"<html>Forbidden</html>"),
    "other JSON": (200, b'{"status": "ok"}'),
}


each_strange = pytest.mark.parametrize("said", STRANGE.values(), ids=STRANGE.keys())


@each_strange
def test_before_first_contact_a_strange_answer_is_an_error_at_once(
    said: tuple[int, bytes],
) -> None:
    """It is the address that is wrong."""
    driver = FakeDriver()
    driver.instead = lambda request: said
    client = driver.client()
    for name in ("a", "b"):  # and Consul is not taken to have answered once from then on
        seconds, end = took(driver, driver.lock(client, name).acquire(True, None, "me"))
        assert (seconds, end) == (0.0, ConfigError)


@each_strange
@each_kind
def test_after_first_contact_a_strange_answer_is_ridden_out_at_each_step(
    make: Callable[[FakeDriver], Lockable], said: tuple[int, bytes]
) -> None:
    """As a 502 is: of acquires, and of releases."""
    for place in range(1, REQUESTS_MAX):
        driver = FakeDriver()
        lock = make(driver)
        answered = iter([None] * place + [said] * 3)
        driver.instead = lambda request, answered=answered: next(answered, None)  # type: ignore[misc] # each its own
        assert driver.run(lock.acquire(True, None, "me")) is True
        driver.run(lock.release("me"))
        # What was in doubt has been destroyed.
        driver.run(lock.client.pool.sweep(driver.world.now))
        assert set(driver.held().values()) <= {""}
        if next(answered, None) is not None:
            break


@each_strange
def test_the_end_of_a_cron_run_is_recorded_all_the_same(said: tuple[int, bytes]) -> None:
    """And its run lock is released."""
    driver = CronDriver()
    core, claim, run = driver.once()
    assert run.outcome is CronOutcome.RUN
    answered = iter([said] * 3)
    driver.instead = lambda request: next(answered, None)
    driver.run(core.leave(claim, run, None))
    assert run.recorded
    assert KEY not in driver.held()


@each_strange
def test_a_claim_of_a_slot_rides_strange_answers_out(said: tuple[int, bytes]) -> None:
    """At each of its steps."""
    for place in range(1, 6):
        driver = CronDriver()
        _, claim, job = driver.claim()
        answered = iter([None] * place + [said] * 2)
        driver.instead = lambda request, answered=answered: next(answered, None)  # type: ignore[misc] # each its own
        run = driver.run(job)
        assert run.outcome is CronOutcome.RUN
        assert run.record.claim == claim.id
