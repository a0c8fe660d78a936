"""One try to get into documents: its sessions, its place in the local queue, what its key says."""

from __future__ import annotations

import base64
import json

import pytest

from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.layout import Contender, parse_contender
from tests.unit.protocol.fake_driver import NAME, waits
from tests.unit.protocol.weighted_driver import WeightedDriver


def with_sessions(attempt: WeightedAttempt, *ids: str) -> WeightedAttempt:
    attempt.group = [Session(each, terms.session_options(), None) for each in ids]
    return attempt


def key(attempt: WeightedAttempt, *, inside: bool) -> Contender:
    """What others read of the contender key."""
    target = attempt.targets[-1]
    value = base64.b64decode(attempt.value(target, 7.0, inside=inside))
    return parse_contender(target.kind, Pair("key", value, target.kind.flags, "a", 1, 1))


@pytest.mark.parametrize(
    "kind, n, places", [("semaphore", 2, 1), ("writer", 1, 1), ("reader", 1, 1), ("tree", 1, 3)]
)
def test_others_read_from_its_key_what_it_wants(kind: str, n: int, places: int) -> None:
    """The first of its sessions speaks for all."""
    lock = getattr(WeightedDriver(), kind)()
    attempt = with_sessions(lock.attempt("me", True, n), "a", "b")
    found = key(attempt, inside=False)
    assert found.ours
    assert (found.leader, found.n, found.places) == ("a", n, places)
    assert found.weight == attempt.targets[-1].weight
    assert json.loads(found.about)["host"] == "a"


def test_its_key_differs_after_the_admission() -> None:
    """Equal content moves no index, and who waits behind it would see no change."""
    attempt = with_sessions(WeightedDriver().semaphore().attempt("me", True), "a")
    waiting, inside = (key(attempt, inside=inside).about for inside in (False, True))
    assert json.loads(inside) == {**json.loads(waiting), "in": True}


def test_attempts_that_share_a_session_wait_for_each_other_in_the_process() -> None:
    """A document has a session once; with sessions of their own they have slots of their own."""
    driver = WeightedDriver()
    client = driver.client()
    shared, other = (SharedSession(client, terms.session_options()) for _ in range(2))

    def once_only(session: SharedSession | None) -> set[str]:
        attempt = driver.semaphore(client, shared=session).attempt("me", True)
        assert attempt.queues == attempt.claims
        return {claim.resource for claim in attempt.claims if claim.limit == 1}

    assert once_only(None) == set()
    assert len(once_only(shared)) == 1
    assert once_only(shared) == once_only(shared) != once_only(other)


def test_without_its_sessions_nothing_it_knew_counts() -> None:
    """It has no place in any queue, and has asked for nothing."""
    driver = WeightedDriver()
    driver.acquire(driver.lock(name=NAME))
    driver.acquire_all(driver.semaphore())
    lock = driver.semaphore()
    attempt = lock.attempt("me", True)
    driver.until(lock.contend(attempt), waits)
    assert (attempt.in_queue, attempt.asked) == (True, True)
    assert attempt.ids() == [session.id for session in attempt.sessions] == [attempt.leader]
    attempt.forget_what_was_seen()
    assert (attempt.in_queue, attempt.snapshots) == (True, None)
    attempt.forget_sessions()
    assert (attempt.in_queue, attempt.asked, attempt.sessions) == (False, False, [])
