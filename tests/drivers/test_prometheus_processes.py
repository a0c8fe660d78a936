"""Metrics of locks in several processes: prometheus-client's multiprocess mode under gunicorn."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from consul_lock.testing import ServedWorld
from tests.drivers.test_prefork import GUNICORN, WORKERS, Server, prefork_server
from tests.support.waiting import eventually

_NAME = "drivers/metrics"


def values(server: Server) -> dict[str, float]:
    """The metrics of the semaphore as a worker serves them for all, without what all begin with."""
    from prometheus_client.parser import text_string_to_metric_families

    return {
        sample.name.removeprefix("consul_lock_"): sample.value
        for family in text_string_to_metric_families(server.ask()["metrics"])
        for sample in family.samples
        if sample.labels.get("name") == _NAME and "le" not in sample.labels
    }


def test_the_workers_of_gunicorn_and_their_master_have_their_figures_summed(
    served: ServedWorld, tmp_path: Path
) -> None:
    """What the master held before the fork is held once, and what a worker held that was killed is
    not held any more; what it has counted stays."""
    # Of the server alone: prometheus-client looks at it once, when it is imported.
    folder = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    program = "tests.drivers.program_metrics"
    command = (*GUNICORN, "--preload", "-c", f"python:{program}", f"{program}:app")
    with prefork_server(served.address, *command, **folder) as server:
        eventually(server.serves)
        workers = server.all_workers()
        everybody = 1 + WORKERS

        def counted(acquired: int) -> bool:
            """Each listens with a thread of its own."""
            names = ("acquired_total", "wait_seconds_count", "held")
            found = values(server)
            return [found.get(name) for name in names] == [acquired, acquired, everybody]

        eventually(lambda: counted(everybody))
        killed = min(workers)
        os.kill(killed, signal.SIGKILL)
        server.all_workers(but=killed)
        eventually(lambda: counted(everybody + 1))
        assert "Traceback" not in server.log
