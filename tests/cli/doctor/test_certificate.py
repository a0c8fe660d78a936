"""`doctor`: the client's own certificate, and who can read its key."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from consul_lock.config import Config
from consul_lock_cli.doctor.certificate import client_certificate, end_of
from consul_lock_cli.doctor.checks import failed
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.finding import Finding, Verdict
from consul_lock_cli.spec.connection import Connection


def _papers(folder: Path, end: datetime) -> dict[str, str]:
    """A certificate that ends then, with its key."""
    pair = trustme.CA().issue_cert("client", not_after=end)
    cert, key = folder / "client.pem", folder / "client-key.pem"
    cert.write_text("subject=client\n")
    pair.cert_chain_pems[0].write_to_path(str(cert), append=True)
    pair.private_key_pem.write_to_path(str(key))
    key.chmod(0o600)
    return {"client_cert": str(cert), "client_key": str(key)}


def _found(scheme: str = "https", **settings: Any) -> Finding:
    context = DoctorContext(Connection({}), "k", 10.0, 30.0, 5.0, 0.0)
    context.__dict__["config"] = Config(scheme=scheme, **settings)
    try:
        return client_certificate(context)
    except Exception as error:  # noqa: BLE001 - as the doctor does
        return failed(error)


@pytest.mark.parametrize(
    "end",
    [
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        # From then on years have four digits.
        datetime(2050, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
)
def test_the_end_of_a_certificate_is_read_from_its_file(tmp_path: Path, end: datetime) -> None:
    """With text before it, as `openssl x509 -text` writes it."""
    file = Path(_papers(tmp_path, end)["client_cert"])
    assert end_of(file.read_text()) == end.timestamp()


@pytest.mark.parametrize(
    "left, verdict, text",
    [
        (timedelta(days=30, minutes=30), Verdict.OK, "ends in 30d0h"),
        (timedelta(hours=23, minutes=30), Verdict.WARN, "ends in 23h"),
        (timedelta(hours=-2, minutes=-30), Verdict.FAIL, "ended 2h"),
    ],
)
def test_a_certificate_that_ends_within_a_day_is_a_warning(
    tmp_path: Path, left: timedelta, verdict: Verdict, text: str
) -> None:
    """One that has ended is an error of the settings."""
    found = _found(**_papers(tmp_path, datetime.fromtimestamp(time.time(), UTC) + left))
    assert (found.verdict, found.code) == (verdict, 78 if verdict is Verdict.FAIL else 0)
    assert text in found.text


def test_a_key_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    """Also over plain HTTP, where it is not used; and the hint closes the file."""
    papers = _papers(tmp_path, datetime(2050, 1, 1, tzinfo=UTC))
    key = Path(papers["client_key"])
    key.chmod(0o644)
    for scheme in ("https", "http"):
        found = _found(scheme, **papers)
        assert found.verdict is Verdict.WARN
        assert found.hint == f"chmod o-r {key}"
    key.chmod(0o640)
    assert _found(**papers).verdict is Verdict.OK
    assert _found("http", **papers).verdict is Verdict.SKIP


def test_files_that_cannot_be_used_are_an_error(tmp_path: Path) -> None:
    """It says which."""
    papers = _papers(tmp_path, datetime(2050, 1, 1, tzinfo=UTC))
    found = _found(**{**papers, "client_key": papers["client_cert"]})
    assert (found.verdict, found.code) == (Verdict.FAIL, 78)
    assert "cannot use the client certificate and key" in found.text


def test_without_a_certificate_there_is_nothing_to_look_at() -> None:
    """Most agents ask for none."""
    assert _found().verdict is Verdict.SKIP
