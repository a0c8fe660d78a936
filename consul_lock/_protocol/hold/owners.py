"""Which hold belongs to whom: the one map behind the answers, releases and blocks of an object.

An object (a lock, a semaphore ...) may be shared by threads or tasks, and handed from one to
another.  So whose hold a question is about needs a rule, and a wrong rule is dangerous:

    thread A                      thread B              held, token and guard, asked by A
    acquire()                                           True,  A's token
    its session dies: A lost it   acquire() succeeds    False, A's token, LockLost
    release() -> LockLost                               False, A's token, NotHeld
    acquire(), after B released                         True,  A's new token

"The latest hold of the object", the obvious rule, would answer A in the second line that it holds
the lock, with B's token, and let A write under B's guard.  So an owner gets answers about its
own last hold, until it acquires again, even if that is lost.  Only a caller that never had one,
such as a thread that monitors, or one that was handed a lock to work with, gets answers about the
oldest live hold of the object (or else the latest one, to learn how it ended).

Owners are weak references to threads and tasks: a module-level lock that every request of a web
server uses would otherwise keep all their tasks in memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import ReferenceType

from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.hold.state import State
from consul_lock.errors import LossReason

# Lost holds that an owner keeps without asking for them: a program that never releases.
_UNTOLD_MAX = 100

# Entries of a new map before it is searched for those that can be dropped.
_PRUNE_AT = 32


class Block(NamedTuple):
    """A ``with`` block that was entered, and not left yet."""

    owner: Any
    hold: Hold


class Owners:
    """The holds of one object.  Changes are made under the client's mutex."""

    def __init__(self) -> None:
        self.latest: Hold | None = None
        """The hold that was granted last, whatever became of it."""
        self._of: dict[Any, list[Hold]] = {}
        """By owner: holds to release, or whose loss it has to learn; at least its last one."""
        self._granted: dict[Hold, None] = {}
        """Those that may be live, oldest first."""
        self._blocks: list[Block] = []
        self._prune_at = _PRUNE_AT

    def add(self, hold: Hold) -> None:
        """It was granted.  Holds that its owner has released, or knows to be lost, are dropped."""
        if len(self._of) + len(self._granted) >= self._prune_at:
            self._prune()
        owner = hold.owner
        before = [h for h in self._of.get(owner, ()) if not _settled(h)]
        self._of[owner] = [*before[-_UNTOLD_MAX:], hold] if before else [hold]
        self._granted[hold] = None
        self.latest = hold

    def own(self, owner: Any) -> Hold | None:
        """The last hold of this owner that it has not released; it may be lost unnoticed."""
        for hold in reversed(self._of.get(owner, ())):
            if not hold.over:
                return hold
        return None

    def last(self, owner: Any) -> Hold | None:
        """The same, or else the owner's last one, whatever became of it."""
        mine = self._of.get(owner)
        return self.own(owner) or (mine[-1] if mine else None)

    def asked(self, owner: Any) -> Hold | None:
        """What the questions of a caller are about."""
        return self.last(owner) or self.oldest() or self.latest

    def oldest(self) -> Hold | None:
        """The live hold that was granted first."""
        return next((h for h in list(self._granted) if h.state is State.HELD), None)

    def released_by(self, owner: Any) -> Hold | None:
        """What a caller's ``release()`` gives back: its own hold, or else the oldest live one,
        as a lock is a handle that may be passed on.

        Holds of open blocks come after the others, as their blocks will give them back; lost
        holds come last.
        """
        own = self.own(owner)
        if own is not None:
            return own
        granted = [hold for hold in self._granted if not hold.over]
        blocks = {block.hold for block in self._blocks}
        granted.sort(key=lambda hold: (hold.state is not State.HELD, hold in blocks))
        return granted[0] if granted else self.latest

    # -- with blocks -----------------------------------------------------------------------------

    def enter(self, owner: Any) -> None:
        """The owner has entered a block with what it was granted last."""
        hold = self.own(owner)
        if hold is not None:
            self._blocks.append(Block(owner, hold))

    def leave(self, owner: Any) -> Hold | None:
        """What the end of a block gives back: only its own hold.

        A hold that was released early, and went to another user since, must stay with that user.
        A block may end in another thread or task than it began in (a generator of a web framework,
        a fixture): that one has entered no block, so it ends the oldest block that is open and
        still holds something.
        """
        mine = [block for block in self._blocks if block.owner == owner]
        if mine:
            self._blocks.remove(mine[-1])
            return self.last(owner)
        own = self.own(owner)
        if own is not None:
            return own
        for block in self._blocks:
            if not block.hold.over:
                self._blocks.remove(block)
                return block.hold
        return None

    def never_entered(self, hold: Hold) -> None:
        """Entering was cut off before the block began."""
        self._blocks = [block for block in self._blocks if block.hold is not hold]

    # -- forgetting ------------------------------------------------------------------------------

    def _prune(self) -> None:
        """Forget owners that have ended, and holds that nobody can ask about any more."""
        self._of = {
            owner: holds
            for owner, holds in self._of.items()
            if not _ended(owner) or any(hold.state is State.HELD for hold in holds)
        }
        known = {hold for holds in self._of.values() for hold in holds if not hold.over}
        self._granted = {hold: None for hold in self._granted if hold in known}
        self._prune_at = _PRUNE_AT + 2 * (len(self._of) + len(self._granted))


def _settled(hold: Hold) -> bool:
    return hold.over or hold.reason is LossReason.FORKED


def _ended(owner: Any) -> bool:
    return isinstance(owner, ReferenceType) and owner() is None
