"""The network between the hosts of a stage does what it says, and nothing leaves it."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture.host import NamespacedHost
from tests.torture.network import Network

_PORT = 7000

# Seconds for a packet that must arrive.
_PATIENCE = 30.0


class Mailbox:
    """A UDP socket on a host."""

    def __init__(self, host: NamespacedHost) -> None:
        self.host = host
        with host.inside():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host.address, _PORT))
        self._socket.settimeout(_PATIENCE)

    def send(self, other: Mailbox, text: str) -> None:
        self._socket.sendto(text.encode(), (other.host.address, _PORT))

    def next(self) -> str:
        """The next text that arrives."""
        return self._socket.recv(100).decode()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def network(namespaces: None) -> Iterator[Network]:
    """Three hosts."""
    with Network(["a", "b", "c"]) as made:
        yield made


@pytest.fixture
def boxes(network: Network) -> Iterator[list[Mailbox]]:
    """A mailbox on each."""
    made = [Mailbox(host) for host in network.hosts]
    yield made
    for box in made:
        box.close()


def test_a_cut_in_one_direction_loses_that_direction_alone(
    network: Network, boxes: list[Mailbox]
) -> None:
    """What is sent across the cut never arrives, not even later; all else does."""
    a, b, c = boxes
    network.cut([a.host], [b.host])
    a.send(b, "lost")
    b.send(a, "the other way")
    a.send(c, "another host")
    assert (a.next(), c.next()) == ("the other way", "another host")
    network.heal()
    a.send(b, "after")
    assert b.next() == "after"


def test_an_isolated_host_reaches_itself_alone(network: Network, boxes: list[Mailbox]) -> None:
    """Both directions are cut, with all others; these reach each other."""
    a, b, c = boxes
    network.isolate(a.host)
    a.send(b, "lost")
    b.send(a, "lost")
    c.send(a, "lost")
    a.send(a, "to itself")
    b.send(c, "past it")
    assert (a.next(), c.next()) == ("to itself", "past it")
    network.heal()
    for box in boxes:
        box.send(a, "after")
        assert a.next() == "after"
    a.send(b, "after")
    assert b.next() == "after"


def test_a_delay_keeps_packets_and_their_order(network: Network, boxes: list[Mailbox]) -> None:
    """What is sent after the delay has ended overtakes what is still on its way."""
    a, b, _ = boxes
    network.delay(4.0)
    for text in ("1", "2", "3"):
        a.send(b, text)
    network.heal()
    a.send(b, "at once")
    assert [b.next() for _ in range(4)] == ["at once", "1", "2", "3"]


def test_a_share_of_the_packets_is_lost(network: Network, boxes: list[Mailbox]) -> None:
    """Of 200 packets some 160 arrive; the bounds are seven standard deviations away."""
    a, b, _ = boxes
    network.lose(0.2)
    for _ in range(200):
        a.send(b, "one")
    network.heal()
    a.send(b, "end")
    arrived = 0
    while b.next() != "end":
        arrived += 1
    assert 120 < arrived < 200


def test_nothing_leaves_the_hosts(network: Network) -> None:
    """There is no way to any other network, for a socket of the test and for a process alike."""
    host = network.hosts[0]
    with host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        refused = outside.connect_ex(("198.51.100.1", 9))
    assert refused == errno.ENETUNREACH
    listed = host.popen(["cat", "/proc/net/dev"], stdout=subprocess.PIPE, text=True)
    said, _ = listed.communicate()
    devices = [line.split(":")[0].strip() for line in said.splitlines() if ":" in line]
    assert sorted(devices) == ["lo", "stage0"]


def test_a_disk_is_seen_by_the_processes_of_its_host_alone(
    network: Network, tmp_path: Path
) -> None:
    """So it needs no cleaning up, however the test ends."""
    host, other = network.hosts[:2]
    host.mount_disk(tmp_path, 1)
    program = f"open({str(tmp_path / 'file')!r}, 'wb').write(bytes(2_000_000))"
    argv = [sys.executable, "-c", program]
    full = host.popen(argv, stderr=subprocess.PIPE, text=True)
    assert os.strerror(errno.ENOSPC) in full.communicate()[1]
    assert other.popen(argv).wait() == 0
    assert (tmp_path / "file").stat().st_size == 2_000_000
