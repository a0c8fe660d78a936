"""Marks of holders that vanished, for those who cannot wait until their slots can be taken.

A slot has no lock-delay in Consul, so ours wait for as long before they take the slot of a holder
that vanished.  Whoever gives up before that marks the holder, and starts a clock that all can
read: it locks a key with a session that it ends at once, so that Consul imposes a lock-delay
on that key.  Whoever can lock it later knows that the time is over: no clock of any host is asked.
So a job that only ever tries once gets its slot in the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from consul_lock._protocol import terms as rules
from consul_lock._protocol.answer import Outcome
from consul_lock._protocol.bid import Bid, Spot
from consul_lock._protocol.document import mark_key
from consul_lock._protocol.flow import Flow
from consul_lock.errors import ConsulLockError

if TYPE_CHECKING:
    from consul_lock._protocol.holders import HoldersCore

_CLOCK = "clock"

AT_ONCE_MOST = 6
"""Holders that are marked, or whose marks are taken away, in one transaction."""


def _clock(spot: Spot, session: str) -> str:
    return f"{mark_key(spot.kind, spot.name, session)}/{_CLOCK}"


def mark(
    core: HoldersCore, bid: Bid, spot: Spot, sessions: Iterable[str], seconds: float
) -> Flow[None]:
    """Mark holders, and start their clocks.  Whoever marked one before us has started it."""
    if not rules.LOCK_DELAY_LEAST <= seconds <= rules.LOCK_DELAY_MOST:
        return  # no lock-delay is as long as that
    client = core.client
    try:
        timer = yield from client.borrow(rules.terms(lock_delay=seconds), bid)
        for session in sorted(sessions)[:AT_ONCE_MOST]:
            key = mark_key(spot.kind, spot.name, session)
            operations: list[dict[str, Any]] = [
                {"Verb": "check-not-exists", "Key": key},
                {"Verb": "set", "Key": key, "Flags": spot.kind.flags, "Value": ""},
                _lock(spot, session, timer.id),
            ]
            doing = f"marking a dead holder of {core.key!r}"
            request = client.wire.transaction(operations, doing, core.rule)
            yield from client.write(timer, request)
        yield from client.pool.destroy(timer)
    except ConsulLockError:
        return  # the next one will


def ripe(spot: Spot, session: str, ours: str) -> list[dict[str, Any]]:
    """Operations that are refused while the clock of a marked holder runs; they take it away."""
    return [_lock(spot, session, ours), *erase(spot, [session])]


def still_runs(outcome: Outcome) -> bool:
    """Whether that is why a transaction was refused."""
    return outcome.says(f"/{_CLOCK}")


def erase(spot: Spot, sessions: Iterable[str]) -> list[dict[str, Any]]:
    """Operations that take marks away."""
    return [
        {"Verb": "delete", "Key": key}
        for session in sorted(sessions)[:AT_ONCE_MOST]
        for key in (_clock(spot, session), mark_key(spot.kind, spot.name, session))
    ]


def _lock(spot: Spot, session: str, by: str) -> dict[str, Any]:
    key = _clock(spot, session)
    return {"Verb": "lock", "Key": key, "Session": by, "Flags": spot.kind.flags, "Value": ""}
