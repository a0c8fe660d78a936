"""What the guardian does for a consul-lock that was killed, when nothing of its command is left.

It runs in the guardian, which has no thread and no library by then; what is imported here is
imported there, and not before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.lock import LockSpec


def release_for(spec: LockSpec, connection: Connection, sessions: Sequence[str]) -> None:
    """Release what these sessions hold, or leave the queue, and end them.

    The library has no entry yet for a hold of another process, so they end by their TTL, as if
    there were no guardian: the lock is free after that and the lock-delay.
    """


def releasing(spec: LockSpec, connection: Connection) -> Callable[[Sequence[str]], None]:
    """The same, bound to what consul-lock was asked for: the guardian has it in its memory."""
    return partial(release_for, spec, connection)
