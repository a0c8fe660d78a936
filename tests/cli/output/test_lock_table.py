"""Tables and descriptions of locks: aligned, in colours where they are wanted, and harmless."""

from __future__ import annotations

import io
import sys

import click
import pytest

from consul_lock import Leftover, SessionStatus, Status
from consul_lock_cli.output.lock_table import (
    HEAD,
    describe,
    holder_table,
    leftover_table,
    status_row,
    table,
    wants_color,
)
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


class _Stdout(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    "choice, terminal, environ, wanted",
    [
        ("auto", True, {"TERM": "xterm"}, True),
        ("auto", True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ("auto", True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", True, {}, False),
        ("auto", False, {"TERM": "xterm"}, False),
        ("auto", None, {"TERM": "xterm"}, False),
        ("always", False, {"TERM": "dumb", "NO_COLOR": "1"}, True),
        ("never", True, {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
    terminal: bool | None,
    environ: dict[str, str],
    wanted: bool,
) -> None:
    """Not in a pipe, nor in a stdout that is closed (None), unless they are asked for."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", None if terminal is None else _Stdout(terminal))
    assert wants_color(choice) is wanted


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Wide characters take two; nothing is behind the last cell of a line."""
    wide = "\u30ed\u30c3\u30af"
    text = click.unstyle(table(("A", "B", "C"), [("xxxx", wide, ""), ("", "y", "z")]))
    assert text.split("\n") == ["A     B       C", f"xxxx  {wide}", "      y       z"]


@pytest.mark.parametrize(
    "cell, color",
    [
        ("held", "yellow"),
        ("free", "green"),
        ("FAILED 3", "red"),
        ("critical", "red"),
        ("passing", "green"),
        ("nonsense", None),
    ],
)
def test_a_state_has_its_colour_by_its_first_word(cell: str, color: str | None) -> None:
    """In the one column that has them; the heads are bold."""
    head, row = table(("KEY", "STATE"), [("free", cell)], 1).split("\n")
    assert head == click.style("KEY   STATE".ljust(6 + max(5, len(cell))).rstrip(), bold=True)
    assert row == f"free  {click.style(cell, fg=color)}"


@pytest.mark.parametrize(
    "seen, cell, since",
    [
        (status(holder(command="make all")), 'web3:4242 root "make all"', "3m12s"),
        (status(holder(user="")), "web3:4242", "3m12s"),
        (status(foreign_holder()), "session 01234567-8...", "-"),
        (
            status(*(holder(f"web{n}") for n in range(6)), kind="semaphore", limit=6),
            "web0:4242 web1:4242 web2:4242 web3:4242 and 2 more",
            "3m12s",
        ),
        (status(), "-", "-"),
        (status(last_break=note()), "(broken by ann@adm 41s ago: stuck)", "-"),
        (status(last_holder=holder()), "(its last holder web3 pid 4242 died or lost it)", "-"),
        (foreign_value(b"hello"), 'value "hello", flags 5', "-"),
    ],
)
def test_a_row_says_who_holds_it_or_why_nobody_does(seen: Status, cell: str, since: str) -> None:
    """Four of many are named."""
    row = dict(zip(HEAD, status_row(seen, NOW), strict=True))
    assert (row["KEY"], row["HOLDER"], row["SINCE"], row["WAITERS"]) == ("deploy", cell, since, "0")


def _described(seen: Status) -> list[str]:
    return click.unstyle(describe(seen, NOW)).split("\n")


@pytest.mark.parametrize(
    "seen, title",
    [
        (status(), "free (lock)"),
        (status(kind="none"), "free (nothing is there)"),
        (status(holder(), kind="semaphore", limit=3), "held (semaphore, 1 of 3)"),
        (status(kind="semaphore", limit=None), "free (semaphore, 0 of no limit yet)"),
        (
            status(holder(), kind="read-write", mode="read", tree=False),
            "held (read/write lock, read)",
        ),
        (status(holder(), kind="read-write", mode="write", tree=True), "held (tree lock)"),
        (
            status(holder(), kind="read-write", mode="read", tree=True),
            "held (tree lock on a name below it)",
        ),
        (
            status(holder(), kind="read-write", mode="write"),
            "held (tree or read/write lock, write)",
        ),
        (status(kind="read-write"), "free (tree or read/write lock)"),
        (foreign_value(b""), "foreign (no lock)"),
        (
            status(last_holder=holder()),
            "free (lock); its last holder web3 pid 4242 died or lost it",
        ),
    ],
)
def test_a_description_begins_with_state_and_kind(seen: Status, title: str) -> None:
    """In words."""
    assert _described(seen)[0] == f"deploy: {title}"


_WHO = "web3 pid 4242 (root), since 2026-11-21 17:00:03Z, 3m12s"


def test_a_description_has_all_that_is_known() -> None:
    """Holders with what they say of themselves, waiters in their order, the last break."""
    seen = status(
        holder(command="make", meta={"b": "2", "a": "1"}, value="http://10.0.0.7"),
        holder(confirmed=False, session="gone", token=None),
        waiters=(holder("web4", token=None), holder("web5", token=None)),
        vanished=("gone",),
        last_break=note(),
    )
    _, *lines = _described(seen)
    assert lines == [
        f"  holder     {_WHO}",
        f"             session {SESSION} token 7",
        "             command make",
        "             meta a=1 b=2",
        "             value http://10.0.0.7",
        f"  holder     handed over to {_WHO}, not confirmed; VANISHED: its session is gone",
        "             session gone",
        f"  waiter 1   {_WHO.replace('web3', 'web4')}",
        f"  waiter 2   {_WHO.replace('web3', 'web5')}",
        "  last break by ann@adm 41s ago: stuck",
        f"             session {SESSION}",
    ]


def test_a_description_says_what_is_known_of_the_dead_and_of_the_foreign() -> None:
    """The last holder of a free lock; a value that is none; a client that says nothing."""
    _, died, delay = _described(status(last_holder=holder()))
    assert died == f"  last       {_WHO}"
    assert "its lock-delay may still run" in delay
    _, value, problem = _described(foreign_value(b"hello"))
    assert (value, problem) == ('  value      "hello", flags 5', "  problem    not a lock")
    _, _, token, text = _described(status(foreign_holder()))
    assert (token.strip(), text.strip()) == ("token 7", "value hello")


def test_holders_are_shown_with_their_sessions() -> None:
    """Alive; ended; and one that the token may not see, which is not the same."""
    alive = SessionStatus(
        SESSION, "consul-lock", "node-1", 10.0, 30.0, "release", (), (), {"a": "passing"}
    )
    seen = status(
        holder(command="backup --all"),
        holder("web4", session="gone", user="", token=None),
        foreign_holder("hidden"),
        vanished=("gone",),
    )
    head, *rows = click.unstyle(holder_table(seen, {SESSION: alive})).split("\n")
    assert head.split("  ")[-1] == "TTL + DELAY"
    assert [row.split() for row in rows] == [
        ["web3:4242", "root", "3m12s", "7", "passing", "10s", "+", "30s"],
        ["session", f"{SESSION},", "node", "node-1"],
        ["command", "backup", "--all"],
        ["web4:4242", "-", "3m12s", "-", "session", "gone", "-"],
        ["session", "gone"],
        ["-", "-", "-", "7", "unknown", "-"],
        ["session", "hidden"],
    ]


def test_holders_fit_80_columns() -> None:
    """With long names, and with the longest of all else."""
    long = "a-rather-long-name-of-a-host.example.com"
    there = SessionStatus(
        SESSION, "lock", long, 86400.0, 60.0, "release", (), (), {"a": "critical"}
    )
    seen = status(
        holder(
            long,
            pid=4194304,
            user=long,
            token=12345678,
            since=NOW - 100000,
            session=SESSION,
            command=long * 5,
        ),
        holder(session="gone", token=12345678),
        vanished=("gone",),
    )
    lines = click.unstyle(holder_table(seen, {SESSION: there})).split("\n")
    assert max(map(len, lines)) <= 80
    assert ":4194304 " in lines[1]


def test_leftovers_are_shown_with_whose_they_were() -> None:
    """If that is known."""
    found = [
        Leftover("deploy", "deploy/.lock", "lock", holder(), 7),
        Leftover("deploy", "deploy/.queue", "sign", None, 0),
    ]
    _, *rows = leftover_table(found).split("\n")
    assert [row.split("  ") for row in rows] == [
        ["deploy/.lock", " lock", "web3 pid 4242"],
        ["deploy/.queue", "sign", "-"],
    ]


def test_nothing_that_others_write_moves_the_cursor() -> None:
    """In no field of a holder, a session, a break or a value."""
    odd = holder(ESCAPES, user=ESCAPES, command=ESCAPES, meta={ESCAPES: ESCAPES}, value=ESCAPES)
    session = SessionStatus(SESSION, ESCAPES, ESCAPES, 10.0, 30.0, "release", (), ())
    broken = note(host=ESCAPES, user=ESCAPES, reason=ESCAPES)
    seen = status(odd, foreign_holder(ESCAPES), waiters=(odd,), last_break=broken)
    free = Status(ESCAPES, "k", "lock", "free", last_holder=odd)
    bad = Status(ESCAPES, "k", "foreign", "unknown", value=ESCAPES.encode(), problem=ESCAPES)
    texts = [describe(each, NOW) for each in (seen, free, bad)]
    texts += [table(HEAD, [status_row(each, NOW) for each in (seen, free, bad)])]
    texts += [holder_table(seen, {SESSION: session})]
    texts += [leftover_table([Leftover("n", ESCAPES, "lock", odd, 7)])]
    for text in map(click.unstyle, texts):
        assert text.replace("\n", "").isprintable(), text
        assert r"\x1b[2J" in text
