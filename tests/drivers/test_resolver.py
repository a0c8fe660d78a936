"""Names are resolved beside those who need the answer, and not for ever anew."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from consul_lock import Client, Lock, aio
from consul_lock._drivers.resolver import Resolver
from consul_lock.config import Config
from tests.drivers.name_servers import HOST, name_servers
from tests.support.proxy import Proxy
from tests.support.waiting import eventually


def test_waiting_for_silent_name_servers_takes_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask; a question after the answer is a new one."""
    with name_servers(monkeypatch) as servers:
        before = set(threading.enumerate())
        resolver = Resolver(Config.resolve(HOST), time.monotonic)
        lookups = [resolver.ask() for _ in range(100)]
        assert len(set(threading.enumerate()) - before) == 1
        servers.there.set()
        eventually(lambda: all(lookup.done for lookup in lookups))
        assert servers.asked == 1
        eventually(lambda: not lookups[0].under_way)
        assert resolver.ask() is not lookups[0]


def test_threads_know_an_address_while_the_name_servers_are_silent(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that was connected once connects again."""
    with name_servers(monkeypatch) as servers:
        servers.there.set()
        port = proxy.address.rpartition(":")[2]
        with Client(f"{HOST}:{port}", retry_for=0, connect_timeout=60) as client:
            lock = Lock("drivers/resolver", client=client)
            assert not lock.locked()
            servers.there.clear()
            proxy.cut()
            eventually(lambda: not lock.locked())
            assert proxy.accepted == 2


def test_tasks_know_an_address_while_the_name_servers_are_silent(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, on a loop."""

    async def main() -> None:
        with name_servers(monkeypatch) as servers:
            servers.there.set()
            port = proxy.address.rpartition(":")[2]
            async with aio.Client(f"{HOST}:{port}", retry_for=0, connect_timeout=60) as client:
                lock = aio.Lock("drivers/resolver", client=client)
                assert not await lock.locked()
                servers.there.clear()
                proxy.cut()
                assert not await lock.locked()
                assert proxy.accepted == 2

    asyncio.run(main())
