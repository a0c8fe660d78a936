"""The address and the credentials, from all sources to a client of the library."""

from __future__ import annotations

import re
from typing import Any

import pytest

from consul_lock import ConfigError
from consul_lock_cli.base.console import Console
from consul_lock_cli.settings.sources import Origin
from consul_lock_cli.spec.connection import Connection
from tests.cli.isolated_home import SECRET, Home

pytestmark = pytest.mark.usefixtures("nothing_is_set")


def test_a_client_has_what_was_said_and_the_defaults_else() -> None:
    """Options that are None are left to the library; the caller can give more."""
    connection = Connection({"address": "h:1", "datacenter": None, "retry_for": 3.0})
    with connection.client(Console(), request_timeout=4.0) as client:
        config = client.config
        assert (config.origin, config.datacenter, config.request_timeout) == ("http://h:1", None, 4)


@pytest.mark.parametrize(
    "origins, said",
    [
        ({}, "--http-addr: bad address"),
        ({"http-addr": Origin("flag", "--http-addr")}, "--http-addr: bad address"),
        ({"http-addr": Origin("file", "/x.toml: [consul] http-addr")}, "/x.toml: [consul] http-ad"),
    ],
)
def test_an_error_names_the_place_of_a_bad_value(origins: dict[str, Origin], said: str) -> None:
    """The library knows its arguments only, which nobody typed."""
    connection = Connection({"address": "h:port"}, origins)
    with pytest.raises(ConfigError) as refused:
        connection.client(Console())
    assert str(refused.value).startswith(said)
    assert refused.value.problem.startswith(said)


def test_an_address_of_another_kind_is_not_made_one_of_consul() -> None:
    """Not even with --ssl, which says how to talk to the host in it."""
    flags = {"http-addr": Origin("flag", "--http-addr"), "ssl": Origin("flag", "--ssl")}
    with pytest.raises(ConfigError, match="ftp"):
        Connection({"address": "ftp://h", "ssl": True}, flags).client(Console())


def test_no_secret_is_in_its_repr() -> None:
    """A traceback may show it."""
    assert SECRET not in repr(Connection({"token": SECRET}))


@pytest.mark.parametrize(
    "settings, variables, place",
    [
        ({}, {}, "//"),
        ({"datacenter": "dc2", "namespace": "a", "partition": "b"}, {}, "dc2/a/b"),
        ({}, {"CONSUL_NAMESPACE": "n", "CONSUL_PARTITION": "p"}, "/n/p"),
        ({"namespace": "a"}, {"CONSUL_NAMESPACE": "n"}, "/a/"),
        ({"address": "h", "token": "t"}, {"CONSUL_HTTP_ADDR": "x"}, "//"),
    ],
)
def test_the_place_of_a_lock(
    settings: dict[str, Any],
    variables: dict[str, str],
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Datacenter, namespace and partition: the same name elsewhere is another lock."""
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert Connection(settings).place() == place


# Arguments, variables, the [consul] table, and where that leads.
SCHEMES = [
    ((), {}, "", "http://127.0.0.1:8500"),
    (("--ssl",), {}, "", "https://127.0.0.1:8500"),
    (("--ssl", "--http-addr", "h"), {}, "", "https://h:8500"),
    (("--ssl", "--http-addr", "http://h:1/p"), {}, "", "https://h:1/p"),
    (("--no-ssl", "--http-addr", "[::1]:2"), {"CONSUL_HTTP_SSL": "1"}, "", "http://[::1]:2"),
    (("--no-ssl",), {"CONSUL_HTTP_ADDR": "https://h"}, "", "http://h:80"),
    (("--http-addr", "http://h"), {"CONSUL_HTTP_SSL": "1"}, "", "http://h:80"),
    (("--http-addr", "http://h"), {}, "ssl = true", "http://h:80"),
    (("--http-addr", "h"), {}, "ssl = true", "https://h:8500"),
    ((), {"CONSUL_HTTP_ADDR": "http://h"}, "ssl = true", "http://h:80"),
    ((), {"CONSUL_HTTP_ADDR": "h"}, "ssl = true", "https://h:8500"),
    ((), {"CONSUL_HTTP_SSL": "true"}, "http-addr = 'http://h'", "https://h:443"),
    ((), {"CONSUL_HTTP_SSL": "false"}, "http-addr = 'https://h'", "http://h:80"),
    ((), {"CONSUL_HTTP_SSL": "0"}, "http-addr = 'h'\nssl = true", "http://h:8500"),
    ((), {}, "http-addr = 'https://h'\nssl = false", "https://h:443"),
    ((), {}, "http-addr = 'http://h'\nssl = true", "https://h:443"),
    ((), {}, "http-addr = 'h:1'", "http://h:1"),
    ((), {}, "ssl = false\nhttp-addr = 'unix:///x.sock'", "unix:///x.sock"),
    ((), {"CONSUL_HTTP_ADDR": "unix:///x.sock"}, "http-addr = 'h'", "unix:///x.sock"),
]


@pytest.mark.parametrize("arguments, variables, table, origin", SCHEMES)
def test_address_and_ssl_meet_from_all_sources(
    home: Home, arguments: tuple[str, ...], variables: dict[str, str], table: str, origin: str
) -> None:
    """The stronger source decides; from one source, TLS is never dropped; the port stays."""
    home.write(f"[consul]\n{table}\n")
    assert home.settings(*arguments, **variables)["http-addr"]["value"] == origin


def test_a_contradiction_about_tls_is_refused(home: Home) -> None:
    """An https address with --no-ssl; what else is in the address is not repeated."""
    result = home.ask("config", "--no-ssl", "--http-addr", f"https://me:{SECRET}@h")
    assert result.returncode == 64
    assert "--no-ssl" in result.stderr
    assert SECRET not in result.stdout + result.stderr


def test_a_unix_socket_may_speak_tls(home: Home) -> None:
    """Consul can be configured so."""
    seen = home.settings("--ssl", "--http-addr", "unix:///x.sock")
    assert (seen["http-addr"]["value"], seen["ssl"]["value"]) == ("unix:///x.sock", True)


@pytest.mark.parametrize(
    "arguments, variables, said",
    [
        (
            ("--http-addr", f"https://me:{SECRET}@h"),
            {},
            "give --http-auth, or set CONSUL_HTTP_AUTH",
        ),
        (("--client-cert", "/x.pem"), {}, "give both (--client-cert and --client-key, CONSUL_"),
        (("--token-file", "/x/token_file"), {}, "--token-file: "),
        (("--token-file", "/x/token_file"), {}, "/x/token_file"),
    ],
)
def test_errors_name_options_and_not_arguments_of_the_library(
    home: Home, arguments: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    """What is typed on a command line; a file of that name keeps it."""
    result = home.ask("ls", *arguments, **variables)
    assert result.returncode == 78
    assert said in result.stderr
    assert not re.search(r"\b(http_auth|client_cert|client_key)\b", result.stderr)


def test_an_error_says_which_port_a_url_without_one_means(home: Home) -> None:
    """An agent listens on another one."""
    for url, port in (("http://127.0.0.1", 80), ("https://127.0.0.1", 443)):
        result = home.ask("ls", "--http-addr", url, "--retry-for", "0")
        assert result.returncode == 69
        assert f"cannot reach Consul at {url}:{port}: " in result.stderr
        why = f"port {port} is that of a URL without one, agents have 8500 or 8501"
        assert why in result.stderr
    result = home.ask("ls", "--http-addr", "127.0.0.1:1", "--retry-for", "0")
    assert "of a URL" not in result.stderr
