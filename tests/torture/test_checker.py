"""Forged histories: one breaks each rule, and one beside it is nearly the same and right."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.torture.checker import WAIT_BOUND, check, judge
from tests.torture.history import Fault, Record
from tests.torture.remains import TRACEBACK
from tests.torture.report import Report
from tests.torture.workforce import ROOT

_CLEAN: dict[str, list[str]] = {"keys": [], "sessions": [], "services": [], "processes": []}


class Forged:
    """A history, line by line."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, what: str, when: float, pid: int = 1, **fields: Any) -> None:
        """One line."""
        self.records.append(Record(what, when, pid, 100, fields))

    def asks(
        self, hold: str, when: float, name: str = "a", kind: str = "lock", pid: int = 1
    ) -> None:
        """A wait begins."""
        self.add("asks", when, pid, hold=hold, kind=kind, names=[name])

    def holds(
        self,
        hold: str,
        begin: float,
        end: float,
        *,
        name: str = "a",
        token: int = 1,
        kind: str = "lock",
        pid: int = 1,
        over: str = "ends",
        **more: Any,
    ) -> None:
        """A hold, which is seen at both of its ends; ``over`` "" if it is not seen to end."""
        fields = {
            "kind": kind,
            "names": [name],
            "token": token,
            "session": f"session-{hold}",
            **more,
        }
        self.add("begins", begin, pid, hold=hold, before=begin, after=begin, **fields)
        self.add("looks", end, pid, hold=hold, before=end, after=end, held=True)
        if over == "lost":
            self.add("looks", end + 1, pid, hold=hold, before=end + 1, after=end + 1, held=False)
        elif over:
            self.add(over, end, pid, hold=hold, before=end, after=end, held=True)

    def seen(self, when: float, index: int, *holds: str, limit: int = 1, name: str = "a") -> None:
        """The observer looks."""
        holders = {f"session-{hold}": 1 for hold in holds}
        self.add(
            "seen", when, 9, before=when, after=when, resources={name: [index, limit, holders]}
        )

    def exits(self, code: int, *, role: str = "command", pid: int = 5, **more: Any) -> None:
        """A process ends."""
        fields = {"own": [0, 3], "signals": [], "stderr": "", "hold": "", **more}
        when = fields.pop("when", 50.0)
        self.add("exits", when, child=pid, child_start=100, role=role, code=code, **fields)

    def report(self, *faults: Fault, left: dict[str, list[str]] | None = None) -> Report:
        """What the checker makes of it."""
        end = max((record.when for record in self.records), default=0.0)
        self.add("left", end, 9, **{**_CLEAN, **(left or {})})
        return judge(sorted(self.records, key=lambda record: record.when), faults)


@pytest.fixture
def forged() -> Forged:
    """A history without a line."""
    return Forged()


# Two holders at a time.


def test_two_holders_of_a_lock_that_follow_each_other_are_right(forged: Forged) -> None:
    """One begins when the other has ended."""
    forged.holds("x", 1, 5)
    forged.holds("y", 5.1, 9, token=2, pid=2)
    assert forged.report().findings == []


def test_two_holders_of_a_lock_at_a_time_are_an_overlap(forged: Forged) -> None:
    """One begins before the other has ended."""
    forged.holds("x", 1, 5)
    forged.holds("y", 4.9, 9, token=2, pid=2)
    report = forged.report()
    assert report.rules() == {"overlap"}
    assert report.kinds["lock"].overlaps == {"library": 1}


def test_who_may_have_believed_no_more_is_no_overlap(forged: Forged) -> None:
    """After the last look that found it held nothing is claimed."""
    forged.holds("x", 1, 5, over="lost")
    forged.holds("y", 5.1, 9, token=2, pid=2)
    assert forged.report().findings == []


