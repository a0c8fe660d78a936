"""What an observer makes of the keys that it has read, past the library."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.torture.program_observer import SEMAPHORE, resources


def _entry(key: str, value: Any, session: str = "", flags: int = 0, index: int = 7) -> Any:
    text = base64.b64encode(json.dumps(value).encode()).decode()
    entry = {"Key": key, "Value": text, "Flags": flags, "ModifyIndex": index}
    return {**entry, "Session": session} if session else entry


def _document(*sessions: str) -> Any:
    held = {"Limit": 2, "Holders": dict.fromkeys(sessions, True)}
    return _entry("s/.lock", held, flags=SEMAPHORE)


def _contender(session: str, of: str | None = None) -> Any:
    return _entry(f"s/{session}", {"claim": {"of": of}} if of else {"host": "h"}, session)


_TOGETHER = (_document("a", "b"), _contender("a", "a"), _contender("b", "a"))


@pytest.mark.parametrize(
    "reads, taken",
    [
        ([(_document("a", "b"), _contender("a"), _contender("b"))], {"a": 1, "b": 1}),
        ([_TOGETHER], {"a": 2}),
        # The second has died, and what it takes is still of both.
        ([_TOGETHER, (_document("a", "b"), _contender("a", "a"))], {"a": 2}),
        # It contends alone afterwards, is seen as a contender or not.
        ([_TOGETHER, (_document("b"), _contender("b"))], {"b": 1}),
        ([_TOGETHER, (), (_document("b"),)], {"b": 1}),
    ],
)
def test_what_sessions_take_together_is_of_the_first(
    reads: Sequence[Sequence[Any]], taken: dict[str, int]
) -> None:
    """Only as long as they are in the document together."""
    leaders: dict[str, str] = {}
    for entries in reads:
        found = resources(list(entries), leaders)
    assert found["s"] == (7, 2, taken)
