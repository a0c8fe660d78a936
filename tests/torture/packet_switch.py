"""A program: the switch between the hosts of a stage, which delays and loses their packets.

`python -m tests.torture.packet_switch CONTROL DEVICE...`: numbers of open descriptors.  Each
DEVICE is a TUN device of a host; the host of the nth has the address `address_of(n)`.  A line on
CONTROL is the JSON of a list of links, ``[from, to, lost, delay]``; it replaces what was before and
is answered with an empty line once it is in force.  What no link names is passed on at once.  The
program ends with CONTROL.

Everything that hosts send each other is an IP packet here, TCP and UDP alike.  The devices offload
nothing, so the kernel has computed each checksum before a packet is read.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import random
import select
import socket
import sys
import time
from typing import NamedTuple

_PREFIX = (192, 0, 2)
"""A network for documentation, that exists nowhere."""

# Packets of one device in a row, so that a busy one does not hold up the others.
_AT_ONCE = 64

# The kernel keeps so many for each device.
_QUEUE = 500

_LARGEST = 65_536


def address_of(number: int) -> str:
    """The address of the host with the nth device, counted from 0."""
    return ".".join(map(str, (*_PREFIX, number + 1)))


class Link(NamedTuple):
    """What happens to packets from one host to another."""

    source: int
    target: int
    lost: float
    """The share that is lost; 1 is a partition in this direction."""
    delay: float
    """Seconds."""


class Switch:
    """Passes packets on between devices, by their destination address."""

    def __init__(self, devices: list[int]) -> None:
        self._devices = devices
        self._links: dict[tuple[int, int], Link] = {}
        self._late: list[tuple[float, int, int, bytes]] = []
        self._order = itertools.count()

    def set_links(self, links: list[Link]) -> None:
        """Replace all links.  What is on its way, or was sent before, is treated as before."""
        for source in range(len(self._devices)):
            self.read(source, _QUEUE)
        self._links = {(link.source, link.target): link for link in links}

    def read(self, source: int, most: int = _AT_ONCE) -> None:
        """Pass on what the nth device has."""
        for _ in range(most):
            try:
                packet = os.read(self._devices[source], _LARGEST)
            except BlockingIOError:
                return
            self._pass_on(source, packet)

    def _pass_on(self, source: int, packet: bytes) -> None:
        if len(packet) < 20 or packet[0] >> 4 != 4 or tuple(packet[16:19]) != _PREFIX:
            return  # the kernel's IPv6 and multicast chatter, which has no place here
        target = packet[19] - 1
        if not 0 <= target < len(self._devices):
            return
        link = self._links.get((source, target))
        if link is not None:
            if random.random() < link.lost:
                return
            if link.delay:
                due = time.monotonic() + link.delay
                heapq.heappush(self._late, (due, next(self._order), target, packet))
                return
        self._write(target, packet)

    def write_due(self) -> float | None:
        """Pass on what has been delayed for long enough; returns the seconds until the next."""
        while self._late:
            left = self._late[0][0] - time.monotonic()
            if left > 0:
                return left
            _, _, target, packet = heapq.heappop(self._late)
            self._write(target, packet)
        return None

    def _write(self, target: int, packet: bytes) -> None:
        try:
            os.write(self._devices[target], packet)
        except OSError:
            pass  # a full queue or an interface that is down loses packets, as a real one does


def main(control: int, devices: list[int]) -> None:
    """Pass packets on until the control connection ends."""
    switch = Switch(devices)
    poll = select.epoll()
    poll.register(control, select.EPOLLIN)
    for device in devices:
        os.set_blocking(device, False)
        poll.register(device, select.EPOLLIN)
    numbers = {device: number for number, device in enumerate(devices)}
    with socket.socket(fileno=control) as orders:
        buffered = b""
        while True:
            wait = switch.write_due()
            for ready, _ in poll.poll(wait):
                if ready != control:
                    switch.read(numbers[ready])
                    continue
                received = orders.recv(_LARGEST)
                if not received:
                    return
                *lines, buffered = (buffered + received).split(b"\n")
                for line in lines:
                    switch.set_links([Link(*link) for link in json.loads(line)])
                    orders.sendall(b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(device) for device in sys.argv[2:]])
