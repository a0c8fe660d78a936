"""Waiting to get into documents: queue, and watch the one thing that can bring admission."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.consul.models import ReadResult
from consul_lock._protocol.flow import Flow, Now, Wall
from consul_lock._protocol.weighted.access import admitted, refused, see, write
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.base import WeightedBase
from consul_lock._protocol.weighted.layout import Contender, Target
from consul_lock._protocol.weighted.operations import contend_operation
from consul_lock._protocol.weighted.snapshot import Snapshot

# Seconds of one blocking read, as in the queue of a lock.
_POLL = 10.0

# The same while a dead holder is to be pruned whose lock-delay is not over: nothing announces its
# end.  A try before it is refused without a Raft write.
_DELAY_RETRY = (0.25, 1.0)


def wait_for_turn(
    core: WeightedBase, attempt: WeightedAttempt, seen: tuple[Snapshot, ...]
) -> Flow[None]:
    """Take the one step that brings the attempt nearer."""
    if not attempt.joined:
        yield from _join(core, attempt)
        return
    full = [
        (target, snapshot)
        for target, snapshot in zip(attempt.targets, seen, strict=True)
        if not admitted(attempt, target, snapshot)
    ]
    target, snapshot = full[0] if full else (attempt.targets[-1], seen[-1])
    ahead = None if attempt.overtaking else snapshot.ahead(attempt.leader)
    if ahead is not None:
        yield from _watch_ahead(core, attempt, target, ahead)
    else:
        yield from _watch_all(core, attempt, target, snapshot)
    attempt.guarded = frozenset()


def _join(core: WeightedBase, attempt: WeightedAttempt) -> Flow[None]:
    """Join the queue, and see who is there."""
    since = yield Wall()
    operations = list[dict[str, Any]]()
    for target in attempt.targets:
        for session in attempt.ids():
            if attempt.asked:
                # The keys that are left are from an earlier attempt: its place has to be the
                # same in all queues, or two could each be behind the other.
                operations.append({"Verb": "delete", "Key": target.contender_key(session)})
            operations.append(contend_operation(target, session, attempt.value(target, since)))
    operations += [{"Verb": "get-tree", "Key": target.prefix} for target in attempt.targets]
    outcome = yield from write(core, attempt, operations, f"queueing for {core.key!r}")
    if not outcome.done:
        yield from refused(core, attempt, outcome)
        return
    attempt.joined, attempt.joined_at, attempt.refusals = True, outcome.raft_index, 0
    see(attempt, ReadResult(outcome.sent, outcome.raft_index, outcome.pairs), certain=True)


def _watch_ahead(
    core: WeightedBase, attempt: WeightedAttempt, target: Target, ahead: Contender
) -> Flow[None]:
    """Wait for the waiter before this one to enter, or to leave."""
    key = target.contender_key(ahead.session)
    wait = yield from _poll_time(core, attempt)
    found = yield from core.client.api.get(key, ahead.modify_index, wait)
    unmoved = found.pair is not None and found.pair.modify_index == ahead.modify_index
    if unmoved and (yield from _undisturbed(core, attempt, target)):
        return
    attempt.snapshots = None


def _undisturbed(core: WeightedBase, attempt: WeightedAttempt, target: Target) -> Flow[bool]:
    """Whether the attempt's own key is still as it was read."""
    assert attempt.snapshots is not None
    found = yield from core.client.api.get(target.contender_key(attempt.leader))
    mine = [
        c.modify_index
        for p in attempt.snapshots
        for c in p.contenders
        if c.session == attempt.leader
    ]
    return found.pair is not None and found.pair.modify_index in mine


def _watch_all(
    core: WeightedBase, attempt: WeightedAttempt, target: Target, snapshot: Snapshot
) -> Flow[None]:
    """First in the queue: watch everything that happens to it."""
    wait = yield from _poll_time(core, attempt)
    index = max(snapshot.raft_index, attempt.waited.get(target.prefix, 0))
    found = yield from core.client.api.list_keys(target.prefix, index=index, wait=wait)
    # The index of a prefix is higher than that of all its keys once one was deleted.
    attempt.waited[target.prefix] = found.raft_index if found.raft_index >= index else 0
    if len(attempt.targets) == 1:
        see(attempt, found)
    else:
        attempt.snapshots = None


def _poll_time(core: WeightedBase, attempt: WeightedAttempt) -> Flow[float]:
    """Seconds of one blocking read: until giving up, or the next try to prune a dead holder."""
    low, high = _DELAY_RETRY
    wait = low + (high - low) * core.client.random() if attempt.guarded else _POLL
    if attempt.deadline is not None:
        now = yield Now()
        wait = min(wait, attempt.deadline - now)
    return max(0.001, wait)
