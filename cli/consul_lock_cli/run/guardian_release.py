"""What the guardian does for a consul-lock that was killed, when nothing of its command is left.

It runs in the guardian, which has no thread and no library by then; what is imported here is
imported there, and not before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from consul_lock_cli.base.console import Console
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.lock import LockSpec

if TYPE_CHECKING:
    from consul_lock import Client
    from consul_lock_cli.process.child import Child


def report_sessions(client: Client, child: Child | None) -> None:
    """Let the guardian know each session from now on, also while its lock is waited for."""
    if child is not None:
        client._core.pool.on_created = child.holds


def release_for(spec: LockSpec, connection: Connection, sessions: Sequence[str]) -> None:
    """Release what these sessions hold, or leave the queue, and end them.

    The run lock of a cron job is a plain lock.  Nobody reads what this process prints, so it says
    nothing of errors: what it could not release ends with the session, by its TTL.
    """
    if not sessions:
        return
    with suppress(Exception), connection.client(Console()) as client:
        spec.make(client, program="")._release_abandoned(sessions)


def releasing(spec: LockSpec, connection: Connection) -> Callable[[Sequence[str]], None]:
    """The same, bound to what consul-lock was asked for: the guardian has it in its memory."""
    return partial(release_for, spec, connection)
