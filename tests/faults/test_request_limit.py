"""A limit of requests, and what a client asks for while it refuses renewals: with both APIs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from consul_lock import LockLost, LossReason, Unavailable
from consul_lock.testing import ServedWorld, serve
from tests.support.apis import Face
from tests.support.http_messages import Answer
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

LIMIT = Answer(
    503,
    {},
    b"rate limit exceeded for operation that can only be performed by the leader, try again later",
)


def renewals_refused(method: str, path: str, body: bytes, number: int) -> Answer | None:
    """The servers refuse renewals, and nothing else."""
    return LIMIT if "/session/renew/" in path else None


@contextmanager
def holding(face: Face, **settings: Any) -> Iterator[tuple[ServedWorld, Proxy, Any, Any]]:
    """A client that holds a lock, and another lock of it; its renewals are refused."""
    with serve() as served, Proxy(served.address) as proxy:
        client = face.client(proxy.address)
        lock, other = (face.lock(name, client, **settings) for name in ("held", "other"))
        assert lock.acquire()
        # Its session waits in the pool for the next one that wants a lock.
        assert other.acquire()
        other.release()
        proxy.rule = renewals_refused
        proxy.reset()
        # The first is due within a third of the TTL.
        eventually(lambda: any("/session/renew/" in seen.path for seen in proxy.log))
        yield served, proxy, lock, other
        proxy.rule = None
        client.close()


def test_nothing_else_is_sent_while_renewals_are_refused_and_then_it_goes_on(face: Face) -> None:
    """But a release: others wait for what it gives back."""
    with holding(face) as (_, proxy, lock, other):

        def refused() -> bool:
            """The answer may be on its way to the keeper still."""
            try:
                if other.acquire(blocking=False):
                    other.release()
            except Unavailable as error:
                return error.kind == "rate-limit" and "refuses even renewals" in str(error)
            return False

        eventually(refused)
        before = sum(b'"lock"' in seen.body for seen in proxy.log)
        with pytest.raises(Unavailable, match="refuses even renewals"):
            other.acquire(timeout=0.5)
        assert sum(b'"lock"' in seen.body for seen in proxy.log) == before
        proxy.rule = None
        assert other.acquire(timeout=60.0)
        other.release()
        lock.ensure_held()
        lock.release()


def test_a_lock_is_released_while_its_renewals_are_refused(face: Face) -> None:
    """Others wait for it."""
    with holding(face) as (served, _, lock, _):
        lock.release()
        assert "held/.lock" not in served.world._server.kv.entries


def test_a_loss_to_the_limit_is_reported_as_that(face: Face) -> None:
    """Its deadline has passed, as verifications are refused as well."""
    with holding(face, lock_delay=2.0) as (_, proxy, lock, _):
        proxy.rule = lambda *_: LIMIT
        eventually(lambda: lock.lost_reason is LossReason.REQUEST_LIMIT)
        with pytest.raises(LockLost, match="refused by the server's request limit") as caught:
            lock.ensure_held()
        assert caught.value.kind == "request-limit"
        proxy.rule = None
        with pytest.raises(LockLost):
            lock.release()
