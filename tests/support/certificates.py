"""Certificates for one test: an authority, a server, a client."""

from __future__ import annotations

from pathlib import Path

import trustme


class Certificates:
    """Files in ``folder``: ``ca``, and ``_cert`` and ``_key`` of ``server`` and ``client``.

    The server's certificate is for localhost, 127.0.0.1, ::1 and server.dc1.consul.
    ``other_ca`` is an authority that signed none of them.
    """

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.other_ca = folder / "other-ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        trustme.CA().cert_pem.write_to_path(str(self.other_ca))
        names = ("localhost", "127.0.0.1", "::1", "server.dc1.consul")
        self.server_cert, self.server_key = _issue(authority, folder, "server", names)
        self.client_cert, self.client_key = _issue(authority, folder, "client", ("client",))


def _issue(
    authority: trustme.CA, folder: Path, who: str, names: tuple[str, ...]
) -> tuple[Path, Path]:
    pair = authority.issue_cert(*names)
    cert, key = folder / f"{who}.pem", folder / f"{who}-key.pem"
    for number, blob in enumerate(pair.cert_chain_pems):
        blob.write_to_path(str(cert), append=number > 0)
    pair.private_key_pem.write_to_path(str(key))
    key.chmod(0o600)
    return cert, key
