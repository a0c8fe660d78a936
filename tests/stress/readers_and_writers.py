"""Readers and writers of one lock: who is inside now, in which order they came, and what broke."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass
class Visit:
    """One time inside.  ``begun`` is a place in the order of all beginnings."""

    who: str
    mode: str
    """As what it came: "read" or "write"."""
    token: int
    entry: int
    """CreateIndex of its entry in Consul: its place in the queue."""
    asked: int
    """An index of Consul's from before it asked: all up to that were in the queue before it."""
    begun: int
    reads: bool
    """What it is now: a writer may become a reader."""


class ReadersAndWriters:
    """Called by every user directly after it has acquired the lock and before it releases it."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._inside: dict[str, Visit] = {}
        self.visits: list[Visit] = []
        """In the order in which they began."""
        self.forbidden: list[str] = []
        self.together: list[set[str]] = []
        """Who was inside, at each beginning."""

    def begin(self, who: str, mode: str, token: int, entry: int, asked: int) -> None:
        """It is inside from here on."""
        with self._mutex:
            visit = Visit(who, mode, token, entry, asked, len(self.visits), mode == "read")
            self.visits.append(visit)
            self._inside[who] = visit
            readers = sum(visit.reads for visit in self._inside.values())
            if len(self._inside) > max(1, readers):
                self.forbidden.append(f"{who} came: now inside are {list(self._inside.values())}")
            self.together.append(set(self._inside))

    def downgrade(self, who: str) -> None:
        """It is a reader from here on."""
        with self._mutex:
            self._inside[who].reads = True

    def end(self, who: str) -> None:
        """It is inside up to here."""
        with self._mutex:
            del self._inside[who]

    def inside(self) -> set[str]:
        """Who is, at this moment."""
        with self._mutex:
            return set(self._inside)

    def met(self, group: set[str]) -> bool:
        """Whether all of these have been inside at the same time."""
        return any(group <= inside for inside in self.together)

    def overtaken(self) -> list[str]:
        """Those that began before a writer that was in the queue when they asked.

        Judged by the index from before it asked and not by its entry: a reader that sees nobody
        and enters in one write may pass a writer that has joined the queue between the two.
        """
        return [
            f"{other} came in before {writer}"
            for writer in self.visits
            if writer.mode == "write"
            for other in self.visits
            if other.asked >= writer.entry and other.begun < writer.begun
        ]

    def wrong_tokens(self) -> list[str]:
        """Holders with no greater token than one that kept them out: of two, at least one wrote."""
        found = []
        writers = readers = 0
        for visit in self.visits:
            known = max(writers, readers) if visit.mode == "write" else writers
            if visit.token <= known:
                found.append(f"{visit} after token {known}")
            if visit.mode == "write":
                writers = max(writers, visit.token)
            else:
                readers = max(readers, visit.token)
        return found
