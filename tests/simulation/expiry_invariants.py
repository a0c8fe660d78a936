"""Holders that have died, and for how long their places have to be kept for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.consul_state import Seen, Waiter

if TYPE_CHECKING:
    from tests.simulation.weighted_invariants import CrowdReferee

# Seconds of a lock-delay that a client of Go leaves to Consul.
_OF_GO = 15.0

# Seconds between two tries to prune somebody, at most, and some for the messages.
_RETRY = 2.0


class Dead:
    """Who is in a document without a session."""

    def __init__(self, referee: CrowdReferee) -> None:
        self._referee = referee
        self._since: dict[tuple[str, str], float] = {}
        self._first: dict[str, tuple[str, float]] = {}
        """Who has been first in the queue, and since when, by name."""
        self.any = False
        """Somebody has died while it waited or was in."""
        self.crossed = False
        """A document became empty for the sake of a waiter that had left since it was read."""
        self._left: set[str] = set()
        """Names of which a waiter has left since their documents were written last."""

    @property
    def sessions(self) -> set[str]:
        """All of them."""
        return {session for _, session in self._since}

    def since(self, name: str, session: str) -> float | None:
        """Since when a holder has been dead; None: it lives."""
        return self._since.get((name, session))

    def note(self, name: str, then: Seen, now: Seen) -> None:
        """Note the dead, and the first waiter for their places."""
        if self._referee.kind.documents:
            gone = {s for s in now.holders(name) if not now.contends(name, s)}
            for key in [k for k in self._since if k[0] == name and k[1] not in gone]:
                del self._since[key]
            for session in gone:
                self._since.setdefault((name, session), self._referee.now)
        self._note_crossing(name, then, now)
        first = next((waiter.leader for waiter in now.waiting(name)), "")
        if self._first.get(name, ("", 0.0))[0] != first:
            self._first[name] = (first, self._referee.now)
        self._note_ends(then.contenders[name], now.contenders[name])
        gone = then.holders(name).keys() - now.holders(name).keys()
        self.any = self.any or not gone <= self._referee.sessions()

    def _note_crossing(self, name: str, then: Seen, now: Seen) -> None:
        """The last holder leaves an empty document to those who wait, and the last waiter leaves it
        to the holder: if both go at once, it stays until somebody comes."""
        before, document = then.documents.get(name), now.documents.get(name)
        if document is not None and not document.holders and name in self._left:
            self.crossed = True
        if document != before:
            self._left.discard(name)
        there = {waiter.session for waiter in now.contenders[name]}
        if any(waiter.session not in there for waiter in then.waiting(name)):
            self._left.add(name)

    def _note_ends(self, before: tuple[Waiter, ...], after: tuple[Waiter, ...]) -> None:
        if before != after:
            gone = {w.session for w in before} - {w.session for w in after}
            self.any = self.any or not gone <= self._referee.sessions()

    def may_be_pruned(self, name: str, session: str) -> bool:
        """Whether the lock-delay that a dead holder asked for is over."""
        return self._referee.now >= self._since[name, session] + self._lock_delay(session)

    def _lock_delay(self, session: str) -> float:
        number = self._referee.owner(session)
        if number is None:
            return _OF_GO
        return self._referee.contenders[number].settings.terms.lock_delay

    def is_over(self, name: str, session: str) -> bool:
        """Whether the first waiter has had time to prune a dead holder."""
        gone = self._since.get((name, session))
        if gone is None:
            return False
        since = max(gone + self._lock_delay(session), self._first.get(name, ("", 0.0))[1])
        return self._referee.now > since + _RETRY
