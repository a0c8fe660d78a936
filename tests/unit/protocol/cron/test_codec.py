"""The record of a cron job as JSON: read back as it was written, and nothing else taken for one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consul_lock._protocol.consul.models import Pair, base64_text
from consul_lock._protocol.cron import codec as cron_json
from consul_lock._protocol.cron import slot as slots
from consul_lock._protocol.cron.health import cron_health
from consul_lock._protocol.cron.record import (
    EXTRA_MAX,
    SKIPS_MAX,
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
from consul_lock.limits import CRON_TEXT_MAX, HISTORY_MAX, SCHEDULE_MAX, SLOT_ID_MAX

NAME = "jobs/nightly"

_TEXT = st.text(max_size=20)
_TIMES = st.floats(0, 4 * 10**9)
_MAYBE_TIMES = st.none() | _TIMES
_SLOTS: st.SearchStrategy[Slot] = st.integers(0, 4 * 10**9).map(slots.slot_at) | (
    st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20).map(slots.slot_of_id)
)


def _past(slot: Slot, attempt: int, state: CronState, host: str, at: float) -> CronPast:
    return CronPast(slot.label, slot.epoch, attempt, state, host, "claim", at, 1.5, 0)


def _with_schedule(
    run: CronPast, every: float | None, offset: float, schedule: str, following: float | None
) -> CronPast:
    return run._replace(
        every=every, offset=offset, schedule=schedule, next_slot=following, gap=len(schedule)
    )


_HISTORY = st.lists(
    st.builds(
        _with_schedule,
        st.builds(_past, _SLOTS, st.integers(0, 9), st.sampled_from(CronState), _TEXT, _TIMES),
        _MAYBE_TIMES, _TIMES, _TEXT, _MAYBE_TIMES,
    ),
    max_size=3,
).map(tuple)  # fmt: skip


def _skip(slot: Slot, following: float | None) -> CronSkip:
    return CronSkip(*slot, "overlap", following)


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
        skipped=draw(st.lists(st.builds(_skip, _SLOTS, _MAYBE_TIMES), max_size=2).map(tuple)),
        next_slot=draw(_MAYBE_TIMES),
        gap=draw(st.integers(0, 2**60)),
        last_success=draw(_MAYBE_TIMES),
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


ADDED = ("skipped", "next_slot", "gap", "last_success")
"""What older versions do not write."""

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
    if data.draw(st.booleans()) and what not in ADDED:
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


# As 0.1 wrote it, after two runs, a pause in which a third was due, and a fourth.
_OLD = (
    b'{"v":1,"slot":14400,"state":"done","attempt":1,'
    b'"claim":"host4:1:800000000000800000000000","host":"host4","pid":1,'
    b'"session":"9b08923d-10c6-7fd9-94b2-b8fda02f34a6","token":28,"schedule":"",'
    b'"overlaps":0,"overlapped":"","offset":0.0,"every":3600.0,"claimed_at":1600000061.0,'
    b'"started_at":1600000061.0,"finished_at":1600000061.0,"runtime":0.0,"exit":null,'
    b'"paused":{"by":"ann@adm","at":1600000000.0,"until":1600000060.0,"reason":"deploy"},'
    b'"changed":{"what":"paused","by":"ann@adm","at":1600000000.0},"skipped":[{"slot":10800,'
    b'"why":"paused"}],"history":[{"slot":3600,"attempt":1,"state":"done","host":"host1",'
    b'"claim":"host1:1:800000000000800000000000","claimed_at":1600000000.0,"runtime":0.0,'
    b'"exit":null},{"slot":7200,"attempt":1,"state":"failed","host":"host2",'
    b'"claim":"host2:1:800000000000800000000000","claimed_at":1600000000.0,"runtime":0.0,'
    b'"exit":null}]}'
)


def test_a_record_of_an_older_version_is_read_and_what_it_lacks_is_not_known() -> None:
    """Its runs do not say how their hosts counted, and no slot is said to follow."""
    old = cron_json.decode_record(pair(_OLD), NAME)
    assert (old.slot, old.state, old.every) == ("1970-01-01T04:00:00Z", CronState.DONE, 3600.0)
    assert (old.next_slot, old.gap, old.last_success) == (None, 0, None)
    assert [(run.every, run.schedule, run.next_slot, run.gap) for run in old.history] == [
        (None, "", None, 0)
    ] * 2
    assert old.skipped[0] == CronSkip("1970-01-01T03:00:00Z", 10800.0, "paused", None)
    health = cron_health(replace(old, paused=None), 14400.0 + 2.5 * 3600)
    assert (health.next_slot, health.failures, health.missed) == (18000.0, 0, 1)
    assert health.last_success == 1600000061.0
    # What is written again is the same, with what was added.
    again = json.loads(cron_json.encode_record(old))
    assert {what: again[what] for what in again if what not in ADDED[1:]} == json.loads(_OLD)


def test_what_was_added_takes_no_room_where_there_is_none() -> None:
    """In each of hundreds of runs; and a time is a whole number, as a slot is."""
    run = _past(slots.slot_at(3600), 1, CronState.DONE, "h", 5.0)
    nightly = run._replace(schedule="0 2 * * * UTC", next_slot=90000.0)
    stored = json.loads(
        cron_json.encode_record(CronRecord("n", history=(run, nightly), next_slot=7200.0))
    )
    assert stored["next_slot"] == 7200
    (first, second) = stored["history"]
    assert {what: first[what] for what in first if what not in second} == {
        "schedule": "0 2 * * * UTC", "next_slot": 90000,
    }  # fmt: skip
    assert b"90000," not in cron_json.encode_record(CronRecord("n", history=(run,)))


@pytest.mark.parametrize("following", [-1, 1e15, "a", True])
def test_a_next_slot_that_no_calendar_has_is_a_conflict(following: Any) -> None:
    """In the record, in a run or in a skipped slot: what reads it need not ask."""
    odd = {"slot": 3600, "next_slot": following}
    past = {**good()["history"][0], **odd}
    for more in ({"next_slot": following}, {"history": [past]},
                 {"skipped": [{"why": "paused", **odd}]}):  # fmt: skip
        with pytest.raises(Conflict, match="damaged"):
            cron_json.decode_record(pair({**good(), **more}), NAME)


def test_the_largest_record_fits_into_consul() -> None:
    """With all that is remembered at its limit, in base64 as it is sent: 512 KiB at most."""
    host, claim = "h" * 64, "h" * 64 + ":4194304:" + "0" * 24
    run = CronPast(
        slots.slot_at(4e9 + 0.001).label, 4e9 + 0.001, 100, CronState.TIMEOUT, host, claim,
        1795280400.123456, 123456.789, -(2**63 - 1), None, 0.0, "*" * SCHEDULE_MAX, 4e9 + 0.002,
        2**62,
    )  # fmt: skip
    by_id = run._replace(slot="\u00e9" * (SLOT_ID_MAX // 2), epoch=None, schedule="")
    skip = CronSkip(by_id.slot, None, "overlap", 4e9 + 0.001)
    text = "\u00e9" * (CRON_TEXT_MAX // 2)
    for each in (run, by_id):
        full = CronRecord(
            "n", each.slot, each.epoch, claim, host=host, schedule="*" * SCHEDULE_MAX,
            overlapped=by_id.slot, paused=CronPause(text, 1e9, 2e9, text),
            changed=CronChange("paused", text, 1e9), skipped=(skip,) * SKIPS_MAX,
            history=(each,) * HISTORY_MAX + (each,) * EXTRA_MAX,
        )  # fmt: skip
        assert len(base64_text(cron_json.encode_record(full))) < 512 * 1024
