"""Who was on a key, or in a document, at which time: as independent observers saw it."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, islice

from tests.torture.history import Record


@dataclass
class State:
    """One state of a key: seen first, and last."""

    index: int
    limit: int
    holders: dict[str, int]
    """What each session takes."""
    first_before: float
    first_after: float
    last_before: float
    last_after: float


class Timeline:
    """The states of one key, in the order in which their first reads began."""

    def __init__(self, states: Iterable[State]) -> None:
        self.states = sorted(states, key=lambda state: state.first_before)

    @cached_property
    def _begun(self) -> list[float]:
        return [state.first_before for state in self.states]

    @cached_property
    def _reach(self) -> list[float]:
        """Up to each state: the last end of any read until then, which may be a slow one."""
        return list(accumulate((state.last_after for state in self.states), max))

    def between(self, begin: float, end: float) -> list[State]:
        """Those that may have been at any moment between the two times."""
        found = self.states[bisect_left(self._reach, begin) : bisect_right(self._begun, end)]
        return [state for state in found if state.last_after >= begin]

    def before(self, moment: float) -> Iterator[State]:
        """Those that were certainly seen before a time, the last one first."""
        for state in reversed(self.states[: bisect_left(self._begun, moment)]):
            if state.first_after <= moment:
                yield state

    def after(self, moment: float) -> Iterator[State]:
        """Those that were not seen until a time, in order."""
        for state in islice(self.states, bisect_left(self._reach, moment), None):
            if state.first_after > moment:
                yield state

    def read_after(self, moment: float) -> Iterator[State]:
        """Those whose first read was sent after a time, in order."""
        return islice(self.states, bisect_right(self._begun, moment), None)


@dataclass
class Observation:
    """What the observers saw of all names."""

    timelines: dict[str, Timeline] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """What sessions call themselves."""
    reads: int = 0

    def states(self, name: str) -> list[State]:
        """All states of a key that were seen."""
        return self._timeline(name).states

    def on_key(self, name: str, session: str, token: int, begin: float, end: float) -> bool | None:
        """Whether a session was on it from the one time to the other; None if nobody can tell.

        Between two reads that found different states, and within one, nothing is certain: there a
        holder is on the key if its token is the index of a write from the state before to the one
        after, or if it was on the key in all that were read around that time.  What is absent has
        no index.
        """
        timeline = self._timeline(name)
        possible = timeline.between(begin, end)
        certain = [s for s in possible if s.first_after <= end and begin <= s.last_before]
        if certain:
            return all(session in state.holders for state in certain)
        around = [*islice(timeline.before(begin), 1), *possible, *islice(timeline.after(end), 1)]
        if len(around) > 1 and all(session in state.holders for state in around):
            return True
        before = next((s.index for s in timeline.before(begin) if s.index), 0)
        after = next((s.index for s in timeline.after(end) if s.index), 0)
        return True if before < token <= after else None

    def off_since(self, name: str, session: str, begin: float) -> float:
        """From when on at the latest a session that was on it at a time was seen off it."""
        off = (s for s in self._timeline(name).read_after(begin) if session not in s.holders)
        return next((state.first_after for state in off), math.inf)

    def session_of(self, hold: str) -> str:
        """The session that has this in its name, as those of `consul lock` have their command."""
        found = [session for session, name in self.names.items() if f"{hold}' at '" in name]
        return found[0] if len(found) == 1 else ""

    def _timeline(self, name: str) -> Timeline:
        return self.timelines.get(name) or Timeline([])


# Of the last states of a key, those that another observer may still see, whose answer was slow.
_RECENT = 4


def observed(records: Iterable[Record]) -> Observation:
    """What the records of observers say."""
    seen = Observation()
    states: dict[str, list[State]] = {}
    for record in records:
        if record.what == "session":
            seen.names[record.fields["session"]] = record.fields["name"]
        if record.what == "seen":
            seen.reads += 1
            _add(states, record)
    seen.timelines = {name: Timeline(of_name) for name, of_name in states.items()}
    return seen


def _add(states: dict[str, list[State]], record: Record) -> None:
    before, after = record.fields["before"], record.fields["after"]
    resources = record.fields["resources"]
    for name in {*states, *resources}:
        index, limit, holders = resources.get(name, [0, 0, {}])
        of_name = states.setdefault(name, [])
        # Two reads without a key show nothing of the time between them: it may have been there.
        same = next((s for s in of_name[-_RECENT:] if s.index == index > 0), None)
        if same is None:
            of_name.append(State(index, limit, holders, before, after, before, after))
        else:
            same.first_before = min(same.first_before, before)
            same.first_after = min(same.first_after, after)
            same.last_before = max(same.last_before, before)
            same.last_after = max(same.last_after, after)
