"""Requests for a transport alone, without the flows that make them otherwise."""

from __future__ import annotations

from consul_lock._protocol.flow import Reply, Request
from consul_lock.config import Config


def config_of(address: str, **options: float) -> Config:
    """The settings of a client of this server."""
    host, port = address.split(":")
    return Config(host=host, port=int(port), **options)  # type: ignore[arg-type] # times


def _body(reply: Reply) -> bytes:
    return reply.body


READ = Request("GET", "/v1/kv/a", (), None, _body)
"""Whose result is the body of its answer, as of the others here."""

WRITE = Request("PUT", "/v1/kv/a", (), b"value", _body)


def poll(seconds: float) -> Request:
    """A long poll."""
    params = (("index", "7"), ("wait", f"{seconds}s"))
    return Request("GET", "/v1/kv/a", params, None, _body, wait=seconds)