def test_who_was_paused_and_still_believes_is_an_overlap(forged: Forged) -> None:
    """Nothing was written for long, and then a look finds it held."""
    forged.holds("x", 1, 20)
    forged.holds("y", 8, 9, token=2, pid=2)
    assert forged.report().rules() == {"overlap"}


@pytest.mark.parametrize("limit, rules", [(3, set()), (2, {"overlap"})])
def test_a_semaphore_may_have_as_many_as_its_limit(
    forged: Forged, limit: int, rules: set[str]
) -> None:
    """One has two slots, another one."""
    forged.holds("x", 1, 5, kind="semaphore", weight=2, limit=limit)
    forged.holds("y", 2, 6, kind="semaphore", weight=1, limit=limit, token=2, pid=2)
    assert forged.report().rules() == rules


@pytest.mark.parametrize("index, rules", [(1, set()), (0, {"overlap"})])
def test_an_index_of_a_slot_is_for_one(forged: Forged, index: int, rules: set[str]) -> None:
    """Two hold slots at a time, with two indexes or with one."""
    forged.holds("x", 1, 5, kind="semaphore", limit=2, slots=[0])
    forged.holds("y", 2, 6, kind="semaphore", limit=2, slots=[index], token=2, pid=2)
    assert forged.report().rules() == rules


@pytest.mark.parametrize("mode, rules", [("read", set()), ("write", {"overlap"})])
def test_a_writer_is_alone(forged: Forged, mode: str, rules: set[str]) -> None:
    """A reader is beside another reader, or beside a writer."""
    forged.holds("x", 1, 5, kind="read_write", mode="read")
    forged.holds("y", 2, 6, kind="read_write", mode=mode, token=2, pid=2)
    assert forged.report().rules() == rules


@pytest.mark.parametrize(
    "name, rules", [("a/c", set()), ("a/b/d", {"overlap"}), ("a", {"overlap"})]
)
def test_a_tree_lock_excludes_what_is_above_and_below(
    forged: Forged, name: str, rules: set[str]
) -> None:
    """a/b is held: beside it a/c may be, a/b/d and a may not."""
    forged.holds("x", 1, 5, kind="tree", name="a/b", mode="write")
    forged.holds("y", 2, 6, kind="tree", name=name, mode="write", token=2, pid=2)
    assert forged.report().rules() == rules


@pytest.mark.parametrize("names, rules", [(["c", "d"], set()), (["b", "c"], {"overlap"})])
def test_several_locks_are_each_for_one(forged: Forged, names: list[str], rules: set[str]) -> None:
    """a and b are held: c and d may be, b may not."""
    forged.holds("x", 1, 5, kind="multilock", names=["a", "b"])
    forged.holds("y", 2, 6, kind="multilock", names=names, token=2, pid=2)
    assert forged.report().rules() == rules


def _grandchild(forged: Forged, until: float) -> None:
    """A command of hold x that ends at 3, and its child, which lives on."""
    forged.holds("x", 1, 3, pid=1)
    for what, when in (("begins", 1.5), ("looks", until)):
        fields = {"kind": "lock", "names": ["a"], "token": 1, "session": "session-x", "held": True}
        forged.add(what, when, 3, hold="x", before=when, after=when, **fields)


@pytest.mark.parametrize("until, rules", [(3.9, set()), (4.1, {"overlap"})])
def test_a_grandchild_alive_counts_as_holding(
    forged: Forged, until: float, rules: set[str]
) -> None:
    """The command has ended, its child lives on when the next one begins, or does not."""
    _grandchild(forged, until)
    forged.holds("y", 4, 5, token=2, pid=2)
    assert forged.report().rules() == rules


# A wrapper and a guardian that were killed together.


def _abandoned(forged: Forged, at: float, **more: Any) -> None:
    """A command of hold x: from then on nobody stops it, and it lives until 9."""
    forged.asks("run", 0.5)
    forged.holds("x", 1, 9, asked="run", **more)
    forged.add("abandons", at, 2, hold="run", wrapper=5, guardian=6)
    forged.exits(-9, when=at, signals=[signal.SIGKILL], hold="run")


