"""Marks of holders that vanished, for those who cannot wait until their slots can be taken.

A slot has no lock-delay in Consul, so ours wait for as long before they take the slot of a holder
that vanished.  Whoever gives up before that marks the holder, and starts a clock that all can
read: it locks a key with a session that it ends at once, so that Consul imposes a lock-delay
on that key.  Whoever can lock it later knows that the time is over: no clock of any host is asked.
So a job that only ever tries once gets its slot in the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from consul_lock._protocol import terms as rules
from consul_lock._protocol.answer import Outcome
from consul_lock._protocol.document import mark_key
from consul_lock._protocol.flow import Flow
from consul_lock.errors import ConsulLockError

if TYPE_CHECKING:
    from consul_lock._protocol.bid import Bid, Spot
    from consul_lock._protocol.holders import HoldersCore

_CLOCK = "clock"

AT_ONCE_MOST = 6
"""Holders that are marked, or whose marks are taken away, in one transaction."""


class Mark(NamedTuple):
    """A holder that vanished, and for how long it is left alone from then on."""

    session: str
    seconds: float

    def key(self, spot: Spot) -> str:
        """Where it is kept."""
        return mark_key(spot.kind, spot.name, f"{self.session},{self.seconds:g}")

    def clock(self, spot: Spot) -> str:
        """The key that is in lock-delay for so long."""
        return f"{self.key(spot)}/{_CLOCK}"


def parse(word: str) -> Mark | None:
    """The mark with this name; None: it is none."""
    session, _, seconds = word.partition(",")
    try:
        return Mark(session, float(seconds)) if "/" not in word else None
    except ValueError:
        return None


def mark(
    core: HoldersCore, bid: Bid, spot: Spot, sessions: Iterable[str], seconds: float
) -> Flow[None]:
    """Mark holders, and start their clocks.  Whoever marked one before us has started it."""
    if not rules.LOCK_DELAY_LEAST <= seconds <= rules.LOCK_DELAY_MOST:
        return  # no lock-delay is as long as that
    client = core.client
    timer = None
    try:
        timer = yield from client.borrow(rules.terms(lock_delay=seconds), bid)
        # From here on it ends whatever happens to us, and with its end the clock starts.
        client.pool.condemn(timer)
        for session in sorted(sessions)[:AT_ONCE_MOST]:
            made = Mark(session, seconds)
            operations: list[dict[str, Any]] = [
                {"Verb": "check-not-exists", "Key": made.key(spot)},
                {"Verb": "set", "Key": made.key(spot), "Flags": spot.kind.flags, "Value": ""},
                _lock(spot, made, timer.id),
            ]
            doing = f"marking a dead holder of {core.key!r}"
            request = client.wire.transaction(operations, doing, core.rule)
            yield from client.write(timer, request)
    except ConsulLockError:
        pass  # the next one who comes will
    if timer is not None:
        yield from client.pool.destroy(timer)


def ripe(spot: Spot, made: Mark, ours: str) -> list[dict[str, Any]]:
    """Operations that are refused while the clock of a mark runs, and take it away."""
    return [_lock(spot, made, ours), *erase(spot, [made])]


def still_runs(outcome: Outcome) -> bool:
    """Whether that is why a transaction was refused."""
    return outcome.says(f"/{_CLOCK}")


def erase(spot: Spot, marks: Iterable[Mark]) -> list[dict[str, Any]]:
    """Operations that take marks away."""
    return [
        {"Verb": "delete", "Key": key}
        for made in sorted(marks)[:AT_ONCE_MOST]
        for key in (made.clock(spot), made.key(spot))
    ]


def _lock(spot: Spot, made: Mark, by: str) -> dict[str, Any]:
    key, flags = made.clock(spot), spot.kind.flags
    return {"Verb": "lock", "Key": key, "Session": by, "Flags": flags, "Value": ""}
