"""A configuration: arguments, then the environment, then defaults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import consul
import pytest

import consul_lock.aio
import consul_lock.config
from consul_lock.config import Config
from tests.unit.config.helpers import SECRET, refusal, resolve


@pytest.mark.parametrize(
    "address, ssl_argument, variables, scheme",
    [
        (None, None, {}, "http"),
        (None, None, {"CONSUL_HTTP_SSL": "true"}, "https"),
        (None, None, {"CONSUL_HTTP_SSL": ""}, "http"),
        (None, False, {"CONSUL_HTTP_SSL": "true"}, "http"),
        (None, True, {"CONSUL_HTTP_SSL": "false"}, "https"),
        (None, None, {"CONSUL_HTTP_ADDR": "http://h", "CONSUL_HTTP_SSL": "1"}, "https"),
        (None, None, {"CONSUL_HTTP_ADDR": "https://h", "CONSUL_HTTP_SSL": "0"}, "https"),
        (None, False, {"CONSUL_HTTP_ADDR": "https://h"}, "http"),
        (None, True, {"CONSUL_HTTP_ADDR": "http://h"}, "https"),
        ("h", None, {"CONSUL_HTTP_SSL": "true"}, "https"),
        ("http://h", None, {"CONSUL_HTTP_SSL": "true"}, "http"),
        ("http://h", None, {"CONSUL_HTTP_SSL": "maybe"}, "http"),
        ("https://h", None, {"CONSUL_HTTP_SSL": "false"}, "https"),
        ("http://h", True, {}, "https"),
        ("unix:///s", None, {"CONSUL_HTTP_SSL": "true"}, "https"),
    ],
)
def test_arguments_beat_the_environment_and_tls_is_not_dropped(
    address: str | None, ssl_argument: bool | None, variables: dict[str, str], scheme: str
) -> None:
    """Only an explicit argument turns a wish for TLS off."""
    assert resolve(address, ssl=ssl_argument, environ=variables).scheme == scheme


@pytest.mark.parametrize("kind", [consul_lock.Client, consul_lock.aio.Client])
def test_a_client_speaks_tls_if_so_configured(
    kind: type[consul_lock.Client] | type[consul_lock.aio.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By CONSUL_HTTP_SSL as the Consul tools do, or by its argument, which beats that."""
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "http://h:1")
    monkeypatch.setenv("CONSUL_HTTP_SSL", "true")
    assert kind().config.origin == "https://h:1"
    assert kind(ssl=False).config.origin == "http://h:1"
    assert kind("http://other").config.origin == "http://other:80"
    monkeypatch.delenv("CONSUL_HTTP_SSL")
    assert kind().config.origin == "http://h:1"
    assert kind(ssl=True).config.origin == "https://h:1"


def test_an_https_address_with_ssl_off_is_a_contradiction() -> None:
    """Both were given on purpose, so neither is guessed to be the right one."""
    message = refusal("https://h", ssl=False)
    assert "https" in message
    assert "ssl is False" in message


@pytest.mark.parametrize("name", ["connect_timeout", "request_timeout", "retry_for"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "5", None, True])
def test_timeouts_are_positive_and_finite(name: str, value: object) -> None:
    """Nothing waits for ever; the message names the setting."""
    assert refusal(**{name: value}).startswith(f"{name}: ")


def test_only_retrying_may_last_no_time_at_all() -> None:
    """retry_for=0 means that the first error counts."""
    assert resolve(retry_for=0).retry_for == 0
    assert refusal(connect_timeout=0).startswith("connect_timeout: 0 seconds")


def test_python_consuls_settings_are_taken_without_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What its object holds counts, down to the form of `verify` and `cert`."""
    plain = consul.Consul(host="h", port=1, token=SECRET, dc="east")
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "other:2")
    monkeypatch.setenv("CONSUL_NAMESPACE", "n")
    assert Config.from_consul(plain) == Config(host="h", port=1, token=SECRET, datacenter="east")
    monkeypatch.delenv("CONSUL_HTTP_ADDR")
    table: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"scheme": "https", "verify": False}, {"scheme": "https", "verify": False}),
        ({"verify": "/ca.pem"}, {"ca_cert": "/ca.pem"}),
        ({"verify": str(tmp_path)}, {"ca_path": str(tmp_path)}),
        ({"cert": "/both.pem"}, {"client_cert": "/both.pem", "client_key": "/both.pem"}),
        ({"cert": ("/c", "/k")}, {"client_cert": "/c", "client_key": "/k"}),
        ({"timeout": 4}, {"connect_timeout": 4, "request_timeout": 4}),
        ({"timeout": (1, 2.5)}, {"connect_timeout": 1, "request_timeout": 2.5}),
        ({"timeout": (None, 2.5)}, {"request_timeout": 2.5}),
        ({"host": "[::1]"}, {"host": "::1"}),
    ]
    for given, expected in table:
        assert Config.from_consul(consul.Consul(**given)) == Config(**expected)


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    """Start-up time: neither TLS nor any third party for plain http."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from consul_lock.config import Config; Config.resolve('h').headers();"
        "print([m for m in ('ssl', 'socket', 'consul', 'requests', 'pathlib') if m in sys.modules])"
    )
    folder = Path(consul_lock.config.__file__).parent.parent
    command = [sys.executable, "-S", "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
