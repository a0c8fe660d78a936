"""The network between the hosts of a stage, with partitions, delays and losses on demand."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Self

from tests.torture.host import Host, NamespacedHost
from tests.torture.packet_switch import Link, address_of

_ROOT = Path(__file__).resolve().parents[2]

# Seconds for an order to be obeyed: ends a test whose switch has died, and nothing else.
_PATIENCE = 60.0


class Network:
    """Hosts of these names, each with namespaces of its own, and a switch between them.

    Nothing else is connected: what they send reaches one of them or nobody.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.hosts: list[NamespacedHost] = []
        self._links: dict[tuple[int, int], Link] = {}
        try:
            for number, name in enumerate(names):
                self.hosts.append(NamespacedHost(name, address_of(number)))
        except BaseException:
            self._close_hosts()
            raise
        devices = [host.device for host in self.hosts]
        self._control, theirs = socket.socketpair()
        self._control.settimeout(_PATIENCE)
        argv = [sys.executable, "-m", "tests.torture.packet_switch", str(theirs.fileno())]
        self._switch = subprocess.Popen(
            [*argv, *map(str, devices)], pass_fds=[theirs.fileno(), *devices], cwd=_ROOT
        )
        theirs.close()
        for device in devices:
            os.close(device)

    def cut(self, sources: Iterable[Host], targets: Iterable[Host]) -> None:
        """Lose everything from the one to the other: a partition in one direction."""
        self._set(sources, targets, lost=1.0)

    def isolate(self, host: Host) -> None:
        """Lose everything between a host and all others, in both directions."""
        self.cut([host], self.hosts)
        self.cut(self.hosts, [host])

    def lose(self, share: float) -> None:
        """Lose such a share of all packets between all hosts."""
        self._set(self.hosts, self.hosts, lost=share)

    def delay(self, seconds: float) -> None:
        """Delay all packets between all hosts."""
        self._set(self.hosts, self.hosts, delay=seconds)

    def heal(self) -> None:
        """Pass on everything at once again."""
        self._links = {}
        self._apply()

    def close(self) -> None:
        """End the switch and give the hosts back; their processes have ended."""
        self._control.close()
        self._switch.wait(_PATIENCE)
        self._close_hosts()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _set(
        self,
        sources: Iterable[Host],
        targets: Iterable[Host],
        lost: float = 0.0,
        delay: float = 0.0,
    ) -> None:
        numbers = {host.name: number for number, host in enumerate(self.hosts)}
        for one, other in product(list(sources), list(targets)):
            pair = numbers[one.name], numbers[other.name]
            old = self._links.get(pair, Link(*pair, lost=0.0, delay=0.0))
            self._links[pair] = Link(*pair, max(old.lost, lost), max(old.delay, delay))
        self._apply()

    def _apply(self) -> None:
        self._control.sendall(json.dumps(list(self._links.values())).encode() + b"\n")
        assert self._control.recv(1) == b"\n", "the switch has ended"

    def _close_hosts(self) -> None:
        for host in self.hosts:
            host.close()
