"""What a check of `consul-lock doctor` is, and what it finds."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import click

from consul_lock_cli.base.error_table import ExitCode, complaint, failure

if TYPE_CHECKING:
    from consul_lock_cli.doctor.context import Patient


class Verdict(enum.StrEnum):
    """From good to bad."""

    OK = "ok"
    SKIP = "skip"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """What one check found.  ``code`` is the exit code of a FAIL."""

    verdict: Verdict
    text: str
    hint: str = ""
    code: int = 0


class Check(NamedTuple):
    """One question.  ``needs`` names the checks that must not have failed or been skipped."""

    name: str
    look: Callable[[Patient], Finding]
    needs: tuple[str, ...] = ()


class Trouble(Exception):
    """A check cannot say OK: raised from wherever that is seen."""

    def __init__(self, text: str, hint: str = "", code: int = ExitCode.UNAVAILABLE) -> None:
        super().__init__(text)
        self.finding = Finding(Verdict.FAIL, text, hint, code)


def ok(text: str) -> Finding:
    """All is well."""
    return Finding(Verdict.OK, text)


def warn(text: str, hint: str) -> Finding:
    """Locks work, but not as well as they could."""
    return Finding(Verdict.WARN, text, hint)


def skip(text: str) -> Finding:
    """There is nothing to look at."""
    return Finding(Verdict.SKIP, text)


# What the doctor may exit with.  What else an error says is a wrong setting of this host.
_CLASSES = frozenset(
    {ExitCode.UNAVAILABLE, ExitCode.PERMISSION, ExitCode.CONFIG, ExitCode.SOFTWARE}
)


def failed(error: Exception) -> Finding:
    """The finding for whatever a check raised."""
    if isinstance(error, Trouble):
        return error.finding
    if isinstance(error, click.ClickException):
        hint = getattr(error, "hint", "")
        return Finding(Verdict.FAIL, error.format_message(), hint, ExitCode.CONFIG)
    code, hint = failure(error)
    kind = f"{type(error).__name__}: " if code is ExitCode.SOFTWARE else ""
    known = code if code in _CLASSES else ExitCode.CONFIG
    return Finding(Verdict.FAIL, f"{kind}{complaint(error)}", hint, known)
