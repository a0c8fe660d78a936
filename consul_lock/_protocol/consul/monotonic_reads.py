"""Reads that never go back in time (monotonic reads)."""

from __future__ import annotations

from collections.abc import Callable

from consul_lock._protocol.consul.models import ReadResult
from consul_lock._protocol.flow import Flow

Read = Callable[..., Flow[ReadResult]]
"""Reads one key, or all below a prefix: with ``index`` and ``wait``, or ``consistent``."""


class MonotonicReads:
    """Blocking reads of one place, one after the other: each as new as the last one, or newer."""

    def __init__(self) -> None:
        self.index = 0
        """What the next read waits for a change from; 0: it does not wait."""
        self._newest = 0
        """The highest index that was seen: a read with a lower one is stale."""

    def next(self, read: Read, wait: float) -> Flow[ReadResult]:
        """Read it, once it has changed or ``wait`` seconds are over."""
        found = yield from read(index=self.index, wait=wait)
        if found.raft_index < self._newest:
            # A deposed leader of the servers answers, or a snapshot was restored.  What it shows
            # is true only if a read says so that no deposed one can answer.
            found = yield from read(consistent=True)
        self._newest = self.index = found.raft_index
        return found
