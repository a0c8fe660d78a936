"""Which error ends in which exit code, and what is said about it."""

from __future__ import annotations

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
