"""A cron job on several hosts: the same in both faces, on a model and a real agent."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import pytest

from consul_lock import (
    ClockSkew,
    ConfigError,
    Conflict,
    CronGap,
    CronState,
    LockLost,
    cron_health,
    cron_timeline,
)
from tests.contract.cron_fixture import HOUR, NINE, SHORT, CronRoom
from tests.contract.fixture import Room
from tests.support.apis import Asyncio, Sync, Threads
from tests.support.proxy import Proxy
from tests.support.waiting import eventually


@pytest.fixture
def cron(room: Room) -> CronRoom:
    """A job with this name, and nobody who has run it."""
    return CronRoom(room)


def test_a_slot_is_run_on_one_host_and_remembered(cron: CronRoom) -> None:
    """The next host finds it done, the next slot is run, and what was before is in the history."""
    first, second = cron.host(), cron.host()
    assert first.slot(NINE - 30) == "2027-01-15T08:00:00Z"
    with cron.claim(first) as run:
        assert (run.outcome.value, run.slot, run.epoch) == ("run", "2027-01-15T08:00:00Z", NINE)
        assert (run.attempt, run.lock.held) == (1, True)
        record = cron.record()
        assert (record.state, record.token) == (CronState.RUNNING, run.lock.token)
        assert (record.session, record.crashed) == (run.lock.session_id, False)
    assert run.recorded
    assert cron.once(second) == "taken"
    assert cron.once(second, NINE + HOUR) == "run"
    record = cron.record()
    assert (record.epoch, record.state, record.every) == (NINE + HOUR, CronState.DONE, HOUR)
    assert [(past.epoch, past.state) for past in record.history] == [(NINE, CronState.DONE)]
    assert cron.once(first) == "passed"


def test_a_record_says_what_follows_and_how_each_host_has_counted(cron: CronRoom) -> None:
    """So that a reader needs neither the expression nor the zone: of what was missed, too."""
    berlin = {"schedule": "0 * * * 1-5", "timezone": "Europe/Berlin"}
    saturday = NINE + 15 * HOUR  # midnight in Berlin is an hour before that of UTC
    assert cron.once(cron.host(**berlin)) == "run"
    record = cron.record()
    assert (record.next_slot, record.gap, record.last_success) == (
        NINE + HOUR, 0, record.finished_at,
    )  # fmt: skip
    assert cron.once(cron.host(**berlin), saturday - HOUR) == "run"
    record = cron.record()
    assert (record.next_slot, record.gap) == (saturday + 48 * HOUR, 13)
    assert [(past.every, past.schedule, past.next_slot) for past in record.history] == [
        (None, "0 * * * 1-5 Europe/Berlin", NINE + HOUR)
    ]
    assert cron_timeline(record, saturday)[1] == CronGap(NINE + HOUR, 13)
    assert cron_health(record, saturday + 47 * HOUR).overdue == 0.0
    assert cron_health(record, saturday + 49 * HOUR).overdue == HOUR
    with pytest.raises(ZeroDivisionError), cron.claim(cron.host(), saturday + 48 * HOUR):
        raise ZeroDivisionError
    failed = cron.record()
    assert (failed.every, failed.next_slot) == (HOUR, saturday + 49 * HOUR)
    assert failed.last_success == record.finished_at
    assert [past.gap for past in failed.history] == [13, 0]


def test_the_lock_names_the_slot_and_the_host_that_runs_it(cron: CronRoom) -> None:
    """For people; a job that is not run has no lock."""
    assert cron.once(cron.host()) == "run"
    with cron.claim(cron.host()) as run:
        assert f"slot 2027-01-15T08:00:00Z of {cron.name!r}: already done by" in run.reason
        assert (run.lock, bool(run), run.attempt) == (None, False, 0)


def test_an_exception_is_recorded_as_a_failure_and_may_be_retried(cron: CronRoom) -> None:
    """So many times as were allowed, each an attempt of its own."""
    with pytest.raises(ZeroDivisionError), cron.claim(cron.host()):
        raise ZeroDivisionError
    assert cron.record().state is CronState.FAILED
    assert cron.once(cron.host()) == "taken"
    retrying = cron.host(retry_failed=1)
    with pytest.raises(ZeroDivisionError), cron.claim(retrying):
        raise ZeroDivisionError
    assert cron.once(retrying) == "taken"
    record = cron.record()
    assert [record.attempt, *(past.attempt for past in record.history)] == [2, 1]


@pytest.mark.parametrize(
    "state, code", [("TIMEOUT", 124), ("FAILED", 3), ("LOST", 76), ("DONE", 0)]
)
def test_a_run_can_say_how_it_ended(cron: CronRoom, state: str, code: int) -> None:
    """With an exit code, and how long it took."""
    with cron.claim(cron.host()) as run:
        run.ended(CronState[state], code)
    record = cron.record()
    assert (record.state, record.exit) == (CronState[state], code)
    assert record.runtime is not None
    assert record.runtime >= 0


def test_an_invalid_exit_code_makes_no_record_unreadable(cron: CronRoom) -> None:
    """Said of the run it is refused; raised in ``sys.exit`` it is a failure without a code."""
    code = 2**70
    with cron.claim(cron.host()) as run, pytest.raises(ConfigError, match="code="):
        run.ended(CronState.DONE, code)
    assert cron.record().state is CronState.DONE
    with pytest.raises(SystemExit), cron.claim(cron.host(), NINE + HOUR):
        raise SystemExit(code)
    assert (cron.record().state, cron.record().exit) == (CronState.FAILED, None)


def test_an_earlier_run_that_is_alive_is_an_overlap_and_counted_once(cron: CronRoom) -> None:
    """The slot is not used up: a host that comes after its end still runs it."""
    one, two = cron.host(), cron.host()
    with cron.claim(cron.host()):
        with cron.claim(one, NINE + HOUR) as skipped:
            assert (skipped.outcome.value, skipped.first) == ("overlap", True)
        with cron.claim(two, NINE + HOUR) as skipped:
            assert (skipped.outcome.value, skipped.first) == ("overlap", False)
    assert cron.record().overlaps == 1
    assert cron.once(two, NINE + HOUR) == "run"


def test_a_host_that_waits_for_an_earlier_run_runs_after_it(cron: CronRoom) -> None:
    """As there is no next slot: an ID has no time that passes."""
    with Proxy(cron.room.operator.address) as proxy:
        with cron.claim(cron.host(slot="a")):
            waiter = cron.host(address=proxy.address, slot="b", overlap="wait")
            claim, entering = cron.start(waiter)
            eventually(lambda: proxy.count(kind="kv?wait"), message="it waits")
            assert not entering.done()
        run = entering.result(120)
        assert run.outcome.value == "run"
        claim.leave()
        Sync(waiter.thing._client, waiter.actor).close()  # while there is a way to Consul


def test_where_overlaps_are_allowed_there_is_no_run_lock(cron: CronRoom) -> None:
    """Each slot is claimed all the same, and each run's end finds its place."""
    host, other = cron.host(overlap="allow"), cron.host(overlap="allow")
    with cron.claim(host) as run:
        assert (run.outcome.value, run.lock) == ("run", None)
        assert cron.once(other) == "taken"
        with cron.claim(other, NINE + HOUR) as beside:
            assert beside.outcome.value == "run"
    assert cron.record().history[0].state is CronState.DONE


