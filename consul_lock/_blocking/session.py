# generated from consul_lock/_async/session.py, by scripts/unasync.py; do not edit
"""A session shared on purpose, for threads."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from consul_lock._blocking.client import Client, chosen
from consul_lock._protocol.client.shared_session import SharedSession
from consul_lock._protocol.session.timing import session_options


class Session:
    """A session that several locks share on purpose: they live and die together.

    Without one, every lock has a session of its own.  Sharing has a price: if one lock's
    request ends without an answer, the session is destroyed, and the other locks are lost.

    Seconds: ``ttl`` 10 to 86400 (10: Consul frees at twice that, so it is the quickest),
    ``lock_delay`` 0 to 60 (30: a killed leader leaves a cluster for 15 to 19 s without one).
    ``checks`` are node checks such as "serfHealth", ``service_checks`` ids of service checks;
    none by default, as a flap of a node's health should end no job.  ``heartbeat`` (seconds, off
    by default) registers a service with a check of that length at the local agent and keeps
    passing it: a crashed process is noticed within two heartbeats instead of twice the TTL, a
    paused one just as quickly.
    """

    def __init__(
        self,
        client: Client | None = None,
        *,
        ttl: float = 10.0,
        lock_delay: float = 30.0,
        checks: Iterable[str] = (),
        service_checks: Iterable[str] = (),
        heartbeat: float | None = None,
        name: str | None = None,
    ) -> None:
        self._client = chosen(client)
        asked = session_options(ttl, lock_delay, checks, service_checks, name, heartbeat)
        self._core = SharedSession(self._client._core, asked)

    @property
    def id(self) -> str | None:
        """Id in Consul; None before its first use, and after its end."""
        current = self._core.current
        return current.id if current and not current.gone else None

    def open(self) -> str:
        """Create it now; else that is done at its first use.  Returns the id."""
        session = self._client._run(self._core.opened())
        return session.id

    def close(self) -> None:
        """Destroy it.  Locks that are held with it are lost."""
        self._client._run(self._core.close())

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
