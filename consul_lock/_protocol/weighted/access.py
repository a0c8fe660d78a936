"""Reading the documents that somebody wants to get into, and making sense of it."""

from __future__ import annotations

import enum
from typing import Any

from consul_lock._protocol.client.base import believe
from consul_lock._protocol.consul.models import ReadResult
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.flow import Flow, Sleep
from consul_lock._protocol.hold.hold import Grant
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.base import WeightedBase, read_targets
from consul_lock._protocol.weighted.layout import Target
from consul_lock._protocol.weighted.snapshot import Snapshot, admits, snapshot_of
from consul_lock.errors import PermissionDenied

# Seconds before the next try after somebody else was quicker: twice that each time, at most 0.3.
_QUICKER = 0.005


class Position(enum.Enum):
    """What was read means this for one bid."""

    IN = "all sessions of the attempt are in"
    TORN = "some sessions of the attempt are in, and others not"
    GONE = "the keys are gone: the place in the queue is lost"
    OLD = "a stale read, from before the attempt began"
    ADMITTED = "there are enough slots"
    FULL = "others come first"


def look(core: WeightedBase, attempt: WeightedAttempt, *, certain: bool = False) -> Flow[None]:
    """Read the present state of the attempt."""
    found = yield from read_targets(core, attempt.targets, certain=certain)
    see(attempt, found, certain=certain or len(attempt.targets) > 1)


def see(attempt: WeightedAttempt, found: ReadResult, *, certain: bool = False) -> None:
    """Take in what was read of all names."""
    attempt.snapshots = tuple(snapshot_of(target, found) for target in attempt.targets)
    attempt.certain = certain
    if attempt.asked and any(s.in_doubt for s in attempt.group) and certain:
        # A write without an answer was carried out, or not.
        attempt.joined = all(p.contends(s) for p in attempt.snapshots for s in attempt.ids())
        attempt.asked = attempt.joined or any(
            p.contends(s) for p in attempt.snapshots for s in attempt.ids()
        )


def position(attempt: WeightedAttempt, seen: tuple[Snapshot, ...]) -> Position:
    """What the last read means for the attempt."""
    ids = attempt.ids()
    inside = [snapshot.holds(session) for snapshot in seen for session in ids]
    there = [snapshot.contends(session) for snapshot in seen for session in ids]
    if any(inside) or (attempt.joined and not all(there)):
        fresh = attempt.certain or (attempt.joined and seen[0].raft_index >= attempt.joined_at)
        if not fresh:
            return Position.OLD
        if not any(inside):
            return Position.GONE
        return Position.IN if all(inside) and all(there) else Position.TORN
    room = all(
        admitted(attempt, target, snapshot)
        for snapshot, target in zip(seen, attempt.targets, strict=True)
    )
    return Position.ADMITTED if room else Position.FULL


def admitted(attempt: WeightedAttempt, target: Target, snapshot: Snapshot) -> bool:
    """Whether there are enough slots in one document."""
    return admits(snapshot, attempt.leader, attempt.n, target.weight, overtaking=attempt.overtaking)


def check_visible(attempt: WeightedAttempt, seen: tuple[Snapshot, ...], rule: str) -> None:
    """Raise `PermissionDenied` if the token may not see contenders: others would look dead."""
    if any(snapshot.filtered for snapshot in seen):
        raise PermissionDenied(
            f"the token may not see all keys below {attempt.targets[-1].prefix!r}, and who is not"
            " seen looks dead",
            hint=f"it needs the rule  {rule}",
            kind="hidden-keys",
            rule=rule,
        )


def write(
    core: WeightedBase, attempt: WeightedAttempt, operations: list[dict[str, Any]], doing: str
) -> Flow[TxnResult]:
    request = core.client.api.transaction(operations, doing, core.rule)
    attempt.asked = attempt.may_hold = True
    outcome = yield from core.client.write(attempt.group[0], request, attempt.group[1:])
    return outcome


def refused(core: WeightedBase, attempt: WeightedAttempt, outcome: TxnResult) -> Flow[None]:
    """Others were quicker, or the sessions have died: read again."""
    attempt.snapshots = None
    core.client.note(core.key, contended=True)
    yield from _buried(core, attempt, outcome)
    if attempt.refusals:
        pause = min(_QUICKER * 2.0 ** min(attempt.refusals, 8), 0.3)
        yield Sleep(0.0, pause)
    attempt.refusals += 1


def _buried(core: WeightedBase, attempt: WeightedAttempt, outcome: TxnResult) -> Flow[None]:
    """Only the attempt's sessions lock its keys: a lock-delay on one means its session died."""
    if outcome.delayed:
        for session in [s for s in attempt.group if s.id in outcome.reasons]:
            yield from core.client.lose_session(session)


def accept(
    core: WeightedBase, attempt: WeightedAttempt, seen: tuple[Snapshot, ...]
) -> Flow[Grant | None]:
    """The attempt was admitted, or an earlier try of it succeeded.

    It counts only with sessions renewed of late: a process that was paused while it waited must
    not wake up believing.
    """
    for session in attempt.group:
        if not (yield from believe(core.client, session)):
            return None
    # The client that admitted it wrote its key anew, and nobody has since.
    own = [c.modify_index for p in seen for c in p.contenders if c.session == attempt.leader]
    if not own:
        # Its session has died since it was renewed, or somebody has deleted the key: a document
        # alone proves nothing.
        for session in attempt.group:
            yield from core.client.end(session)
        return None
    attempt.handed_over = not attempt.asked or attempt.joined
    return grant(attempt, max(own), contended=True)


def grant(attempt: WeightedAttempt, token: int, *, contended: bool) -> Grant:
    first, *others = attempt.group
    return Grant(first, token, contended, None, tuple(others))
