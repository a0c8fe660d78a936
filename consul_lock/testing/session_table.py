"""The table of live sessions."""

from __future__ import annotations

from collections.abc import Iterable

from consul_lock.testing.radix_tree import Tree
from consul_lock.testing.sessions import Session, session_key, text_key


class SessionTable:
    """Sessions by their id, in the order of the ids."""

    def __init__(self, *, any_id: bool) -> None:
        self._key = text_key if any_id else session_key
        self.tree = Tree()
        self.index = 0
        """Of the last write to the table: all reads of sessions answer with it."""
        self.changed: set[str] = set()
        """Sessions written since the watchers were last notified."""
        self._sessions: dict[str, Session] = {}
        self._keys: dict[str, str] = {}

    def key(self, session_id: str) -> str:
        """Where ``session_id`` is or would be; a Refusal (500) if it cannot be an id."""
        return self._keys.get(session_id) or self._key(session_id)

    def get(self, session_id: str) -> Session | None:
        """The session, None if there is none; a Refusal (500) if it cannot be an id."""
        return self._sessions.get(self.key(session_id))

    def all(self) -> list[Session]:
        """All sessions."""
        return [self._sessions[key] for key in self.tree.keys]

    def bound_to(self, check: str) -> Iterable[Session]:
        """The sessions that die when ``check`` becomes critical."""
        return [session for session in self.all() if check in session.check_ids()]

    def add(self, session: Session, index: int) -> None:
        """Add a session with a new id."""
        key = self._key(session.id)
        session.index = index
        self._sessions[key] = session
        self._keys[session.id] = key
        self.tree.add(key)
        self._touch(key, index)

    def remove(self, session: Session, index: int) -> None:
        """Remove a session that is there."""
        key = self._keys.pop(session.id)
        del self._sessions[key]
        self.tree.remove(key)
        self._touch(key, index)

    def _touch(self, key: str, index: int) -> None:
        self.index = index
        self.changed.add(key)
