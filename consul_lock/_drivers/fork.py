"""Forked children: nothing is shared with them, least of all a lock."""

from __future__ import annotations

import os
import random
import socket
import weakref
from typing import Protocol


class Forgetful(Protocol):
    """Something that must begin anew in a forked child."""

    def forked(self) -> None:
        """Called in the child, where no other thread of the parent exists."""


_all: weakref.WeakSet[Forgetful] = weakref.WeakSet()
_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()


def forget_after_fork(thing: Forgetful) -> None:
    """Call ``thing.forked()`` in every child forked from now on, while it lives."""
    _all.add(thing)


def close_after_fork(found: socket.socket) -> None:
    """Close the copy of a socket in every child forked from now on; its parent goes on using it."""
    _sockets.add(found)


def _after_fork() -> None:
    # The child would draw the same numbers as its parent.
    random.seed()
    for found in list(_sockets):
        # The descriptor alone: nothing is sent on a connection that is the parent's, neither the
        # end of a TLS session nor that of the stream, and an event loop does not hear of it.
        descriptor = found.detach()
        if descriptor >= 0:
            os.close(descriptor)
    _sockets.clear()
    for thing in list(_all):
        thing.forked()


os.register_at_fork(after_in_child=_after_fork)
