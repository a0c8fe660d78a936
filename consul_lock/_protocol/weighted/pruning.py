"""Pruning: holders that have died are taken out of a document, by the clock of Consul alone.

A holder that was cut off from Consul believes in its slot until its deadline, which is within its
lock-delay of the end of its session.  Consul imposes no lock-delay on a slot, which is a word in
a document; but it does so on the contender key of the dead session, for as long as that session
asked for, for all comers:

    0 s   D holds a slot, with a lock-delay of 60 s, and is cut off
    20 s  its session ends: its contender key stays, without a session, in lock-delay
    21 s  N comes, with a lock-delay of 5 s, and tries
          [lock KEY-OF-D with N's session, delete it, write the document without D]: refused
    57 s  D stops, by its own clock
    80 s  the same is carried out, and N gets in

So nobody measures a time or needs to know whose lock-delay counts; one who tries only once gets
in as well, as the first who comes after the delay does; and it is the lock operation that proves
the death: Consul refuses it while a living session holds the key, even if the token may not see
that key.  A client of Go deletes its keys when it dies, and their names are in lock-delay all
the same.  (A contender key that somebody deletes by hand has none: its holder is pruned at once.
It notices by itself, but not as soon.)

What is read beforehand only says whom to try.  It is needed all the same: Consul looks at the
lock-delay when it admits a request, so one that was sent while D was alive could be carried out
just after D's end.  Who has read that D is dead sends it later than that.
"""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.flow import Flow
from consul_lock._protocol.weighted.access import refused
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.base import WeightedBase
from consul_lock._protocol.weighted.layout import Target
from consul_lock._protocol.weighted.operations import contend_operation, write_document
from consul_lock._protocol.weighted.snapshot import Snapshot, remove_holders


def prune(core: WeightedBase, attempt: WeightedAttempt, seen: tuple[Snapshot, ...]) -> Flow[bool]:
    """Take dead holders out of the documents.  True: look again, as things have changed."""
    changed = False
    for target, snapshot in zip(attempt.targets, seen, strict=True):
        # Waiters behind others leave it to the first.
        if not attempt.joined or snapshot.ahead(attempt.leader) is None:
            changed = (yield from _prune(core, attempt, target, snapshot)) or changed
    return changed


def _prune(
    core: WeightedBase, attempt: WeightedAttempt, target: Target, snapshot: Snapshot
) -> Flow[bool]:
    most = (core.operations_max - 1) // 2
    while dead := sorted(snapshot.vanished() - attempt.guarded)[:most]:
        operations = [
            op for session in dead for op in expiry_check(target, session, attempt.leader)
        ]
        operations.append(write_document(target, snapshot, remove_holders(snapshot, dead)))
        doing = f"pruning dead holders of {core.key!r}"
        request = core.client.api.transaction(operations, doing, core.rule)
        outcome = yield from core.client.write(attempt.group[0], request, attempt.group[1:])
        # Those whose lock-delay runs must not keep the others in.
        delayed = {
            dead[operation // 2]
            for operation, why in outcome.errors
            if operation < 2 * len(dead) and "failed to lock key" in why
        }
        attempt.guarded |= delayed
        if not (delayed or outcome.done):
            yield from refused(core, attempt, outcome)
        if not delayed:
            return True
    return False


def expiry_check(target: Target, dead: str, living: str) -> list[dict[str, Any]]:
    """Operations that are refused unless a holder is dead, and its lock-delay over.  They leave
    nothing: its key is locked and deleted, whether it was there or not."""
    key = target.contender_key(dead)
    lock = contend_operation(target, dead, "") | {"Session": living}
    return [lock, {"Verb": "delete", "Key": key}]
