"""Forked children: nothing is shared with them, least of all a lock.

Python tells of a fork that it makes itself.  One that is made in C (uWSGI loads an application in
its master, and forks its workers without a word) is noticed when the child first asks for
something: until then it would take the locks of its parent for its own, and write on its
connections.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import warnings
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


_here = os.getpid()
"""The process that all this belongs to."""

_mutex = threading.Lock()


def notice_fork() -> None:
    """Begin anew if this is a forked child, and nothing has said so."""
    if os.getpid() != _here:
        with _mutex:
            # Several threads of the child may ask at once, and one does it.
            if os.getpid() != _here:
                _begin_anew()


def _after_fork() -> None:
    global _mutex
    _mutex = threading.Lock()
    _begin_anew()


def _begin_anew() -> None:
    global _here
    _close_sockets()
    for thing in list(_all):
        thing.forked()
    _here = os.getpid()


def _close_sockets() -> None:
    # The descriptor alone: nothing is sent on a connection that is the parent's, neither the end of
    # a TLS session nor that of the stream, and an event loop does not hear of it.
    descriptors = [found.detach() for found in list(_sockets)]
    _sockets.clear()
    for descriptor in descriptors:
        if descriptor >= 0:
            os.close(descriptor)
    if "asyncio" in sys.modules and descriptors:
        # asyncio warns of a transport that is collected before its loop has closed it, which that
        # of the parent will not do here.
        numbers = "|".join(map(str, descriptors))
        ours = rf"unclosed transport <\w+ (closing )?fd=({numbers}) "
        warnings.filterwarnings("ignore", ours, ResourceWarning)


os.register_at_fork(after_in_child=_after_fork)
