"""Who was on a key, or in a document, at which time: as an independent observer saw it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

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


@dataclass
class Observation:
    """What the observer saw of all names."""

    states: dict[str, list[State]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """What sessions call themselves."""
    reads: int = 0

    def on_key(self, name: str, session: str, token: int, begin: float, end: float) -> bool | None:
        """Whether a session was on it from the one time to the other; None if nobody can tell.

        A read that may have been at that time, and found it there, is enough.  Between two reads
        that found different states, nothing was seen: there a holder is on the key if its token is
        the index of a write between the two.  What is absent has no index.
        """
        states = self.states.get(name, [])
        certain = [s for s in states if s.first_after <= end and begin <= s.last_before]
        if certain:
            return all(session in state.holders for state in certain)
        if any(
            s.first_before <= end and begin <= s.last_after and session in s.holders for s in states
        ):
            return True
        before = [s.index for s in states if s.index and s.last_before < begin][-1:]
        after = [s.index for s in states if s.index and s.first_after > end][:1]
        if after and sum(before) < token <= after[0]:
            return True
        return None

    def session_of(self, hold: str) -> str:
        """The session that has this in its name, as those of `consul lock` have their command."""
        found = [session for session, name in self.names.items() if f"{hold}' at '" in name]
        return found[0] if len(found) == 1 else ""


def observed(records: Iterable[Record]) -> Observation:
    """What the records of observers say."""
    seen = Observation()
    for record in records:
        if record.what == "session":
            seen.names[record.fields["session"]] = record.fields["name"]
        if record.what == "seen":
            seen.reads += 1
            _add(seen, record)
    return seen


def _add(seen: Observation, record: Record) -> None:
    before, after = record.fields["before"], record.fields["after"]
    resources = record.fields["resources"]
    for name in {*seen.states, *resources}:
        index, limit, holders = resources.get(name, [0, 0, {}])
        states = seen.states.setdefault(name, [])
        # Two reads without a key show nothing of the time between them: it may have been there.
        if states and states[-1].index == index > 0:
            states[-1].last_before, states[-1].last_after = before, after
        else:
            states.append(State(index, limit, holders, before, after, before, after))
