"""Who held when, by an event log alone, and whether that was allowed.

A hold is judged from its ``begin`` to the last event at which its caller had looked and found
`held` true.  Both ends are looks, `held` never becomes true again once it was false, and the
events are in the order of the looks: so the caller believed itself to hold at every event in
between.  When two such stretches share an event, both believed at the same moment.  That is the
thing that must not be, and no delay of any process, answer or clock can fake it:

* a process that was killed believes nothing any more.  It counts up to its last event; the killer
  keeps the log open while it kills and writes, so nobody writes half an event or a late one;
* a process whose session was destroyed goes on believing until it notices, at the latest at its
  hold deadline, and **that is counted**: the others have to wait for that long (the lock-delay);
* a process that stood still must not go on believing: its first look after that comes too late
  if it was followed meanwhile;
* between the last look and the event ``lost`` nothing is claimed: it may have noticed at any time.

So this check can miss an overlap shorter than the time between two looks, and cries no wolf.

Tokens: who asks after somebody had begun was granted later, so its token is greater.  (Not so for
who asked before: with several slots, of two that were granted one after the other the second may
be the first to begin, and even end before the first has noticed.)  And one write of the document
grants no more slots than there are.

What is an overlap and what is a wrong token decides `tests.torture.exclusion`, for the histories of
a torture run as well.  Those have clocks in place of one order of all events: nobody can wait there
for a process that stands still with the log open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.event_log import Event
from tests.torture.exclusion import overlaps, wrong_tokens
from tests.torture.holds import Claim
from tests.torture.holds import Hold as JudgedHold
from tests.torture.observation import Observation


@dataclass
class Hold:
    """One hold; places are numbers of events."""

    who: str
    session: str
    token: int
    slots: int
    when: float
    asked: int
    begun: int
    proven: int
    """The last event at which it was certainly held."""
    over: str = ""
    """How it ended: end, lost, killed; "" if it has not."""

    def __str__(self) -> str:
        return f"{self.who} with token {self.token} (events {self.begun} to {self.proven})"


class History:
    """What the events of a lock say."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.holds: list[Hold] = []
        """In the order in which they began."""
        self.counts: Counter[str] = Counter()
        self.nonsense: list[str] = []
        """Events that no right caller writes."""
        self.open: dict[str, Hold] = {}
        """By caller, the holds that are not over."""
        self.asked: dict[str, int] = {}
        """The callers that have begun to work and were not killed, and where they last asked."""
        self._place = 0
        self.read(events)

    def read(self, events: Iterable[Event]) -> None:
        """Go on with what has been written meanwhile."""
        for event in events:
            self._place += 1
            self._read(self._place, event)

    def _read(self, place: int, event: Event) -> None:
        self.counts[event.what] += 1
        hold = self.open.get(event.who)
        match event.what:
            case "asks":
                self.asked[event.who] = place
            case "begin":
                self._begin(place, event)
            case "still" | "end" | "lost" if hold is None:
                self.nonsense.append(f"event {place}: {event}, which holds nothing")
            case "still" | "end" if hold is not None:
                hold.proven = place
            case "destroyed":
                sessions = {each.session for each in self.open.values()}
                self.counts["holders destroyed"] += event.session in sessions
            case "frozen" | "killed":
                self.counts[f"holders {event.what}"] += hold is not None
        if event.what in ("end", "lost", "killed"):
            self._close(event)

    def _begin(self, place: int, event: Event) -> None:
        if event.who in self.open or event.token < 1 or event.slots < 1:
            self.nonsense.append(f"event {place}: {event}")
        asked = self.asked.get(event.who, place)
        hold = Hold(
            event.who, event.session, event.token, event.slots, event.when, asked, place, place
        )
        self.open[event.who] = hold
        self.holds.append(hold)

    def _close(self, event: Event) -> None:
        hold = self.open.pop(event.who, None)
        if hold is not None:
            hold.over = event.what
        if event.what == "killed":
            self.asked.pop(event.who, None)

    def overlaps(self, limit: int) -> list[str]:
        """The holds that were inside at a time, and took more slots than there are."""
        return [str(overlap) for overlap in overlaps(self._judged(limit), Observation())]

    def most(self) -> int:
        """The most slots that were ever held at the same time."""
        inside: list[Hold] = []
        most = 0
        for hold in self.holds:
            inside = [other for other in inside if other.proven >= hold.begun] + [hold]
            most = max(most, sum(each.slots for each in inside))
        return most

    def wrong_tokens(self, limit: int) -> list[str]:
        """Grants whose token is not greater than one they came after, or is given too often."""
        return wrong_tokens(self._judged(limit), [])

    def _judged(self, limit: int) -> list[JudgedHold]:
        """The holds as the checker of tests/torture has them: places are its times."""
        return [
            JudgedHold(
                str(hold),
                "semaphore" if limit > 1 else "lock",
                "library",
                (Claim("slots", hold.slots, limit),),
                "",
                hold.token,
                asked=hold.asked,
                asked_by="",
                looks={(0, 0): [(hold.begun, hold.begun), (hold.proven, hold.proven)]},
            )
            for hold in self.holds
        ]


def one_at_a_time(events: Iterable[Event]) -> list[Hold]:
    """The holds of a lock for one, in order.  Fails unless each ended before the next began, and
    tokens grew."""
    history = History(events)
    assert history.nonsense == []
    assert history.overlaps(1) == []
    assert history.wrong_tokens(1) == []
    assert history.open == {}
    return history.holds
