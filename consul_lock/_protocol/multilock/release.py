"""Releasing several locks at once: nobody ever sees that only some of them are held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consul_lock._protocol.client.retry import until_let_go
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.hold import Grant, Hold
from consul_lock._protocol.hold.state import Event
from consul_lock._protocol.multilock.attempt import MultiLockAttempt, guarded, read_keys
from consul_lock._protocol.multilock.base import MultiLockBase
from consul_lock._protocol.session.session import Session
from consul_lock.errors import ConsulLockError, LossReason, Refused

# How often another client may write to one of many keys between the read and the release.
_TRIES = 5


def let_go(lock: MultiLockBase, hold: Hold, *, patient: bool = True) -> Flow[LossReason | None]:
    """Release all of them.  Returns why they were lost, if it turns out that they were."""
    return until_let_go(lock.client, hold, lambda: _let_go(lock, hold), patient=patient)


def _let_go(lock: MultiLockBase, hold: Hold) -> Flow[LossReason | None]:
    for _ in range(_TRIES):
        outcome, checks = yield from _delete(lock, hold)
        if outcome.done:
            return None
        refusals = [text for operation, text in outcome.errors if operation in checks]
        if len(refusals) == len(lock.keys) and hold.unanswered:
            # None of them is held: an earlier try may have succeeded, with its answer lost.
            return None
        if refusals:
            reason = yield from lock.refuted(hold, refusals[0], None)
            # The session may hold the other keys still: the caller decides.
            yield from lock.client.pool.destroy(hold.session)
            return reason
    raise Refused(
        f"cannot release {lock.name!r}: {outcome.reasons}",
        kind="release",
        answer=outcome.reasons,
        key=hold.key,
    )


def _delete(lock: MultiLockBase, hold: Hold) -> Flow[tuple[TxnResult, range]]:
    """Delete all keys, if all are held.  The second result: which operations asked for that.

    A waiter in the queue of one of them watches its key, and takes it when it is gone.
    """
    client, proof = lock.client, lock.proof(hold)
    doing = f"releasing {lock.named}"
    deletions: list[dict[str, Any]]
    if guarded(lock.keys):
        deletions = [{"Verb": "delete", "Key": key} for key in lock.keys]
        pairwise = [op for both in zip(proof, deletions, strict=True) for op in both]
        request = client.api.transaction(pairwise, doing, lock.rule)
        outcome = yield from hold.leave(client.write(hold.session, request))
        return outcome, range(0, len(pairwise), 2)
    # Consul takes no more operations at once.  A ``delete-cas`` of a key that is gone is no
    # refusal, so it is asked first; what happens after that look happens after the release.
    looked = yield from client.api.transact(proof, doing, lock.rule)
    if not looked.done:
        return looked, range(len(proof))
    deletions = [
        {"Verb": "delete-cas", "Key": pair.key, "Index": pair.modify_index} for pair in looked.pairs
    ]
    request = client.api.transaction(deletions, doing, lock.rule)
    return (yield from hold.leave(client.write(hold.session, request))), range(0)


def withdraw(
    lock: MultiLockBase, attempt: MultiLockAttempt, sessions: Sequence[Session]
) -> Flow[list[Session]]:
    """Returns the sessions that stay in doubt, and must be ended."""
    in_doubt = []
    for session in sessions:
        attempt.session = session
        # Otherwise what a shared session has on the keys is of other locks of this process.
        if attempt.alone and not (yield from _let_go_of_all(lock, attempt, session)):
            in_doubt.append(session)
    return in_doubt


def _let_go_of_all(lock: MultiLockBase, attempt: MultiLockAttempt, session: Session) -> Flow[bool]:
    """False: the session must be destroyed."""
    try:
        found = yield from read_keys(lock.client, lock.keys, attempt.known)
        ours = [pair for pair in found.values() if pair.session == session.id]
        if ours:
            token = max(pair.modify_index for pair in ours)
            hold = Hold(lock, Grant(session, token, False, None), attempt)
            hold.advance(Event.RELEASE)
            yield from lock.let_go(hold, patient=False)
    except ConsulLockError:
        return False
    return not session.in_doubt
