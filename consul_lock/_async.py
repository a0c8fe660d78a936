"""The classes for asyncio.  They decide nothing: a method runs a flow."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from consul_lock._clock import clock
from consul_lock._face import LockFace, lock_core
from consul_lock._identity import identity
from consul_lock._protocol import closing
from consul_lock._protocol.client import ClientCore
from consul_lock._protocol.flow import Job
from consul_lock._protocol.guard import Op
from consul_lock._protocol.holder import Holder
from consul_lock._protocol.names import LockKeys, for_key, for_name
from consul_lock._protocol.records import Pair
from consul_lock._protocol.shared import SharedSession
from consul_lock._protocol.terms import terms
from consul_lock._asyncio import AsyncioDriver
from consul_lock.config import Config
from consul_lock.errors import ConfigError, LossReason


class Client:
    """Where Consul is and who we are, with the connections and sessions of all our locks.

    Arguments that are None come from the environment of the Consul tools (CONSUL_HTTP_ADDR,
    CONSUL_HTTP_TOKEN, CONSUL_CACERT and so on; see `consul_lock.config`), then from defaults.
    Times are seconds: ``connect_timeout`` to connect, ``request_timeout`` for one request (10,
    as a Consul without a leader holds one for 7.4 s and then answers well), ``retry_for`` to
    keep trying while Consul gives errors (20: a cluster is without a leader for 15 to 19 s).

    Raises `ConfigError` for settings that cannot work.  Nothing is sent before the first use.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        token: str | None = None,
        token_file: str | None = None,
        http_auth: str | tuple[str, str] | None = None,
        ca_cert: str | None = None,
        ca_path: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        verify: bool | None = None,
        tls_server_name: str | None = None,
        datacenter: str | None = None,
        namespace: str | None = None,
        partition: str | None = None,
        connect_timeout: float = 3.0,
        request_timeout: float = 10.0,
        retry_for: float = 20.0,
    ) -> None:
        self._set_up(
            Config.resolve(
                address,
                token=token,
                token_file=token_file,
                http_auth=http_auth,
                ca_cert=ca_cert,
                ca_path=ca_path,
                client_cert=client_cert,
                client_key=client_key,
                verify=verify,
                tls_server_name=tls_server_name,
                datacenter=datacenter,
                namespace=namespace,
                partition=partition,
                connect_timeout=connect_timeout,
                request_timeout=request_timeout,
                retry_for=retry_for,
            )
        )

    @classmethod
    def from_consul(cls, consul: Any) -> Self:
        """A client with the settings of a python-consul2 ``consul.Consul``."""
        client = cls.__new__(cls)
        client._set_up(Config.from_consul(consul))
        return client

    def _set_up(self, config: Config) -> None:
        self.config = config
        self._driver = AsyncioDriver(config)
        self._core = ClientCore(
            self._driver, identity(), query=config.query(), retry_for=config.retry_for
        )
        self._driver.on_fork(lambda: self._core.forked(self._driver, identity()))
        self._driver.on_end(lambda: closing.close(self._core))

    async def _run(self, job: Job) -> Any:
        return await self._driver.run(job)

    async def close(self) -> None:
        """Let go of what is still held, destroy all sessions, close all connections.

        A lock that is held is told of its loss (`LossReason.REVOKED`).  Can be repeated; also
        done for every client when the interpreter ends.
        """
        if not self._core.closed:
            await self._run(closing.close(self._core))
            await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.Client {self.config.origin}>"


_default_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Client] = (
    weakref.WeakKeyDictionary()
)


