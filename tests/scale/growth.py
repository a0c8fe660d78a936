"""Whether something grows, judged by samples of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ALLOWANCE: Mapping[str, int] = {"rss": 1 << 20, "blocks": 2_000, "traced": 128 << 10}
"""By so much a sample may be more than those before it, for caches that fill and heaps that are in
pieces; what is not in here, such as sockets, threads, tasks and sessions, by nothing.  What is kept
of one acquisition is some twenty blocks."""


def grown(samples: Sequence[Mapping[str, int]], warm_up: int = 2) -> dict[str, tuple[int, int]]:
    """What has grown after the warm-up: the most of its first third, the least of its last.

    What goes up and down is not growth, and what is kept of each round is: then even the least of
    the last third is more than the most of the first.
    """
    warm = samples[warm_up:]
    third = max(1, len(warm) // 3)
    found = {}
    for what in warm[0]:
        most = max(each[what] for each in warm[:third])
        least = min(each[what] for each in warm[-third:])
        if least > most + ALLOWANCE.get(what, 0):
            found[what] = (most, least)
    return found
