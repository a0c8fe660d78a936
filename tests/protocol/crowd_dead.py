"""Holders that have died, and for how long their places have to be kept for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.protocol.crowd_seen import Seen, Waiter

if TYPE_CHECKING:
    from tests.protocol.crowd_referee import CrowdReferee

# How much faster than the world a clock may run that measures a hold-off.
_FAST = 1.03


class Dead:
    """Who is in a document without a contender key."""

    def __init__(self, referee: CrowdReferee) -> None:
        self._referee = referee
        self._since: dict[tuple[str, str], float] = {}
        self._first: dict[str, tuple[str, float]] = {}
        """Who has been first in line, and since when, by name."""
        self.any = False
        """Somebody has died while it waited or was in."""

    @property
    def sessions(self) -> set[str]:
        """All of them."""
        return {session for _, session in self._since}

    def since(self, name: str, session: str) -> float | None:
        """Since when a holder has been dead; None: it lives."""
        return self._since.get((name, session))

    def note(self, name: str, then: Seen, now: Seen) -> None:
        """See who is dead now, and who is first of those who wait for their places."""
        if self._referee.kind.documents:
            gone = {s for s in now.holders(name) if not now.contends(name, s)}
            for key in [k for k in self._since if k[0] == name and k[1] not in gone]:
                del self._since[key]
            for session in gone:
                self._since.setdefault((name, session), self._referee.now)
        first = next((waiter.leader for waiter in now.waiting(name)), "")
        if self._first.get(name, ("", 0.0))[0] != first:
            self._first[name] = (first, self._referee.now)
        self._note_ends(then.contenders[name], now.contenders[name])

    def _note_ends(self, before: tuple[Waiter, ...], after: tuple[Waiter, ...]) -> None:
        if before != after:
            gone = {w.session for w in before} - {w.session for w in after}
            self.any = self.any or not gone <= self._referee.sessions()

    def held_off(self, name: str, session: str, host: int) -> bool:
        """Whether a holder may be put out by this contender."""
        since = self._since[name, session]
        least = max(self._promised(host), self._promised(self._referee.owner(session)))
        return self._referee.now - since >= least / _FAST

    def _promised(self, number: int | None) -> float:
        """How long somebody may believe in what it has lost."""
        if number is None:
            return 0.0
        terms = self._referee.contenders[number].settings.terms
        return terms.lock_delay or terms.ttl

    def is_over(self, name: str, session: str) -> bool:
        """Whether the first in line has seen a dead holder dead for long enough."""
        gone = self._since.get((name, session))
        if gone is None:
            return False
        longest = max(self._promised(c.number) for c in self._referee.contenders)
        since = max(gone, self._first.get(name, ("", 0.0))[1])
        return self._referee.now - since > longest * _FAST + 1.0
