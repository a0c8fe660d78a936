"""Where Consul is and who we are: arguments, then the environment, then defaults."""

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
    "address, origin",
    [
        ("", "http://127.0.0.1:8500"),
        (" \n", "http://127.0.0.1:8500"),
        ("h", "http://h:8500"),
        ("h:1", "http://h:1"),
        (":8501", "http://127.0.0.1:8501"),
        ("http://h", "http://h:8500"),
        ("https://h", "https://h:8500"),
        ("HTTPS://h:8501/", "https://h:8501"),
        ("http://h:65535/a/b/", "http://h:65535/a/b"),
        ("https://h/a%20b", "https://h:8500/a%20b"),
        ("http://", "http://127.0.0.1:8500"),
        ("[::1]", "http://[::1]:8500"),
        ("[::1]:8501", "http://[::1]:8501"),
        ("http://[fe80::1%eth0]:8500/p", "http://[fe80::1%eth0]:8500/p"),
        ("my_host.example.net:8500\n", "http://my_host.example.net:8500"),
        ("unix:///run/consul.sock", "unix:///run/consul.sock"),
        ("unix:///a_dir@x?.sock", "unix:///a_dir@x?.sock"),
    ],
)
def test_every_form_of_address_is_understood(address: str, origin: str) -> None:
    """An argument and CONSUL_HTTP_ADDR are read alike."""
    assert resolve(address).origin == origin
    assert resolve(environ={"CONSUL_HTTP_ADDR": address}).origin == origin


@pytest.mark.parametrize(
    "address, why",
    [
        ("h:port", "no port"),
        ("h:", "no port"),
        ("h:0", "from 1 to 65535"),
        ("h:65536", "from 1 to 65535"),
        ("h:-1", "no port"),
        ("h:+1", "no port"),
        ("h:8_500", "no port"),
        ("h:٣", "no port"),
        ("h:99999999999999999999999", "no port"),
        ("h:1:2", "two ports"),
        ("::1", "write [::1]:8500"),
        ("[::1", "brackets"),
        ("[::1]8500", "brackets"),
        ("[1]", "no IPv6"),
        ("[::g]:1", "no IPv6"),
        ("[::1%]:1", "no IPv6"),
        ("ftp://h", "scheme 'ftp'"),
        ("h/prefix", "needs a scheme"),
        ("http://h/prä", "not ASCII"),
        ("a b", "white space"),
        ("h\x00", "control character"),
        ("h\u200b", "control character"),
        ("hö", "no host name"),
        ("a,b", "no host name"),
        ("unix://", "names no socket"),
        (f"http://root:{SECRET}@h", "http_auth"),
        (f"http://h/?token={SECRET}", "a query"),
        (f"http://h#{SECRET}", "a fragment"),
    ],
)
def test_a_bad_address_is_refused_with_the_reason_and_the_setting(address: str, why: str) -> None:
    """The message says which setting is meant, what is wrong and what to write instead."""
    message = refusal(address)
    assert message.startswith("address: ")
    assert why in message
    assert ";" in message
    if "\x00" not in address:
        variable = refusal(environ={"CONSUL_HTTP_ADDR": address})
        assert variable == message.replace("address", "CONSUL_HTTP_ADDR", 1)


def test_an_unix_socket_is_a_field_of_its_own() -> None:
    """Drivers look at unix_socket; the Host header then says localhost."""
    config = resolve("unix:///run/consul.sock")
    assert (config.unix_socket, config.host, config.scheme) == (
        "/run/consul.sock",
        "localhost",
        "http",
    )


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
def test_a_client_speaks_tls_if_it_is_told_to(
    kind: type[consul_lock.Client] | type[consul_lock.aio.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By CONSUL_HTTP_SSL as the Consul tools do, or by its argument, which beats that."""
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "http://h:1")
    monkeypatch.setenv("CONSUL_HTTP_SSL", "true")
    assert kind().config.origin == "https://h:1"
    assert kind(ssl=False).config.origin == "http://h:1"
    assert kind("http://other").config.origin == "http://other:8500"
    monkeypatch.delenv("CONSUL_HTTP_SSL")
    assert kind().config.origin == "http://h:1"
    assert kind(ssl=True).config.origin == "https://h:1"


def test_an_https_address_with_ssl_off_is_a_contradiction() -> None:
    """Both were given on purpose, so neither is guessed to be the right one."""
    message = refusal("https://h", ssl=False)
    assert "https" in message
    assert "ssl is False" in message


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True"])
def test_true_is_what_go_takes_for_true(text: str) -> None:
    """As strconv.ParseBool does."""
    assert resolve(environ={"CONSUL_HTTP_SSL": text}).scheme == "https"
    assert resolve(environ={"CONSUL_HTTP_SSL_VERIFY": text}).verify is True


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "FALSE", "False"])
def test_false_is_what_go_takes_for_false(text: str) -> None:
    """As strconv.ParseBool does; an argument wins over it."""
    assert resolve(environ={"CONSUL_HTTP_SSL_VERIFY": text}).verify is False
    assert resolve(environ={"CONSUL_HTTP_SSL_VERIFY": text}, verify=True).verify is True


@pytest.mark.parametrize("variable", ["CONSUL_HTTP_SSL", "CONSUL_HTTP_SSL_VERIFY"])
@pytest.mark.parametrize("text", ["maybe", "yes", "on", "tRUE", "2", " true"])
def test_other_booleans_are_refused_by_the_name_of_the_variable(variable: str, text: str) -> None:
    """A typo must not switch the verification of certificates off, or leave TLS off."""
    message = refusal(environ={variable: text})
    assert message.startswith(f"{variable}: {text!r}")


TEXTS = [
    ("ca_cert", "CONSUL_CACERT"),
    ("ca_path", "CONSUL_CAPATH"),
    ("tls_server_name", "CONSUL_TLS_SERVER_NAME"),
    ("namespace", "CONSUL_NAMESPACE"),
    ("partition", "CONSUL_PARTITION"),
]


@pytest.mark.parametrize("field, variable", TEXTS)
def test_texts_come_from_the_argument_then_the_variable(field: str, variable: str) -> None:
    """An empty argument switches the variable off, an empty variable counts as not set."""

    def found(environ: dict[str, str], **given: str) -> object:
        return getattr(resolve(environ=environ, **given), field)

    assert found({}) is None
    assert found({variable: ""}) is None
    assert found({variable: "env"}) == "env"
    assert found({variable: "env"}, **{field: "argument"}) == "argument"
    assert found({variable: "env"}, **{field: ""}) is None


def test_the_datacenter_is_never_taken_from_the_environment() -> None:
    """The Consul command line does not read CONSUL_DATACENTER either."""
    assert resolve(environ={"CONSUL_DATACENTER": "east"}).datacenter is None
    assert resolve(datacenter="east").datacenter == "east"


def test_the_process_environment_is_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without environ= it is os.environ, as it is at that moment."""
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "later:1")
    assert Config.resolve().origin == "http://later:1"


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
