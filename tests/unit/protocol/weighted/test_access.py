"""What a read of the documents means for one attempt, and what a refusal says of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.session import timing as terms
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.weighted.access import (
    Position,
    accept,
    check_visible,
    position,
    refused,
    see,
)
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.base import read_targets
from consul_lock._protocol.weighted.document import SEMAPHORE, Document, encode_document
from consul_lock._protocol.weighted.snapshot import Snapshot, parse_snapshot
from consul_lock.errors import PermissionDenied
from tests.support.world_operator import operator
from tests.unit.protocol.weighted_driver import WeightedDriver


def seen(inside: str, waiting: str = "", limit: int = 2, raft_index: int = 50) -> Snapshot:
    """Letters are sessions; who is in has a key, too, unless it is a capital letter."""
    pairs = []
    for place, session in enumerate([*inside, *waiting]):
        claim = {"mode": "slot", "places": 1, "of": session, "n": 1}
        value = json.dumps({"claim": claim}).encode()
        if session.islower():
            key = f"slots/{session}"
            pairs.append(Pair(key, value, SEMAPHORE.flags, session, 10 + place, 10 + place))
    document = Document(limit, dict.fromkeys(inside, 1), 0)
    pairs.append(
        Pair("slots/.lock", encode_document(SEMAPHORE, document), SEMAPHORE.flags, "", 1, 9)
    )
    return parse_snapshot(SEMAPHORE, "slots", pairs, limit, raft_index)


def attempt(driver: WeightedDriver, ids: str = "m", **known: Any) -> WeightedAttempt:
    made = driver.semaphore().attempt("me", True, len(ids))
    made.group = [Session(each, terms.session_options(), None) for each in ids]
    for name, value in known.items():
        setattr(made, name, value)
    return made


JOINED: dict[str, Any] = {"joined": True, "joined_at": 40}


@pytest.mark.parametrize(
    "ids, known, snapshot, expected",
    [
        ("m", {}, seen("a"), Position.ADMITTED),
        ("m", {}, seen("ab"), Position.FULL),
        ("m", {}, seen("a", "b"), Position.FULL),  # b came first
        ("m", {"overtaking": True}, seen("a", "b"), Position.ADMITTED),
        ("mn", {}, seen("a"), Position.FULL),
        ("mn", {}, seen(""), Position.ADMITTED),
        ("m", JOINED, seen("a", "m"), Position.ADMITTED),
        ("m", JOINED, seen("ab", "m"), Position.FULL),
        ("m", JOINED, seen("am"), Position.IN),
        ("m", JOINED, seen("a"), Position.GONE),
        ("m", JOINED, seen("am", raft_index=39), Position.OLD),
        ("m", JOINED, seen("a", raft_index=39), Position.OLD),
        ("m", {**JOINED, "certain": True}, seen("a", raft_index=39), Position.GONE),
        ("m", {}, seen("m"), Position.OLD),  # nobody has asked for it yet
        ("m", {"certain": True}, seen("m"), Position.IN),
        ("mn", JOINED, seen("m", "n"), Position.TORN),
        ("mn", JOINED, seen("mn"), Position.IN),
    ],
)
def test_what_the_last_read_means(
    ids: str, known: dict[str, Any], snapshot: Snapshot, expected: Position
) -> None:
    """What shows the attempt inside, or its keys gone, decides only if it is no stale read."""
    assert position(attempt(WeightedDriver(), ids, **known), (snapshot,)) is expected


def test_who_is_in_without_its_key_is_torn() -> None:
    """A document that lists it alone guards nothing: the next one who looks prunes it."""
    driver = WeightedDriver()
    mine = attempt(driver, "M", certain=True)
    assert position(mine, (seen("M"),)) is Position.TORN


def test_keys_that_are_hidden_from_the_token_are_an_error() -> None:
    """Else living contenders would look dead; it names the rule that is needed."""
    mine = attempt(WeightedDriver())
    check_visible(mine, (seen("a"),), "RULE")
    with pytest.raises(PermissionDenied) as caught:
        check_visible(mine, (seen("a")._replace(filtered=True),), "RULE")
    assert caught.value.rule == "RULE"


def test_an_unanswered_joining_is_found_by_a_read_that_cannot_be_stale() -> None:
    """A plain one proves nothing, whatever it shows."""
    driver = WeightedDriver()
    driver.acquire_all(driver.semaphore())
    lock = driver.semaphore()
    mine = lock.attempt("me", True)
    flow = lock.contend(mine)
    joining = driver.until(flow, lambda request: b"get-tree" in (request.body or b""))
    driver.world.submit(joining)
    mine.group[0].uncertain = True
    found = driver.run(read_targets(lock, mine.targets))
    see(mine, found)
    assert (mine.asked, mine.joined) == (True, False)
    see(mine, found, certain=True)
    assert mine.joined
    operator(driver.world, f"/v1/kv/slots/{mine.leader}", "DELETE")
    see(mine, driver.run(read_targets(lock, mine.targets)), certain=True)
    assert (mine.asked, mine.joined) == (False, False)


def test_who_is_outrun_waits_longer_each_time_but_never_long() -> None:
    """Not after the first refusal: most often the next try succeeds."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    mine = lock.attempt("me", True)
    outcome = driver.run(
        lock.client.api.transact([{"Verb": "check-index", "Key": "x", "Index": 9}], "x", "")
    )
    pauses = []
    for _ in range(12):
        before = driver.world.now
        driver.run(refused(lock, mine, outcome))
        pauses.append(driver.world.now - before)
    assert pauses[0] == 0.0
    assert pauses[1] > 0.0
    assert pauses == sorted(pauses)
    assert pauses[-1] <= 0.3
    assert lock.client.contended(lock.key)


@pytest.mark.parametrize("seconds, certain", [(0.0, True), (60.0, False)])
def test_an_admission_counts_with_sessions_that_were_seen_alive_of_late(
    seconds: float, certain: bool
) -> None:
    """A process that was paused while it waited must not wake up believing: it asks first."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    mine = lock.attempt("me", True)
    assert driver.run(lock.contend(mine)) is not None
    found = driver.run(read_targets(lock, mine.targets, certain=True))
    see(mine, found, certain=True)
    operator(driver.world, f"/v1/session/destroy/{mine.leader}")
    driver.world.advance(seconds)
    assert mine.snapshots is not None
    grant = driver.run(accept(lock, mine, mine.snapshots))
    assert (grant is not None) is certain
    if grant is not None:
        assert grant.token == mine.snapshots[0].contenders[0].modify_index


def test_a_document_that_lists_a_session_whose_key_is_gone_admits_nobody() -> None:
    """The key went with the session, or somebody has deleted it, though it was renewed of late."""
    driver = WeightedDriver()
    lock = driver.semaphore()
    mine = lock.attempt("me", True)
    assert driver.run(lock.contend(mine)) is not None
    session = mine.group[0]
    operator(driver.world, f"/v1/kv/{lock.name}/{session.id}", method="DELETE")
    see(mine, driver.run(read_targets(lock, mine.targets, certain=True)), certain=True)
    assert mine.snapshots is not None
    assert mine.snapshots[0].holds(session.id)
    assert driver.run(accept(lock, mine, mine.snapshots)) is None
    assert session.gone
