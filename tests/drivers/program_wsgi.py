"""An application that prefork servers load: in their master, before they fork, or in each worker.

With ``PRELOAD`` in the environment it holds a lock from its import on.  ``WSGI_FOLDER`` is where
its workers see whether two of them are at work under one lock.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from consul_lock import Client, Lock, ReadWriteLock, Semaphore

NAME = "drivers/prefork"

client = Client()
preloaded = Lock(f"{NAME}/preloaded", client=client)
if os.environ.get("PRELOAD"):
    preloaded.acquire()
importer = os.getpid()


def at_work(folder: str) -> dict[str, Any]:
    """Take what all workers want, and see that nobody else has it."""
    marker = Path(folder, "at work")
    with Lock(f"{NAME}/shared", client=client) as lock:
        marker.touch(exist_ok=False)
        holder = lock.holder()
        marker.unlink()
    with (
        Semaphore(f"{NAME}/slots", 2, client=client),
        ReadWriteLock(f"{NAME}/read", client=client).read(),
    ):
        pass
    return {
        "pid": os.getpid(),
        "importer": importer,
        "token": lock.token,
        "holder": holder and holder.pid,
        "held": preloaded.held,
        "reason": preloaded.lost_reason and preloaded.lost_reason.name,
        "threads": sorted(t.name for t in threading.enumerate()),
        "patched": "gevent.monkey" in sys.modules,
    }


def app(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]
) -> Iterable[bytes]:
    """Answer any request."""
    try:
        document = at_work(os.environ["WSGI_FOLDER"])
    except Exception as error:  # noqa: BLE001 - the test says what it was
        document = {"pid": os.getpid(), "error": repr(error)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(document).encode()]