def test_a_host_that_only_looks_makes_no_other_host_skip(cron: CronRoom) -> None:
    """A host that has the run lock to look at the record is waited for."""
    looker = cron.hold_saying("cron: looking")
    claim, entering = cron.start(cron.host())
    cron.room.operator.destroy(looker)
    run = entering.result(120)
    assert run.outcome.value == "run"
    claim.leave()


@pytest.mark.parametrize("value", ["", "cron: running x"])
def test_anything_else_that_holds_the_lock_is_an_overlap(cron: CronRoom, value: str) -> None:
    """A run without a record that says so, or somebody who has taken the lock by hand."""
    holder = cron.hold_saying(value)
    assert cron.once(cron.host()) == "overlap"
    cron.room.operator.destroy(holder)


def test_a_pause_is_for_all_hosts_and_ends(cron: CronRoom) -> None:
    """Also before the first run; a run that is under way is recorded beside it."""
    host = cron.host()
    cron.records.pause(cron.name, 7200.0, reason="deploy", by="me")
    with cron.claim(host) as run:
        assert (run.outcome.value, "by me: deploy" in run.reason) == ("paused", True)
    assert cron.records.resume(cron.name) is True
    assert cron.records.resume(cron.name) is False
    with cron.claim(host):
        cron.records.pause(cron.name)
    record = cron.record()
    assert (record.state, record.paused.until) == (CronState.DONE, None)
    cron.forge(paused={"by": "x", "at": 1.0, "until": 2.0, "reason": ""})
    assert cron.once(host, NINE + HOUR) == "run"


