"""A request that finds no place does not wait for one for ever."""

from __future__ import annotations

import asyncio

import pytest

from consul_lock import Client, Lock, Unavailable, aio
from consul_lock._drivers.connection_pool import REQUESTS
from consul_lock.testing import ServedWorld


def test_threads_give_up_when_no_place_gets_free(served: ServedWorld) -> None:
    """With the timeout of a request; nothing was sent, so nothing is uncertain."""
    with Client(served.address, request_timeout=4, retry_for=0) as client:
        places = client._driver._transport._places
        taken = [places.get(timeout=5) for _ in range(REQUESTS)]
        with pytest.raises(Unavailable, match="no further one was sent") as told:
            Lock("places", client=client).acquire()
        for place in taken:
            places.put(place)
        with Lock("places", client=client):
            pass
    assert not told.value.uncertain


def test_tasks_give_up_when_no_place_gets_free(served: ServedWorld) -> None:
    """As threads do."""

    async def main() -> None:
        async with aio.Client(served.address, request_timeout=4, retry_for=0) as client:
            client._driver._places = asyncio.Semaphore(0)
            with pytest.raises(Unavailable, match="no further one was sent") as told:
                await aio.Lock("places", client=client).acquire()
            assert not told.value.uncertain
            client._driver._places = None
            async with aio.Lock("places", client=client):
                pass

    asyncio.run(main())


def test_a_client_whose_closing_is_cancelled_closes_its_connections(served: ServedWorld) -> None:
    """The clean-up of a cancelled close ends with the sockets closed all the same."""

    async def main() -> None:
        client = aio.Client(served.address)
        lock = aio.Lock("cancelled", client=client)
        assert await lock.acquire()
        closing = asyncio.create_task(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert client._driver._http.closed
        assert not client._driver._http._open
        assert not lock.held

    asyncio.run(main())
