"""The TLS side of the settings: certificates, and whom to trust."""

from __future__ import annotations

import os
import pathlib
import ssl
from typing import NoReturn

from consul_lock.errors import ConfigError


def make_context(
    *,
    ca_cert: str | None,
    ca_path: str | None,
    client_cert: str | None,
    client_key: str | None,
    verify: bool,
) -> ssl.SSLContext:
    """A context for clients.  Raises ConfigError for files that cannot be used.

    With neither ``ca_cert`` nor ``ca_path`` the system's authorities are trusted, else only those.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # Checks names and certificates.
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # Consul's own default, too.
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if ca_cert:
        _trust(context, "the CA file", ca_cert)
    for file in _files(ca_path) if ca_path else ():
        _trust(context, "the file in the CA folder", file)
    if not ca_cert and not ca_path:
        context.load_default_certs()
    if client_cert and client_key:
        _identify(context, client_cert, client_key)
    return context


def _files(folder: str) -> list[str]:
    # OpenSSL's own capath reads only files named by a hash of their subject (c_rehash); Consul
    # reads every file of the folder, and so does this.
    try:
        with os.scandir(folder) as entries:
            files = sorted(entry.path for entry in entries if entry.is_file())
    except (OSError, ValueError) as error:
        _refuse("the CA folder", folder, error)
    if not files:
        raise ConfigError(
            f"the CA folder {folder!r} has no file in it",
            hint="put PEM files there",
            kind="tls-file",
            settings=("ca_path",),
        )
    return files


def _trust(context: ssl.SSLContext, what: str, file: str) -> None:
    try:
        context.load_verify_locations(cafile=file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError.
        _refuse(what, file, error)


def _identify(context: ssl.SSLContext, cert: str, key: str) -> None:
    def no_password() -> str:
        # Without this OpenSSL would ask for it on the terminal.
        raise ConfigError(
            f"the client key {key!r} is encrypted, and nobody is there to type its password",
            hint="store it decrypted (openssl pkey), readable by this user only",
            kind="tls-file",
            settings=("client_key",),
        )

    for what, file in (("the client certificate", cert), ("the client key", key)):
        try:
            with pathlib.Path(file).open("rb"):
                pass  # load_cert_chain does not say which of the two files is missing.
        except (OSError, ValueError) as error:
            _refuse(what, file, error)
    try:
        context.load_cert_chain(cert, key, no_password)
    except (OSError, ValueError) as error:
        _refuse("the client certificate and key", f"{cert}, {key}", error)


def _refuse(what: str, file: str, error: Exception) -> NoReturn:
    reason = getattr(error, "reason", None)  # Of an SSLError: KEY_VALUES_MISMATCH and its like.
    if reason == "KEY_VALUES_MISMATCH":
        why, do = "the key is not that of the certificate", "give the two that belong together"
    elif isinstance(error, ssl.SSLError):
        why, do = f"it is no PEM file ({reason or error})", "give a file in PEM form"
    else:
        why = str(getattr(error, "strerror", None) or error)
        do = "check the path, and that this user may read it"
    raise ConfigError(f"cannot use {what} {file!r}: {why}", hint=do, kind="tls-file") from error
