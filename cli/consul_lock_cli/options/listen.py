"""Where a command listens: an address and a port."""

from __future__ import annotations

from typing import Any, NamedTuple

import click

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.text import shown

_PORT_MAX = 65535


class Listen(NamedTuple):
    """An address of this host, and a port; 0: one that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ListenType(click.ParamType):  # type: ignore[type-arg] # not generic in older clicks
    """ADDRESS:PORT; an IPv6 address is in brackets."""

    name = "ADDRESS:PORT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Listen:
        """Refuse what is none, and say how it is written."""
        if isinstance(value, Listen):
            return value
        host, _, port = str(value).rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        plain = host[1:-1] if bracketed else host
        number = int(port) if port.isascii() and port.isdecimal() else _PORT_MAX + 1
        if not plain or number > _PORT_MAX or bracketed is not (":" in plain):
            flag = f"{param.opts[-1]}: " if param else ""
            raise Misuse(
                f'{flag}bad address "{shown(str(value))}"',
                "write 127.0.0.1:9852 or [::1]:9852; 0.0.0.0:9852 is every address of this host",
            )
        return Listen(plain, number)


LISTEN = ListenType()
