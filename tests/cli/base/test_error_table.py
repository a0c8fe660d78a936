"""Which error ends in which exit code, and what is said about it."""

from __future__ import annotations

import errno
import os

import pytest

from consul_lock import errors
from consul_lock_cli.base.error_table import failure


@pytest.mark.parametrize(
    "error, code",
    [
        (errors.Unavailable(), 69),
        (errors.PermissionDenied(), 77),
        (errors.Conflict(), 65),
        (errors.Refused(), 73),
        (errors.ConfigError(), 78),
        (errors.ClockSkew(), 78),
        (errors.LockTimeout(), 75),
        (errors.LockLost(), 76),
        (errors.NotHeld(), 70),
        (errors.AlreadyHeld(), 70),
        (errors.ConsulLockError(), 70),
        (OSError(), 71),
        (MemoryError(), 71),
        (KeyError(), 70),
    ],
)
def test_each_error_has_its_exit_code(error: Exception, code: int) -> None:
    """The nearest class decides: most errors here are an OSError or a ValueError, too."""
    assert failure(error).code == code


def test_every_error_of_the_library_is_tried_above() -> None:
    """A new class must be given a thought here."""
    marks = test_each_error_has_its_exit_code.pytestmark  # type: ignore[attr-defined] # pytest's
    tried = {type(error) for error, _ in marks[0].args[1]}
    classes = {each for each in vars(errors).values() if isinstance(each, type)}
    assert {each for each in classes if issubclass(each, errors.ConsulLockError)} <= tried


_FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
_FILES = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
_BAD = OSError(errno.EIO, os.strerror(errno.EIO))
_ENTERPRISE = 'Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'


@pytest.mark.parametrize(
    "error, hint",
    [
        (_FULL, "free some room"),
        (_FILES, "ulimit -a"),
        (errors.Refused("x", answer=_ENTERPRISE), "unset CONSUL_NAMESPACE"),
        (errors.Refused("x", answer="too large"), "other limits"),
        (errors.Refused("x", kind="health-check"), "register the check"),
        (errors.ConfigError("x", kind="certificate-expired"), "renew the cert"),
        (errors.ConfigError("x (self-signed)", kind="certificate"), "--ca-file"),
        (
            errors.ConfigError(
                "x", kind="client-certificate", settings=("client_cert", "client_key")
            ),
            "--client-cert expired",
        ),
        (errors.ConfigError("refused the connection", kind="client-certificate"), "may require a"),
        (errors.ConfigError("x", kind="not-consul", settings=("http_auth",)), "--http-auth or"),
        (errors.ConfigError("x", kind="not-consul"), "point to Consul"),
        (errors.Unavailable("x", kind="proxy", status=401), "--http-auth or"),
        (errors.Unavailable("x", kind="hung-up"), "proxy_read_timeout"),
        (errors.Unavailable("x", kind="server-error", status=504), "proxy_read_timeout"),
        (errors.Unavailable("x", kind="server-error", status=500), "--retry-for"),
    ],
)
def test_the_advice_fits_what_failed(error: Exception, hint: str) -> None:
    """Also where one class and kind stands for several causes."""
    assert hint in failure(error).hint


def test_there_is_no_advice_about_a_system_call_that_nobody_foresaw() -> None:
    """A wrong one would send people astray; nor about a guardian that something has killed."""
    assert failure(_BAD).hint == ""
    assert failure(OSError("the guardian of the command was killed")).hint == ""