@pytest.mark.parametrize("at, rules", [(3, set()), (7, {"overlap"})])
def test_what_lives_on_after_both_is_listed(forged: Forged, at: float, rules: set[str]) -> None:
    """The next holder comes in at 6: after that, or before."""
    _abandoned(forged, at)
    forged.holds("y", 6, 8, token=2, pid=2)
    report = forged.report()
    assert report.rules() == rules
    assert [each.rule for each in report.not_promised] == [] if rules else ["overlap"]


def test_its_children_are_listed_with_it(forged: Forged) -> None:
    """Its command has ended, a child of that lives on."""
    _grandchild(forged, 8)
    forged.add("abandons", 2, 2, hold="x", wrapper=5, guardian=6)
    forged.holds("y", 6, 7, token=2, pid=2)
    report = forged.report()
    assert (report.findings, len(report.not_promised)) == ([], 1)


def test_two_others_beside_it_are_an_overlap(forged: Forged) -> None:
    """Of the same lock, at the same time: only x is excepted."""
    _abandoned(forged, 3)
    forged.holds("y", 5, 8, token=2, pid=2)
    forged.holds("z", 6, 7, token=3, pid=3)
    report = forged.report()
    assert [each.rule for each in report.findings] == ["overlap"]
    assert "x (" not in report.findings[0].text
    assert ["x (" in each.text for each in report.not_promised] == [True]


def test_the_session_of_the_dead_keeps_others_out(forged: Forged) -> None:
    """It is on the key until it expires: who comes in before that is wrong."""
    _abandoned(forged, 3)
    forged.holds("y", 5, 8, token=2, pid=2)
    for when in (4, 6):
        forged.seen(when, 1, "x")
    assert forged.report().rules() == {"overlap"}


def test_a_loss_of_what_lives_on_is_noticed_by_nobody(forged: Forged) -> None:
    """It was on the key as long as its wrapper lived."""
    _abandoned(forged, 3, lock_delay=1.0)
    forged.seen(2, 1, "x")
    forged.seen(5, 2)
    assert forged.report().findings == []


# Whose fault it is.


def test_an_overlap_counts_for_the_side_that_was_not_on_the_key(forged: Forged) -> None:
    """The observer saw y on it all the time."""
    forged.holds("x", 1, 5)
    forged.holds("y", 3, 9, token=2, pid=2)
    forged.seen(0.5, 1, "x")
    for when in (2.5, 3.5, 8.5):
        forged.seen(when, 2, "y")
    report = forged.report()
    assert report.kinds["lock"].overlaps == {"library": 1}
    assert all("not on it: x" in finding.text for finding in report.findings)


def test_an_overlap_of_consul_lock_alone_is_listed_apart(forged: Forged) -> None:
    """Its session had left the key, and its command went on."""
    forged.holds("x", 1, 5, side="go", token=0)
    forged.holds("y", 3, 9, token=2, pid=2)
    for when in (2.5, 8.5):
        forged.seen(when, 2, "y")
    report = forged.report()
    assert report.findings == []
    assert report.kinds["lock"].overlaps == {"go": 1}
    assert len(report.go) == 1


def test_an_overlap_with_consul_lock_on_the_key_counts_for_the_library(forged: Forged) -> None:
    """The same, and the observer saw `consul lock` there."""
    forged.holds("x", 1, 5, side="go", token=0)
    forged.holds("y", 3, 9, token=2, pid=2)
    for when in (0.5, 8.5):
        forged.seen(when, 1, "x")
    report = forged.report()
    assert report.rules() == {"overlap"}
    assert report.kinds["lock"].overlaps["library"] > 0


