"""What is wrong with what the user typed or configured."""

from __future__ import annotations

import click


class BadSetting(Exception):
    """A variable or a file is wrong; the message names it and says what to write."""


class Misuse(click.UsageError):
    """The command line is wrong, and there is a guess at what was meant."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
