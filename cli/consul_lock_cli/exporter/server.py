"""Serves the metrics by HTTP, or prints them once: what prometheus-client is needed for."""

from __future__ import annotations

from typing import Any, cast

from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from consul_lock_cli.exporter.collector import Collector
from consul_lock_cli.options.listen import Listen


def serve(collector: Collector, listen: Listen) -> str:
    """Serve them in a thread, until the process ends; the address.  Raises OSError."""
    try:
        server, _ = start_http_server(listen.port, listen.host, _registry(collector))
    except OSError as error:
        text = f"cannot listen on {listen}: {error.strerror or error}"
        raise OSError(error.errno, text) from error
    return f"http://{Listen(listen.host, server.server_port)}/metrics"


def text(collector: Collector) -> str:
    """All of them, as they would be served, without the last line break."""
    return generate_latest(_registry(collector)).decode().removesuffix("\n")


def _registry(collector: Collector) -> CollectorRegistry:
    # Not the one of the process: the metrics of Python have nothing to do with locks.
    registry = CollectorRegistry()
    # It wants a subclass of a class of its own, and needs no more than the two methods.
    registry.register(cast("Any", collector))
    return registry
