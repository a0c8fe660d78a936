"""Reading and writing the record of a cron job: what a lost answer, a change and a lock mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consul_lock._protocol.client.retry import TRIES_MAX
from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.cron.codec import encode_record
from consul_lock._protocol.cron.record import CronProblem, CronRecord, CronState
from consul_lock._protocol.cron.store import (
    RecordView,
    change_record,
    judged,
    read_record,
    records_below,
    wait_for_news,
)
from consul_lock._protocol.flow import Request
from consul_lock._protocol.keys import CRON_FLAG, LOCK_FLAG
from consul_lock.errors import Conflict, Unavailable
from tests.support.world_operator import operator
from tests.unit.protocol.fake_driver import NAME, FakeDriver, verbs, waits

KEY = f"{NAME}/.cron"
RECORD = CronRecord(NAME, "v1", None, "c", 1, CronState.RUNNING, "h", 7, "alive")


def write(driver: FakeDriver, record: CronRecord = RECORD, key: str = KEY) -> None:
    operator(driver.world, f"/v1/kv/{key}?flags={CRON_FLAG}", body=encode_record(record))


def writing(request: Request) -> bool:
    return "cas" in verbs(request)


def more(found: CronRecord) -> CronRecord:
    return replace(found, overlaps=found.overlaps + 1)


@pytest.mark.parametrize(
    "state, session, owner, crashed",
    [
        (CronState.RUNNING, "s", "s", False),
        (CronState.RUNNING, "s", "other", True),
        (CronState.RUNNING, "s", "", True),
        (CronState.RUNNING, "s", None, True),
        (CronState.CLAIMED, "s", None, True),
        (CronState.RUNNING, "", None, False),  # it had no run lock that could tell
        (CronState.DONE, "s", None, False),
    ],
)
def test_a_run_whose_session_does_not_hold_the_lock_has_crashed(
    state: CronState, session: str, owner: str | None, crashed: bool
) -> None:
    """If it is said to be under way: the lock outlives no process that holds it."""
    lock = None if owner is None else Pair(f"{NAME}/.lock", b"", LOCK_FLAG, owner, 1, 2)
    assert judged(replace(RECORD, state=state, session=session), lock).crashed is crashed


def test_record_and_lock_are_read_at_one_moment() -> None:
    """In one request; else a run that ends in between would look like a crash."""
    driver = FakeDriver()
    client = driver.client()
    assert driver.run(read_record(client, NAME)) == RecordView(None, None)
    write(driver)
    driver.acquire(driver.lock(client))
    driver.sent.clear()
    found = driver.run(read_record(client, NAME))
    assert (found.record.slot, found.record.crashed) == ("v1", True)
    assert found.lock.key == f"{NAME}/.lock"
    assert len(driver.sent) == 1


def test_what_is_no_record_is_a_conflict_unless_it_is_to_be_written_over() -> None:
    """With ``force`` it counts as an empty one, with the index to write over."""
    driver = FakeDriver()
    operator(driver.world, f"/v1/kv/{KEY}", body=b"precious")
    with pytest.raises(Conflict):
        driver.run(read_record(driver.client(), NAME))
    found = driver.run(read_record(driver.client(), NAME, force=True)).record
    assert (found.slot, found.index) == ("", driver.world._server.kv.entries[KEY].modify_index)


def test_the_records_below_a_prefix() -> None:
    """Each by its own key and lock; a damaged one is a problem, and not the end of the list."""
    good = replace(RECORD, name="a/b")
    pairs = [
        Pair("a/b/.cron", encode_record(good), CRON_FLAG, "", 1, 5),
        Pair("a/b/.lock", b"", LOCK_FLAG, "alive", 1, 6),
        Pair("a/bad/.cron", b"?", CRON_FLAG, "", 1, 5),
        Pair("a/b/.lock/x", b"", 0, "", 1, 5),
        Pair("/.cron", b"", CRON_FLAG, "", 1, 5),
    ]
    record, problem = records_below("a/b", pairs)
    assert isinstance(record, CronRecord)
    assert (record.name, record.index, record.crashed) == ("a/b", 5, False)
    assert isinstance(problem, CronProblem)
    assert (problem.name, problem.key) == ("a/bad", "a/bad/.cron")
    assert records_below("a/bad/", pairs) == [problem]
    assert records_below("a/b/.c", pairs) == []


def test_a_change_is_written_over_the_record_that_was_read() -> None:
    """Of one that has changed since the latest is altered; nothing to alter is no write."""
    driver = FakeDriver()
    client = driver.client()
    known = driver.run(change_record(client, CronRecord(NAME), lambda found: RECORD))
    assert known.index == driver.world._server.kv.entries[KEY].modify_index
    driver.run(change_record(client, known, more))
    written = driver.run(change_record(client, known, more))
    assert written.overlaps == 2
    before = driver.world._server.index
    assert driver.run(change_record(client, written, lambda found: None)) is None
    assert driver.world._server.index == before


def test_a_change_whose_answer_was_lost_is_not_made_twice() -> None:
    """The record that is read then is the one that was to be written."""
    driver = FakeDriver()
    client = driver.client()
    write(driver, replace(RECORD, overlaps=1))
    known = driver.run(read_record(client, NAME)).record
    flow = change_record(client, known, more)
    driver.perform(driver.until(flow, writing))
    driver.sent.clear()
    assert driver.run_from(flow, Unavailable("no answer came")).overlaps == 2
    assert not any(map(writing, driver.sent))
    assert driver.run(read_record(client, NAME)).record.overlaps == 2


def test_a_record_that_changes_before_each_write_ends_in_an_error() -> None:
    """After a number of tries; it names the key."""
    driver = FakeDriver()
    client = driver.client()
    write(driver)
    known = driver.run(read_record(client, NAME)).record

    def alter(found: CronRecord) -> CronRecord:
        write(driver, replace(found, overlaps=found.overlaps + 1))
        return replace(found, host="me")

    driver.sent.clear()
    with pytest.raises(Unavailable, match=f"{TRIES_MAX} tries were refused") as caught:
        driver.run(change_record(client, known, alter))
    assert caught.value.key == KEY
    assert sum(map(writing, driver.sent)) == TRIES_MAX


@pytest.mark.parametrize("locked", [True, False])
def test_news_are_waited_for_where_they_show_first(locked: bool) -> None:
    """At the run lock, which changes with the begin and the end of a run, and with its death; only
    a run without one is seen by its record."""
    driver = FakeDriver()
    client = driver.client()
    write(driver)
    if locked:
        driver.acquire(driver.lock(driver.client("b")))
    seen = driver.run(read_record(client, NAME))
    waiting = driver.until(wait_for_news(client, NAME, seen, 3.0), waits)
    assert waiting.path == f"/v1/kv/{NAME}/{'.lock' if locked else '.cron'}"
    assert waiting.wait == 3.0


@pytest.mark.parametrize("known", [True, False])
def test_a_wait_that_comes_back_at_once_is_followed_by_a_pause(known: bool) -> None:
    """Also where there is nothing to wait for: else a host would ask without a pause."""
    driver = FakeDriver()
    client = driver.client()
    write(driver)
    seen: Any = driver.run(read_record(client, NAME)) if known else RecordView(None, None)
    write(driver, more(RECORD))
    before = driver.world.now
    driver.run(wait_for_news(client, NAME, seen, 5.0))
    assert 0.05 <= driver.world.now - before <= 0.1
