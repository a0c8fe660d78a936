"""Forked children: nothing is shared with them, least of all a lock."""

from __future__ import annotations

import os
import random
import weakref
from typing import Protocol


class Forgetful(Protocol):
    """Something that must begin anew in a forked child."""

    def forked(self) -> None:
        """Called in the child, where no other thread of the parent exists."""


_all: weakref.WeakSet[Forgetful] = weakref.WeakSet()


def forget_after_fork(thing: Forgetful) -> None:
    """Call ``thing.forked()`` in every child forked from now on, while it lives."""
    _all.add(thing)


def _after_fork() -> None:
    # The child would draw the same numbers as its parent.
    random.seed()
    for thing in list(_all):
        thing.forked()


os.register_at_fork(after_in_child=_after_fork)