def default_client() -> Client:
    """The client of locks that were given none: one for each loop, from the environment."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError as error:
        raise ConfigError(
            "a lock without client= belongs to the running event loop, and none is running: make"
            " the lock inside a coroutine, or give it a Client"
        ) from error
    client = _default_clients.get(loop)
    if client is None or client._core.closed:
        client = _default_clients[loop] = Client()
    return client


class Session:
    """A session that several locks share on purpose: they live and die together.

    Without one, every lock has a session of its own.  Sharing has a price: if one lock's
    request ends without an answer, the session is destroyed, and the other locks are lost.

    Seconds: ``ttl`` 10 to 86400 (10: Consul frees at twice that, so it is the quickest),
    ``lock_delay`` 0 to 60 (30: a killed leader leaves a cluster for 15 to 19 s without one).
    ``checks`` are node checks such as "serfHealth", ``service_checks`` ids of service checks;
    none by default, as a flap of a node's health should end no job.
    """

    def __init__(
        self,
        client: Client | None = None,
        *,
        ttl: float = 10.0,
        lock_delay: float = 30.0,
        checks: Iterable[str] = (),
        service_checks: Iterable[str] = (),
        name: str | None = None,
    ) -> None:
        self._client = client or default_client()
        asked = terms(ttl, lock_delay, checks, service_checks, name)
        self._core = SharedSession(self._client._core, asked)

    @property
    def id(self) -> str | None:
        """Id in Consul; None before its first use, and after its end."""
        current = self._core.current
        return current.id if current and not current.gone else None

    async def open(self) -> str:
        """Create it now; else that is done at its first use.  Returns the id."""
        session = await self._client._run(self._core.opened())
        return str(session.id)

    async def close(self) -> None:
        """Destroy it.  Locks that are held with it are lost."""
        await self._client._run(self._core.close())

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class Lock(LockFace):
    """A lock with one holder, in the whole datacenter: first come, first served.

    Use it in ``with``; the block never starts without the lock, and leaving it raises
    `LockLost` if the lock was lost meanwhile.  One object may be shared by threads; any of them
    may release it.  It is not re-entrant.

    ``ttl``, ``lock_delay``, ``checks`` and ``service_checks`` are those of its session (see
    `Session`); ``session`` shares one instead.  ``fair=True`` lines up even when the lock looks
    free.  ``watch=True`` notices a loss within milliseconds, by a long poll, instead of at the
    next renewal (3.3 s with the defaults).  ``meta`` and ``command`` are shown to others.
    ``on_lost(reason)`` is called once if it is lost, on the keeper's thread.

    What is not promised: that a process which is paused stops in time.  Whoever writes to a
    shared resource should pass the fencing `token` on and let the resource compare it.

    Raises `ConfigError` for a bad name or settings that contradict each other.
    """

    def __init__(
        self,
        name: str,
        *,
        client: Client | None = None,
        session: Session | None = None,
        ttl: float = 10.0,
        lock_delay: float = 30.0,
        checks: Iterable[str] = (),
        service_checks: Iterable[str] = (),
        fair: bool = False,
        watch: bool = False,
        meta: Mapping[str, str] | None = None,
        command: str | None = None,
        on_lost: Callable[[LossReason], Any] | None = None,
    ) -> None:
        self._set_up(
            for_name(name),
            client,
            session,
            ttl=ttl,
            lock_delay=lock_delay,
            checks=checks,
            service_checks=service_checks,
            fair=fair,
            watch=watch,
            meta=meta,
            command=command,
            on_lost=on_lost,
        )

    @classmethod
    def on_key(cls, key: str, **options: Any) -> Self:
        """A lock on exactly this key, as Go's ``api.LockKey`` has it; options as for `Lock`."""
        lock = cls("on-key", **options)
        settings, client = lock._settings, lock._client
        core = lock_core(client._core, for_key(key), lock._shared, **settings)
        lock._core = core
        return lock

    def _set_up(
        self, keys: LockKeys, client: Client | None, session: Session | None, **settings: Any
    ) -> None:
        self._client = client or (session._client if session else default_client())
        self._shared = session._core if session else None
        self._settings = settings
        self._core = lock_core(self._client._core, keys, self._shared, **settings)

    @property
    def lost(self) -> asyncio.Event:
        """Set when the present, or last, hold was lost; ``lost.wait(timeout)`` waits for it."""
        lost: asyncio.Event = self._core.lost  # type: ignore[assignment] # made by our driver
        return lost

    async def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Acquire it; False if it was not to be had within ``timeout`` seconds.

        None and -1 wait for ever, 0 and ``blocking=False`` try once.  Raises `AlreadyHeld`
        rather than wait for oneself; `Conflict` if the key is used for something else;
        `Unavailable` if Consul fails for longer than ``retry_for``; `PermissionDenied`.
        Whatever is raised, Ctrl-C included, nothing of it is left behind in Consul.
        """
        return bool(
            await self._client._run(self._core.acquire(blocking, timeout, asyncio.current_task()))
        )

    async def release(self) -> None:
        """Release it, to the next in line if there is one.

        Raises `NotHeld`, `LockLost` if it was lost before, `Unavailable` if Consul cannot be
        reached: then it frees itself after twice the TTL and the lock-delay.
        """
        await self._client._run(self._core.release(asyncio.current_task()))

    async def locked(self) -> bool:
        """Whether anybody holds it, by Consul's word."""
        return await self.holder() is not None

    async def holder(self) -> Holder | None:
        """Who holds it, by Consul's word; None: nobody."""
        found: Holder | None = await self._client._run(self._core.holder())
        return found

    async def waiters(self) -> list[Holder]:
        """Who waits for it, in order.  Clients of `consul lock` wait in no line."""
        found: list[Holder] = await self._client._run(self._core.waiters())
        return found

    async def guard(self, operations: Iterable[Op]) -> list[Pair]:
        """Carry out operations on keys, all or none, and none without the lock.

        One transaction that Consul refuses if our session does not hold the lock: a write that
        cannot happen late.  Returns the keys that were written or read.  Raises `LockLost`,
        `NotHeld`, `Conflict` if an operation was refused.
        """
        found: list[Pair] = await self._client._run(self._core.guard(operations, clock()))
        return found

    def __call__(self, timeout: float | None = None) -> Timed:
        """For ``with lock(timeout=5):``, which raises `LockTimeout` after that."""
        return Timed(self, timeout)

    async def __aenter__(self) -> Self:
        await self._client._run(self._core.enter(None, asyncio.current_task()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client._run(self._core.leave(asyncio.current_task(), kind is not None))


class Timed:
    """A lock, and how long to wait for it on entering the block."""

    def __init__(self, lock: Lock, timeout: float | None) -> None:
        self._lock = lock
        self._timeout = timeout

    async def __aenter__(self) -> Lock:
        lock = self._lock
        await lock._client._run(lock._core.enter(self._timeout, asyncio.current_task()))
        return lock

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._lock.__aexit__(kind, error, traceback)
