"""What a read of a lock's key means for one session, and how what is foreign is reported."""

from __future__ import annotations

import pytest

from consul_lock._protocol.consul.models import Pair, ReadResult
from consul_lock._protocol.keys import LOCK_FLAG, READ_WRITE_FLAG, SEMAPHORE_FLAG
from consul_lock._protocol.lock.decision import (
    LockState,
    as_refused,
    decide,
    foreign,
    written_over,
)
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import session_options
from tests.unit.protocol.fake_driver import NAME

KEY = f"{NAME}/.lock"


def found(session: str, index: int, flags: int = LOCK_FLAG) -> ReadResult:
    return ReadResult(0.0, index, (Pair(KEY, b"", flags, session, 1, index),))


@pytest.mark.parametrize(
    "seen, certain, verdict",
    [
        (None, False, LockState.FREE),
        (ReadResult(0.0, 9, ()), False, LockState.FREE),
        (found("", 9), False, LockState.FREE),
        (found("other", 9), False, LockState.TAKEN),
        (found("mine", 9), False, LockState.OURS),
        (found("mine", 5), False, LockState.STALE),
        (found("mine", 5), True, LockState.OURS),
        (found("mine", 9, flags=0), False, LockState.OURS),
        (found("other", 9, flags=0), False, LockState.TAKEN),
        (found("", 9, flags=1), False, LockState.FOREIGN),
    ],
)
def test_the_meaning_of_a_read_of_the_key(
    seen: ReadResult | None, certain: bool, verdict: LockState
) -> None:
    """A read that shows the session, but is no newer than its last write, proves nothing."""
    session = Session("mine", session_options(), None)
    session.mark_alive(0.0, 5)
    assert decide(seen, session, certain=certain) is verdict


@pytest.mark.parametrize(
    "value, shown",
    [
        (b"precious", '"precious"'),
        (b"a\nb\x1b[2J", r'"a\nb\x1b[2J"'),
        (b"\xff", r'"\xff"'),
        (b"x" * 41, f'"{"x" * 40}"... of 41 bytes'),
    ],
)
def test_a_foreign_value_is_quoted_on_one_line(value: bytes, shown: str) -> None:
    """Short, and without anything that a terminal would obey."""
    pair = Pair(KEY, value, 7, "s", 1, 2)
    error = foreign(pair)
    assert f"(value {shown}, flags 7)" in str(error)
    assert (error.key, error.flags) == (KEY, 7)
    assert f"(value {shown}, flags 7) while session s holds it" in written_over(pair)


@pytest.mark.parametrize(
    "flags, value, what, limit",
    [
        (
            SEMAPHORE_FLAG,
            b'{"Limit":2,"Holders":{"a":true}}',
            "semaphore with limit 2, held by 1",
            2,
        ),
        (SEMAPHORE_FLAG, b'{"Limit":2,"Holders":{}}', "semaphore with limit 2", 2),
        (SEMAPHORE_FLAG, b"[]", "semaphore", None),
        (READ_WRITE_FLAG, b'{"Holders":{"a":{},"b":{}}}', "read/write lock, held by 2", None),
    ],
)
def test_another_kind_of_lock_is_named_and_not_called_foreign(
    flags: int, value: bytes, what: str, limit: int | None
) -> None:
    """With its limit, and by how many it is held, as far as its document says so."""
    error = foreign(Pair(KEY, value, flags, "", 1, 2))
    assert error.problem == f"{KEY!r} holds a {what}, not a lock"
    assert (error.kind, error.flags, error.limit) == ("other-kind", flags, limit)


@pytest.mark.parametrize(
    "refusal, session",
    [
        ('failed to check session: key "k" doesn\'t exist', None),
        ('failed session check for key "k": current session "" does not match', ""),
        ('failed session check for key "k": current session "other" does not match', "another"),
    ],
)
def test_a_refused_check_shows_who_holds_the_key(refusal: str, session: str | None) -> None:
    """So that no read is needed to find out why a lock was lost."""
    pair = as_refused(KEY, refusal)
    assert (pair.session if pair else None) == session