def test_a_host_whose_clock_is_ahead_ends_a_pause_for_nobody_else(cron: CronRoom) -> None:
    """It runs, as the pause is over by its clock; the others go on pausing.  A day later it is
    over by any clock, and is forgotten."""
    host, now = cron.host(), time.time()
    cron.once(host)
    pause = {"by": "x", "at": now - 9, "until": now - 1, "reason": ""}
    cron.forge(paused=pause)
    assert cron.once(host, NINE + HOUR) == "run"
    assert cron.record().paused is not None
    cron.forge(paused={**pause, "until": now - 90000})
    assert cron.once(host, NINE + 2 * HOUR) == "run"
    assert cron.record().paused is None


def test_an_id_is_run_once_also_when_others_came_between(cron: CronRoom) -> None:
    """As long as the history remembers it."""
    assert [cron.once(cron.host(slot=slot)) for slot in "aabab"] == [
        "run",
        "taken",
        "run",
        "taken",
        "taken",
    ]


def test_the_history_is_as_long_as_was_asked_for(cron: CronRoom) -> None:
    """Older entries are dropped, IDs included."""
    assert [cron.once(cron.host(slot=slot, history=1)) for slot in "abca"] == ["run"] * 4
    assert [past.slot for past in cron.record().history] == ["c"]
    assert cron.once(cron.host(slot="d", history=0)) == "run"
    assert cron.record().history == ()


def test_a_reset_lets_the_slot_run_again_or_sets_it_back(cron: CronRoom) -> None:
    """For times and IDs; the history stays to be read."""
    host, letter = cron.host(), cron.host(slot="a")
    assert cron.records.reset(cron.name) is None
    cron.once(host)
    assert cron.records.reset(cron.name).state is CronState.IDLE
    assert cron.once(letter) == "run"
    cron.records.reset(cron.name)
    assert cron.once(letter) == "run"
    cron.records.reset(cron.name)
    cron.records.reset(cron.name, "2027-01-15T08:00:00Z")
    assert [cron.once(host), cron.once(host, NINE + HOUR)] == ["taken", "run"]
    assert len(cron.record().history) == 3


def test_a_reset_leaves_times_times_and_ids_ids(cron: CronRoom) -> None:
    """An ID may look like a time, and a date without a zone is none: either would stop all."""
    cron.once(cron.host())
    with pytest.raises(ConfigError, match=r"'2027-01-15' is no time with its zone"):
        cron.records.reset(cron.name, "2027-01-15")
    assert cron.once(cron.host(), NINE + HOUR) == "run"
    cron.records.reset(cron.name)
    stamp = "20270115T080000Z"
    assert cron.once(cron.host(slot="other")) == "run"
    assert cron.records.reset(cron.name, stamp).slot == stamp
    assert [cron.once(cron.host(slot=slot)) for slot in (stamp, "next")] == ["taken", "run"]


def test_the_author_of_a_change_of_a_record_is_written_and_stays(cron: CronRoom) -> None:
    """Whatever is run afterwards; by default it is the user and the host."""
    cron.once(cron.host())
    assert cron.record().changed is None
    changes = (
        ("paused", lambda: cron.records.pause(cron.name, by="me")),
        ("resumed", lambda: cron.records.resume(cron.name, by="me")),
        ("reset", lambda: cron.records.reset(cron.name, by="me")),
    )
    for what, change in changes:
        change()
        assert cron.record().changed[:2] == (what, "me")
    cron.once(cron.host())
    assert cron.record().changed[:2] == ("reset", "me")
    cron.records.reset(cron.name)
    assert re.fullmatch(r".+@.+", cron.record().changed.by)


def test_a_slot_that_began_too_long_ago_is_skipped(cron: CronRoom) -> None:
    """Without a word to Consul."""
    host = cron.host(max_lateness=60)
    assert cron.once(host, NINE + 61) == "late"
    assert cron.records.record(cron.name) is None
    assert cron.once(host, NINE + 59) == "run"


def test_a_record_of_the_far_future_is_a_wrong_clock(cron: CronRoom) -> None:
    """Near ones are a host that is a little fast."""
    cron.once(cron.host(), NINE + HOUR)
    assert cron.once(cron.host()) == "passed"
    before = cron.room.operator.value(cron.key)
    with pytest.raises(ClockSkew, match="a clock is wrong by 3600 s") as raised:
        cron.once(cron.host(max_skew=3599))
    assert raised.value.found == "2027-01-15T09:00:00Z"
    assert raised.value.slot == "2027-01-15T08:00:00Z"
    assert cron.room.operator.value(cron.key) == before


