"""A session that several locks share on purpose: they live and die together."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import SessionOptions
from consul_lock._protocol.flow import Flow, Job
from consul_lock._protocol.session.session import Session


class SharedSession:
    """Opened at its first use, and again at the next use after it died."""

    def __init__(self, client: ClientCore, terms: SessionOptions) -> None:
        self.client = client
        self.terms = terms
        self.current: Session | None = None

    def open(self, borrower: Any = None) -> Flow[Session]:
        """The session, alive as far as is known; ``borrower``: for whose call it is opened."""
        if self.current is not None and not self.current.gone:
            return self.current
        # Until it is the shared one it is borrowed for this call alone, whose undo ends it.
        made = yield from self.client.borrow(self.terms, borrower or self)
        with self.client.mutex:
            if self.current is None or self.current.gone:
                made.shared, self.current, made.borrower = True, made, self
                return made
            kept = self.current
        # Two threads opened it at the same time: the second one's is not needed.
        self.client.pool.destroy_later(made)
        return kept

    def close(self) -> Job[None]:
        """Destroy it.  Locks still held with it are lost."""
        return Job(self._close(), self._close)

    def _close(self) -> Flow[None]:
        session = self.current
        if session is None:
            return
        yield from self.client.end(session)
        # Only now: who is cut off can close it again.
        with self.client.mutex:
            if self.current is session:
                self.current = None

    def opened(self) -> Job[Session]:
        """Create the session now, so that errors surface here."""
        return Job(self.open(), self._undo)

    def _undo(self) -> Flow[None]:
        yield from self.client.clean_up(self)

    def belongs_to(self, client: Any) -> bool:
        """Whether it is a session of this client."""
        return self.client is client
