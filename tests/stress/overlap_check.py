"""Who held when, by the notebook alone, and whether that was allowed.

A hold is judged from its ``begin`` to the last line at which its process had looked and found
`held` true.  Both ends are looks, `held` never becomes true again once it was false, and the
lines are in the order of the looks: so the process believed itself to hold at every line in
between.  When two such stretches share a line, both believed at the same moment.  That is the
thing that must not be, and no delay of any process, answer or clock can fake it:

* a process that was killed believes nothing any more.  It counts up to its last line; the killer
  holds the notebook's lock while it kills and writes, so nobody writes half a line or a late one;
* a process whose session was destroyed goes on believing until it notices, at the latest at its
  hold deadline, and **that is counted**: the others have to wait for that long (the lock-delay);
* a process that stood still must not go on believing: its first look after that comes too late
  if it was followed meanwhile;
* between the last look and the line ``lost`` nothing is claimed: it may have noticed at any time.

So the judge can miss an overlap shorter than the time between two looks, and cries no wolf.

Tokens: who asks after somebody had begun was granted later, so its token is greater.  (Not so for
who asked before: with several slots, of two that were granted one after the other the second may
be the first to begin, and even end before the first has noticed.)  And one write of the document
grants no more slots than there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.stress.event_log import Line


@dataclass
class Hold:
    """One hold; places are numbers of lines."""

    pid: int
    session: str
    token: int
    slots: int
    asked: int
    begun: int
    proven: int
    """The last line at which it was certainly held."""
    over: str = ""
    """How it ended: end, lost, killed; "" if it has not."""

    def __str__(self) -> str:
        return f"{self.pid} with token {self.token} (lines {self.begun} to {self.proven})"


class Story:
    """What a notebook tells."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self.holds: list[Hold] = []
        """In the order in which they began."""
        self.counts: Counter[str] = Counter()
        self.nonsense: list[str] = []
        """Lines that no right worker writes."""
        self.open: dict[int, Hold] = {}
        """By process, the holds that are not over."""
        self.asked: dict[int, int] = {}
        """The processes that have begun to work and were not killed, and where they last asked."""
        self._place = 0
        self.read(lines)

    def read(self, lines: Iterable[Line]) -> None:
        """Go on with what has been written meanwhile."""
        for line in lines:
            self._place += 1
            self._read(self._place, line)

    def _read(self, place: int, line: Line) -> None:
        self.counts[line.what] += 1
        hold = self.open.get(line.pid)
        match line.what:
            case "asks":
                self.asked[line.pid] = place
            case "begin":
                self._begin(place, line)
            case "still" | "end" | "lost" if hold is None:
                self.nonsense.append(f"line {place}: {line}, which holds nothing")
            case "still" | "end" if hold is not None:
                hold.proven = place
            case "destroyed":
                sessions = {each.session for each in self.open.values()}
                self.counts["holders destroyed"] += line.session in sessions
            case "frozen" | "killed":
                self.counts[f"holders {line.what}"] += hold is not None
        if line.what in ("end", "lost", "killed"):
            self._close(line)

    def _begin(self, place: int, line: Line) -> None:
        if line.pid in self.open or line.token < 1 or line.slots < 1:
            self.nonsense.append(f"line {place}: {line}")
        asked = self.asked.get(line.pid, place)
        hold = Hold(line.pid, line.session, line.token, line.slots, asked, place, place)
        self.open[line.pid] = hold
        self.holds.append(hold)

    def _close(self, line: Line) -> None:
        hold = self.open.pop(line.pid, None)
        if hold is not None:
            hold.over = line.what
        if line.what == "killed":
            self.asked.pop(line.pid, None)

    def overlaps(self, limit: int) -> list[str]:
        """Each beginning at which more slots were held than there are."""
        return [
            " and ".join(str(hold) for hold in inside)
            for slots, inside in self._together()
            if slots > limit
        ]

    def most(self) -> int:
        """The most slots that were ever held at the same time."""
        return max((slots for slots, _ in self._together()), default=0)

    def _together(self) -> Iterator[tuple[int, list[Hold]]]:
        """At each beginning: how many slots are held, and by whom."""
        inside: list[Hold] = []
        for hold in self.holds:
            inside = [other for other in inside if other.proven >= hold.begun] + [hold]
            yield sum(each.slots for each in inside), inside

    def wrong_tokens(self, limit: int) -> list[str]:
        """Grants whose token is not greater than one they came after, or is given too often."""
        found: list[str] = []
        granted: Counter[int] = Counter()
        for hold in self.holds:
            granted[hold.token] += hold.slots
            known = max((o.token for o in self.holds if o.begun < hold.asked), default=0)
            if hold.token <= known:
                found.append(f"{hold} asked when token {known} was in use")
        return found + [f"token {t} for {n} slots" for t, n in granted.items() if n > limit]
