"""Confirming a lock that was handed over, in time: see `hold.confirmation` for the time line."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.client.base import ClientBase
from consul_lock._protocol.consul.models import base64_text
from consul_lock._protocol.consul.operations import lock_operation
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.flow import Flow, Now, Sleep
from consul_lock._protocol.hold.confirmation import Unconfirmed, is_unconfirmed
from consul_lock._protocol.hold.hold import Held, Hold
from consul_lock._protocol.holder import OwnerInfo
from consul_lock._protocol.session.session import Session
from consul_lock.errors import ConsulLockError, Unavailable

# Seconds between tries to confirm, when a try was not answered at once.
_RETRY = (0.05, 0.1)

# The same after a try that a limit of requests has refused.
_LIMITED_RETRY = (0.4, 0.6)


def confirm(
    client: ClientBase,
    lock: Held,
    session: Session,
    about: OwnerInfo,
    handed: tuple[int, float, int],
    timeout: float | None = None,
) -> Flow[TxnResult]:
    """Confirm what was ``handed`` over: the index, since when, and the fencing token."""
    index, since, token = handed
    operations: list[dict[str, Any]] = [
        {"Verb": "check-index", "Key": lock.key, "Index": index},
        lock_operation(lock.key, session.id, base64_text(about.value(since, token))),
    ]
    request = client.api.transaction(
        operations, f"confirming {lock.key!r}", lock.rule, timeout=timeout
    )
    return (yield from client.write(session, request))


def settle(client: ClientBase, hold: Hold) -> Flow[None]:
    """Confirm a hold in the time that it counts; else the watchdog reports its loss."""
    while hold.counts((yield Now())) and (pending := hold.unconfirmed) is not None:
        try:
            if (yield from _confirmed(client, hold, pending)):
                with client.mutex:
                    hold.unconfirmed = None
                return
        except Unavailable:
            pass  # whether it was carried out is asked, as long as there is time
        except ConsulLockError:
            return  # it may not be confirmed, such as after a change of rules
        yield Sleep(*(_LIMITED_RETRY if client.contact.limit.known else _RETRY))


def _confirmed(client: ClientBase, hold: Hold, pending: Unconfirmed) -> Flow[bool]:
    """One try to confirm it, and a look if that was not carried out, or not answered."""
    lock = hold.lock
    handed = (pending.modify_index, pending.since, hold.token)
    try:
        left = yield from _left(pending)
        outcome = yield from confirm(client, lock, hold.session, hold.attempt.about, handed, left)
        if outcome.done:
            return True
    except Unavailable:
        pass
    left = yield from _left(pending)
    found = yield from client.api.get(lock.key, consistent=True, timeout=left)
    pair = found.pair
    if pair is None or pair.session != hold.session.id:
        reason = yield from client.diagnose(hold, pair, left)
        yield from client.lose(hold, reason)
    elif pair.modify_index != pending.modify_index and not is_unconfirmed(pair):
        # By this client's write; or it was overwritten, and with that no waiter can take over.
        hold.mark_alive(found.sent)
        return True
    else:
        hold.unconfirmed = pending._replace(modify_index=pair.modify_index)
    return False


def _left(pending: Unconfirmed) -> Flow[float]:
    """Seconds that a request may take."""
    now = yield Now()
    left: float = pending.until - now
    return max(0.05, left)
