"""The record of a cron job as JSON: read back as it was written, and nothing else taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.cron import codec as cron_json
from consul_lock._protocol.cron import slot as slots
from consul_lock._protocol.cron.record import (
    CronChange,
    CronPast,
    CronPause,
    CronRecord,
    CronSkip,
    CronState,
)
from consul_lock._protocol.cron.slot import Slot
from consul_lock._protocol.keys import CRON_FLAG
from consul_lock.errors import Conflict

NAME = "jobs/nightly"

_TEXT = st.text(max_size=20)
_TIMES = st.floats(0, 4 * 10**9)
_MAYBE_TIMES = st.none() | _TIMES
_SLOTS: st.SearchStrategy[Slot] = st.integers(0, 4 * 10**9).map(slots.slot_at) | (
    st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20).map(slots.slot_of_id)
)


def _past(slot: Slot, attempt: int, state: CronState, host: str, at: float) -> CronPast:
    return CronPast(slot.label, slot.epoch, attempt, state, host, "claim", at, 1.5, 0)


_HISTORY = st.lists(
    st.builds(_past, _SLOTS, st.integers(0, 9), st.sampled_from(CronState), _TEXT, _TIMES),
    max_size=3,
).map(tuple)


@st.composite
def records(draw: st.DrawFn) -> CronRecord:
    slot = draw(st.just(Slot("", None)) | _SLOTS)
    return CronRecord(
        NAME,
        slot.label,
        slot.epoch,
        draw(_TEXT),
        draw(st.integers(0, 100)),
        draw(st.sampled_from(CronState)),
        draw(_TEXT),
        draw(st.integers(0, 2**31)),
        draw(_TEXT),
        draw(st.integers(0, 2**60)),
        draw(_MAYBE_TIMES),
        draw(_TIMES),
        draw(_TEXT),
        draw(_TIMES),
        draw(_MAYBE_TIMES),
        draw(_MAYBE_TIMES),
        draw(st.none() | st.integers(-1, 255)),
        draw(_MAYBE_TIMES),
        draw(st.integers(0, 10**6)),
        draw(_TEXT),
        draw(st.none() | st.builds(CronPause, _TEXT, _TIMES, _MAYBE_TIMES, _TEXT)),
        draw(_HISTORY),
        draw(st.none() | st.builds(CronChange, _TEXT, _TEXT, _TIMES)),
    )


def pair(value: Any, flags: int = CRON_FLAG) -> Pair:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Pair(f"{NAME}/.cron", text, flags, "", 3, 7)


def good() -> dict[str, Any]:
    """A record that can be read, to be damaged."""
    past = _past(slots.slot_at(3600), 1, CronState.DONE, "h", 5.0)
    paused, changed = CronPause("me", 1.0, None, "why"), CronChange("paused", "me", 1.0)
    record = CronRecord(
        NAME, *slots.slot_at(7200), "c", 1, history=(past,), paused=paused, changed=changed
    )
    found: dict[str, Any] = json.loads(cron_json.encode_record(record))
    return found


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["v", *good()]), inner),
)


@given(records())
def test_a_record_is_read_as_it_was_written(record: CronRecord) -> None:
    """Whatever is in it; the index is that of the key."""
    read = cron_json.decode_record(pair(cron_json.encode_record(record)), NAME)
    assert read == CronRecord(**{**vars(record), "index": 7})


@given(_JSON)
def test_garbage_is_a_conflict_and_nothing_worse(value: Any) -> None:
    """Any JSON at all."""
    with pytest.raises(Conflict):
        cron_json.decode_record(pair(value), NAME)


@given(st.sampled_from(sorted(good())), st.data())
def test_a_damaged_record_is_a_conflict(what: str, data: st.DataObject) -> None:
    """Each part of it in turn is missing, or of another kind."""
    document = good()
    if data.draw(st.booleans()) and what != "skipped":
        del document[what]
    else:
        document[what] = data.draw(st.sampled_from([[], {}, True, [5], {"a": 1}, 1e999, 10**400]))
        if what in ("history", "skipped") and document[what] == []:
            return
    with pytest.raises(Conflict, match=r"left as it is"):
        cron_json.decode_record(pair(document), NAME)


@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"[" * 100_000, b"hello"])
def test_a_value_that_is_not_json_is_a_conflict(value: bytes) -> None:
    """Bytes that somebody put there."""
    with pytest.raises(Conflict, match="no cron record"):
        cron_json.decode_record(pair(value), NAME)


def test_a_record_of_a_newer_version_says_what_to_do() -> None:
    """Whatever else is in it, as nobody can know."""
    with pytest.raises(Conflict, match=r"version 2, written by a newer consul-lock.*upgrade"):
        cron_json.decode_record(pair({"v": 2, "slots": []}), NAME)


def test_flags_of_others_are_named() -> None:
    """Whatever the value looks like."""
    with pytest.raises(Conflict, match="flags 0") as raised:
        cron_json.decode_record(pair(good(), flags=0), NAME)
    assert raised.value.flags == 0


def test_skipped_slots_are_kept_and_a_record_without_them_is_one() -> None:
    """Versions before they were recorded wrote none."""
    skips = (CronSkip("b", None, "paused"), CronSkip("a", None, "overlap"))
    stored = cron_json.encode_record(CronRecord("n", skipped=skips))
    document = json.loads(stored)

    def decoded(value: bytes) -> tuple[CronSkip, ...]:
        return cron_json.decode_record(Pair("n/.cron", value, CRON_FLAG, "", 1, 1), "n").skipped

    assert decoded(stored) == skips
    del document["skipped"]
    assert decoded(json.dumps(document).encode()) == ()
