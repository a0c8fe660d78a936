"""What a contender key says of its contender, and what a document to enter is called."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.weighted.document import ALL, READ_WRITE, SEMAPHORE, Kind
from consul_lock._protocol.weighted.layout import Contender, Target, parse_contender

CLAIM = {"mode": "write", "places": 2, "of": "a", "n": 3}


def contender(kind: Kind, value: bytes) -> Contender:
    return parse_contender(kind, Pair("key", value, kind.flags, "s", 10, 12))


def claiming(**change: Any) -> bytes:
    return json.dumps({"v": 1, "claim": {**CLAIM, **change}}).encode()


@pytest.mark.parametrize("kind, weight", [(SEMAPHORE, 1), (READ_WRITE, ALL)])
def test_a_contender_says_what_it_wants(kind: Kind, weight: int) -> None:
    """A writer weighs all there is; a semaphore has no modes, so any will do there."""
    value = claiming()
    expected = Contender("s", 10, 12, True, "a", 3, weight, 2, value.decode())
    assert contender(kind, value) == expected


@pytest.mark.parametrize("kind", [SEMAPHORE, READ_WRITE], ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"anything",
        b"\xff\x00",
        b"[1]",
        b"[" * 100_000,
        b'{"host": "h", "pid": 1}',
        b'{"claim": null}',
        b'{"claim": ["read"]}',
        *(
            claiming(**change)
            for change in (
                {"of": None}, {"of": ""}, {"of": 1},
                {"n": 0}, {"n": True}, {"n": "1"}, {"n": 1.0}, {"n": None},
                {"places": 0}, {"places": None},
            )
        ),
    ],
)  # fmt: skip
def test_what_is_not_understood_stands_for_itself_alone(kind: Kind, value: bytes) -> None:
    """A Go client has any value, or none: it is one session that wants one slot."""
    assert contender(kind, value)[:8] == ("s", 10, 12, False, "s", 1, 1, 1)


@pytest.mark.parametrize("kind, known", [(SEMAPHORE, True), (READ_WRITE, False)])
def test_a_mode_of_a_newer_version_is_not_admitted_by_this_one(kind: Kind, known: bool) -> None:
    """What it excludes is not known here."""
    found = contender(kind, claiming(mode="upgradable"))
    assert (found.ours, found.weight) == (known, 1)


@pytest.mark.parametrize(
    "target, prefix, key, weight",
    [
        (Target(SEMAPHORE, "a/b", "slot", 5), "a/b/", "a/b/s", 1),
        (Target(READ_WRITE, "a/b", "read", ALL), "a/b/.lock", "a/b/.lock/s", 1),
        (Target(READ_WRITE, "a/b", "write", ALL), "a/b/.lock", "a/b/.lock/s", ALL),
    ],
)
def test_where_a_document_and_its_contenders_are(
    target: Target, prefix: str, key: str, weight: int
) -> None:
    """A semaphore's as Go has them; those of a read/write lock in a folder of their own."""
    assert target.document_key == "a/b/.lock"
    assert (target.prefix, target.contender_key("s"), target.weight) == (prefix, key, weight)


def test_the_local_queue_counts_as_the_document_does() -> None:
    """A semaphore and a read/write lock of one name are two things there."""
    slots, writer = Target(SEMAPHORE, "a", "slot", 5), Target(READ_WRITE, "a", "write", ALL)
    assert slots.claim(2)[1:] == (2, 5)
    assert writer.claim(1)[1:] == (ALL, ALL)
    assert slots.claim(1).resource != writer.claim(1).resource
