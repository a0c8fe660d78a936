"""The four states of a monitoring plugin, and what was found of each thing that it looks at."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple


class State(enum.IntEnum):
    """A state is its exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


# The worst first: that something is not known hides nothing that is known to be wrong.
_ORDER = (State.CRITICAL, State.WARNING, State.UNKNOWN, State.OK)


class Problem(NamedTuple):
    """Something that is not as it should be."""

    state: State
    text: str


class Verdict(NamedTuple):
    """What was found of one job or lock."""

    name: str
    problems: tuple[Problem, ...]
    """The worst first; empty: all is well."""
    note: str
    """What it does, if all is well."""

    @property
    def state(self) -> State:
        """The worst of it."""
        return worst(problem.state for problem in self.problems)

    @property
    def text(self) -> str:
        """In a few words."""
        return ", ".join(problem.text for problem in self.problems) or self.note


def worst(states: Iterable[State]) -> State:
    """The state that several make together."""
    return min(states, key=_ORDER.index, default=State.OK)


def worst_first(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """In the order of their states."""
    return tuple(sorted(problems, key=lambda problem: _ORDER.index(problem.state)))