@pytest.mark.parametrize(
    "value, flags",
    [
        (b"hello", 0),
        (b'{"v": 1, "slot": 5}', None),
    ],
    ids=["foreign", "damaged"],
)
def test_a_value_that_is_not_a_record_is_left_as_it_is(
    cron: CronRoom, value: bytes, flags: int | None
) -> None:
    """Nothing is run, and neither a lock nor a session is taken."""
    cron.once(cron.host())
    operator = cron.room.operator
    kept = operator.keys(cron.key)[cron.key]["Flags"] if flags is None else flags
    operator.put_flags(cron.key, kept, value)
    for host in (cron.host(), cron.host(overlap="allow")):
        with pytest.raises(Conflict, match="left as it is"):
            cron.once(host, NINE + HOUR)
    for change in ("pause", "resume", "reset"):
        with pytest.raises(Conflict):
            getattr(cron.records, change)(cron.name)
    assert operator.value(cron.key) == value
    (problem,) = cron.records.below(cron.name)
    assert (problem.name, "left as it is" in problem.problem) == (cron.name, True)
    assert cron.overview(cron.name) == ([], [problem])
    record = cron.records.reset(cron.name, force=True)
    assert (record.state, record.history) == (CronState.IDLE, ())
    assert cron.once(cron.host()) == "run"


def test_a_name_that_is_used_otherwise_is_a_conflict(cron: CronRoom) -> None:
    """Its lock is a semaphore, say: nothing shows whether a run is alive."""
    key = f"{cron.name}/.lock"
    cron.room.operator.put_flags(key, 16210313421097356768, b"{}")
    with pytest.raises(Conflict, match="not a lock"):
        cron.once(cron.host())
    assert cron.records.record(cron.name) is None
    assert cron.room.operator.value(key) == b"{}"
    cron.room.operator.delete(key)
    cron.room.left.discard(cron.key)  # there is none


def test_ids_and_times_are_not_mixed(cron: CronRoom) -> None:
    """A host whose crontab is older would run what was run; the record says who is right."""
    cron.once(cron.host())
    with pytest.raises(Conflict, match="IDs or times, not both"):
        cron.once(cron.host(slot="a"))


def test_a_lost_run_lock_is_reported_to_the_job_and_recorded(cron: CronRoom) -> None:
    """As with any lock, and nothing that the job says of itself changes it."""
    told = []
    claim = cron.claim(cron.host(on_lost=told.append, watch=True))
    run = claim.__enter__()
    run.ended(CronState.DONE, 0)
    cron.room.operator.destroy(run.lock.session_id)
    eventually(run.lock.lost.is_set, message="the loss is noticed")
    with pytest.raises(LockLost):
        claim.leave()
    eventually(lambda: told)
    assert (cron.record().state, len(told)) == (CronState.LOST, 1)


def test_a_crashed_run_is_run_again_by_a_standby(cron: CronRoom) -> None:
    """Once its lock-delay is over, and it counts as lost from the moment it is dead."""
    first = cron.claim(cron.host(lock_delay=SHORT))
    first.__enter__()
    claim, entering = cron.start(cron.host(retry_crashed=1, standby=60))
    cron.room.operator.destroy(cron.record().session)
    assert cron.record().shown is CronState.LOST
    again = entering.result(120)
    assert (again.outcome.value, again.attempt) == ("run", 2)
    claim.leave()
    with pytest.raises(LockLost):
        first.leave()
    record = cron.record()
    assert (record.state, record.history[0].state) == (CronState.DONE, CronState.LOST)


def test_the_next_slot_runs_after_a_crash_and_the_crashed_one_is_lost(cron: CronRoom) -> None:
    """Without a retry nobody runs it again."""
    first = cron.claim(cron.host(lock_delay=SHORT))
    first.__enter__()
    cron.room.operator.destroy(cron.record().session)
    assert cron.once(cron.host()) == "taken"
    assert cron.once(cron.host(), NINE + HOUR) == "run"
    assert cron.record().history[0].state is CronState.LOST
    with pytest.raises(LockLost):
        first.leave()


def test_records_are_listed_and_are_no_locks(cron: CronRoom) -> None:
    """A survey of locks shows what can be held, and a record cannot."""
    cron.once(cron.host())
    below = cron.records.below(f"{cron.name.rpartition('/')[0]}/")
    (record,) = [record for record in below if record.name == cron.name]
    assert (record.name, record.state) == (cron.name, CronState.DONE)
    assert cron.overview(cron.name) == ([], [record])
    assert cron.overview(f"{cron.name}/") == ([], [record])
    assert cron.overview(f"{cron.name}/.c") == ([], [])


