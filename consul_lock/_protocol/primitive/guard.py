"""Writes to Consul that cannot happen without the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from consul_lock._protocol.consul.models import Pair, encode, key_rule
from consul_lock._protocol.consul.replies import TRANSACTION_MOST, Outcome
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold.hold import Hold
from consul_lock.errors import ConfigError, Conflict

if TYPE_CHECKING:
    from consul_lock._protocol.primitive.primitive import Primitive

# Tries, as what the guard itself compares can change while the lock goes on being held.
_TRIES = 10


class Op(NamedTuple):
    """One operation on a key, to be carried out under the guard of a lock."""

    verb: str
    key: str
    value: bytes = b""
    modify_index: int = 0
    flags: int = 0

    @classmethod
    def set(cls, key: str, value: str | bytes, flags: int = 0) -> Op:
        """Write a value (text is encoded as UTF-8)."""
        return cls("set", key, _bytes(value), 0, flags)

    @classmethod
    def cas(cls, key: str, value: str | bytes, index: int, flags: int = 0) -> Op:
        """Write a value if the key's ModifyIndex is this one; 0: if there is no such key."""
        return cls("cas", key, _bytes(value), index, flags)

    @classmethod
    def delete(cls, key: str) -> Op:
        """Delete a key, if it is there."""
        return cls("delete", key)

    @classmethod
    def delete_cas(cls, key: str, index: int) -> Op:
        """Delete a key if its ModifyIndex is this one."""
        return cls("delete-cas", key, b"", index)

    @classmethod
    def get(cls, key: str) -> Op:
        """Read a key; the whole guard is refused if there is no such key."""
        return cls("get", key)

    @classmethod
    def check_index(cls, key: str, index: int) -> Op:
        """Refuse the whole guard unless the key's ModifyIndex is this one."""
        return cls("check-index", key, b"", index)

    @classmethod
    def check_not_exists(cls, key: str) -> Op:
        """Refuse the whole guard if there is such a key."""
        return cls("check-not-exists", key)

    def wire(self) -> dict[str, Any]:
        """As Consul wants it."""
        operation: dict[str, Any] = {"Verb": self.verb, "Key": self.key}
        if self.value:
            operation["Value"] = encode(self.value)
        if self.modify_index or "cas" in self.verb or "index" in self.verb:
            operation["Index"] = self.modify_index
        if self.flags:
            operation["Flags"] = self.flags
        return operation


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def guard(lock: Primitive, hold: Hold, operations: tuple[Op, ...]) -> Flow[list[Pair]]:
    """Carry out all operations or none, and none if the lock is not ours."""
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
) -> Flow[Outcome]:
    if len(checks) + len(operations) > TRANSACTION_MOST:
        most = TRANSACTION_MOST - len(checks)
        raise ConfigError(
            f"{len(operations)} operations in one guard; Consul takes {most} at most beside the"
            f" {len(checks)} that are the guard itself",
            kind="value",
        )
    request = lock.client.wire.transaction(
        [*checks, *(operation.wire() for operation in operations)],
        f"writing under the guard of {hold.key!r}",
        key_rule(operations[0].key if operations else ""),
    )
    return (yield from lock.client.write(hold.session, request))
