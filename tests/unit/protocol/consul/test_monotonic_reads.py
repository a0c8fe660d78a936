"""Reads of one place that never show an older state after a newer one."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.consul.models import ReadResult
from consul_lock._protocol.consul.monotonic_reads import MonotonicReads
from consul_lock._protocol.flow import Flow
from tests.unit.protocol.fake_driver import FakeDriver


class Answers:
    """Reads that are answered with these indexes, one after the other."""

    def __init__(self, *indexes: int) -> None:
        self._left = list(indexes)
        self._reads = MonotonicReads()
        self.asked: list[dict[str, Any]] = []

    def _read(self, **how: Any) -> Flow[ReadResult]:
        self.asked.append(how)
        yield from ()
        return ReadResult(0.0, self._left.pop(0), ())

    def next(self) -> int:
        """The index of what the next read shows."""
        found: ReadResult = FakeDriver().run(self._reads.next(self._read, 10.0))
        return found.raft_index

    def read_at_once(self) -> None:
        """After an error: the next read does not wait."""
        self._reads.index = 0


def waiting_from(index: int) -> dict[str, Any]:
    return {"index": index, "wait": 10.0}


CERTAIN = {"consistent": True}


def test_each_read_waits_from_the_answer_before_it() -> None:
    """The first one comes at once; an answer without news has the same index again."""
    answers = Answers(7, 7, 9)
    assert [answers.next(), answers.next(), answers.next()] == [7, 7, 9]
    assert answers.asked == [waiting_from(0), waiting_from(7), waiting_from(7)]


def test_a_stale_read_is_done_again_so_that_no_deposed_leader_answers() -> None:
    """Also when it is one that did not wait."""
    answers = Answers(9, 7, 9, 8, 10)
    assert answers.next() == 9
    assert answers.next() == 9
    answers.read_at_once()
    assert answers.next() == 10
    stale = [waiting_from(9), CERTAIN, waiting_from(0), CERTAIN]
    assert answers.asked == [waiting_from(0), *stale]


def test_a_restored_snapshot_is_believed() -> None:
    """The lower index is certain, so the reads go on from there."""
    answers = Answers(9, 5, 5, 6)
    assert [answers.next(), answers.next(), answers.next()] == [9, 5, 6]
    assert answers.asked == [waiting_from(0), waiting_from(9), CERTAIN, waiting_from(5)]
