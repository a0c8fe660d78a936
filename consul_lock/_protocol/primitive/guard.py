"""Writes to Consul that cannot happen without the lock."""

from __future__ import annotations

from typing import Any

from consul_lock._protocol.consul.models import Pair, key_rule
from consul_lock._protocol.consul.operations import Op
from consul_lock._protocol.consul.replies import TXN_OPERATIONS_MAX, TxnResult
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.primitive.primitive import Primitive
from consul_lock.errors import ConfigError, Conflict

# Tries, as what the guard itself compares can change while the lock goes on being held.
_TRIES = 10


def guard(lock: Primitive, hold: Hold, operations: tuple[Op, ...]) -> Flow[list[Pair]]:
    """Carry out all operations or none, and none if the lock is not held."""
    refused = "it changed too often"
    for _ in range(_TRIES):
        checks = yield from lock.guarded(hold)
        if checks is not None:
            outcome = yield from _write(lock, hold, checks, operations)
            if outcome.done:
                return list(outcome.pairs[len(checks) :])
            refused = outcome.reasons
            if not any(operation < len(checks) for operation, _ in outcome.errors):
                break
        reason = yield from lock.examine(hold, None, None)
        if reason is not None:
            yield from lock.client.lose(hold, reason)
            raise lock.lost_error(hold)
    raise Conflict(
        f"nothing was written under the guard of {hold.key!r}: {refused}",
        kind="guard",
        key=hold.key,
    )


def _write(
    lock: Primitive, hold: Hold, checks: list[dict[str, Any]], operations: tuple[Op, ...]
) -> Flow[TxnResult]:
    if len(checks) + len(operations) > TXN_OPERATIONS_MAX:
        most = TXN_OPERATIONS_MAX - len(checks)
        raise ConfigError(
            f"{len(operations)} operations in one guard; Consul takes {most} at most beside the"
            f" {len(checks)} that are the guard itself",
            kind="value",
        )
    request = lock.client.api.transaction(
        [*checks, *(operation.wire() for operation in operations)],
        f"writing under the guard of {hold.key!r}",
        key_rule(operations[0].key if operations else ""),
    )
    return (yield from lock.client.write(hold.session, request))
