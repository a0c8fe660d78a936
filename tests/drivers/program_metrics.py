"""An application that prefork servers load, and configuration of gunicorn: metrics of all workers.

Its master holds one slot of a semaphore from the import on, and each worker another one from its
first request on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest, multiprocess

from consul_lock import Client, Semaphore
from consul_lock.prometheus import Metrics

NAME = "drivers/metrics"
LIMIT = 9

metrics = Metrics()
client = Client(on_event=metrics)
metrics.watch(client)
# A machine that is busy for a minute loses none of them, and so counts no second acquire.
preloaded = Semaphore(NAME, LIMIT, client=client, ttl=300)
preloaded.acquire()
own = Semaphore(NAME, LIMIT, client=client, ttl=300)


def child_exit(server: object, worker: Any) -> None:
    """Of gunicorn, in the master: what a dead worker held is not held any more."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call] # it has no types


def app(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """Hold a slot, and answer with the metrics of all processes."""
    document: dict[str, Any] = {"pid": os.getpid()}
    try:
        if not own.held:
            own.acquire()
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # as above
        document["metrics"] = generate_latest(registry).decode()
    except Exception as error:  # noqa: BLE001 - the test says what it was
        document["error"] = repr(error)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(document).encode()]