def test_a_function_is_run_on_the_host_that_has_the_slot(cron: CronRoom) -> None:
    """By the guard, or decorated; elsewhere the result is None."""
    host, told = cron.host(slot="x"), []
    work = cron.room.face.function(lambda run: told.append(run.slot) or "done")
    assert [host.run(work), host.run(work)] == ["done", None]
    assert told == ["x"]
    client = cron.room.client()
    decorate = cron.room.api.once_per(cron.name, slot="y", client=client.thing)
    decorated = decorate(cron.room.face.function(lambda a: a + 1))
    assert [client.actor.do(decorated, 1), client.actor.do(decorated, 1)] == [2, None]


@pytest.mark.parametrize("face", [Asyncio], indirect=True, ids=["asyncio"])
def test_a_coroutine_is_cancelled_when_the_run_lock_is_lost(cron: CronRoom) -> None:
    """And the loss is what is raised, not the cancellation."""
    story: list[Any] = []

    async def work(run: Any) -> None:
        story.append(run.lock.session_id)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            story.append("cancelled")
            raise

    running = cron.host(watch=True).start("run", work)
    eventually(lambda: story, message="it has begun")
    cron.room.operator.destroy(story[0])
    with pytest.raises(LockLost):
        running.result(120)
    assert story[1:] == ["cancelled"]
    assert cron.record().state is CronState.LOST


@pytest.mark.parametrize("face", [Threads], indirect=True, ids=["threads"])
def test_a_function_in_a_thread_sees_the_loss_of_the_run_lock(cron: CronRoom) -> None:
    """If it looks: nobody can stop it from outside."""
    story: list[Any] = []

    def work(run: Any) -> None:
        story.append(run.lock.session_id)
        assert run.lock.lost.wait(120)
        run.lock.ensure_held()

    running = cron.host(watch=True).start("run", work)
    eventually(lambda: story, message="it has begun")
    cron.room.operator.destroy(story[0])
    with pytest.raises(LockLost):
        running.result(120)
    assert cron.record().state is CronState.LOST


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"every": 0},
        {"slot": ""},
        {"every": 60, "history": 201},
        {"every": 60, "lock_delay": 90},
        {"schedule": "61 * * * *"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused_before_anything_is_sent(
    options: dict[str, Any], room: Room
) -> None:
    """With the setting in the message."""
    with pytest.raises(ConfigError, match=r"="):
        room.main.do(room.api.CronGuard, room.name, **options)
    if "lock_delay" not in options:
        with pytest.raises(ConfigError, match=r"="):
            room.api.once_per(room.name, **options)


@pytest.mark.parametrize("at", [float("nan"), float("inf"), "now", 10**400], ids=str)
def test_a_value_that_is_not_a_time_is_refused_before_anything_is_sent(
    cron: CronRoom, at: Any
) -> None:
    """Of a guard of each kind."""
    for host in (cron.host(), cron.host(slot="x"), cron.host(schedule="0 * * * *")):
        with pytest.raises(ConfigError, match="at="):
            cron.once(host, at)
    assert cron.records.record(cron.name) is None
    cron.room.left.discard(cron.key)  # there is none


@pytest.mark.parametrize("name", ["", "a//b", "/a", 5], ids=str)
def test_a_bad_name_is_refused_where_the_function_is_decorated(room: Room, name: Any) -> None:
    """And not when it is called for the first time."""
    with pytest.raises(ConfigError, match="bad name"):
        room.api.once_per(name, every=60)


def test_the_key_of_a_record_is_no_name_of_a_job(room: Room) -> None:
    """An operator's word for that record would be meant for another job."""
    with pytest.raises(ConfigError, match=r"give 'a/b'"):
        room.main.do(room.api.CronGuard, "a/b/.cron", every=60)


def test_the_record_is_the_json_of_the_contract(cron: CronRoom) -> None:
    """For those who read it with other tools."""
    cron.once(cron.host())
    document = json.loads(cron.room.operator.value(cron.key) or b"")
    wanted = {"v", "slot", "claim", "attempt", "state", "host", "pid", "session", "token", "every",
              "offset", "claimed_at", "started_at", "finished_at", "exit", "runtime", "overlaps",
              "paused", "history"}  # fmt: skip
    assert wanted <= document.keys()
    assert (document["v"], document["slot"], document["state"]) == (1, NINE, "done")
    for slot in (1, 2):
        cron.once(cron.host(), NINE + slot * HOUR)
    document = json.loads(cron.room.operator.value(cron.key) or b"")
    assert [past["slot"] for past in document["history"]] == [NINE, NINE + HOUR]
    dates = [past["claimed_at"] for past in (*document["history"], document)]
    assert dates == sorted(dates)
