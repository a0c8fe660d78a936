"""What effort makes of lists and counts."""

from __future__ import annotations

import pytest

from tests.support import effort
from tests.support.effort import some


@pytest.mark.parametrize("one_of, count", [(1, 20), (4, 5), (100, 1)])
def test_one_of_so_many_is_taken_and_one_at_least(
    one_of: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evenly; the same ones with the same seed, and all of them in time with others."""
    monkeypatch.setattr(effort, "EFFORT", 1.0)
    seen = set[int]()
    for seed in range(200):
        monkeypatch.setenv("SIMULATION_SEED", str(seed))
        found = some(range(20), one_of, "these")
        assert len(found) == count
        assert found == some(range(20), one_of, "these")
        seen.update(found)
    assert seen == set(range(20))


def test_with_more_effort_it_is_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """And of nothing it is nothing."""
    monkeypatch.setattr(effort, "EFFORT", 10.0)
    assert some(range(20), 4, "these") == list(range(20))
    assert some([], 4, "these") == []
