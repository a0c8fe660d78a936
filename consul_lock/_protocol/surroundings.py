"""What a client is given from outside: by its driver, and about its process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from consul_lock._protocol.flow import Signal


class Surroundings(Protocol):
    """What a driver supplies beside performing effects."""

    def mutex(self) -> AbstractContextManager[Any]:
        """A new lock of the process; one that does nothing where there is one thread."""

    def signal(self) -> Signal:
        """A new signal to wait for."""

    def random(self) -> float:
        """A number between 0 and 1."""

    def catch_up(self) -> None:
        """Begin to undo every call that was cut off and left before its undo could begin."""

    def hang_up(self) -> None:
        """The client closes: long polls and pauses of calls end with `Unavailable`."""

    def busy(self) -> bool:
        """Whether calls that have an undo are under way, or to be undone; but for those of the
        thread or task that closes the client."""


class Identity(NamedTuple):
    """Who this process is, for the values of locks."""

    about: Mapping[str, Any]
    label: str
    """Beginning of the names of our sessions."""
