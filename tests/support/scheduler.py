"""Which process runs which tests: what waits goes beside what computes.

Most tests compute, and some wait for most of their time: for TTLs, lock-delays, servers that start.
Processes that all compute keep each other from the cores, and processes that all wait leave the
cores idle.  So the tests are one list with what waits at its beginning (see ``conftest.py``); one
process for each core takes its tests from the end, half of them at most, and the others take theirs
from the beginning, until they meet.  Those that compute are a little nice, as the others have
servers whose elections must be in time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from xdist.scheduler.load import LoadScheduling

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

# How nice processes are that begin at the end of the list.
NICE = 5

# Tests that a process has to have: the one that it runs, and the next one.
_AHEAD = 2

# Tests of one file that a process takes at a time.  From the beginning of the list it takes more,
# the whole file if there are many, as its tests share servers.
_FEW, _SHARE = 10, 4


def begins_in_front(number: int, processes: int, cores: int | None = None) -> bool:
    """Whether a process begins with what waits."""
    cores = os.cpu_count() or 1 if cores is None else cores
    return number < processes - min(cores, processes // 2)


class BothEnds(LoadScheduling):  # type: ignore[misc] # it has no types
    """Hands out the tests from both ends of the list."""

    def schedule(self) -> None:
        """Begin, or go on with a process that is new."""
        super().schedule()
        for node in self.nodes:
            self.check_schedule(node)

    def check_schedule(self, node: WorkerController, duration: float = 0) -> None:
        """Give a process its next tests, if it has hardly any left."""
        if node.shutting_down:
            return
        while self.pending and len(self.node2pending[node]) < _AHEAD:
            self._send_tests(node, _AHEAD)
        if not self.pending:
            node.shutdown()

    def _send_tests(self, node: WorkerController, num: int) -> None:
        if not self.pending:
            return
        if begins_in_front(self.nodes.index(node), self.numnodes):
            most = max(_FEW, len(self.pending) // (_SHARE * self.numnodes))
            batch = self._of_one_file(self.pending)[:most]
            del self.pending[: len(batch)]
        else:
            batch = sorted(self._of_one_file(reversed(self.pending))[:_FEW])
            del self.pending[-len(batch) :]
        self.node2pending[node] += batch
        node.send_runtest_some(batch)

    def _of_one_file(self, places: Iterable[int]) -> list[int]:
        """The first of these, and those after it that are in the same file."""
        names = self.collection or []
        return list(next(groupby(places, lambda place: names[place].partition("::")[0]))[1])
