"""The HTTP server of the exporter."""

from __future__ import annotations

import errno
import http.client
import socket
import urllib.request

import pytest

from consul_lock_cli.exporter.prefix_reader import Reading
from consul_lock_cli.options.listen import Listen
from tests.cli.exporter.series import scrape


def serving(listen: Listen) -> str:
    from consul_lock_cli.exporter.collector import Collector
    from consul_lock_cli.exporter.server import serve

    return serve(Collector(lambda: {"jobs": Reading()}), listen)


def test_metrics_are_served_at_a_free_port_and_on_that_address_alone() -> None:
    """The address that is returned is where they are."""
    address = serving(Listen("127.0.0.1", 0))
    assert scrape(address)['consul_lock_up{name="jobs"}'] == 0
    port = int(address.rpartition(":")[2].partition("/")[0])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", port), timeout=60).close()


def test_one_metric_can_be_asked_for() -> None:
    """As Prometheus' own parameter of a scrape."""
    address = serving(Listen("127.0.0.1", 0))
    assert set(scrape(f"{address}?name[]=consul_lock_up")) == {'consul_lock_up{name="jobs"}'}


def test_nonsense_is_answered_and_reported_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    """A port scanner gets an error, and no traceback is written."""
    address = serving(Listen("127.0.0.1", 0))
    host, port = address.removeprefix("http://").removesuffix("/metrics").split(":")
    for nonsense in (b"\x16\x03\x01\0\xa5\x01\0\0\xa1\r\n\r\n", b"GET\r\n\r\n", b"\r\n"):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(nonsense)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert answer.status == http.client.OK
    assert capsys.readouterr() == ("", "")


def test_an_address_that_is_taken_is_named() -> None:
    """It is an error of the system, with its number."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{port}: ") as caught:
            serving(Listen("127.0.0.1", port))
    assert caught.value.errno == errno.EADDRINUSE
