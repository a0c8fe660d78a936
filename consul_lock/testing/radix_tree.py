"""The set of keys as Consul's radix tree sees it, and who watches which part of it.

A blocking query watches one node of the tree.  For a key that exists that is its own leaf.  For
a key that does not, it is the deepest node on the way to it, which other keys may share: so
Consul 1.8 wakes the query when one of *those* is written, and the model does too.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Set
from typing import NamedTuple

_END = "\0"  # Consul ends each key so, and refuses it inside one.
_LAST = "\U0010ffff"


class Node(NamedTuple):
    """A node of the radix tree: the characters on the way to it, and how many to its parent."""

    path: str
    parent: int


ROOT = Node("", -1)


def _shared(one: str, other: str) -> int:
    """How many characters the two have in common at their beginning."""
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return at
    return min(len(one), len(other))


class Tree:
    """Sorted keys."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def add(self, key: str) -> None:
        """Add a key that is not there."""
        insort(self.keys, key)

    def remove(self, key: str) -> None:
        """Remove a key that is there."""
        del self.keys[bisect_left(self.keys, key)]

    def under(self, prefix: str) -> list[str]:
        """The keys that begin with ``prefix``, in order."""
        start, end = self._range(prefix)
        return self.keys[start:end]

    def _range(self, prefix: str) -> tuple[int, int]:
        start = bisect_left(self.keys, prefix)
        return start, bisect_left(self.keys, prefix + _LAST, start)

    def node(self, search: str) -> Node:
        """The deepest node on the way to ``search``, below which there is no key."""
        keys = self.keys
        at = bisect_left(keys, search)
        neighbours = keys[max(at - 1, 0) : at + 1]
        matched = max((_shared(search, key + _END) for key in neighbours), default=0)
        if not matched:
            return ROOT
        if search[matched - 1] == _END:
            # The key is there by now: its own leaf.
            start = bisect_left(keys, search[: matched - 1])
            end = start + 1
        else:
            start, end = self._range(search[:matched])
        first, last = keys[start] + _END, keys[end - 1] + _END
        before = _shared(first, keys[start - 1] + _END) if start else 0
        after = _shared(last, keys[end] + _END) if end < len(keys) else 0
        return Node(first[: _shared(first, last)], max(before, after))


class LeafWatch(NamedTuple):
    """Woken by a change of one key that exists."""

    key: str

    def woken(self, changed: Set[str]) -> bool:
        """Whether a write to these keys wakes it."""
        return self.key in changed


class PrefixWatch(NamedTuple):
    """Woken by a change of any key under a prefix."""

    prefix: str

    def woken(self, changed: Set[str]) -> bool:
        """Whether a write to these keys wakes it."""
        return any(key.startswith(self.prefix) for key in changed)


class NodeWatch(NamedTuple):
    """Woken by any change of the node that a search for something missing ended at."""

    tree: Tree
    search: str
    node: Node

    @classmethod
    def on(cls, tree: Tree, search: str, *, whole: bool) -> NodeWatch:
        """Watch for a key (``whole``) or a prefix that is not in ``tree`` now."""
        search = search + _END if whole else search
        return cls(tree, search, tree.node(search))

    def woken(self, changed: Set[str]) -> bool:
        """Whether a write to these keys wakes it: it went through the node, split it, or
        merged it with its parent."""
        path = self.node.path
        if any((key + _END).startswith(path) for key in changed):
            return True
        return self.tree.node(self.search) != self.node


Watch = LeafWatch | PrefixWatch | NodeWatch
