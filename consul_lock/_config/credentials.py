"""The token and the password: found, checked, and never repeated in a message."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from consul_lock._config.environment import FilePath
from consul_lock._warnings import warn_caller
from consul_lock.errors import ConfigError

TOKEN_LIMIT = 16 * 1024
"""Bytes.  Consul's tokens have 36; more than this is another file, or /dev/zero."""


class TokenFileWarning(UserWarning):
    """Everybody on this host can read or change the token file, or the client's key."""


def find_token(
    token: str | None, token_file: FilePath | None, environ: Mapping[str, str]
) -> str | None:
    """The ACL token, or None: argument file, argument, variable of a file, variable.

    So does Consul's own client: within one source a file wins, and arguments win over variables.
    An empty ``token`` asks for none at all, whatever the environment says.
    """
    if token_file is not None:
        return read_token(token_file, "token_file")
    if token is not None:
        return token.strip() or None
    if path := environ.get("CONSUL_HTTP_TOKEN_FILE"):
        return read_token(path, "CONSUL_HTTP_TOKEN_FILE")
    found = environ.get("CONSUL_HTTP_TOKEN", "").strip()
    check_printable("CONSUL_HTTP_TOKEN", "the token", found)
    return found or None


def token_source(
    token: str | None, token_file: FilePath | None, environ: Mapping[str, str]
) -> str | None:
    """The path of the file that `find_token` reads the token from; None: it is from no file."""
    if token_file is not None:
        return os.fspath(token_file)
    return None if token is not None else environ.get("CONSUL_HTTP_TOKEN_FILE") or None


def read_token(path: FilePath, name: str, *, warn: bool = True) -> str:
    """What the file holds, without the white space around it.

    Warns of a file that others can read, unless ``warn`` is false.  Raises ConfigError, which calls
    the setting ``name``, if it cannot be read or holds no token.
    """
    from pathlib import Path  # 2 ms that a start without a token file need not pay.

    file = os.fspath(path)
    if not file:
        raise ConfigError(
            f"{name}: it names no file",
            hint="give a path, or leave it out",
            kind="credentials",
            settings=(name,),
        )
    try:
        with Path(file).open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            content = opened.read(TOKEN_LIMIT + 1)
    except IsADirectoryError as error:
        raise ConfigError(
            f"{name}: {file} is a directory",
            hint="name the file in it",
            kind="credentials",
            settings=(name,),
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name.
        why = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{name}: cannot read the token from {file!r}: {why}",
            hint="check the path, and that this user may read it",
            kind="credentials",
            settings=(name,),
        ) from error
    if warn:
        _warn_of_others(name, file, mode)
    if len(content) > TOKEN_LIMIT:
        raise ConfigError(
            f"{name}: {file} is too long to be a token (over {TOKEN_LIMIT} bytes)",
            kind="credentials",
            settings=(name,),
        )
    text = content.decode("latin-1").strip()
    if not text:
        raise ConfigError(
            f"{name}: {file} is empty",
            hint="put the token into it, or do not name it",
            kind="credentials",
            settings=(name,),
        )
    check_printable(f"{name}: {file}", "the token", text)
    return text


def check_key_file(path: str) -> None:
    """Warn of a client's key that others can read or change.  That it is not there, or no key, is
    said when it is used."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - pathlib would cost a start 2 ms
    except (OSError, ValueError):
        return
    _warn_of_others("client_key", path, mode)


def _warn_of_others(name: str, file: str, mode: int) -> None:
    read, write = mode & stat.S_IROTH, mode & stat.S_IWOTH
    if stat.S_ISREG(mode) and (read or write):
        can = " and ".join(word for word, bit in (("read", read), ("change", write)) if bit)
        letters = "r" * bool(read) + "w" * bool(write)
        warn_caller(
            f"{name}: every user of this host can {can} {file}; run: chmod o-{letters} {file}",
            TokenFileWarning,
        )


def find_auth(
    given: str | tuple[str, str] | None, environ: Mapping[str, str]
) -> tuple[str, str] | None:
    """(user, password) for basic authentication: the argument, else CONSUL_HTTP_AUTH, or None."""
    if given is not None:
        return split_auth(given, "http_auth")
    return split_auth(environ.get("CONSUL_HTTP_AUTH"), "CONSUL_HTTP_AUTH")


def split_auth(auth: str | tuple[str, str] | None, name: str) -> tuple[str, str] | None:
    """(user, password) of "user:password" or of such a pair; nothing or "" is None.

    The password may have colons in it.  Raises ConfigError, which calls the setting ``name``.
    """
    if not auth:
        return None
    if isinstance(auth, str):
        user, _, password = auth.partition(":")
    else:
        user, password = auth
    if ":" in user:
        raise ConfigError(
            f"{name}: a user cannot have a colon in it, HTTP could not find its end",
            kind="credentials",
            settings=(name,),
        )
    if not user:
        raise ConfigError(
            f"{name}: there is no user",
            hint="write user:password",
            kind="credentials",
            settings=(name,),
        )
    for what, value in (("the user", user), ("the password", password)):
        if any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise ConfigError(
                f"{name}: {what} has a control character in it",
                kind="credentials",
                settings=(name,),
            )
    return user, password


def check_printable(name: str, what: str, value: str) -> None:
    """Raise ConfigError if ``value`` cannot stand in a header of HTTP; do not repeat it."""
    if not (value.isascii() and (value + "x").isprintable()) or " " in value:
        raise ConfigError(
            f"{name}: {what} has a character in it that no token has "
            "(white space, a control character or one beyond ASCII)",
            hint="is it another file's text?",
            kind="credentials",
            settings=(name,),
        )
