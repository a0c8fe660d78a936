# generated from consul_lock/_async/election.py, by scripts/unasync.py; do not edit
"""The election for threads.  It decides nothing: a method runs a flow."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Self, TypeVar, Unpack

from consul_lock._api.decorated import blocks, finished
from consul_lock._blocking.client import Client
from consul_lock._blocking.lockable import LockLike
from consul_lock._blocking.runtime import Options
from consul_lock._blocking.session import Session
from consul_lock._drivers.clock import clock
from consul_lock._protocol.election.election import ElectionCore
from consul_lock._protocol.election.observer import Leader
from consul_lock._protocol.keys import keys_of_name

R = TypeVar("R")


class Election(LockLike):
    """An election: one of all who campaign leads, in the whole datacenter, and all can see who.

    It is a lock with a value: at most one leads at any time, candidates are served in the order
    in which they came, and `token`, `held`, `lost`, `ensure_held`, `guard` and so on are those
    of `Lock`.  One object is one candidate.  `run` campaigns, works while it leads, and campaigns
    again after a loss.  Observing needs no candidate and no session.

    Options are those of `Lock`; ``watch`` is always on, so a loss is noticed within milliseconds.
    """

    _core: ElectionCore

    def __init__(
        self,
        name: str,
        *,
        client: Client | None = None,
        session: Session | None = None,
        **options: Unpack[Options],
    ) -> None:
        options.setdefault("watch", True)
        asked = self._begin(client, session, **options)
        self._core = ElectionCore(self._client._core, keys_of_name(name), asked)

    @property
    def is_leader(self) -> bool:
        """Whether this object leads, as far as anybody can know without asking Consul: `held`."""
        return self.held

    def campaign(self, value: str = "", timeout: float | None = None) -> None:
        """Wait until this object leads, with this value for all to see.

        Without a timeout it goes on for ever once Consul has answered: through outages, and while a
        health check of its own fails.

        Raises `LockTimeout` after ``timeout`` seconds (None: never), `AlreadyHeld` if it leads
        already, `ConfigError` for a value that is too long (2048 bytes together with ``meta``
        and ``command``), and whatever `acquire` raises.
        """
        self._client._run(self._core.campaign(value, timeout, self._me()))

    def proclaim(self, value: str) -> None:
        """Change the value while it leads; the token stays the same.

        One transaction that Consul refuses if this session does not lead.  Raises `NotHeld`,
        `LockLost`, `ConfigError`, `Unavailable` if Consul fails for longer than ``retry_for``.
        """
        self._client._run(self._core.proclaim(value, clock(), self._me()))

    def resign(self) -> None:
        """Lead no more; the next candidate leads at once.  Raises what `release` raises."""
        self.release()

    def leader(self) -> Leader | None:
        """Who leads, according to Consul; None: nobody."""
        return self._client._run(self._core.leader())

    def observe(self) -> Generator[Leader | None, None, None]:
        """Yield who leads now, and then each change: another leader, another value, or None.

        Never the same twice in a row, and never an older one after a newer one; of changes that
        follow each other quickly the last one is seen for certain.  Each step waits until there
        is something new, or the client is closed.  Errors of Consul are no change: they are
        retried for ``retry_for`` seconds, then `Unavailable` is raised.
        """
        observer = self._core.observer()
        while True:
            yield self._client._run(observer.next())

    def run(self, fn: Callable[[Self], R], value: str = "") -> R:
        """Campaign, call ``fn(election)`` while it leads, resign, and return what that returned.

        If the lead is lost before ``fn`` has ended, it campaigns and calls it again.  Any other
        exception of ``fn`` than the `LockLost` of this election is raised, after resigning.

        A thread cannot be stopped from outside: there ``fn`` must look at ``election.lost``, or
        call ``election.ensure_held()`` often, and pass on the `LockLost` that it raises.  In
        asyncio ``fn`` is awaited as a task, which is cancelled when the lead is lost; it should
        end soon then, as another candidate may lead.
        """
        blocks(fn, "Election.run")
        while True:
            self.campaign(value)
            try:
                work = finished(fn(self), fn, "Election.run")
                result = work
                # In here, as a signal may strike before it has begun.
                kept = self._client._run(self._core.conclude(self._me()))
            except BaseException as error:
                self._client._run(self._core.abandon(self._me(), error))
                if not self._core.lost_by(error):
                    raise
            else:
                if kept:
                    return result
