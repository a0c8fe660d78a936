"""Ports for real agents."""

from __future__ import annotations

import socket
from random import SystemRandom

# Below the range from which the kernel takes ports for outgoing connections: there, a client
# of another test could sit on the port of an agent that is about to start again.
_LOWEST, _HIGHEST = 10_000, 32_700

# Hypothesis seeds the functions of `random` alike in each process, which would draw equal ports.
_random = SystemRandom()

_given: set[int] = set()


def free_port() -> int:
    """A port that is free on loopback for TCP and UDP, never given out twice by this process."""
    for _ in range(1000):
        port = _random.randint(_LOWEST, _HIGHEST)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise RuntimeError("no free port")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def has_ipv6_loopback() -> bool:
    """Whether ::1 exists here."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
