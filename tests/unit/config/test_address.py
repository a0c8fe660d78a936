"""Forms of an address: what is understood, and why others are refused."""

from __future__ import annotations

import pytest

from tests.unit.config.helpers import SECRET, refusal, resolve


@pytest.mark.parametrize(
    "address, origin",
    [
        ("", "http://127.0.0.1:8500"),
        (" \n", "http://127.0.0.1:8500"),
        ("h", "http://h:8500"),
        ("h:1", "http://h:1"),
        (":8501", "http://127.0.0.1:8501"),
        ("http://h", "http://h:80"),
        ("https://h", "https://h:443"),
        ("HTTPS://h:8501/", "https://h:8501"),
        ("http://h:65535/a/b/", "http://h:65535/a/b"),
        ("https://h/a%20b", "https://h:443/a%20b"),
        ("http://", "http://127.0.0.1:80"),
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
