"""The client for asyncio: connections, sessions, and a default one for locks that have none."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self, TypeVar

from consul_lock._api.listeners import OnEvent, listeners_of
from consul_lock._api.options import check_meta, is_python_consul, require, require_address
from consul_lock._async.runtime import DefaultClient, make_driver
from consul_lock._drivers.identity import identity
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.close import close_client
from consul_lock._protocol.flow import Job
from consul_lock._protocol.holder import Meta
from consul_lock._warnings import warn_caller
from consul_lock.config import Config

T = TypeVar("T")


class Client:
    """A connection to Consul: its address, credentials, connections, and the sessions of all locks.

    Arguments that are None come from the environment of the Consul tools (CONSUL_HTTP_ADDR,
    CONSUL_HTTP_TOKEN, CONSUL_CACERT and so on; see `consul_lock.config`), then from defaults.
    ``ssl`` True means https whatever the address says, False http; else the address decides, and
    CONSUL_HTTP_SSL for one that is of the environment too or has no scheme.
    Times are seconds: ``connect_timeout`` to connect, ``request_timeout`` for one request (10,
    as a Consul without a leader holds one for 7.4 s and then answers well), ``retry_for`` to
    keep trying while Consul gives errors (30: an election took 27.8 s), counted from the first
    request of this client without a good answer.  Once Consul has answered, a waiter in a queue
    goes on beyond that, within its timeout, and says so in the log.

    ``on_event`` is a listener or several: functions that are called with each event of
    `consul_lock.events`, in order, beside the callers.  Whatever they do changes nothing; up to
    1000 events wait for them, then the oldest are dropped.  ``meta`` is what all locks of the
    client say of themselves to others: strings by names, or a function that returns them, which
    each acquire calls.

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
        ssl: bool | None = None,
        tls_server_name: str | None = None,
        datacenter: str | None = None,
        namespace: str | None = None,
        partition: str | None = None,
        connect_timeout: float = 3.0,
        request_timeout: float = 10.0,
        retry_for: float = 30.0,
        on_event: OnEvent = None,
        meta: Meta = None,
    ) -> None:
        require_address(address)
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
                ssl=ssl,
                tls_server_name=tls_server_name,
                datacenter=datacenter,
                namespace=namespace,
                partition=partition,
                connect_timeout=connect_timeout,
                request_timeout=request_timeout,
                retry_for=retry_for,
            ),
            on_event,
            meta,
        )

    @classmethod
    def from_consul(cls, consul: Any, *, on_event: OnEvent = None, meta: Meta = None) -> Self:
        """A client with the settings of a python-consul2 ``consul.Consul``; the rest as above.

        Raises `ConfigError` for one of py-consul, and for settings that cannot work.
        """
        if not is_python_consul(consul):
            raise TypeError(f"{consul!r} is no consul.Consul of python-consul2")
        client = cls.__new__(cls)
        client._set_up(Config.from_consul(consul), on_event, meta)
        return client

    def _set_up(self, config: Config, on_event: OnEvent, meta: Meta) -> None:
        self.config = config
        check_meta(meta)
        driver = make_driver(config)
        driver.reporter.listen(listeners_of(on_event, in_tasks=driver.reporter.in_tasks))
        core = ClientCore(
            driver,
            identity(),
            query=config.query(),
            retry_for=config.retry_for,
            connect_timeout=config.connect_timeout,
            request_timeout=config.request_timeout,
            reporter=driver.reporter,
            meta=meta,
        )
        # Now that nothing can fail any more: `__del__` needs both.
        self._driver, self._core = driver, core
        # Not of this object: it is collected when nobody can use it any more.
        driver.holding = lambda: bool(core.holds)
        driver.on_fork(lambda: core.forked(driver, identity()))
        driver.on_end(lambda: close_client(core))

    async def _run(self, job: Job[T]) -> T:
        return await self._driver.run(job)

    @property
    def reached(self) -> bool:
        """Whether Consul has answered this client at least once, so its address is right.

        An answer that the servers have no leader does not count.
        """
        return self._core.contact.reached

    @property
    def events_dropped(self) -> int:
        """Events that no listener has seen: more than 1000 waited, or the client was closed."""
        return self._driver.reporter.dropped

    @property
    def listener_errors(self) -> int:
        """Exceptions that listeners have raised, which change nothing."""
        return self._driver.reporter.errors

    async def close(self) -> None:
        """Release what is still held, destroy all sessions, close all connections.

        Listeners have a second for the events that are left.

        New calls are refused; those under way in other tasks end first, waits at once, with
        `Unavailable`.  A lock that is held is reported as lost (`LossReason.REVOKED`).  Can be
        repeated; also done for every client when its loop ends as `asyncio.run` ends it.
        """
        await self._driver.close()

    def __del__(self) -> None:
        driver = getattr(self, "_driver", None)
        if driver is None or driver.closed:
            return
        if self._core.keeper is not None:
            warn_caller(
                f"{self!r} was dropped without close(): its idle sessions are destroyed now, and"
                " a lock that is held stays held until its loop ends; close it, or use"
                " 'async with'",
                ResourceWarning,
                source=self,
            )
        self._core.dropped = True
        driver.drop(self._core.wake.set)

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


_default = DefaultClient(Client)


def chosen(client: Client | None) -> Client:
    """The client that was given, or the default one."""
    require("client", client, Client)
    return _default.get() if client is None else client
