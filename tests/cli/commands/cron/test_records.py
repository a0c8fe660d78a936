"""`consul-lock cron ls`, `show`, `history`, `reset`, `pause`, `resume`: cron jobs for operators."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime

import pytest

from consul_lock import CronState, LockLost
from tests.cli.command import consul
from tests.cli.finished_cron_jobs import (
    HOUR,
    Jobs,
    jobs_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.inspect_fixture import ask, items, on_a_terminal
from tests.support.waiting import eventually

_ESCAPES = "web\x1b[2J\x9b1;1H\u202e3"


def test_ls_shows_what_became_of_each(jobs: Jobs, address: str) -> None:
    """Done, failed, of IDs, paused, under way, dead, and what is no record."""
    jobs.run("done")
    jobs.run("failed", end=CronState.FAILED, code=3)
    jobs.run("ids", slot="2026-11-21")
    jobs.run("paused")
    jobs.records.pause(jobs.name("paused"), 7200, reason=f"deploy {_ESCAPES}", by="me@web1")
    jobs.put("bad/.cron", "hello")
    with jobs.guard("alive").claim():
        result = ask(address, "cron", "ls", f"{jobs.below}/")
    assert (result.returncode, result.stderr) == (0, "")
    head, alive, bad, done, failed, ids, paused = result.stdout.splitlines()
    assert head.split() == ["NAME", "STATE", "SLOTS", "LAST", "HOST", "RESULT", "NOTE"]
    slot = r"\d\d:00Z"
    assert re.search(rf"/alive +running +every 1h +{slot} +\S+ +for \d", alive)
    assert re.search(r"/bad +unreadable +- .*not written by a cron guard \(flags 0\)$", bad)
    assert re.search(rf"/done +done +every 1h +{slot} +\S+ +exit 0 in \S+s$", done)
    assert re.search(rf"/failed +failed +every 1h +{slot} +\S+ +exit 3 in ", failed)
    assert re.search(r"/ids +done +IDs +2026-11-21 +", ids)
    assert re.search(r"/paused +paused .* by me@web1 until \S+.*Z: deploy web\\x1b\[2J", paused)
    assert "\x1b" not in result.stdout
    assert ask(address, "cron", "ls", f"{jobs.below}/no").stdout == ""


def test_a_run_whose_host_is_dead_is_lost(jobs: Jobs, address: str) -> None:
    """Whatever its record says; show says both."""
    claim = jobs.guard("dead").claim()
    run = claim.__enter__()
    assert run.lock is not None
    consul(address, "PUT", f"/v1/session/destroy/{run.lock.session_id}")
    name = jobs.name("dead")
    (item,) = items(ask(address, "cron", "ls", name, "--json"))
    assert item["state"] == "lost"
    shown = ask(address, "cron", "show", name).stdout
    assert shown.startswith(f"{name}: lost (every 1h)\n")
    assert "running by its record, but its session is gone: it is dead" in shown
    assert " LOST " in ask(address, "cron", "history", name).stdout
    with pytest.raises(LockLost):
        claim.__exit__(None, None, None)


def test_ls_of_everything_shows_jobs_beside_locks(jobs: Jobs, address: str) -> None:
    """The lock of a run under way, and the job; of one that is idle the job alone."""
    jobs.run("a")
    jobs.put("bad/.cron", "hello")
    with jobs.guard("b").claim() as run:
        result = ask(address, "ls", jobs.below)
        found = items(ask(address, "ls", jobs.below, "--json"))
    _, a, lock, b, bad = result.stdout.splitlines()
    host = r"\S+ exit 0 in \S+s"
    assert re.search(rf"/a +done +every 1h +{host} +slot \d\d:00Z +-$", a)
    assert re.search(r"/b +held +lock ", lock)
    assert re.search(r"/b +running +every 1h +\S+ for \S+ +slot \d\d:00Z +-$", b)
    assert re.search(r"/bad +unreadable +- +it was not written", bad)
    names = [(item["name"].rpartition("/")[2], item["kind"], item["state"]) for item in found]
    assert names == [("a", "cron", "done"), ("b", "lock", "held"), ("b", "cron", "running"),
                     ("bad", "cron", "unreadable")]  # fmt: skip
    assert (found[1]["cron"], found[2]["cron"]["slot"]) == (None, run.slot)
    line = ask(address, "ls", jobs.name("a"), "--format", "{kind} {cron.state} {cron.exit}").stdout
    assert line == "cron done 0\n"


def test_show_has_it_all(jobs: Jobs, address: str) -> None:
    """Who claimed it, the lock, the clock, the pause; what is not there is left out."""
    jobs.run("job", ago=1)
    slot = jobs.run("job")
    name = jobs.name("job")
    result = ask(address, "cron", "show", name)
    assert (result.returncode, result.stderr) == (0, "")
    (item,) = items(ask(address, "cron", "show", name, "--json"))
    for part in (
        rf"^{name}: done \(every 1h\)\n",
        rf"slot +{slot[:10]} {slot[11:16]}Z, attempt 1\n",
        rf"run by +{item['host']} pid {item['pid']}\n",
        r"result +done exit 0 in \S+s, \S+s ago\n",
        rf"run lock +session {item['session']}, token {item['token']}\n",
        rf"claim +{item['claim']}\n",
        r"clock +claimed \S+ (after|before) the slot began, by its own clock\n",
        r"next slot .*Z, begins in ",
        r"earlier +1 done; ",
    ):
        assert re.search(part, result.stdout), part
    assert not re.search("paused|overlaps|changed", result.stdout)
    jobs.records.pause(name, reason="deploy")
    paused = ask(address, "cron", "show", name).stdout
    assert re.search(r"paused +\S+s ago by \S+@\S+: deploy\n", paused)
    assert re.search(r"changed +\S+ \S+Z, \S+s ago: paused by \S+@", paused)
    assert "next slot" not in paused


def test_a_clock_that_is_ahead_of_ours_is_told(jobs: Jobs, address: str) -> None:
    """By the record alone."""
    jobs.run("job")
    name = jobs.name("job")
    jobs.forge("job", claimed_at=time.time() + 7200)
    shown = ask(address, "cron", "show", name).stdout
    assert re.search(r"clock +\S+ is (2h00m|1h59m|1h60m) ahead of this host", shown)


def test_history_is_a_line_of_time(jobs: Jobs, address: str) -> None:
    """The latest at the bottom; what is bad is large; what nobody has run is seen."""
    jobs.run("job", ago=6)
    jobs.run("job", ago=5, end=CronState.FAILED, code=3)
    jobs.run("job", ago=5)
    jobs.run("job", ago=2, end=CronState.TIMEOUT, code=124)
    jobs.run("job")
    name = jobs.name("job")
    result = ask(address, "cron", "history", name)
    head, *lines = result.stdout.splitlines()
    rows = [line for line in lines if line.startswith("20")]
    summary = " ".join(lines[len(rows) :])
    assert head.split() == ["SLOT", "RESULT", "TOOK", "TRY", "HOST"]
    words = [row.split()[2] for row in rows]
    assert words == ["done", "FAILED", "done", "MISSED", "TIMEOUT", "MISSED", "done"]
    assert ["x2" in row for row in rows] == [False, False, False, True, False, False, False]
    assert rows[-1].startswith(f"{datetime.now(UTC):%Y-%m-%d} ")
    assert all("#" in row for row in rows if "MISSED" not in row)
    assert summary.startswith("every 1h: 5 runs: 3 done, 1 failed, 1 timeout; 3 missed; took ")
    states = [item["state"] for item in items(ask(address, "cron", "history", name, "--json"))]
    assert states == ["done", "failed", "done", "missed", "timeout", "missed", "done"]
    last = ask(address, "cron", "history", name, "-n", "2").stdout.splitlines()
    assert [row.split()[2] for row in last[1:3]] == ["MISSED", "done"]
    told = ask(address, "cron", "history", name, "--format", "{state}:{attempt}:{slots}").stdout
    assert told.split()[1:4] == ["failed:1:1", "done:2:1", "missed::2"]


@pytest.mark.parametrize("columns", [80, 60, 42])
def test_history_fits_into_the_terminal(jobs: Jobs, address: str, columns: int) -> None:
    """Without bars, years and attempts where there is no room for them."""
    jobs.run("job", ago=4)
    jobs.run("job", end=CronState.FAILED, code=3)
    code, output = on_a_terminal(
        address, "cron", "history", jobs.name("job"), COLUMNS=str(columns), NO_COLOR="1"
    )
    lines = output.splitlines()
    assert (code, "#" in output, "TRY" in output) == (0, columns == 80, columns > 50)
    assert all(len(line) <= columns for line in lines if ":00Z" in line)


def test_a_slot_is_not_missed_before_it_is_over(jobs: Jobs, address: str) -> None:
    """The present one may still be claimed; while it is paused none is expected."""
    jobs.run("one", ago=1)
    jobs.run("three", ago=3)
    jobs.run("paused", ago=3)
    jobs.records.pause(jobs.name("paused"))
    ids = [jobs.run("ids", slot=slot) for slot in "ab"]
    assert ids == ["a", "b"]

    def missed(name: str) -> int:
        found = items(ask(address, "cron", "history", jobs.name(name), "--json"))
        return sum(item["slots"] for item in found if item["state"] == "missed")

    assert {name: missed(name) for name in ("one", "three", "ids")} == {
        "one": 0, "three": 2, "ids": 0,
    }  # fmt: skip
    # What was due before the pause was missed all the same.
    assert missed("paused") == 2
    pause = {"by": "me", "at": time.time() - 2.5 * HOUR, "until": None, "reason": ""}
    jobs.forge("paused", paused=pause)
    assert missed("paused") == 0


def test_pause_and_resume(jobs: Jobs, address: str) -> None:
    """With who did it and why; what is not paused cannot be resumed."""
    name = jobs.name("job")
    jobs.run("job")
    result = ask(address, "cron", "pause", name, "--for", "2h", "--reason", f"deploy {_ESCAPES}")
    assert (result.returncode, result.stdout) == (0, "")
    assert re.match(
        rf"consul-lock: paused {name} by \S+@\S+ until .*Z: deploy web\\x1b\[2J", result.stderr
    )
    paused = jobs.record("job").paused
    assert paused is not None
    assert paused.until is not None
    assert paused.until - paused.at == pytest.approx(7200)
    (item,) = items(ask(address, "cron", "resume", name, "--json"))
    assert (item["paused"], item["changed"]["what"]) == (None, "resumed")
    again = ask(address, "cron", "resume", name)
    assert (again.returncode, again.stderr) == (
        1, f"consul-lock: nothing to resume: {name} is not paused\n",
    )  # fmt: skip


def test_a_pause_that_is_over_is_none(jobs: Jobs, address: str) -> None:
    """It is not shown, and there is nothing to resume."""
    jobs.run("job")
    jobs.records.pause(jobs.name("job"), 0.001)
    eventually(lambda: not jobs.record("job").is_paused(time.time()))
    (item,) = items(ask(address, "cron", "ls", jobs.name("job"), "--json"))
    assert (item["state"], item["paused"]) == ("done", None)
    assert ask(address, "cron", "resume", jobs.name("job")).returncode == 1


@pytest.mark.parametrize("command", ["show", "history", "pause", "resume", "reset --yes"])
def test_what_has_no_record_is_1_and_stays_so(jobs: Jobs, address: str, command: str) -> None:
    """A name that was misspelt must not look as if it were paused."""
    name = jobs.name("nothing")
    result = ask(address, "cron", *command.split(), name)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"consul-lock: there is no cron job {name}: it has no record\n"
    assert consul(address, "GET", f"/v1/kv/{name}/.cron") is None


def test_a_job_that_was_never_run_can_be_paused(jobs: Jobs, address: str) -> None:
    """If that is what is wanted."""
    assert ask(address, "cron", "pause", jobs.name("new"), "--new").returncode == 0
    with jobs.guard("new").claim() as run:
        assert run.outcome.value == "paused"


@pytest.mark.parametrize("command", ["show", "history", "pause", "resume", "reset --yes"])
def test_what_is_no_record_is_65_and_left_alone(jobs: Jobs, address: str, command: str) -> None:
    """With what to do."""
    jobs.put("bad/.cron", "hello")
    result = ask(address, "cron", *command.split(), jobs.name("bad"))
    assert result.returncode == 65
    said, hint = result.stderr.splitlines()
    assert "it was not written by a cron guard (flags 0)" in said
    assert "cron reset --force" in hint
    (pair,) = consul(address, "GET", f"/v1/kv/{jobs.name('bad')}/.cron")
    assert pair["Value"] == "aGVsbG8="


def test_reset_lets_the_slot_run_again(jobs: Jobs, address: str) -> None:
    """Who did it is written."""
    jobs.run("job")
    name = jobs.name("job")
    result = ask(address, "cron", "reset", name, "--yes")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == f"consul-lock: reset {name}: as if no slot was run\n"
    shown = ask(address, "cron", "show", name).stdout
    assert shown.startswith(f"{name}: idle")
    assert re.search(r"changed .*: reset by \S+@\S+\n", shown)
    assert "done (reset)" in ask(address, "cron", "history", name).stdout
    jobs.run("job")


def test_reset_sets_a_slot_that_is_far_ahead_back(jobs: Jobs, address: str) -> None:
    """Times in any form that says its zone; a day without one is a slip."""
    name = jobs.name("job")
    future = jobs.run("job", ago=-48)
    now = time.time() // HOUR * HOUR
    for slot in (f"{datetime.fromtimestamp(now - HOUR, UTC):%Y-%m-%dT%H:%M:%SZ}", str(now - HOUR)):
        result = ask(address, "cron", "reset", name, "--yes", "--slot", slot, "--json")
        (item,) = items(result)
        assert (item["slot_epoch"], item["slot"] == future) == (now - HOUR, False)
    jobs.run("job")
    for slot in ("17:00Z", "2026-11-21", "deploy", ""):
        bad = ask(address, "cron", "reset", name, "--yes", "--slot", slot)
        assert (bad.returncode, "--slot" in bad.stderr) == (64, True), bad
    for slot in ("nan", "-5", "1e300"):
        bad = ask(address, "cron", "reset", name, "--yes", f"--slot={slot}")
        assert (bad.returncode, "--slot: " in bad.stderr) == (64, True), bad


def test_reset_of_ids(jobs: Jobs, address: str) -> None:
    """The ID need not be one that was run."""
    jobs.run("ids", slot="a")
    result = ask(address, "cron", "reset", jobs.name("ids"), "--yes", "--slot", "b")
    assert result.stderr.endswith(": as if b was run last\n")
    with jobs.guard("ids", slot="b").claim() as run:
        assert run.outcome.value == "taken"


def test_reset_force_writes_anew_what_cannot_be_read(jobs: Jobs, address: str) -> None:
    """Also with a newer version's record; a job can run again."""
    jobs.put("bad/.cron", "hello")
    result = ask(address, "cron", "reset", jobs.name("bad"), "--yes", "--force")
    assert result.returncode == 0, result
    jobs.run("bad")


