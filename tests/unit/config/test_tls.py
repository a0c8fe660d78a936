"""TLS: which files are trusted, and what is said of those that cannot be used."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from consul_lock.errors import ConfigError
from tests.unit.config.helpers import file_with, refusal, resolve


@pytest.mark.parametrize("name", ["client_cert", "client_key"])
def test_a_client_certificate_and_its_key_come_together(name: str) -> None:
    """One of them alone is refused, wherever it was set."""
    assert "or neither" in refusal(**{name: "x.pem"})
    assert "or neither" in refusal(environ={f"CONSUL_{name.upper()}": "x.pem"})


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, cert.pem, key.pem, other.pem (a key of somebody else)."""
    folder = tmp_path_factory.mktemp("pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    leaf = authority.issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    authority.issue_cert("other").private_key_pem.write_to_path(folder / "other.pem")
    return folder


def tls(**settings: Any) -> ssl.SSLContext:
    """The context of these settings for an https address."""
    context = resolve("https://h", **settings).ssl_context()
    assert context is not None
    return context


def test_tls_is_for_https_only_and_verifies_by_default(pem: Path) -> None:
    """Without TLS there is no context, and nothing looks at the files."""
    assert resolve(ca_cert="/missing").ssl_context() is None
    checked = tls(ca_cert=pem / "ca.pem", client_cert=pem / "cert.pem", client_key=pem / "key.pem")
    assert (checked.check_hostname, checked.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert len(checked.get_ca_certs()) == 1
    unchecked = tls(verify=False)
    assert (unchecked.check_hostname, unchecked.verify_mode) == (False, ssl.CERT_NONE)
    for context in (checked, unchecked):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2, "older ones can be broken"


def test_every_file_of_the_ca_folder_is_trusted(pem: Path, tmp_path: Path) -> None:
    """Whatever they are called: OpenSSL alone would want names made of hashes."""
    file_with(tmp_path / "any.name", (pem / "ca.pem").read_bytes())
    trustme.CA().cert_pem.write_to_path(tmp_path / "another")
    assert len(tls(ca_path=tmp_path).get_ca_certs()) == 2


def test_certificates_that_cannot_be_used_are_refused(pem: Path, tmp_path: Path) -> None:
    """The message names the file and the reason; OpenSSL's own names neither."""
    junk = file_with(tmp_path / "junk.pem", "no certificate")
    (tmp_path / "empty").mkdir()
    cert, key = pem / "cert.pem", pem / "key.pem"
    table: list[tuple[dict[str, Path], str, str]] = [
        ({"ca_cert": pem / "missing"}, "missing", "No such file"),
        ({"ca_cert": junk}, "junk.pem", "no PEM file"),
        ({"ca_path": tmp_path / "missing"}, "missing", "No such file"),
        ({"ca_path": tmp_path / "empty"}, "empty", "has no file"),
        ({"ca_path": tmp_path}, "junk.pem", "no PEM file"),
        ({"client_cert": cert, "client_key": pem / "missing"}, "the client key", "No such file"),
        ({"client_cert": pem / "missing", "client_key": key}, "certificate", "No such file"),
        ({"client_cert": junk, "client_key": key}, "junk.pem", "no PEM file"),
        ({"client_cert": cert, "client_key": pem / "other.pem"}, "other.pem", "not that of"),
    ]
    for settings, name, why in table:
        with pytest.raises(ConfigError) as caught:
            tls(**settings)
        assert name in str(caught.value)
        assert why in str(caught.value)


def test_an_encrypted_key_is_refused_without_asking_for_its_password(
    pem: Path, tmp_path: Path
) -> None:
    """OpenSSL would ask on the terminal, and a cron job would hang."""
    from cryptography.hazmat.primitives import serialization as form

    plain = form.load_pem_private_key((pem / "key.pem").read_bytes(), None)
    locked = plain.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.BestAvailableEncryption(b"word")
    )
    key = file_with(tmp_path / "locked.pem", locked)
    with pytest.raises(ConfigError, match="is encrypted"):
        tls(client_cert=pem / "cert.pem", client_key=key)