@pytest.mark.parametrize("token, side", [(3, "go"), (9, "library")])
def test_between_two_reads_the_token_shows_who_was_on_the_key(
    forged: Forged, token: int, side: str
) -> None:
    """The observer saw index 2 before, and 5 afterwards: a token of 3 is that of a write between
    them."""
    forged.holds("x", 1, 5, side="go", token=0)
    forged.holds("y", 3, 3.1, token=token, pid=2)
    forged.seen(2, 2, "x")
    forged.seen(2.9, 2, "x")
    forged.seen(3.2, 5)
    report = forged.report()
    assert side in report.kinds["lock"].overlaps
    assert report.ok is (side == "go")


@pytest.mark.parametrize("holder, rules", [("x", set()), ("z", {"overlap"})])
def test_who_believes_while_another_session_is_on_the_key_is_wrong(
    forged: Forged, holder: str, rules: set[str]
) -> None:
    """Of z nobody has written anything: it was killed at once.  The observer saw it there."""
    forged.holds("x", 1, 5)
    forged.seen(2, 7, holder)
    forged.seen(4, 7, holder)
    assert forged.report().rules() == rules


def test_a_key_that_was_seen_once_proves_nothing(forged: Forged) -> None:
    """The answer took a second: nobody knows when in it the session was there."""
    forged.holds("x", 1, 5)
    resources = {"a": [7, 1, {"session-z": 1}]}
    forged.add("seen", 6, 9, before=4.5, after=6, resources=resources)
    assert forged.report().findings == []


# Tokens.


@pytest.mark.parametrize("token, rules", [(8, set()), (7, {"token"}), (6, {"token"})])
def test_tokens_grow(forged: Forged, token: int, rules: set[str]) -> None:
    """The second holder has a greater one, the same, or a smaller one."""
    forged.holds("x", 1, 5, token=7)
    forged.holds("y", 6, 9, token=token, pid=2)
    assert forged.report().rules() == rules


@pytest.mark.parametrize("asked, rules", [(0.5, set()), (1.5, {"token"})])
def test_with_several_slots_tokens_grow_for_who_asks_later(
    forged: Forged, asked: float, rules: set[str]
) -> None:
    """Who asked before the other began may have been granted first, and begin later."""
    forged.holds("x", 1, 5, token=7, kind="semaphore", limit=2)
    forged.asks("y", asked, kind="semaphore", pid=2)
    forged.holds("y", 6, 9, token=6, kind="semaphore", limit=2, pid=2)
    assert forged.report().rules() == rules


@pytest.mark.parametrize("session, rules", [("x", set()), ("z", {"token"})])
def test_a_token_is_the_index_of_a_write_that_names_its_holder(
    forged: Forged, session: str, rules: set[str]
) -> None:
    """The observer saw what was written with that index, before the hold was known."""
    forged.holds("x", 4, 5, token=7)
    forged.seen(3, 7, session)
    assert forged.report().rules() == rules


# Losses.


@pytest.mark.parametrize("outcome, rules", [("released", {"unnoticed"}), ("expired", set())])
def test_a_release_says_that_the_hold_was_lost(
    forged: Forged, outcome: str, rules: set[str]
) -> None:
    """Nobody was on the key for a while."""
    forged.holds("x", 1, 9)
    forged.add("released", 9, hold="x", outcome=outcome)
    forged.seen(2, 1, "x")
    for when in (4, 5):
        forged.seen(when, 2)
    assert forged.report().rules() == rules


@pytest.mark.parametrize("code, rules", [(3, {"unnoticed"}), (76, set())])
def test_an_exit_code_says_that_the_hold_was_lost(
    forged: Forged, code: int, rules: set[str]
) -> None:
    """3 is the command's own, and says that all was well with the lock."""
    forged.holds("x", 1, 9, asked="run")
    for when in (4, 5):
        forged.seen(when, 2)
    forged.exits(code, hold="run")
    assert forged.report().rules() == rules


