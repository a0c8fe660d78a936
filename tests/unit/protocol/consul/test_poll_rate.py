"""Blocking reads that show nothing new come at most once a second, after two at once."""

from __future__ import annotations

from consul_lock._protocol.consul.models import Pair, ReadResult
from consul_lock._protocol.consul.poll_rate import PollRate


def answer(sent: float, index: int = 5, value: bytes = b"") -> ReadResult:
    return ReadResult(sent, index, (Pair("k", value, 0, "", 1, index),))


def test_answers_without_news_cost_a_token_each() -> None:
    """The first two repetitions are free; a token comes back each second, two at most."""
    rate, pauses = PollRate(), list[float]()
    for sent in (0.0, 0.0, 0.0, 0.25, 1.0, 61.0, 61.0, 61.0):
        pauses.append(rate.pause("k", False))
        rate.saw("k", False, 5, answer(sent))
    assert pauses == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0]


def test_a_change_is_never_held_up() -> None:
    """However quickly they follow one another: another index, or another value."""
    rate = PollRate()
    for number in range(100):
        rate.saw("k", False, number, answer(0.0, number + 1))
        rate.saw("x", False, 5, answer(0.0, 5, b"%d" % number))
        assert rate.pause("k", False) == rate.pause("x", False) == 0.0


def test_two_loops_on_one_key_see_the_same_change_as_news() -> None:
    """The second one asked for what is newer than an index before that."""
    rate = PollRate()
    for number in range(10):
        for _ in range(2):
            rate.saw("k", False, number, answer(0.0, number + 1))
    assert rate.pause("k", False) == 0.0


def test_a_key_and_the_keys_below_it_are_counted_apart_and_old_ones_forgotten() -> None:
    """The memory is bounded: the one that was read first is forgotten first."""
    rate = PollRate()
    for _ in range(4):
        rate.saw("k", True, 5, answer(0.0))
    assert (rate.pause("k", True), rate.pause("k", False)) == (1.0, 0.0)
    for number in range(511):
        rate.saw(str(number), False, 5, answer(0.0))
    assert rate.pause("k", True) == 1.0
    rate.saw("one more", False, 5, answer(0.0))
    assert rate.pause("k", True) == 0.0
