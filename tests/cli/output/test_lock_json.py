"""JSON about locks: the fields of docs/json.md, no more and no less; null is not known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consul_lock import Change, Leftover, SessionStatus, Status
from consul_lock_cli.output import lock_json
from tests.cli.output.examples import (
    ESCAPES,
    NOW,
    SESSION,
    foreign_holder,
    foreign_value,
    holder,
    note,
    status,
)
from tests.cli.output.json_page import BEHIND, BROKEN, FIELDS, HOLDER, LOCK


def test_templates_know_the_fields_of_the_page() -> None:
    """One list of names for --json, for --format and for people."""
    assert set(lock_json.STATUS) == LOCK
    assert set(lock_json.HOLDER) == HOLDER
    assert set(lock_json.BREAK) == FIELDS["break"]
    assert set(lock_json.SESSION) == FIELDS["session"]
    assert set(lock_json.BROKEN) == BROKEN
    assert set(lock_json.CLEANED) == FIELDS["leftover"]
    assert {"v", *lock_json.EVENT} == FIELDS["event"]


_DEAD = status(holder(session="gone"), vanished=("gone",), last_break=note())


@pytest.mark.parametrize(
    "seen",
    [
        status(),
        status(holder(), kind="semaphore", waiters=(holder(token=None),)),
        status(last_holder=holder()),
        status(foreign_holder()),
        foreign_value(b"hello"),
        _DEAD,
    ],
)
def test_every_lock_has_the_documented_fields(seen: Status) -> None:
    """Held, free, dead, foreign: always all of them, in the holders and waiters, too."""
    item = lock_json.status_item(seen)
    assert set(item) == LOCK
    inside = [*item["holders"], *item["waiters"], *filter(None, [item["last_holder"]])]
    assert all(set(each) == HOLDER for each in inside)
    assert item["last_break"] is None or set(item["last_break"]) == FIELDS["break"]


def test_unknown_fields_of_a_holder_are_null() -> None:
    """Not an empty text, nor 0, which could be taken for a value."""
    item = lock_json.holder_item(foreign_holder())
    assert {name for name, value in item.items() if value is None} == {
        "host", "pid", "user", "command", "since", "since_epoch",
    }  # fmt: skip
    known = lock_json.holder_item(holder(command="make", meta={"a": "b"}, value="v"))
    assert None not in known.values()
    assert (known["since"], known["since_epoch"]) == ("2026-11-21T17:00:03.000Z", NOW - 192)


@pytest.mark.parametrize("since", [0.0, 1e300, -1e300, float("nan"), float("inf"), 253402300800])
def test_a_time_that_no_calendar_has_is_null(since: float) -> None:
    """Anybody can write anything into a lock's value; NaN is not even JSON."""
    item = lock_json.holder_item(holder(since=since))
    assert item["since"] is item["since_epoch"] is None
    assert lock_json.moment(since) is None
    broken = lock_json.break_item(note(at=since))
    assert broken is not None
    assert broken["at"] is broken["at_epoch"] is None


def test_dead_holders_are_marked() -> None:
    """In its slot still; as the last holder without a session; among what is left."""
    assert [each["vanished"] for each in lock_json.status_item(_DEAD)["holders"]] == [True]
    last = lock_json.last_item(holder())
    assert last is not None
    assert (last["vanished"], last["session"], last["pid"]) == (True, None, 4242)
    assert lock_json.last_item(None) is None
    left = lock_json.cleaned_item(Leftover("n", "n/.lock", "lock", holder(session=""), 0), None)
    assert set(left) == FIELDS["leftover"]
    assert (left["holder"]["vanished"], left["holder"]["session"], left["index"]) == (
        True,
        None,
        None,
    )
    nobody = lock_json.cleaned_item(Leftover("n", "n/.queue", "sign", None, 7), "deleted")
    assert (nobody["holder"], nobody["index"], nobody["outcome"]) == (None, 7, "deleted")


@pytest.mark.parametrize(
    "value, text", [(b"x" * 300, "x" * 256), ("ü".encode(), "ü"), (b"a\xff", r"a\xff")]
)
def test_a_foreign_value_is_cut_and_its_size_is_whole(value: bytes, text: str) -> None:
    """Bytes that are not text are escaped; a lock has no such value."""
    item = lock_json.status_item(foreign_value(value))
    assert (item["value"], item["size"]) == (text, len(value))
    lock = lock_json.status_item(status(holder()))
    assert (lock["value"], lock["size"], lock["problem"]) == (None, None, None)


def test_a_session_is_alive_dead_or_not_to_be_seen() -> None:
    """A token that may not see it is no proof that it has ended."""
    checks = {"serfHealth": "passing", "disk": "warning"}
    seen = SessionStatus(SESSION, "s", "node-1", 0.0, 30.0, "release", ("serfHealth",), (), checks)
    alive = lock_json.session_item(seen, vanished=False)
    assert {*alive, *lock_json.HOLDER} == BEHIND
    assert (alive["alive"], alive["ttl"], alive["node_health"]) == (True, None, "warning")
    for vanished, known in ((True, False), (False, None)):
        item = lock_json.session_item(None, vanished)
        assert set(item) == FIELDS["session"]
        assert item.pop("alive") is known
        assert set(item.values()) == {None}


def test_an_event_is_about_its_own_holder() -> None:
    """Not about the one that holds the lock by then; and the time is when it was seen."""
    gone = holder(session="gone")
    item = lock_json.event_item(Change("lost", gone, _DEAD), NOW)
    assert {"v", *item} == FIELDS["event"]
    assert set(item["holder"]) == HOLDER
    assert (item["holder"]["vanished"], item["last_break"]["session"]) == (True, SESSION)
    assert (item["event"], item["at"]) == ("lost", "2026-11-21T17:03:15.000Z")


@pytest.mark.parametrize(
    "text, document",
    [
        (lock_json.document([{"a": 1}]), {"v": 1, "items": [{"a": 1}]}),
        (lock_json.line({"a": 1}), {"v": 1, "a": 1}),
        (lock_json.error(69, "no"), {"v": 1, "items": [], "error": {"code": 69, "message": "no"}}),
    ],
)
def test_documents_lines_and_errors(text: str, document: dict[str, Any]) -> None:
    """Each on one line, with the version of the description."""
    assert "\n" not in text
    assert json.loads(text) == document
    assert set(document.get("error", {})) <= FIELDS["error"]


def test_all_of_it_is_ascii() -> None:
    """So that nothing moves the cursor, whatever others write."""
    odd = holder(ESCAPES, user=ESCAPES, command=ESCAPES, meta={ESCAPES: "ü"}, value=ESCAPES)
    text = lock_json.line(lock_json.status_item(status(odd, last_break=note(reason=ESCAPES))))
    assert text.isascii()
    assert text.isprintable()