def test_a_wrapper_that_could_not_release_does_not_say_that_it_held(forged: Forged) -> None:
    """It warns, and the exit code is the command's own: nobody could ask Consul."""
    forged.holds("x", 1, 9, asked="run")
    for when in (4, 5):
        forged.seen(when, 2)
    forged.exits(3, hold="run", stderr="warning: not released, Consul frees it later: no answer\n")
    assert forged.report().rules() == set()


def test_the_index_of_a_slot_has_no_token_of_its_own(forged: Forged) -> None:
    """Two that one write let in have one token; the second has the index after the first."""
    for hold, begin, end in (("x", 1, 3), ("y", 5, 9)):
        about = {"kind": "semaphore", "limit": 2, "slots": [0], "token": 7}
        forged.add("asks", 0.5, hold=hold, names=["a"], kind="semaphore")
        forged.holds(hold, begin, end, **about)
    assert "token" not in forged.report().rules()


def test_two_reads_without_a_key_show_nothing_of_the_time_between_them(forged: Forged) -> None:
    """It was acquired and released between them."""
    forged.holds("x", 1, 5)
    forged.add("released", 5.1, hold="x", outcome="released")
    for when in (0.5, 5.5):
        forged.add("seen", when, 9, before=when, after=when, resources={})
    assert forged.report().findings == []


@pytest.mark.parametrize("lock_delay, rules", [(5.0, set()), (3.0, {"late"})])
def test_a_loss_is_noticed_within_the_lock_delay(
    forged: Forged, lock_delay: float, rules: set[str]
) -> None:
    """It left the key at 4 at the latest, and was believed in until 8; nobody else was there."""
    forged.holds("x", 1, 8, over="lost", lock_delay=lock_delay)
    forged.seen(2, 1, "x")
    forged.seen(4, 2)
    assert forged.report().rules() == rules


def test_a_lock_that_was_kept_to_the_end_may_be_said_to_be(forged: Forged) -> None:
    """It left the key after the last look."""
    forged.holds("x", 1, 9)
    forged.add("released", 9.5, hold="x", outcome="released")
    for when in (0.9, 8.9):
        forged.seen(when, 1, "x")
    forged.seen(9.2, 2)
    assert forged.report().findings == []


# Waiters.


@pytest.mark.parametrize(
    "seconds, rules", [(WAIT_BOUND - 1, set()), (WAIT_BOUND + 1, {"forgotten"})]
)
def test_a_waiter_has_its_turn_within_the_bound(
    forged: Forged, seconds: float, rules: set[str]
) -> None:
    """After the last fault."""
    forged.asks("x", 1)
    forged.holds("x", 30 + seconds, 31 + seconds)
    assert forged.report(Fault("partition", 2, 30)).rules() == rules


def test_a_waiter_that_nobody_answers_is_forgotten(forged: Forged) -> None:
    """The run goes on for longer than the bound."""
    forged.asks("x", 1)
    forged.holds("y", 2 + WAIT_BOUND, 3 + WAIT_BOUND, pid=2)
    assert forged.report().rules() == {"forgotten"}


def test_a_waiter_that_died_is_not_forgotten(forged: Forged) -> None:
    """Somebody has killed it."""
    forged.asks("x", 1, pid=5)
    forged.exits(-9, when=3.0, signals=[signal.SIGKILL])
    forged.holds("y", 2 + WAIT_BOUND, 3 + WAIT_BOUND, pid=2)
    assert forged.report().findings == []


# Cron.


def _start(forged: Forged, hold: str, begin: float, slot: str, **more: Any) -> None:
    fields = {"kind": "cron", "slot": slot, "attempt": 1, "token": int(begin), **more}
    forged.holds(hold, begin, begin + 1, pid=int(begin), **fields)


@pytest.mark.parametrize("slot, rules", [("12:05", set()), ("12:00", {"cron"})])
def test_a_cron_slot_is_started_once(forged: Forged, slot: str, rules: set[str]) -> None:
    """Two starts, of two slots or of one."""
    _start(forged, "x", 1, "12:00")
    _start(forged, "y", 3, slot)
    assert forged.report().rules() == rules


