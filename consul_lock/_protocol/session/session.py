"""A session: the thing that dies with the process.

Why it remembers the index of its own last write.  A session is used for one hold after another,
and a leader that was deposed without knowing it yet answers plain reads with an older state, for
up to 2.5 s:

    index 10   the session locks KEY
    index 20   the session releases KEY; another client gets it at index 21
    later      the next acquire with this session reads KEY from the old leader, which has not got
               beyond 19: KEY, held by this session, ModifyIndex 10

Taken at its word that would be a hand-over, and two would hold the lock.  But 10 is not higher
than 20, the index of the session's own last write, so this read is stale.  What gives KEY to this
session again is a later write, with a higher index.  To make every read consistent would cost the
leader a round trip to the other servers each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consul_lock._protocol.consul.models import SessionOptions
from consul_lock._protocol.flow import Request
from consul_lock._protocol.session.timing import safety_margin_of, validity_of
from consul_lock.errors import ConsulLockError

# Requests kept ready by one session: a few locks' worth.
_PREPARED_MAX = 16


class Session:
    """A session that Consul has granted, as long as it is renewed."""

    def __init__(self, session_id: str, terms: SessionOptions, borrower: Any) -> None:
        self.id = session_id
        self.terms = terms
        self._lasts = validity_of(terms) - safety_margin_of(terms)
        self.borrower = borrower
        """Who uses it; None while it is in the pool."""
        self.new = False
        """It was not verified yet, or its renewal is not planned: nobody else gets it."""
        self.shared = False
        """Several locks live and die with it."""
        self.holds: dict[Any, None] = {}
        """What is held with it: each a `Hold`, which `Holds` adds and drops."""
        self.alive = 0.0
        """The latest time at which it was certainly alive: the sending of a write or of a
        verification that needed it and was answered well.  A renewal is no proof: a leader that
        was deposed without knowing it yet answers one with 200 as well."""
        self.renewed = 0.0
        """The sending of the last renewal that a later proof has confirmed (or of the session's
        creation): renewals alone restart the TTL."""
        self._renewal = 0.0
        """The sending of the last good renewal, confirmed or not."""
        self.next_renewal = 0.0
        self.renew_at = self.look_at = 0.0
        """Under a limit of requests, which has plans of their own for renewals and verifications:
        not before these times."""
        self.failure: ConsulLockError | None = None
        """The error of its last renewal or verification; None if that went well."""
        self.idle_since = 0.0
        self.writing = 0
        """Writes with it that are under way, or were cut off."""
        self.uncertain = False
        """A write with it ended without an answer."""
        self.gone = False
        """Consul says that it is dead, or this client has condemned it."""
        self.farewell: list[Request] = []
        """To be sent before it is ended: they release what it may hold though nobody works under
        it, which its end alone would lock for the lock-delay."""
        self._prepared: dict[tuple[Any, ...], Request] = {}
        self.last_write_index = 0
        """The highest Raft index of a write of this client.  What a read shows at or below it is
        older than what is known: no proof that anything is held now."""

    def prepared(self, what: tuple[Any, ...], build: Callable[[], Request]) -> Request:
        """A request that is the same again and again while nobody else wants a lock.

        ``what`` begins with a word for its purpose: a lock may have any key.
        """
        found = self._prepared.get(what)
        if found is None:
            if len(self._prepared) >= _PREPARED_MAX:
                self._prepared.clear()
            found = self._prepared[what] = build()
        return found

    @property
    def in_doubt(self) -> bool:
        """A write may take effect later: only the end of the session makes that harmless."""
        return self.uncertain or self.writing > 0

    @property
    def last_renewal(self) -> float:
        """The sending of the last renewal that was answered well, confirmed or not."""
        return max(self._renewal, self.renewed)

    def deadline(self) -> float:
        """Until when (driver's clock) a lock of this session counts as held."""
        proof = self.alive if self.terms.lock_delay else self.renewed
        return proof + self._lasts

    def mark_alive(self, sent: float, index: int = 0) -> None:
        """A write or a verification that needed the session, sent at that time, was answered
        well."""
        # Compared first: another thread must not write an older value over a newer one.
        if sent > self.alive:
            self.alive = sent
        if index > self.last_write_index:
            self.last_write_index = index
        # It shows that the session had not been ended behind the back of the leader that answered
        # the renewal.
        if self.renewed < self._renewal <= sent:
            self.renewed = self._renewal

    def was_renewed(self, sent: float) -> None:
        """A renewal was answered well.  It counts once a proof that is sent with it, or later,
        confirms it."""
        self._renewal = max(self._renewal, sent)
