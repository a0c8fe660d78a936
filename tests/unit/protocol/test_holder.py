"""The value of a lock says who holds it; the values of others are no error."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.hold.waiter import (
    told_waiters,
)
from consul_lock._protocol.holder import OwnerInfo, merged_meta, parse_holder
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import ConfigError


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


@pytest.mark.parametrize("since", ["NaN", "Infinity", "1e300", "-1", "253402300800"])
def test_a_time_that_no_calendar_has_is_unknown(since: str) -> None:
    """The rest of what a value says counts all the same."""
    holder = parse_holder("s", f'{{"host": "h", "pid": 7, "since": {since}}}')
    assert (holder.host, holder.pid, holder.since) == ("h", 7, 0.0)


@given(st.binary(max_size=40))
def test_whatever_others_write_is_no_error(value: bytes) -> None:
    """Other tools write what they like; then only the session is known."""
    assert parse_holder("s", value).session == "s"
    assert told_waiters(Pair("k", value, 0, "s", 1, 2)).sign == 0


def test_one_who_leads_or_wants_to_is_a_candidate() -> None:
    """An election always writes a value, an empty one as well; a lock never does."""
    leader = OwnerInfo({"host": "h", "pid": 7}, terms.session_options(), None, None, "")
    assert parse_holder("s", leader.value(12.5), 9).candidate
    assert not parse_holder("s", about(value="job").value(12.5), 9).candidate


@pytest.mark.parametrize("value", ["cron: looking", "cron: running 2026-01-01T00:00:00Z"])
def test_the_holder_of_a_run_lock_is_no_candidate(value: str) -> None:
    """The run lock of a cron job has a value, too: its alerts are those of a lock."""
    run_lock = about(job="backup").valued(value)
    assert not parse_holder("s", run_lock.value(12.5), 9).candidate
    assert not run_lock.holder("s").candidate


def test_a_description_with_something_else_in_it_is_a_new_one() -> None:
    """Other metadata, or another value; what others see of it is the holder that they read."""
    first = about(job="backup")
    other = first.saying({"job": "restore"}).valued("v1")
    assert (first.meta, other.meta) == ({"job": "backup"}, {"job": "restore"})
    assert other.holder("s") == replace(parse_holder("s", other.value(0.0)), since=0.0)
    with pytest.raises(ConfigError):
        first.saying({"job": "x" * 3000})


def test_metadata_of_several_sources_is_merged() -> None:
    """The last one counts most; functions are asked only when it is wanted now."""
    asked: list[int] = []

    def ask() -> dict[str, str]:
        asked.append(1)
        return {"b": "asked", "c": "asked"}

    assert merged_meta(None, None, asks=True) is None
    assert merged_meta({"a": "1", "b": "1"}, ask, asks=False) == {"a": "1", "b": "1"}
    assert asked == []
    assert merged_meta({"a": "1", "b": "1"}, ask, {"c": "own"}, asks=True) == {
        "a": "1",
        "b": "asked",
        "c": "own",
    }