@pytest.mark.parametrize("attempt, rules", [(2, set()), (1, {"cron"})])
def test_a_cron_slot_may_be_tried_again_if_that_was_asked_for(
    forged: Forged, attempt: int, rules: set[str]
) -> None:
    """With retries each attempt is started once."""
    _start(forged, "x", 1, "12:00", retries=True)
    _start(forged, "y", 3, "12:00", retries=True, attempt=attempt)
    assert forged.report().rules() == rules


# What is left.


@pytest.mark.parametrize("what", ["keys", "sessions", "services", "processes"])
def test_nothing_may_be_left(forged: Forged, what: str) -> None:
    """One of them is."""
    report = forged.report(left={what: ["one"]})
    assert [finding.text for finding in report.findings] == [f"{what} left: one"]


def test_somebody_has_to_look_what_is_left() -> None:
    """A run that was broken off before the end proves nothing."""
    assert judge([], []).rules() == {"left"}


@pytest.mark.parametrize(
    "what, steps, rules",
    [
        ("descriptors", 1, {"growth"}),
        ("threads", 1, {"growth"}),
        ("rss", 2**21, {"growth"}),
        ("descriptors", 0, set()),
    ],
)
def test_a_long_lived_client_does_not_grow(
    forged: Forged, what: str, steps: int, rules: set[str]
) -> None:
    """Each look finds more, or does not."""
    forged.add("process", 0, role="thread", long_lived=True)
    for place in range(20):
        usage = {"descriptors": 10, "threads": 3, "rss": 30 * 2**20}
        usage[what] += place * steps
        forged.add("gauge", place, **usage)
    assert forged.report().rules() == rules


# How processes end.


@pytest.mark.parametrize(
    "stderr, rules", [("consul-lock: lost", set()), (f"{TRACEBACK}:\n", {"traceback"})]
)
def test_no_traceback(forged: Forged, stderr: str, rules: set[str]) -> None:
    """In what a process has printed."""
    forged.exits(76, stderr=stderr)
    assert forged.report().rules() == rules


@pytest.mark.parametrize("code, rules",
    [(0, set()), (3, set()), (76, set()), (70, {"exit-code"}), (2, {"exit-code"}),
     (-9, {"exit-code"})],
)  # fmt: skip
def test_only_documented_exit_codes(forged: Forged, code: int, rules: set[str]) -> None:
    """0 and 3 are the command's own, 76 is documented, 70 is a bug, 2 is nothing, and nobody has
    killed it."""
    forged.exits(code)
    assert forged.report().rules() == rules


def test_who_was_killed_ends_with_that_signal(forged: Forged) -> None:
    """By the fault, or by who has started it."""
    forged.exits(-9, pid=7)
    forged.exits(143, pid=8, signals=[signal.SIGTERM])
    assert forged.report(Fault("kill", 1, 2, pids=(7,))).findings == []


@pytest.mark.parametrize("what, held", [("looks", True), ("ends", True)], ids=["look", "end"])
def test_records_that_no_right_caller_writes(forged: Forged, what: str, held: bool) -> None:
    """Of a hold that has not begun."""
    forged.add(what, 1, hold="x", before=1, after=1, held=held)
    assert forged.report().rules() == {"nonsense"}


def test_a_hold_that_was_lost_is_never_held_again(forged: Forged) -> None:
    """`held` that turns true again is a bug, though nobody else may hold."""
    forged.holds("x", 1, 5, over="lost")
    forged.add("looks", 8, hold="x", before=8, after=8, held=True)
    assert forged.report().rules() == {"nonsense"}


# What is not promised.


