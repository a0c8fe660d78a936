"""Who holds a lock, in words: as much as is known of it, and nothing that moves the cursor."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock import Holder, Status
from consul_lock_cli.output import holder_text
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


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)


_TWO = (holder(), holder("web4"))


@pytest.mark.parametrize(
    "seen, text",
    [
        (status(), "lock"),
        (status(*_TWO, kind="semaphore", limit=3), "sem 2/3"),
        (status(kind="semaphore", limit=None), "sem 0/?"),
        (status(kind="read-write"), "rw"),
        (status(holder(), kind="read-write", mode="write"), "write"),
        (status(holder(), kind="read-write", mode="read"), "read"),
        (status(*_TWO, kind="read-write", mode="read"), "read 2"),
        (status(holder(), kind="read-write", mode="read", tree=True), "tree"),
        (status(kind="none"), "-"),
        (foreign_value(b"x"), "-"),
    ],
)
def test_how_it_is_held(seen: Status, text: str) -> None:
    """Each kind in one or two words, with a number where there may be several."""
    assert holder_text.mode(seen) == text


def test_a_value_that_is_no_lock_is_a_state_of_its_own() -> None:
    """Its state is not known; that it is foreign is."""
    assert holder_text.state(foreign_value(b"x")) == "foreign"
    assert holder_text.state(status(holder())) == "held"


@pytest.mark.parametrize(
    "value, text",
    [
        (b"hello", '"hello", flags 5'),
        (b"0123456789ab", '"0123456..." (12 bytes), flags 5'),
        (b"\x1b[2J", r'"\x1b[2J", flags 5'),
        (b"\xff", r'"\xff", flags 5'),
    ],
)
def test_a_foreign_value_is_cut_and_its_size_is_shown(value: bytes, text: str) -> None:
    """Also one that is no text."""
    assert holder_text.foreign(foreign_value(value), 10) == f"value {text}"


@pytest.mark.parametrize(
    "more, text",
    [
        ({}, "by ann@adm 41s ago: stuck"),
        ({"reason": ""}, "by ann@adm 41s ago"),
        ({"at": 0.0}, "by ann@adm: stuck"),
        ({"at": NOW + 5}, "by ann@adm 0s ago: stuck"),
    ],
)
def test_the_author_time_and_reason_of_a_break(more: dict[str, Any], text: str) -> None:
    """A clock that is ahead is not the future."""
    assert holder_text.broken_by(note(**more), NOW, 100) == text


@pytest.mark.parametrize(
    "since, text",
    [(NOW - 192.4, "3m12s"), (NOW, "0s"), (NOW + 9, "0s"), (0.0, "-"), (1e300, "-")],
)
def test_for_how_long(since: float, text: str) -> None:
    """By two clocks; a time that no calendar has is not known."""
    assert holder_text.age(holder(since=since), NOW) == text


_WHEN = "since 2026-11-21 17:00:03Z, 3m12s"
_SHORT = "session 01234567-8..."


@pytest.mark.parametrize(
    "by, full, short, line",
    [
        (holder(), "web3 pid 4242", "web3:4242", f"web3 pid 4242 (root), {_WHEN}"),
        (holder(user=""), "web3 pid 4242", "web3:4242", f"web3 pid 4242, {_WHEN}"),
        (holder(since=0.0), "web3 pid 4242", "web3:4242", "web3 pid 4242 (root)"),
        (
            foreign_holder(),
            f"session {SESSION}",
            _SHORT,
            f"session {SESSION} (a client that says nothing of itself)",
        ),
    ],
)
def test_which_process_it_is(by: Holder, full: str, short: str, line: str) -> None:
    """For a sentence, for a cell, and with all that it says of itself."""
    assert holder_text.identity(by) == full
    assert holder_text.short_identity(by) == short
    assert holder_text.who(by, NOW) == line


_OTHERS = [holder(f"web{n}", user="", since=0.0) for n in range(5)]


@pytest.mark.parametrize(
    "holders, full, brief, very",
    [
        (
            [],
            "free, but in lock-delay or freed just now",
            "free, but in lock-delay",
            "in lock-delay",
        ),
        (
            [holder()],
            f"held by web3 pid 4242 (root, {_WHEN})",
            "held by web3 pid 4242 (root) for 3m12s",
            "3m12s web3:4242",
        ),
        (
            [foreign_holder()],
            f"held by session {SESSION}",
            f"held by session {SESSION}",
            SESSION,
        ),
        (
            [holder(user="", since=0.0)],
            "held by web3 pid 4242",
            "held by web3 pid 4242",
            "web3:4242",
        ),
        (
            [holder(since=0.0)],
            "held by web3 pid 4242 (root)",
            "held by web3 pid 4242 (root)",
            "web3:4242",
        ),
        (
            _OTHERS,
            "held by 5: web0 pid 4242, web1 pid 4242, web2 pid 4242 and 2 more",
            "held by web0 pid 4242 and 4 more",
            "web0:4242",
        ),
    ],
)
def test_by_whom_it_is_held(holders: list[Holder], full: str, brief: str, very: str) -> None:
    """At three lengths; what is not known is left out."""
    assert holder_text.held_by(holders) == full
    assert holder_text.briefly(holders) == brief
    assert holder_text.shortly(holders) == very


def test_nothing_that_others_write_moves_the_cursor() -> None:
    """Hosts, users, reasons and values are written by anybody."""
    odd = holder(ESCAPES, user=ESCAPES, command=ESCAPES)
    said = [
        holder_text.held_by([odd]),
        holder_text.briefly([odd]),
        holder_text.shortly([odd]),
        holder_text.who(odd, NOW),
        holder_text.short_identity(odd),
        holder_text.short_identity(foreign_holder(ESCAPES)),
        holder_text.broken_by(note(host=ESCAPES, user=ESCAPES, reason=ESCAPES), NOW, 100),
        holder_text.foreign(foreign_value(ESCAPES.encode()), 100),
    ]
    for text in said:
        assert text.isprintable(), text
        assert r"\x1b" in text


def test_of_a_tree_lock_without_a_holder_one_above_it_may_be_held() -> None:
    """Its holder is not shown at the node below."""
    wanted = "below a tree lock that is held, or in lock-delay"
    assert holder_text.held_by([], tree=True) == wanted
    assert holder_text.briefly([], tree=True) == wanted
    assert holder_text.held_by([holder()], tree=True) == holder_text.held_by([holder()])
