"""The judge sees what is wrong, and only that: stories made up by hand."""

from __future__ import annotations

import pytest

from tests.stress.event_log import Line
from tests.stress.overlap_check import Story


def story(*words: str) -> Story:
    """A story from lines such as "begin 1 7": what, process, and for ``begin`` token and slots."""
    lines = []
    for word in words:
        what, who, *more = word.split()
        token, slots, *_ = [*map(int, more), 0, 1][: len(more)] + [0, 1][len(more) :]
        session = f"session-{who}"
        lines.append(Line(0.0, what, int(who), 1, session, token, slots))
    return Story(lines)


def test_one_after_the_other_is_right() -> None:
    """Nothing to say against it."""
    told = story(
        "asks 1", "begin 1 7", "still 1", "end 1", "asks 2", "begin 2 8", "end 2",
    )  # fmt: skip
    assert told.overlaps(1) == told.wrong_tokens(1) == told.nonsense == []
    assert [hold.over for hold in told.holds] == ["end", "end"]


def test_two_at_once_are_one_too_many_for_one_slot() -> None:
    """Also if the first is only seen again after the second has begun."""
    told = story("asks 1", "asks 2", "begin 1 7", "begin 2 8", "still 1", "end 2", "end 1")
    assert len(told.overlaps(1)) == 1
    assert told.overlaps(2) == []
    assert told.most() == 2


def test_slots_count_and_not_holds() -> None:
    """One that has two of three slots leaves one."""
    told = story("asks 1", "asks 2", "begin 1 7 2", "begin 2 8 2", "still 1", "end 1", "end 2")
    assert len(told.overlaps(3)) == 1
    assert told.overlaps(4) == []


@pytest.mark.parametrize("end", ["lost", "killed"])
def test_nothing_is_claimed_after_the_last_look(end: str) -> None:
    """Who found its hold lost, or is dead, may have been followed since its last look."""
    told = story("asks 1", "asks 2", "begin 1 7", "still 1", "begin 2 8", f"{end} 1", "end 2")
    assert told.overlaps(1) == []
    assert told.holds[0].over == end


def test_a_hold_that_is_believed_after_its_session_was_destroyed_counts() -> None:
    """The others have to wait until it has noticed."""
    told = story(
        "asks 1", "asks 2", "begin 1 7", "destroyed 1", "begin 2 8", "still 1", "lost 1", "end 2",
    )  # fmt: skip
    assert len(told.overlaps(1)) == 1
    assert told.counts["holders destroyed"] == 1


def test_a_process_that_wakes_up_and_believes_counts() -> None:
    """It was followed while it stood still."""
    wrong = story("asks 1", "begin 1 7", "frozen 1", "asks 2", "begin 2 8", "still 1", "end 2")
    assert len(wrong.overlaps(1)) == 1
    right = story("asks 1", "begin 1 7", "frozen 1", "asks 2", "begin 2 8", "lost 1", "end 2")
    assert right.overlaps(1) == []
    assert right.counts["holders frozen"] == 1


def test_who_asks_later_has_a_greater_token() -> None:
    """Who asked before may have a smaller one although it begins later."""
    right = story("asks 1", "asks 2", "begin 2 8", "end 2", "begin 1 7", "end 1")
    assert right.wrong_tokens(2) == []
    wrong = story("asks 2", "begin 2 8", "end 2", "asks 1", "begin 1 7", "end 1")
    assert len(wrong.wrong_tokens(2)) == 1
    same = story("asks 2", "begin 2 8", "end 2", "asks 1", "begin 1 8", "end 1")
    assert len(same.wrong_tokens(2)) == 1


def test_one_write_grants_no_more_slots_than_there_are() -> None:
    """Two with one token are right for two slots, and wrong for one."""
    told = story("asks 1", "asks 2", "begin 1 7", "end 1", "begin 2 7", "end 2")
    assert told.wrong_tokens(2) == []
    assert told.wrong_tokens(1) == ["token 7 for 2 slots"]


def test_a_look_at_a_hold_that_is_over_is_nonsense() -> None:
    """No right worker writes after its end, or after it was killed."""
    for end in ("end", "lost", "killed"):
        told = story("asks 1", "begin 1 7", f"{end} 1", "still 1")
        assert len(told.nonsense) == 1
    assert story("asks 1", "begin 1 7", "begin 1 8").nonsense
