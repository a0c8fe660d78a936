"""Whether something grows, judged by samples of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ALLOWANCE: Mapping[str, int] = {"rss": 1 << 20, "blocks": 2_000, "traced": 64 << 10}
"""By so much a sample may be more than those before it, for caches that fill and heaps that are in
pieces; what is not in here, such as sockets, threads, tasks and sessions, by nothing.  What is kept
of one acquisition is some twenty blocks."""


def grown(samples: Sequence[Mapping[str, int]], warm_up: int = 2) -> dict[str, tuple[int, int]]:
    """What has grown after the warm-up: the most of its first half, the least of its second.

    What goes up and down is not growth, and what is kept of each round is: then even the least of
    the second half is more than the most of the first.
    """
    warm = samples[warm_up:]
    first, second = warm[: len(warm) // 2], warm[len(warm) // 2 :]
    found = {}
    for what in warm[0]:
        most, least = max(s[what] for s in first), min(s[what] for s in second)
        if least > most + ALLOWANCE.get(what, 0):
            found[what] = (most, least)
    return found
