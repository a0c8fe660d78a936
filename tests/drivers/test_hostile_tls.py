"""TLS that is not as it should be: `ConfigError` or `Unavailable`, from both APIs, in time."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from consul_lock import ConfigError, Unavailable
from tests.drivers.request_once import Ask, each_asks
from tests.support.http_messages import Message
from tests.support.scripted_server import Reset, always, scripted_server

pytestmark = each_asks

_NONE = b"HTTP/1.1 404 None\r\nX-Consul-Index: 7\r\nContent-Length: 0\r\n\r\n"
_NOW = datetime.now(UTC)


class _Papers:
    """An authority, and a server's certificate of it or of another one."""

    def __init__(self, folder: Path, issuer: trustme.CA | None = None, **options: Any) -> None:
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        names = options.pop("names", ["127.0.0.1"])
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (issuer or authority).issue_cert(*names, **options).configure_cert(self.context)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"names": ["other.example"]}, "is not trusted"),
        ({"not_after": _NOW - timedelta(days=1)}, "has expired"),
        ({"not_before": _NOW + timedelta(days=1)}, "is not trusted"),
        ({"issuer": trustme.CA()}, "is not trusted"),
    ],
    ids=["another name", "expired", "not valid yet", "another authority"],
)
def test_a_certificate_that_is_wrong_is_a_wrong_setting(
    ask: Ask, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    """No patience mends it; the text says which it is."""
    papers = _Papers(tmp_path, **options)
    with (
        scripted_server(always(_NONE), papers.context) as server,
        pytest.raises(ConfigError, match=words) as caught,
    ):
        ask(f"https://{server.address}", ca_cert=str(papers.ca))
    assert caught.value.kind in ("certificate", "certificate-expired")
    assert not server.requests


def test_a_certificate_of_its_own_making_is_a_wrong_setting(ask: Ask, tmp_path: Path) -> None:
    """Self-signed: it is its own authority, which is not that of the settings."""
    papers, alone = _Papers(tmp_path), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "alone.pem").write_bytes(alone.private_key_pem.bytes() + alone.cert_pem.bytes())
    context.load_cert_chain(tmp_path / "alone.pem")
    with (
        scripted_server(always(_NONE), context) as server,
        pytest.raises(ConfigError, match="is not trusted") as caught,
    ):
        ask(f"https://{server.address}", ca_cert=str(papers.ca))
    assert caught.value.kind == "certificate"


@pytest.mark.parametrize("at", [0, 1, 20, len(_NONE) - 1])
def test_a_connection_of_tls_that_is_reset_is_no_answer(ask: Ask, tmp_path: Path, at: int) -> None:
    """Wherever it is reset."""
    papers = _Papers(tmp_path)

    def script(_: Message) -> Iterator[bytes]:
        yield _NONE[:at]
        raise Reset

    with (
        scripted_server(script, papers.context) as server,
        pytest.raises(Unavailable) as caught,
    ):
        ask(f"https://{server.address}", ca_cert=str(papers.ca))
    assert caught.value.kind in ("broken", "hung-up")
    assert caught.value.uncertain


def test_what_comes_after_an_answer_is_not_used_over_tls_either(ask: Ask, tmp_path: Path) -> None:
    """It is decrypted already, so no socket says that it is there."""
    papers = _Papers(tmp_path)
    with scripted_server(always(_NONE + _NONE[:10]), papers.context) as server:
        assert ask(f"https://{server.address}", ca_cert=str(papers.ca)) is False
