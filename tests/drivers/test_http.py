"""Threads and asyncio say the same of errors of the network, in the same plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from consul_lock import ConfigError, Unavailable
from consul_lock._drivers.http import hung_up
from consul_lock.config import Config
from tests.drivers.request_once import on_loop, on_threads
from tests.support.certificates import Certificates
from tests.support.ports import free_port
from tests.support.scripted_server import always, scripted_server


@contextmanager
def _nobody(_: Path) -> Iterator[dict[str, Any]]:
    yield {"address": f"127.0.0.1:{free_port()}"}


@contextmanager
def _no_socket(folder: Path) -> Iterator[dict[str, Any]]:
    yield {"address": f"unix://{folder}/none.sock"}


@contextmanager
def _no_name(_: Path) -> Iterator[dict[str, Any]]:
    yield {"address": "no-such-host.invalid:8500"}


def _saying(answer: bytes, **options: Any) -> Callable[[Path], Any]:
    @contextmanager
    def server(_: Path) -> Iterator[dict[str, Any]]:
        with scripted_server(always(answer, then_close=True)) as started:
            yield {"address": started.address, **options}

    return server


@contextmanager
def _silent(_: Path) -> Iterator[dict[str, Any]]:
    with scripted_server(lambda message: iter(())) as started:
        yield {"address": started.address, "request_timeout": 1.5}


@contextmanager
def _plain_for_tls(folder: Path) -> Iterator[dict[str, Any]]:
    papers = Certificates(folder)
    answer = always(b"HTTP/1.1 400 Bad\r\n\r\n", then_close=True)
    with scripted_server(answer) as started:
        yield {"address": started.address, "ssl": True, "ca_cert": str(papers.ca)}


TROUBLES: dict[str, Callable[[Path], Any]] = {
    "nobody listens": _nobody,
    "no unix socket": _no_socket,
    "no such name": _no_name,
    "no answer": _saying(b""),
    "half a head": _saying(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "half a body": _saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]"),
    "another protocol": _saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "silence": _silent,
    "silence in place of tls": _plain_for_tls,
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_both_faces_say_the_same(trouble: str, tmp_path: Path) -> None:
    """Word for word, but for ports and times; and no names of classes or objects."""
    said = []
    for number, ask in enumerate((on_threads, on_loop)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with (
            TROUBLES[trouble](folder) as options,
            pytest.raises((Unavailable, ConfigError)) as caught,
        ):
            ask(options.pop("address"), **options)
        said.append(re.sub(r":\d{4,5}|/\d/", ":PORT", str(caught.value)))
    assert said[0] == said[1]
    assert not re.search(r"<|Error\(|aiohttp|object at|None", said[0]), said[0]
    assert len(said[0]) > 30


def test_a_request_that_waits_and_is_hung_up_on_blames_a_proxy() -> None:
    """Consul itself refuses connections, but it does not end a request that waits."""
    waited, plain = hung_up(Config(), 10.0), hung_up(Config())
    assert waited.kind == plain.kind == "hung-up"
    assert "a proxy in front of Consul" in str(waited)
    assert "limits.http_max_conns_per_client" in str(plain)
    assert "proxy" not in str(plain)
