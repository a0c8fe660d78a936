"""The key-value store and its indexes."""

from __future__ import annotations

from base64 import b64encode
from json.encoder import encode_basestring_ascii as quoted

from consul_lock.testing.radix_tree import Tree
from consul_lock.testing.tombstones import Graves


class Entry:
    """One key.  Never changed in place: a write puts another entry there."""

    __slots__ = (
        "_shown",
        "create_index",
        "flags",
        "key",
        "lock_index",
        "modify_index",
        "session",
        "value",
    )

    def __init__(
        self, key: str, value: bytes, flags: int, session: str, lock_index: int, create_index: int
    ) -> None:
        self.key = key
        self.value = value
        self.flags = flags
        self.session = session
        self.lock_index = lock_index
        self.create_index = create_index
        self.modify_index = 0
        self._shown = ""

    def same(self, other: Entry) -> bool:
        """Whether writing ``other`` in its place would be no write at all."""
        return (
            self.lock_index == other.lock_index
            and self.flags == other.flags
            and self.value == other.value
            and self.session == other.session
        )

    def json(self, *, with_value: bool = True) -> str:
        """As Consul writes it; ``with_value`` is false for the writes of a transaction."""
        if not with_value:
            return self._json("null")
        if not self._shown:
            value = f'"{b64encode(self.value).decode()}"' if self.value else "null"
            self._shown = self._json(value)
        return self._shown

    def _json(self, value: str) -> str:
        session = f'"Session":{quoted(self.session)},' if self.session else ""
        return (
            f'{{"LockIndex":{self.lock_index},"Key":{quoted(self.key)},"Flags":{self.flags},'
            f'"Value":{value},{session}"CreateIndex":{self.create_index},'
            f'"ModifyIndex":{self.modify_index}}}'
        )


class Store:
    """All keys.  Writes take effect at once; `begin` and `rollback` make a transaction."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.tree = Tree()
        self.graves = Graves()
        self.index = 0
        """Of the last write that changed anything: what missing keys answer with."""
        self.changed: set[str] = set()
        """Keys written since the watchers were last notified."""
        self._held: dict[str, set[str]] = {}
        self._undo: list[tuple[str, Entry | None]] | None = None
        self._index_before = 0

    def held_by(self, session: str) -> list[str]:
        """The keys that ``session`` holds, in order."""
        return sorted(self._held.get(session, ()))

    def under(self, prefix: str) -> list[Entry]:
        """The entries whose keys begin with ``prefix``, in order."""
        return [self.entries[key] for key in self.tree.under(prefix)]

    # -- transactions

    def begin(self) -> None:
        """Remember from here on how to undo everything."""
        self._undo = []
        self._index_before = self.index

    def commit(self) -> bool:
        """Keep what was written since `begin`; true if that left a tombstone."""
        self._undo = None
        return self.graves.commit()

    def rollback(self) -> None:
        """Undo what was written since `begin`."""
        undo, self._undo = self._undo or [], None
        for key, before in reversed(undo):
            self._place(key, before)
        self.index = self._index_before
        self.graves.rollback()
        self.changed.clear()

    # -- writes; ``index`` is that of the Raft entry that does it

    def put(self, entry: Entry, index: int) -> Entry:
        """Write ``entry``, or leave what is there if it is the same; return what is there then."""
        before = self.entries.get(entry.key)
        if before is not None and before.same(entry):
            return before
        entry.modify_index = index
        self._write(entry.key, entry)
        self.index = index
        return entry

    def set(self, key: str, value: bytes, flags: int, index: int) -> Entry:
        """A plain write: it keeps the session of the key, but resets its lock index."""
        before = self.entries.get(key)
        session = before.session if before else ""
        created = before.create_index if before else index
        return self.put(Entry(key, value, flags, session, 0, created), index)

    def cas(self, key: str, value: bytes, flags: int, expected: int, index: int) -> Entry | None:
        """`set` if the key was last written at ``expected`` (0: is not there), else None."""
        before = self.entries.get(key)
        if (before.modify_index if before else 0) != expected:
            return None
        return self.set(key, value, flags, index)

    def lock(self, key: str, value: bytes, flags: int, session: str, index: int) -> Entry | None:
        """Acquire for a session that exists; None if another one holds the key."""
        before = self.entries.get(key)
        if before is None:
            return self.put(Entry(key, value, flags, session, 1, index), index)
        if before.session not in ("", session):
            return None
        lock_index = before.lock_index + (0 if before.session else 1)
        return self.put(Entry(key, value, flags, session, lock_index, before.create_index), index)

    def unlock(self, key: str, value: bytes, flags: int, session: str, index: int) -> Entry | None:
        """Release, and write value and flags; None if ``session`` does not hold the key."""
        before = self.entries.get(key)
        if before is None or before.session != session:
            return None
        entry = Entry(key, value, flags, "", before.lock_index, before.create_index)
        return self.put(entry, index)

    def delete(self, key: str, index: int) -> None:
        """Delete, which leaves a tombstone so that no list's index goes backwards."""
        if key in self.entries:
            self.graves.dig(key, index)
            self._write(key, None)
            self.index = index

    def delete_cas(self, key: str, expected: int, index: int) -> bool:
        """Delete if last written at ``expected``.  A key that is not there counts as deleted."""
        before = self.entries.get(key)
        if before is None:
            return True
        if before.modify_index != expected:
            return False
        self.delete(key, index)
        return True

    def delete_tree(self, prefix: str, index: int) -> None:
        """Delete all under ``prefix``, with a single tombstone (none for everything)."""
        keys = self.tree.under(prefix)
        for key in keys:
            self._write(key, None)
        if keys:
            if prefix:
                self.graves.dig(prefix, index)
            self.index = index

    def _write(self, key: str, entry: Entry | None) -> None:
        if self._undo is not None:
            self._undo.append((key, self.entries.get(key)))
        self._place(key, entry)
        self.changed.add(key)

    def _place(self, key: str, entry: Entry | None) -> None:
        before = self.entries.pop(key, None)
        if before is None and entry is not None:
            self.tree.add(key)
        elif before is not None and entry is None:
            self.tree.remove(key)
        if before is not None and before.session:
            held = self._held[before.session]
            held.discard(key)
            if not held:
                del self._held[before.session]
        if entry is not None:
            self.entries[key] = entry
            if entry.session:
                self._held.setdefault(entry.session, set()).add(key)
