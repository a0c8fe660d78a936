"""A floor between blocking reads that show nothing new.

A waiter reads again as soon as a blocking read has ended, and relies on Consul to hold the
answer back.  A proxy that strips ``X-Consul-Index``, or cuts long polls off, makes a loop of it:
832 requests a second of one waiter, measured.  A pause after each answer would make every
hand-over slower; so only an answer that shows the same as the one before costs anything: one of
two tokens, of which another one comes each second (a token bucket, as HashiCorp suggests for such
loops).  What shows a change is never held up, however many there are.
"""

from __future__ import annotations

from typing import NamedTuple

from consul_lock._protocol.consul.models import Pair, ReadResult

# Answers without news that may follow one another at once, and seconds for another one.
_BURST, _EVERY = 2.0, 1.0

# Keys that are remembered; the one that was read first is forgotten first.
_KEYS_MAX = 512


class _Seen(NamedTuple):
    """The last answer to a blocking read of one key or prefix."""

    raft_index: int
    pairs: tuple[Pair, ...]
    sent: float
    tokens: float


class PollRate:
    """Of all blocking reads of one client."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, bool], _Seen] = {}

    def pause(self, key: str, recurse: bool) -> float:
        """Seconds to pause before this is read again."""
        seen = self._seen.get((key, recurse))
        return 0.0 if seen is None else max(0.0, (1.0 - seen.tokens) * _EVERY)

    def saw(self, key: str, recurse: bool, index: int, found: ReadResult) -> None:
        """Take in the answer to a read that asked for what is newer than ``index``."""
        last = self._seen.pop((key, recurse), None)
        tokens = _BURST
        if last is not None:
            tokens = min(_BURST, last.tokens + (found.sent - last.sent) / _EVERY)
            # Two loops may watch one key: the same change is news for both.
            if last.raft_index == index and last.pairs == found.pairs:
                tokens = max(0.0, tokens - 1.0)
        while len(self._seen) >= _KEYS_MAX:
            self._seen.pop(next(iter(self._seen)), None)
        self._seen[key, recurse] = _Seen(found.raft_index, found.pairs, found.sent, tokens)
