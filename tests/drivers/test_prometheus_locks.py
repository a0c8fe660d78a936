"""Metrics of real locks, of both APIs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consul_lock.testing import ServedWorld
from tests.contract.operator import Operator
from tests.support.apis import Asyncio, Face, Threads
from tests.support.waiting import eventually

_BACKUP = {"name": "backup", "kind": "lock"}


@pytest.fixture(params=[Threads, Asyncio], ids=lambda face: face.name)
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    """One of the two APIs."""
    made: Face = request.param()
    yield made
    made.close()


def test_what_happens_to_locks_is_counted(
    face: Face, served: ServedWorld, operator: Operator
) -> None:
    """Two clients: a release, an acquire that does not wait, and a session that is destroyed."""
    # Here, so that the tests can be collected without the extra.
    from prometheus_client import CollectorRegistry

    from consul_lock.prometheus import Metrics

    registry = CollectorRegistry()
    metrics = Metrics(registry=registry)

    def value(metric: str, **more: str) -> float | None:
        return registry.get_sample_value(f"consul_lock_{metric}", {**_BACKUP, **more})

    clients = [face.client(served.address, on_event=metrics) for _ in range(2)]
    first, second = (face.lock("backup", client, watch=True) for client in clients)
    assert first.acquire()
    assert not second.acquire(timeout=0)
    eventually(lambda: value("held") == 1)
    first.release()
    assert second.acquire()
    operator.ask("PUT", f"/v1/session/destroy/{second.session_id}")

    def counted() -> bool:
        """Each client reports with a thread of its own."""
        assert value("lost_total", reason="session-invalid") == 1
        assert value("held") == 0
        assert value("acquired_total") == value("wait_seconds_count") == 2
        assert value("released_total") == 1
        assert value("gave_up_total", why="timeout") == 1
        assert value("hold_seconds_count") == 2
        return True

    eventually(counted)
