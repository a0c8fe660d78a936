"""The numbers of a semaphore's slots, for those who ask for theirs.

The document of a semaphore says who is in; there is no room in it for anything else, as a Go
client would drop it.  So a number is a key of its own, ``NAME/.slot/3``, locked by the session of
the holder.  Consul gives it to one session only, whatever clients of Go do to the document.  After
a crash the key stays without its session, in lock-delay, so that nobody gets the number while a
holder that was only disconnected may still work with it; then the next holder takes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consul_lock._protocol.client.retry import until_let_go
from consul_lock._protocol.flow import Flow, Now, Sleep, Wait, Wall
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.keys import slot_key
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.base import WeightedBase, read_targets
from consul_lock._protocol.weighted.document import SEMAPHORE
from consul_lock._protocol.weighted.snapshot import Snapshot, snapshot_of
from consul_lock.errors import ConfigError, Conflict, NotHeld
from consul_lock.limits import LOCK_DELAY_MAX

AT_ONCE_MAX = 15
"""Slots of one hold that can be numbered: to leave, each takes four of the 64 operations that
Consul carries out together."""

# Seconds between two looks while no number is free, which a holder's death can lead to.
_PAUSE = (0.25, 1.0)

# Seconds after which no lock-delay can be the reason.
_LONGEST = LOCK_DELAY_MAX + 5.0


def numbers_of(core: WeightedBase, hold: Hold) -> Flow[tuple[int, ...]]:
    """The numbers of a hold's slots; asked for at the first call."""
    attempt = hold.attempt
    assert isinstance(attempt, WeightedAttempt)
    if attempt.n > AT_ONCE_MAX:
        raise ConfigError(
            f"slots() of {attempt.n} slots taken at once; it numbers {AT_ONCE_MAX} at most: take"
            " them in several holds",
            kind="value",
        )
    while not attempt.slots.numbers:
        with core.client.mutex:
            others, mine = attempt.slots.asking, core.client.new_signal()
            attempt.slots.asking = others or mine
        if others is not None:
            yield Wait(others, None)
            continue
        try:
            yield from until_let_go(
                core.client, hold, lambda: _number(core, hold, attempt), patient=True
            )
        finally:
            attempt.slots.asking = None
            mine.set()
    return attempt.slots.numbers


def _number(core: WeightedBase, hold: Hold, attempt: WeightedAttempt) -> Flow[None]:
    now = yield Now()
    end, delayed = now + _LONGEST, set[int]()
    # The read on entering is enough, unless an earlier request was not answered.
    in_doubt = any(session.in_doubt for session in hold.sessions)
    seen = attempt.snapshots[-1] if attempt.snapshots and not in_doubt else None
    while True:
        _still_held(core, hold)
        if seen is None:
            seen = snapshot_of(
                attempt.targets[-1], (yield from read_targets(core, attempt.targets, certain=True))
            )
        ours = _ours(seen, attempt.ids())
        if ours:
            attempt.slots.numbers, attempt.slots.raft_index = ours, seen.raft_index
            return
        chosen = choose(seen, attempt.ids(), delayed)
        if chosen:
            outcome = yield from _claim(core, hold, attempt, seen, chosen)
            if outcome.done:
                attempt.slots.numbers, attempt.slots.raft_index = chosen, outcome.raft_index
                return
            delayed |= {
                chosen[operation // 2]
                for operation, why in outcome.errors
                if "due to lock delay" in why
            }
        else:
            now = yield Now()
            if now >= end:
                raise _none_free(core, seen)
            yield Sleep(*_PAUSE)
            delayed.clear()
        seen = None


def _still_held(core: WeightedBase, hold: Hold) -> None:
    if hold.state is State.LOST:
        raise core.lost_error(hold)
    if hold.state is not State.HELD:
        raise NotHeld(f"{core.name!r} was released meanwhile", kind="released", key=core.key)


def _ours(seen: Snapshot, ids: Sequence[str]) -> tuple[int, ...]:
    """The numbers that the sessions have already, by a claim that was not answered."""
    found = {session: number for number, session in seen.slots.items()}
    return tuple(found[each] for each in ids) if all(each in found for each in ids) else ()


def choose(seen: Snapshot, ids: Sequence[str], not_now: set[int]) -> tuple[int, ...]:
    """The numbers to ask for, lowest first, those of the dead last; none: there are not enough.

    Holders that came earlier and have no number yet are about to ask for the lowest, so these
    are left to them: clients that come at the same time seldom ask twice.
    """
    free = [
        number
        for number in range(seen.document.limit)
        if number not in seen.slots and number not in not_now
    ]
    free.sort(key=lambda number: number in seen.left_slots)
    numbered = {*seen.slots.values(), *ids}
    came = min((c.create_index for c in seen.contenders if c.session in ids), default=None)
    before = [
        c
        for c in seen.contenders
        if seen.holds(c.session)
        and c.session not in numbered
        and (came is None or c.create_index < came)
    ]
    first = min(len(before), len(free) - len(ids))
    return tuple(free[first : first + len(ids)]) if first >= 0 else ()


def _claim(
    core: WeightedBase,
    hold: Hold,
    attempt: WeightedAttempt,
    seen: Snapshot,
    chosen: tuple[int, ...],
) -> Flow[Any]:
    since = yield Wall()
    operations = list[dict[str, Any]]()
    for number, session in zip(chosen, attempt.ids(), strict=True):
        key = slot_key(core.name, number)
        if index := seen.left_slots.get(number):
            # A dead holder has left it.  While its lock-delay runs, the lock operation is refused.
            operations.append({"Verb": "check-index", "Key": key, "Index": index})
        else:
            operations.append({"Verb": "check-not-exists", "Key": key})
        operations.append(
            {
                "Verb": "lock",
                "Key": key,
                "Session": session,
                "Flags": SEMAPHORE.flags,
                "Value": attempt.value(attempt.targets[-1], since, inside=True),
            }
        )
    request = core.client.api.transaction(operations, f"numbering {core.key!r}", core.rule)
    first, *others = hold.sessions
    return (yield from core.client.write(first, request, others))


def _none_free(core: WeightedBase, seen: Snapshot) -> Conflict:
    taken: Mapping[int, str] = seen.slots
    keys = ", ".join(repr(slot_key(core.name, number)) for number in sorted(taken)[:5])
    return Conflict(
        f"{core.name!r}: there is room, but no number of a slot is free after {_LONGEST:g} s:"
        f" {keys or 'none'} are there",
        hint="delete those that nobody holds",
        kind="slot-numbers",
        key=core.key,
    )
