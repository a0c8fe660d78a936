"""Letting go: to the next in line, to the next in this process, or to nobody.

Whoever releases hands the lock to the first in line in the very transaction that unlocks it,
so it is never free while somebody waits: first come, first served, one Raft write, no race.
"""

from __future__ import annotations

from typing import Any

from consul_lock._protocol import line as lines
from consul_lock._protocol.answer import Outcome
from consul_lock._protocol.attempt import Attempt
from consul_lock._protocol.client import ClientCore
from consul_lock._protocol.flow import Flow, Now, Request, Sleep, Wall
from consul_lock._protocol.hold import Grant, Hold
from consul_lock._protocol.holder import inherit
from consul_lock._protocol.line import Entry, Line
from consul_lock._protocol.records import encode
from consul_lock._protocol.verdict import lock_operation, unlock_operation
from consul_lock.errors import LossReason, PermissionDenied, Refused, Unavailable

# Refusals of a hand-over that we cannot explain, before we let go without one.
_REFUSALS_MOST = 5


class Letting:
    """One release under way."""

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.fresh = False
        """The line was read since the last refusal: what it says is as new as it gets."""
        self.refusals = 0
        self.blind = False
        """Look at no line: we may not, or it could not be followed."""
        self.heir: Attempt | None = None
        """Who of this process got it."""


def let_go(client: ClientCore, hold: Hold, *, patient: bool = True) -> Flow[LossReason | None]:
    """Release a lock that we hold.  Returns why it was lost, if it turns out that it was.

    Errors of the server are ridden out while the lock counts as held (``patient``), then
    raised.
    """
    letting, since = Letting(hold), 0.0
    while True:
        try:
            reason = yield from _let_go(client, letting)
        except PermissionDenied:
            if letting.blind:
                raise
            # A token for the lock's key alone, as `consul lock` needs it: do as that does.
            letting.blind = True
        except Unavailable:
            now = yield Now()
            since = since or now
            end = min(hold.session.deadline(), since + client.retry_for)
            if not patient or client.closed or now >= end:
                raise
            letting.fresh = False
            yield Sleep(0.1, 0.4)
        else:
            return reason


def _let_go(client: ClientCore, letting: Letting) -> Flow[LossReason | None]:
    hold = letting.hold
    while True:
        doubtful = hold.session.doubtful
        line = yield from _known_line(client, letting)
        if line is not None and line.entries:
            letting.heir = None
            outcome = yield from _hand_over(client, hold, line, letting.fresh)
            unlock = 1
        else:
            # A session in doubt is passed on to nobody: its late writes would be, too.  Nor is
            # one that the end of its client destroys.
            alone = doubtful or client.closed
            letting.heir = None if alone else client.turns.heir(hold.attempt)
            outcome = yield from _plain(client, letting, line)
            unlock = 0 if letting.blind else 1
        if outcome.done:
            if letting.heir is None or _pass_on(client, letting, outcome):
                return None
        elif outcome.says("isn't held", unlock) or outcome.says("doesn't exist", unlock):
            # An earlier try of this release may have come through without our being told.
            return None if doubtful else (yield from _why_lost(client, hold))
        elif letting.blind:
            raise Refused(f"cannot release {hold.key!r}: {outcome.reasons}", key=hold.key)
        else:
            _refused(letting)


def _known_line(client: ClientCore, letting: Letting) -> Flow[Line | None]:
    """Who waits in Consul; None: nobody, as far as we know."""
    hold = letting.hold
    if letting.blind or not hold.crowded:
        return None
    known = hold.line
    if not letting.fresh and (known is None or not known.entries):
        found = yield from client.wire.tree(hold.base)
        known = hold.line = lines.read(hold.base, found.pairs).behind(hold.session.id)
        letting.fresh = True
    return known


def _refused(letting: Letting) -> None:
    """Somebody came or went since we looked: look again."""
    letting.hold.crowded, letting.hold.line, letting.fresh = True, None, False
    letting.refusals += 1
    if letting.refusals >= _REFUSALS_MOST:
        letting.blind = True


def _hand_over(client: ClientCore, hold: Hold, line: Line, fresh: bool) -> Flow[Outcome]:
    """Give the lock to the first in line, if it is alive and still there."""
    heir = line.entries[0]
    rest = line.behind(heir.session)
    since = yield Wall()
    operations = _hand_over_operations(hold, heir, encode(inherit(heir, rest, since)))
    if not rest.entries and line.sign and fresh:
        # Of an older reading the index of the sign would be wrong too often, and a refusal
        # costs a Raft write.  Then the sign is left to the next release, which finds nobody.
        operations.append({"Verb": "delete-cas", "Key": hold.base, "Index": line.sign})
    request = client.wire.transaction(operations, f"handing over {hold.key!r}", hold.rule)
    return (yield from client.write(hold.session, request))


def _hand_over_operations(hold: Hold, heir: Entry, value: str) -> list[dict[str, Any]]:
    entry = lines.entry_key(hold.base, heir.session)
    return [
        {"Verb": "check-session", "Key": entry, "Session": heir.session},
        unlock_operation(hold.key, hold.session.id),
        lock_operation(hold.key, heir.session, value),
        {"Verb": "delete", "Key": entry},
    ]


def _plain(client: ClientCore, letting: Letting, line: Line | None) -> Flow[Outcome]:
    """Nobody waits in Consul: pass the lock on inside the process, or leave no key behind."""
    hold, since = letting.hold, 0.0
    if letting.heir is not None:
        since = yield Wall()
    elif not letting.blind and (line is None or not line.sign):
        request = hold.session.prepared(
            (hold.key,), lambda: _releasing(client, letting, line, since)
        )
        return (yield from client.write(hold.session, request))
    request = _releasing(client, letting, line, since)
    return (yield from client.write(hold.session, request))


def _releasing(client: ClientCore, letting: Letting, line: Line | None, since: float) -> Request:
    hold, operations = letting.hold, list[dict[str, Any]]()
    if line is not None and line.sign:
        operations.append({"Verb": "delete-cas", "Key": hold.base, "Index": line.sign})
    elif not letting.blind:
        operations.append({"Verb": "check-not-exists", "Key": hold.base})
    operations.append(unlock_operation(hold.key, hold.session.id))
    if letting.heir is not None:
        value = encode(letting.heir.about.value(since))
        operations.append(lock_operation(hold.key, hold.session.id, value))
    else:
        operations.append({"Verb": "delete", "Key": hold.key})
    return client.wire.transaction(operations, f"releasing {hold.key!r}", hold.rule)


def _pass_on(client: ClientCore, letting: Letting, outcome: Outcome) -> bool:
    """Tell the next of this process.  False if it has left: then we still have to let go."""
    hold, heir, letting.heir = letting.hold, letting.heir, None
    assert heir is not None
    grant = Grant(hold.session, outcome.raft_index, False, None)
    if client.turns.give(hold.attempt, heir, grant):
        return True
    hold.crowded, hold.line = False, None
    return False


def _why_lost(client: ClientCore, hold: Hold) -> Flow[LossReason]:
    found = yield from client.wire.get(hold.key, consistent=True)
    return (yield from client.diagnose(hold, found.pair))
