"""The credentials of one client: read when it is made, and again when their files have changed.

A client lives longer than what is in these files.  Vault's agent, cert-manager and their like put
a new token or certificate into the same file before the old one expires, and a client that holds
a lock for days would lose it otherwise, for no other reason than that it looks no more.

Two things make it look:

* time: before a request, once a second at most, the files' times, sizes and inodes are compared.
  Nobody has to fail first, so a token that is replaced before it ends costs nothing;
* a refusal: Consul does not know the token, or one side does not accept the other's certificate.
  Then the contents are compared, whatever the times say, and if they are others, the request is
  sent once more with them.  It was refused, so it has changed nothing.

Files are replaced one after the other: for a moment there may be a new certificate beside an old
key, or half of a token.  What cannot be used leaves the old credentials in use until the next look;
if it still cannot be used then, that is logged, once.
A pipe, as of a shell's ``<(...)``, is read when the client is made and never again: to open it a
second time would wait for a writer that does not come.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from consul_lock._config.credentials import check_key_file, read_token
from consul_lock._drivers.http import Encoder
from consul_lock.config import Config
from consul_lock.errors import ConfigError, PermissionDenied

if TYPE_CHECKING:
    from ssl import SSLContext  # Most agents are spoken to without TLS.

log = logging.getLogger("consul_lock")

EVERY = 1.0
"""Seconds between two looks at the files, at least."""

# What says of a ConfigError that one side has refused the certificate of the other.
_REFUSED_TLS = frozenset({"certificate", "certificate-expired", "client-certificate"})

_Stat = tuple[int, int, int, int] | None


class LoadedCredentials(NamedTuple):
    """What requests and connections are made with."""

    encoder: Encoder
    """It puts the token into requests."""
    context: SSLContext | None
    """For new connections; None: they are plain HTTP."""
    token: int
    """What stands for the token, which is in no ``repr``."""
    files: tuple[int | None, ...]
    """What stands for the contents of the files of TLS."""


class _State(NamedTuple):
    """Kept in one piece: threads that look at the same time must not mix theirs."""

    seen: tuple[_Stat, ...]
    """The files as they were before they were read."""
    loaded: LoadedCredentials


class Credentials:
    """Those of one client."""

    def __init__(self, config: Config, clock: Callable[[], float]) -> None:
        self._config = _absolute(config)
        self._clock = clock
        self._tls = config.scheme == "https"
        self._watched = bool(config.token_file) or (
            self._tls and bool(config.ca_cert or config.ca_path or config.client_cert)
        )
        # In this order: should a file change in between, the next look sees it.
        seen = self._stats()
        files = self._digests()
        context = config.ssl_context()
        if self._tls and config.client_key:
            check_key_file(config.client_key)
        loaded = LoadedCredentials(Encoder(config), context, hash(config.token), files)
        self._state = _State(seen, loaded)
        self._look_at = clock() + EVERY
        self._unusable_since: float | None = None
        """When files were first seen that cannot be used, and still cannot be."""
        self._warned = False

    @property
    def loaded(self) -> LoadedCredentials:
        """Those in use."""
        return self._state.loaded

    def look(self) -> bool:
        """Read the files again if it is time for that and they have changed.  Whether they hold
        something else now."""
        if not self._watched:
            return False
        now = self._clock()
        if now < self._look_at:
            return False
        self._look_at = now + EVERY
        state = self._state
        return self._stats() != state.seen and self.reload(state.loaded)

    def reload(self, used: LoadedCredentials) -> bool:
        """Read the files, as ``used`` were refused, or the files have changed.  Whether others are
        in use now."""
        if not self._watched:
            return False
        loaded = self._state.loaded
        if loaded is not used:
            return True  # read meanwhile, for another request
        self._state = self._read(loaded)
        return self._state.loaded is not used

    def _read(self, old: LoadedCredentials) -> _State:
        config, seen = self._config, self._stats()
        new, files = old, self._digests()
        unusable: ConfigError | None = None
        try:
            if config.token_file and _stat(config.token_file) is not None:
                token = read_token(config.token_file, "the token file", warn=False)
                if hash(token) != old.token:
                    encoder = Encoder(replace(config, token=token))
                    new = new._replace(encoder=encoder, token=hash(token))
        except ConfigError as error:
            seen, unusable = (), error  # so that the next look finds a change again
        try:
            if files != old.files and None not in files:
                new = new._replace(context=config.ssl_context(), files=files)
        except ConfigError as error:
            seen, unusable = (), error
        self._note(unusable)
        return _State(seen, new)

    def _note(self, unusable: ConfigError | None) -> None:
        """Warn of files that stay unusable.  The first time they may be half written."""
        if unusable is None:
            self._unusable_since, self._warned = None, False
            return
        now = self._clock()
        if self._unusable_since is None:
            self._unusable_since = now
        elif not self._warned and now - self._unusable_since >= EVERY:
            self._warned = True
            log.warning(
                "credentials were changed and cannot be used: %s; what was read before stays"
                " in use",
                unusable.problem,
                extra={"event": "credentials"},
            )

    def _digests(self) -> tuple[int | None, ...]:
        return tuple(map(_digest, self._tls_files()))

    def _stats(self) -> tuple[_Stat, ...]:
        if not self._watched:
            return ()
        token_file = self._config.token_file
        return (*map(_stat, [token_file] if token_file else []), *map(_stat, self._tls_files()))

    def _tls_files(self) -> Iterator[str]:
        if not self._tls:
            return
        config = self._config
        yield from filter(None, (config.ca_cert, config.client_cert, config.client_key))
        if config.ca_path:
            try:
                with os.scandir(config.ca_path) as entries:
                    yield from sorted(entry.path for entry in entries if entry.is_file())
            except (OSError, ValueError):
                return  # making a context of it says what is wrong


def refuses_credentials(result: object) -> bool:
    """Whether the result of a request is an error that other credentials could mend."""
    if isinstance(result, PermissionDenied):
        return True
    return isinstance(result, ConfigError) and result.kind in _REFUSED_TLS


def _absolute(config: Config) -> Config:
    """With files that stay the same when the process changes its directory."""
    names = ("token_file", "ca_cert", "ca_path", "client_cert", "client_key")
    given = {name: path for name in names if (path := getattr(config, name))}
    relative = {name: path for name, path in given.items() if not path.startswith("/")}
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib would cost every start 2 ms
    except OSError:  # the directory itself is gone
        return config
    # Links stay links, as a new version is often a link to another file.
    found: dict[str, Any] = {name: f"{here}/{path}" for name, path in relative.items()}
    return replace(config, **found)


def _stat(path: str) -> _Stat:
    """What tells that a file has changed; None: there is no file that could be read again."""
    try:
        found = os.stat(path)  # noqa: PTH116 - as above
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev


def _digest(path: str) -> int | None:
    if _stat(path) is None:
        return None
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return hash(file.read(_FILE_MAX))
    except (OSError, ValueError):
        return None


_FILE_MAX = 16 * 1024 * 1024
"""Bytes of a file that are compared: more than all authorities of a system."""