def test_reset_asks_on_a_terminal(jobs: Jobs, address: str) -> None:
    """It shows what it is about; elsewhere --yes is needed, before Consul is asked."""
    jobs.run("job")
    name = jobs.name("job")
    code, output = on_a_terminal(address, "cron", "reset", name, typed="no\n")
    assert (code, "Forget which slot was run last? [y/N]: no" in output) == (1, True)
    assert re.search(r"run by +\S+ pid ", output)
    assert jobs.record("job").state is CronState.DONE
    code, output = on_a_terminal(address, "cron", "reset", name, typed="y\n")
    assert (code, f"reset {name}" in output) == (0, True)
    jobs.put("bad/.cron", "hello")
    code, output = on_a_terminal(address, "cron", "reset", jobs.name("bad"), "--force", typed="y\n")
    assert (code, "unreadable: it was not written" in output) == (0, True)
    alone = ask("127.0.0.1:1", "cron", "reset", name)
    assert (alone.returncode, "--yes resets it" in alone.stderr) == (64, True)


def test_what_changes_while_it_is_asked_is_left_alone(jobs: Jobs, address: str) -> None:
    """A slot that was claimed meanwhile is not forgotten."""
    jobs.run("job", ago=1)

    def run_once_more() -> str:
        jobs.run("job")
        return "y\n"

    code, output = on_a_terminal(address, "cron", "reset", jobs.name("job"), typed=run_once_more)
    assert (code, "has changed meanwhile: it is not reset (75)" in output) == (75, True)
    assert jobs.record("job").state is CronState.DONE


