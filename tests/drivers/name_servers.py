"""Name servers that can be silent: a fault of the resolver of this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

HOST = "consul.test"
"""Resolves to 127.0.0.1 when the name servers answer."""


class NameServers:
    """They answer while ``there`` is set; ``asked`` counts questions about `HOST`."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.asked = 0
        self._resolve = socket.getaddrinfo

    def getaddrinfo(self, host: Any, *arguments: Any, **options: Any) -> Any:
        if host == HOST and not (options.get("flags") or 0) & socket.AI_NUMERICHOST:
            self.asked += 1
            self.there.wait(60)
            host = "127.0.0.1"
        return self._resolve(host, *arguments, **options)


@contextmanager
def name_servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServers]:
    """They are silent at first; afterwards what still waits for them gets its answer."""
    servers = NameServers()
    monkeypatch.setattr(socket, "getaddrinfo", servers.getaddrinfo)
    try:
        yield servers
    finally:
        servers.there.set()
