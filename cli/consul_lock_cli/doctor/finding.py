"""What a check of `consul-lock doctor` is, and what it finds."""

from __future__ import annotations

import enum
from typing import NamedTuple

from consul_lock_cli.base.exit_codes import ExitCode

CHECK = ("check", "verdict", "text", "hint")
"""Fields of a check, with --json."""


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
