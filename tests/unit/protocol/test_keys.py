"""Names, terms, values and refusals: what is accepted, and what is understood."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consul_lock._protocol import keys as names
from consul_lock._protocol.arguments import waiting_time
from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.hold.waiter import (
    WaiterEntry,
    WaiterQueue,
    handed_over_value,
    told_waiters,
)
from consul_lock._protocol.holder import VALUE_MAX, OwnerInfo, parse_holder
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import ConfigError


def refused(*errors: tuple[int, str]) -> TxnResult:
    return TxnResult(0.0, 0, (), errors)


def test_refusals_are_read_from_consuls_words() -> None:
    """Newer servers put prefixes before them."""
    prefix = "raft apply failed: "
    delayed = refused((1, prefix + 'failed to lock key "k" due to lock delay'))
    assert delayed.delayed
    assert not delayed.done
    assert not refused((0, 'failed to lock key "k", lock is already held')).delayed
    dead = refused((2, prefix + 'invalid session "abc"'))
    assert dead.invalid("abc")
    assert not dead.invalid("def")
    assert dead.says("invalid session", 2)
    assert not dead.says("invalid session", 0)


def test_the_keys_of_a_name_are_all_below_it() -> None:
    """So that one rule of an ACL covers them."""
    keys = names.keys_of_name("jobs/nightly")
    assert keys == ("jobs/nightly", "jobs/nightly/.lock", "jobs/nightly/.queue")
    assert names.keys_of_key("some/key")[1:] == ("some/key", "some/key/.queue")


def test_the_key_of_a_named_lock_is_that_lock() -> None:
    """Whoever locks ``x/.lock`` as a key waits in the same line as the lock ``x``."""
    assert names.keys_of_key("x/.lock")[1:] == names.keys_of_name("x")[1:]


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", "a/./b", "..", "a\n", "a\x7f", " a", "x" * 513, "ä" * 257, "\udc80"],
)
def test_a_name_that_would_be_changed_on_the_way_is_refused(name: str) -> None:
    """Two names must never mean one lock, nor one name two."""
    with pytest.raises(ConfigError):
        names.keys_of_name(name)


@given(st.floats(10, 600), st.floats(0, 60))
def test_accepted_terms_leave_room_for_a_renewal_to_fail(ttl: float, lock_delay: float) -> None:
    """Two periods and the margin fit into the time that a proof of life lasts."""
    try:
        asked = terms.session_options(ttl, lock_delay)
    except ConfigError:
        assert lock_delay < 0.4 or lock_delay == 0
        return
    assert 2 * terms.renew_interval_of(asked) + terms.safety_margin_of(asked) <= terms.validity_of(
        asked
    )
    assert terms.renew_interval_of(asked) <= ttl / 3


@pytest.mark.parametrize(
    "asked",
    [
        {"ttl": 9.9},
        {"ttl": 86401},
        {"ttl": float("nan")},
        {"ttl": True},
        {"lock_delay": -1},
        {"lock_delay": 61},
        {"lock_delay": 0.2},
        {"checks": "serfHealth"},
        {"checks": [""]},
    ],
)
def test_bad_terms_are_refused(asked: dict[str, Any]) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigError):
        terms.session_options(**asked)


@pytest.mark.parametrize(
    "blocking, timeout, seconds",
    [(True, None, None), (True, -1, None), (True, 0, 0.0), (True, 2, 2.0), (False, None, 0.0)],
)
def test_the_time_to_wait_is_said_as_to_threading_lock(
    blocking: bool, timeout: float | None, seconds: float | None
) -> None:
    """None and -1 wait for ever."""
    assert waiting_time(blocking, timeout) == seconds


def test_what_makes_no_sense_is_no_time_to_wait() -> None:
    """A time without blocking, and a negative one."""
    for blocking, timeout in [(False, 1.0), (True, -2.0), (True, float("nan"))]:
        with pytest.raises(ConfigError):
            waiting_time(blocking, timeout)


def about(**words: str) -> OwnerInfo:
    return OwnerInfo({"host": "h", "pid": 7}, terms.session_options(), words, None)


def test_a_value_says_who_holds_the_lock() -> None:
    """And can be read back."""
    holder = parse_holder("s", about(job="backup").value(12.5), 9)
    assert (holder.host, holder.pid, holder.since, holder.token) == ("h", 7, 12.5, 9)
    assert holder.meta == {"job": "backup"}
    assert not holder.foreign


def test_too_much_metadata_is_refused() -> None:
    """Watching and listing locks stays cheap."""
    with pytest.raises(ConfigError):
        about(job="x" * 2100)
    with pytest.raises(ConfigError):
        OwnerInfo({}, terms.session_options(), {"n": 1}, None)  # type: ignore[dict-item] # the mistake itself


@given(st.binary(max_size=40))
def test_whatever_others_write_is_no_error(value: bytes) -> None:
    """Other tools write what they like; then only the session is known."""
    assert parse_holder("s", value).session == "s"
    assert told_waiters(Pair("k", value, 0, "s", 1, 2)).sign == 0


@given(st.integers(0, 40), st.integers(0, 1500))
def test_what_is_handed_down_is_a_beginning_of_the_line(waiters: int, size: int) -> None:
    """In order, without a gap, and never more than a value may have."""
    word = about(job="x" * size).value(1.0).decode()
    entries = tuple(WaiterEntry(f"session-{n}", word, n, n) for n in range(waiters + 1))
    value = handed_over_value(entries[0], WaiterQueue(entries[1:], 5), 2.0)
    assert len(value) <= VALUE_MAX
    line = told_waiters(Pair("k", value, 0, "session-0", 1, 2))
    sessions = [entry.session for entry in line.entries]
    assert sessions == [entry.session for entry in entries[1 : 1 + len(sessions)]]
    assert json.loads(value)["since"] == 2.0
    assert all(parse_holder(e.session, e.about).host == "h" for e in line.entries)
    if size == 0 and waiters:
        assert sessions
