"""A session: the thing that dies when we do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consul_lock._protocol import terms as rules
from consul_lock._protocol.flow import Request
from consul_lock._protocol.records import Terms

# Requests kept ready by one session: a few locks' worth.
_PREPARED_MOST = 16


class Session:
    """A session that Consul gave us, as long as we renew it."""

    def __init__(self, session_id: str, terms: Terms, borrower: Any) -> None:
        self.id = session_id
        self.terms = terms
        self.borrower = borrower
        """Who uses it; None while it is in the pool."""
        self.shared = False
        """Several locks live and die with it."""
        self.alive = 0.0
        """The latest time at which it was certainly alive: the sending of a good request."""
        self.renewed = 0.0
        """The same, of renewals only: those alone restart the TTL."""
        self.next_renewal = 0.0
        self.idle_since = 0.0
        self.writing = 0
        """Writes with it that are under way, or were cut off."""
        self.uncertain = False
        """A write with it ended without an answer."""
        self.gone = False
        """Consul says that it is dead, or we have condemned it."""
        self._prepared: dict[tuple[Any, ...], Request] = {}
        self.floor = 0
        """The highest Raft index that we saw a write of ours get.  What a read shows at or
        below it is older than what we know: no proof that we hold anything now."""

    def prepared(self, what: tuple[Any, ...], build: Callable[[], Request]) -> Request:
        """A request that is the same again and again while nobody else wants a lock."""
        found = self._prepared.get(what)
        if found is None:
            if len(self._prepared) >= _PREPARED_MOST:
                self._prepared.clear()
            found = self._prepared[what] = build()
        return found

    @property
    def doubtful(self) -> bool:
        """A write of ours may come true later: only its end makes that harmless."""
        return self.uncertain or self.writing > 0

    def deadline(self) -> float:
        """Until when (driver's clock) a lock of this session counts as held."""
        asked = self.terms
        proof = self.alive if asked.lock_delay else self.renewed
        return proof + rules.span(asked) - rules.margin(asked)

    def proved(self, sent: float, index: int = 0) -> None:
        """A request that needed the session, sent at that time, was answered well."""
        # Compared first: another thread must not write an older value over a newer one.
        if sent > self.alive:
            self.alive = sent
        if index > self.floor:
            self.floor = index