@pytest.mark.parametrize(
    "names, begin, found", [(("*",), 4, 0), (("a",), 4, 0), (("b",), 4, 1), (("*",), 20, 1)]
)
def test_under_a_fault_that_breaks_exclusion_nothing_is_promised(
    forged: Forged, names: Sequence[str], begin: float, found: int
) -> None:
    """It concerns this lock, or another one, or comes later; it is listed in any case."""
    forged.holds("x", 1, 9)
    forged.holds("y", 6, 8, token=2, pid=2)
    fault = Fault("key deleted", begin, begin + 1, tuple(names))
    report = forged.report(fault)
    assert (len(report.findings), len(report.not_promised)) == (found, 1 - found)


def test_who_begins_after_it_is_judged_again(forged: Forged) -> None:
    """The fault was healed before either began."""
    forged.holds("x", 11, 19)
    forged.holds("y", 16, 18, token=2, pid=2)
    assert forged.report(Fault("restore", 1, 2, ("*",))).rules() == {"overlap"}


def test_tokens_may_be_lower_after_the_data_was_set_back(forged: Forged) -> None:
    """Before and after that they are compared, across it they are not."""
    forged.holds("x", 1, 2, token=9)
    forged.holds("y", 5, 6, token=4, pid=2)
    restored = Fault("restore", 3, 4, ("*",))
    report = forged.report(restored)
    assert (report.findings, len(report.not_promised)) == ([], 1)
    forged.holds("z", 7, 8, token=3, pid=3)
    assert forged.report(restored).rules() == {"token"}


@pytest.mark.parametrize("begin, rules", [(5, set()), (11, {"token"})])
def test_a_token_may_come_again_while_the_data_is_set_back(
    forged: Forged, begin: float, rules: set[str]
) -> None:
    """Nobody knows when in that time it happened: one may have begun before, the other after."""
    restored = Fault("restore", 3, 10, ("*",))
    forged.holds("x", begin, begin + 1, token=9)
    forged.holds("y", begin + 2, begin + 3, token=9, pid=2)
    assert forged.report(restored).rules() == rules


# Figures.


def test_the_longest_time_without_a_holder_is_by_fault(forged: Forged) -> None:
    """One waits from 2 on; nobody holds from 5 to 9."""
    forged.asks("x", 0.5)
    forged.holds("x", 1, 5)
    forged.asks("y", 2, pid=2)
    forged.holds("y", 9, 12, token=2, pid=2)
    report = forged.report(Fault("leader killed", 4, 6))
    assert report.kinds["lock"].unavailable == {"leader killed": 4.0, "none": 0.5}


def test_a_takeover_counts_from_the_death(forged: Forged) -> None:
    """x is killed at 6, and y, which waits, begins at 10."""
    forged.holds("x", 1, 5, over="", pid=5)
    forged.exits(-9, when=6.0, signals=[signal.SIGKILL])
    forged.asks("y", 2, pid=2)
    forged.holds("y", 10, 12, token=2, pid=2)
    report = forged.report()
    assert report.kinds["lock"].takeovers == [4.0]
    assert report.kinds["lock"].died == 1


def test_files_are_read_and_half_a_last_line_is_left_out(tmp_path: Path) -> None:
    """As a process leaves them that was killed."""
    history, log = tmp_path / "one.jsonl", tmp_path / "faults"
    line = json.dumps({"what": "left", "when": 1.0, "pid": 1, "start": 2, **_CLEAN})
    history.write_text(line + '\n{"what": "lo')
    fault = {"fault": {"kind": "kill"}, "begun": 1.0, "healed": None, "breaks_exclusion": ["a"]}
    log.write_text(json.dumps(fault) + "\n" + json.dumps({"seed": 7}) + "\n")
    report = check([history], log)
    assert (report.ok, report.faults) == (True, {"kill": 1})


def test_the_checker_loads_nothing_of_the_library() -> None:
    """It can share no mistake with it; nor can the observer."""
    modules = "tests.torture.checker", "tests.torture.program_observer"
    code = f"import sys, {', '.join(modules)}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(modules) < set(loaded)
    assert [name for name in loaded if name.startswith("consul")] == []
