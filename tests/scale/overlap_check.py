"""Who was inside, in which order, and whether ever two were."""

from __future__ import annotations

import itertools
import threading
from typing import NamedTuple


class Grant(NamedTuple):
    """One time inside."""

    who: str
    token: int


class Recorder:
    """Told by everybody who gets the lock, at once after and directly before letting go."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._inside: list[str] = []
        self.grants: list[Grant] = []
        """In the order in which they began."""
        self.overlaps: list[str] = []

    def begin(self, who: str, token: int | None) -> None:
        """The lock is ours from here on."""
        assert token is not None
        with self._mutex:
            if self._inside:
                self.overlaps.append(f"{who} came while {self._inside} was inside")
            self._inside.append(who)
            self.grants.append(Grant(who, token))

    def end(self, who: str) -> None:
        """The lock is ours up to here."""
        with self._mutex:
            self._inside.remove(who)

    @property
    def tokens(self) -> list[int]:
        """In the order of the grants."""
        return [grant.token for grant in self.grants]

    def check(self, count: int) -> None:
        """Each of ``count`` was inside once and alone, and tokens grew from each to the next."""
        assert self.overlaps == []
        assert len(self.grants) == count
        assert len({grant.who for grant in self.grants}) == count
        assert all(a < b for a, b in itertools.pairwise(self.tokens))
