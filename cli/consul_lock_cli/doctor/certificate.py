"""Checks of the certificate that consul-lock shows to the agent, and of its key."""

from __future__ import annotations

import re
import ssl
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.finding import Finding, Trouble, ok, skip, warn

SOON = 86400.0
"""Seconds: what ends within a day ends before anybody looks again."""

_PEM = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

_VERSION, _UTC_TIME = 0xA0, 0x17
"""Tags of ASN.1: of the version, the one part of a certificate that may be missing before its
validity; and of a time whose year has two digits."""


def client_certificate(context: DoctorContext) -> Finding:
    """The key is nobody else's, and the certificate does not end soon."""
    config = context.config
    if not config.client_cert:
        return skip("there is none")
    key = Path(config.client_key)
    # It reads both, and says what is wrong with them.
    secure = config.ssl_context() is not None
    if key.stat().st_mode & stat.S_IROTH:
        return warn(f"others can read the client's key in {key}", f"chmod o-r {key}")
    if not secure:
        return skip(f"{config.origin} is plain HTTP, so it is not shown")
    left = end_of(Path(config.client_cert).read_text(errors="replace")) - time.time()
    renewed = "replace it; what runs uses the new one without a restart"
    if left <= 0:
        raise Trouble(
            f"the client's certificate {config.client_cert} ended {show_duration(-left)} ago",
            renewed,
            ExitCode.CONFIG,
        )
    text = f"the client's certificate ends in {show_duration(left)}"
    return warn(text, renewed) if left < SOON else ok(text)


def end_of(pem: str) -> float:
    """When the first certificate of such a file ends, in seconds since the epoch.

    The standard library tells that of a certificate that the other side has shown, and of no
    other.  This is as much of X.509 as it takes: a certificate is a sequence whose first part is a
    sequence, of version, serial number, algorithm, issuer and validity, which has a beginning and
    an end.
    """
    found = _PEM.search(pem)
    assert found is not None  # or it could not have been loaded
    der = ssl.PEM_cert_to_DER_cert(found[0])
    ((_, certificate),) = _parts(der)
    _, body = next(_parts(certificate))
    parts = [content for tag, content in _parts(body) if tag != _VERSION]
    _, (tag, end) = _parts(parts[3])
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(end.decode(), form).replace(tzinfo=UTC).timestamp()


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The tag and the content of each element of DER."""
    while data:
        tag, size, start = data[0], data[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[2:start], "big")
        yield tag, data[start : start + size]
        data = data[start + size :]
