"""The check sees what is wrong, and only that: histories made up by hand."""

from __future__ import annotations

import pytest

from tests.support.event_log import Event
from tests.support.overlap_check import History, one_at_a_time


def events(*words: str) -> list[Event]:
    """From texts such as "begin 1 7": what, who, and for ``begin`` token and slots."""
    made = []
    for word in words:
        what, who, *numbers = word.split()
        token, slots = [*map(int, numbers), *(0, 1)[len(numbers) :]]
        made.append(Event(what, who, session=f"session-{who}", token=token, slots=slots))
    return made


def story(*words: str) -> History:
    """The history of these events."""
    return History(events(*words))


def test_one_after_the_other_is_right() -> None:
    """Nothing to say against it."""
    seen = story(
        "asks 1", "begin 1 7", "still 1", "end 1", "asks 2", "begin 2 8", "end 2",
    )  # fmt: skip
    assert seen.overlaps(1) == seen.wrong_tokens(1) == seen.nonsense == []
    assert [hold.over for hold in seen.holds] == ["end", "end"]


def test_two_at_once_are_one_too_many_for_one_slot() -> None:
    """Also if the first is only seen again after the second has begun."""
    seen = story("asks 1", "asks 2", "begin 1 7", "begin 2 8", "still 1", "end 2", "end 1")
    assert len(seen.overlaps(1)) == 1
    assert seen.overlaps(2) == []
    assert seen.most() == 2


def test_slots_count_and_not_holds() -> None:
    """One that has two of three slots leaves one."""
    seen = story("asks 1", "asks 2", "begin 1 7 2", "begin 2 8 2", "still 1", "end 1", "end 2")
    assert len(seen.overlaps(3)) == 1
    assert seen.overlaps(4) == []


@pytest.mark.parametrize("end", ["lost", "killed"])
def test_nothing_is_claimed_after_the_last_look(end: str) -> None:
    """A holder that found its hold lost, or is dead, may have a successor since its last look."""
    seen = story("asks 1", "asks 2", "begin 1 7", "still 1", "begin 2 8", f"{end} 1", "end 2")
    assert seen.overlaps(1) == []
    assert seen.holds[0].over == end


def test_a_hold_that_is_believed_after_its_session_was_destroyed_counts() -> None:
    """The others have to wait until it has noticed."""
    seen = story(
        "asks 1", "asks 2", "begin 1 7", "destroyed 1", "begin 2 8", "still 1", "lost 1", "end 2",
    )  # fmt: skip
    assert len(seen.overlaps(1)) == 1
    assert seen.counts["holders destroyed"] == 1


def test_a_process_that_wakes_up_and_believes_counts() -> None:
    """It was followed while it stood still."""
    wrong = story("asks 1", "begin 1 7", "frozen 1", "asks 2", "begin 2 8", "still 1", "end 2")
    assert len(wrong.overlaps(1)) == 1
    right = story("asks 1", "begin 1 7", "frozen 1", "asks 2", "begin 2 8", "lost 1", "end 2")
    assert right.overlaps(1) == []
    assert right.counts["holders frozen"] == 1


def test_a_later_acquire_has_a_greater_token() -> None:
    """An earlier caller may have a smaller one although it begins later."""
    right = story("asks 1", "asks 2", "begin 2 8", "end 2", "begin 1 7", "end 1")
    assert right.wrong_tokens(2) == []
    wrong = story("asks 2", "begin 2 8", "end 2", "asks 1", "begin 1 7", "end 1")
    assert len(wrong.wrong_tokens(2)) == 1
    same = story("asks 2", "begin 2 8", "end 2", "asks 1", "begin 1 8", "end 1")
    assert len(same.wrong_tokens(2)) == 1


def test_one_write_grants_no_more_slots_than_there_are() -> None:
    """Two with one token are right for two slots, and wrong for one."""
    seen = story("asks 1", "asks 2", "begin 1 7", "end 1", "begin 2 7", "end 2")
    assert seen.wrong_tokens(2) == []
    (wrong,) = seen.wrong_tokens(1)
    assert wrong.endswith("has a token that was given already")


def test_a_look_at_a_hold_that_is_over_is_nonsense() -> None:
    """No right caller writes after its end, or after it was killed."""
    for end in ("end", "lost", "killed"):
        seen = story("asks 1", "begin 1 7", f"{end} 1", "still 1")
        assert len(seen.nonsense) == 1
    assert story("asks 1", "begin 1 7", "begin 1 8").nonsense


def test_a_lock_for_one_has_its_holders_in_order() -> None:
    """Each with its token."""
    holds = one_at_a_time(events("begin a 7", "end a", "begin b 9", "end b", "begin a 12", "end a"))
    assert [(hold.who, hold.token) for hold in holds] == [("a", 7), ("b", 9), ("a", 12)]


@pytest.mark.parametrize(
    "words",
    [
        ["begin a 7", "begin b 8", "end a", "end b"],
        ["begin a 8", "end a", "begin b 7", "end b"],
        ["begin a 7", "end a", "begin b 7", "end b"],
        ["begin a 7", "end a", "begin b 8"],
        ["begin a 7", "end b", "end a"],
    ],
    ids=["two at once", "smaller token", "same token", "no end", "end of another"],
)
def test_a_lock_for_one_that_was_not_so_fails(words: list[str]) -> None:
    """Whatever was wrong with it."""
    with pytest.raises(AssertionError):
        one_at_a_time(events(*words))