def test_bad_input_is_64_before_consul_is_asked() -> None:
    """As JSON, too."""
    for arguments in (
        ["pause", "k", "--for", "0"], ["pause", "k", "--for", "367d"], ["show", "a//b"],
        ["pause", "k", "--reason", "x" * 501], ["history", "k", "-n", "0"], ["ls", "a//b"],
        ["show", "k", "--format", "{nonsense}"],
    ):  # fmt: skip
        result = ask("127.0.0.1:1", "cron", *arguments)
        assert result.returncode == 64, (arguments, result)
    failed = ask("127.0.0.1:1", "cron", "pause", "k", "--for", "0", "--json")
    assert json.loads(failed.stdout)["error"]["code"] == 64


def test_escape_sequences_of_others_are_escaped(jobs: Jobs, address: str) -> None:
    """In hosts, reasons, IDs, and whoever did it, wherever they are shown."""
    jobs.run("job", slot="an ID")
    name = jobs.name("job")
    jobs.records.pause(name, reason=_ESCAPES, by=_ESCAPES)
    theirs = ("host", "session", "claim", "schedule", "overlapped")
    jobs.forge("job", overlaps=1, **dict.fromkeys(theirs, _ESCAPES))
    for arguments in (
        ["cron", "ls", name], ["cron", "show", name], ["cron", "history", name], ["ls", name],
        ["cron", "ls", name, "--format", "{host} {paused.reason} {changed.by} {paused}"],
        ["cron", "ls", name, "--json"], ["cron", "history", name, "--json"],
    ):  # fmt: skip
        result = ask(address, *arguments)
        assert result.returncode == 0, result
        assert all(c == "\n" or c.isprintable() for c in result.stdout), result.stdout
        assert "\\x1b[2J" in result.stdout or "\\u001b[2J" in result.stdout
