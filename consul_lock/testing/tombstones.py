"""Tombstones: so that the index of a list does not go backwards when a key is deleted."""

from __future__ import annotations

from consul_lock.testing.radix_tree import Tree

TTL = 900.0
"""Seconds that Consul keeps a tombstone, rounded up to the next `GRANULARITY`."""
GRANULARITY = 30.0


class Graves:
    """The index at which each deleted key, or prefix of keys, was deleted."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}
        self._tree = Tree()
        # What lists ask for again and again, kept up to date: a busy queue leaves
        # thousands of tombstones under one prefix.
        self._newest: dict[str, int] = {}
        self._dug: list[tuple[str, int | None]] = []

    def dig(self, key: str, index: int) -> None:
        """Note that ``key`` was deleted at ``index``."""
        self._dug.append((key, self._index.get(key)))
        if key not in self._index:
            self._tree.add(key)
        self._index[key] = index
        for prefix in self._newest:
            if key.startswith(prefix):
                self._newest[prefix] = index

    def newest(self, prefix: str) -> int:
        """The highest index of a tombstone under ``prefix``, 0 if there is none."""
        found = self._newest.get(prefix)
        if found is None:
            found = max((self._index[key] for key in self._tree.under(prefix)), default=0)
            if len(self._newest) >= 100:
                self._newest.clear()
            self._newest[prefix] = found
        return found

    def commit(self) -> bool:
        """Keep what was dug since the last commit; true if that is anything."""
        dug = bool(self._dug)
        self._dug.clear()
        return dug

    def rollback(self) -> None:
        """Undo what was dug since the last commit."""
        if self._dug:
            self._newest.clear()
        for key, before in reversed(self._dug):
            if before is None:
                del self._index[key]
                self._tree.remove(key)
            else:
                self._index[key] = before
        self._dug.clear()

    def reap(self, index: int) -> None:
        """Forget the tombstones up to ``index``."""
        for key in [key for key, at in self._index.items() if at <= index]:
            del self._index[key]
            self._tree.remove(key)
        self._newest.clear()
