"""Where Consul is, as people write it: ``CONSUL_HTTP_ADDR`` and the ``address`` of a client."""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from consul_lock.errors import ConfigError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8500
"""Of an address without a scheme, whatever the protocol."""
_PORTS = {"http": 80, "https": 443}
"""Of a URL: the Consul tools, and all others that read URLs, take these."""

FORMS = "write host, host:port, http(s)://host[:port][/prefix], [::1]:8500 or unix:///path"
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")
IPV6_CHARACTERS = frozenset("0123456789abcdefABCDEF:.")


class Address(NamedTuple):
    """An address taken apart.

    ``scheme`` is "http", "https", or None if the text names neither; ``host`` has no brackets;
    ``port`` is None if the text names none: see `spoken`.  ``unix_socket`` is the path of a
    socket, or None; ``base_path`` begins with a slash or is "".
    """

    scheme: str | None = None
    host: str = DEFAULT_HOST
    port: int | None = None
    unix_socket: str | None = None
    base_path: str = ""

    def spoken(self, scheme: str) -> Address:
        """The address with the protocol that is spoken there, and so with a port."""
        port = self.port
        if port is None:
            port = DEFAULT_PORT if self.scheme is None else _PORTS[scheme]
        return self._replace(scheme=scheme, port=port)


class _Parser:
    """``name`` is what the user calls the setting, for the messages."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name

    def refuse(self, why: str, do: str = FORMS) -> NoReturn:
        raise ConfigError(
            f"{self.name}: bad address {self.text!r}: {why}",
            hint=do,
            kind="address",
            settings=(self.name,),
        )

    def address(self) -> Address:
        self.check_secrets()
        if any(character.isspace() or not character.isprintable() for character in self.text):
            self.refuse("it has white space or a control character in it")
        scheme, mark, rest = self.text.partition("://")
        if not mark:
            return self.network(None, self.text)
        scheme = scheme.lower()
        if scheme == "unix":
            if not rest:
                self.refuse("it names no socket", "write unix:///path/of/the.sock")
            return Address(host="localhost", unix_socket=rest)
        if scheme not in ("http", "https"):
            self.refuse(f"the scheme {scheme!r} is unknown")
        return self.network(scheme, rest)

    def check_secrets(self) -> None:
        # Passwords and tokens are put there by mistake, so these messages do not repeat the text.
        if self.text.startswith("unix://"):
            return
        if "@" in self.text:
            raise ConfigError(
                f"{self.name}: the address has a user in it (an @ sign)",
                hint="give http_auth, or set CONSUL_HTTP_AUTH, instead",
                kind="address",
                settings=(self.name,),
            )
        if "?" in self.text or "#" in self.text:
            raise ConfigError(
                f"{self.name}: the address has a query or a fragment (a ? or #)",
                hint="leave it out: tokens and datacenters are settings of their own",
                kind="address",
                settings=(self.name,),
            )

    def network(self, scheme: str | None, rest: str) -> Address:
        place, slash, path = rest.partition("/")
        if slash and scheme is None:
            self.refuse("a path needs a scheme before it", "write http://host:port/prefix")
        if not path.isascii():
            self.refuse("its path is not ASCII", "percent-encode it")
        host, port = self.host_and_port(place)
        prefix = path.strip("/")
        return Address(scheme, host, port, None, f"/{prefix}" if prefix else "")

    def host_and_port(self, place: str) -> tuple[str, int | None]:
        if place.startswith("["):
            return self.bracketed(place[1:])
        host, colon, port = place.partition(":")
        if ":" in port:
            if set(place) <= IPV6_CHARACTERS:
                self.refuse(
                    "an IPv6 address needs brackets, or its end could be a port",
                    f"write [{place}]:{DEFAULT_PORT}",
                )
            self.refuse("it has two ports")
        if not set(host) <= NAME_CHARACTERS:
            self.refuse(f"{host!r} has a character that no host name has")
        return host or DEFAULT_HOST, self.port(port) if colon else None

    def bracketed(self, place: str) -> tuple[str, int | None]:
        host, closed, rest = place.partition("]")
        number, percent, zone = host.partition("%")  # fe80::1%eth0: the interface to take.
        if not closed or (rest and not rest.startswith(":")):
            self.refuse("its brackets do not match", f"write [::1] or [::1]:{DEFAULT_PORT}")
        good_zone = set(zone) <= NAME_CHARACTERS and (zone or not percent)
        if number.count(":") < 2 or not set(number) <= IPV6_CHARACTERS or not good_zone:
            self.refuse(f"{host!r} is no IPv6 address")
        return host, self.port(rest[1:]) if rest else None

    def port(self, text: str) -> int:
        # int() would take "+1", "1_0", " 1" and other scripts' digits.
        if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
            self.refuse(f"{text!r} is no port", "a port is a number from 1 to 65535")
        return int(text)


def parse(text: str | None, name: str = "address") -> Address:
    """The parts of ``text``; nothing, or an empty text, is 127.0.0.1, port 8500.

    Raises ConfigError, which calls the setting ``name``.  White space around it is ignored.
    """
    text = (text or "").strip()
    return _Parser(text, name).address() if text else Address()
