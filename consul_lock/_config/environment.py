"""One setting at a time: what was given, else what the environment says."""

from __future__ import annotations

import os
from collections.abc import Mapping

from consul_lock._config.address import Address, parse
from consul_lock.errors import ConfigError

FilePath = str | os.PathLike[str]

BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
"""What Go's strconv.ParseBool takes, and so Consul: "yes" and "on" are refused, not guessed."""


class Environment:
    """Variables; one that is empty counts as not set.

    A variable is read only if no argument was given, so an argument also mends a bad one.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, given: FilePath | None, variable: str) -> str | None:
        """The argument or the variable, None for neither and for an empty one."""
        value = self.environ.get(variable) if given is None else os.fspath(given)
        return value or None

    def boolean(self, given: bool | None, variable: str, *, default: bool) -> bool:
        """The argument or the variable; ConfigError for a variable that is no boolean."""
        text = self.environ.get(variable)
        if given is not None or not text:
            return default if given is None else given
        if text not in BOOLEANS:
            raise ConfigError(
                f"{variable}: {text!r} is neither true nor false",
                hint="write true or false, or unset it",
                kind="value",
                settings=(variable,),
            )
        return BOOLEANS[text]

    def address(self, given: str | None, ssl: bool | None) -> Address:
        """The address, with its scheme decided.

        Arguments beat variables, and within one source TLS is never dropped, as in Consul:
        CONSUL_HTTP_SSL=true makes https of http://, =false makes nothing of https://.  The port of
        a URL without one is that of the protocol which is spoken in the end.
        """
        if given is not None:
            found = parse(given, "address")
            if found.scheme == "https" and ssl is False:
                raise ConfigError(
                    problem=f"address {given!r} is https but ssl is False",
                    hint="leave one out",
                    kind="contradiction",
                    settings=("address", "ssl"),
                )
            if ssl is None and found.scheme:
                return found.spoken(found.scheme)
        else:
            found = parse(self.environ.get("CONSUL_HTTP_ADDR"), "CONSUL_HTTP_ADDR")
        secure = self.boolean(ssl, "CONSUL_HTTP_SSL", default=False)
        kept = ssl is None and found.scheme == "https"
        return found.spoken("https" if secure or kept else "http")
