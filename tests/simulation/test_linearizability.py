"""Tests of the judge: forged histories fail it, one for each rule, and true ones do not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.simulation import linearizability
from tests.simulation.history import Action, Operation
from tests.simulation.linearizability import (
    NotLinearizable,
    Undecided,
    check_linearizable,
    concerning,
)

WRITER = 10


def acquire(
    hold: int, called: int, returned: int, token: int, n: int = 1, *, limit: int | None = None
) -> Operation:
    brings = frozenset() if limit is None else frozenset({limit})
    return Operation(Action.ACQUIRE, called, returned, hold, {"x": n}, token, brings=brings)


def release(hold: int, called: int, returned: int | None = None) -> Operation:
    return Operation(Action.RELEASE, called, returned, hold)


ALLOWED = {
    "one after the other": [acquire(1, 1, 2, 5), release(1, 3, 4), acquire(2, 5, 6, 7)],
    "the next one returns before the release does": [
        acquire(1, 1, 2, 5),
        acquire(2, 3, 5, 7),
        release(1, 4, 6),
    ],
    "returns in another order than grants": [
        acquire(1, 1, 4, 5),
        release(1, 5, 6),
        acquire(2, 2, 7, 9),
    ],
    "a release without an answer that was carried out": [
        acquire(1, 1, 2, 5),
        release(1, 3),
        acquire(2, 4, 5, 7),
    ],
}

FORGED = {
    "two hold at the same time": [acquire(1, 1, 2, 5), acquire(2, 3, 4, 7), release(1, 5, 6)],
    "one holds without an end": [acquire(1, 1, 2, 5), acquire(2, 3, 4, 7)],
    "an acquire returned before the release was called": [
        acquire(1, 1, 2, 5),
        acquire(2, 3, 4, 7),
        release(1, 5),
    ],
    "a token falls": [acquire(1, 1, 2, 5), release(1, 3, 4), acquire(2, 5, 6, 4)],
    "a token comes twice": [acquire(1, 1, 2, 5), release(1, 3, 4), acquire(2, 5, 6, 5)],
    "what was never held is released": [release(1, 1, 2)],
    "it is released twice": [acquire(1, 1, 2, 5), release(1, 3, 4), release(1, 5, 6)],
}


@pytest.mark.parametrize("story", ALLOWED)
def test_a_history_that_a_lock_allows_passes(story: str) -> None:
    """Else a failure would mean nothing."""
    check_linearizable(ALLOWED[story], 1)


@pytest.mark.parametrize("story", FORGED)
def test_a_forged_history_of_a_lock_fails(story: str) -> None:
    """Exclusion, fencing tokens, and that only what is held is released."""
    with pytest.raises(NotLinearizable):
        check_linearizable(FORGED[story], 1)


def test_a_semaphore_lets_in_as_many_as_its_limit_and_no_more() -> None:
    """Those who fit beside each other may have the same token, as one write let them in."""
    two = [acquire(1, 1, 3, 5, limit=2), acquire(2, 2, 4, 5, limit=2)]
    check_linearizable(two, 2)
    with pytest.raises(NotLinearizable):
        check_linearizable([*two, acquire(3, 5, 6, 9, limit=2)], 2)
    with pytest.raises(NotLinearizable):
        check_linearizable([acquire(1, 1, 2, 5, 2), acquire(2, 3, 4, 9)], 2)


def test_a_higher_limit_counts_from_its_call_on() -> None:
    """Also if nobody knows whether it was carried out; but not before somebody asked for it."""
    held = [acquire(1, 1, 2, 5, limit=1), acquire(2, 5, 6, 9, limit=1)]
    wider = Operation(Action.RESIZE, 3, None, weights={"x": 0}, limit=2)
    check_linearizable([*held, wider], 1)
    with pytest.raises(NotLinearizable):
        check_linearizable([*held, Operation(Action.RESIZE, 7, None, limit=2)], 1)


def test_who_finds_it_empty_brings_its_limit_along_and_nobody_else_does() -> None:
    """The document of a semaphore is deleted when it is empty."""
    first = acquire(1, 1, 2, 5, limit=2)
    check_linearizable([first, acquire(2, 3, 4, 6)], 1)
    with pytest.raises(NotLinearizable):
        check_linearizable([acquire(1, 1, 2, 5), acquire(2, 3, 4, 6, limit=2)], 1)


def test_a_writer_excludes_readers_until_it_has_less() -> None:
    """And tokens grow only between those who exclude each other."""
    writer, reader = acquire(1, 1, 2, 5, WRITER), acquire(2, 5, 6, 7)
    less = Operation(Action.REDUCE, 3, 4, 1, {"x": 1})
    check_linearizable([writer, less, reader], WRITER)
    check_linearizable([acquire(1, 1, 2, 7), acquire(2, 3, 4, 5)], WRITER)
    with pytest.raises(NotLinearizable):
        check_linearizable([writer, reader], WRITER)
    with pytest.raises(NotLinearizable):
        check_linearizable([writer, less, acquire(2, 5, 6, 4)], WRITER)


def test_a_search_that_takes_too_long_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no proof of anything then."""
    monkeypatch.setattr(linearizability, "STATES_MAX", 1)
    with pytest.raises(Undecided):
        check_linearizable(ALLOWED["one after the other"], 1)


def test_only_what_concerns_a_resource_is_judged() -> None:
    """A history of several locks is one history for each of them."""
    mine, other = acquire(1, 1, 2, 5), Operation(Action.ACQUIRE, 3, 4, 2, {"y": 1}, 9)
    ends = [release(1, 5, 6), release(2, 7, 8)]
    assert concerning([mine, other, *ends], {"x"}) == [mine, ends[0]]


def test_the_judge_knows_nothing_of_the_library() -> None:
    """It would share its mistakes."""
    tree = ast.parse(Path(linearizability.__file__).read_text())
    imports = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [module for module in imports if module and module.startswith("consul_lock")]
