"""Operations of a transaction: those of locks, and those that a user asks for."""

from __future__ import annotations

from typing import Any, NamedTuple

from consul_lock._protocol.consul.models import Pair, base64_text
from consul_lock._protocol.keys import LOCK_FLAG


def unchanged_operation(key: str, pair: Pair | None) -> dict[str, Any]:
    """The operation that refuses everything, unless the key is as it was read."""
    if pair is None:
        return {"Verb": "check-not-exists", "Key": key}
    return {"Verb": "check-index", "Key": key, "Index": pair.modify_index}


def check_session(key: str, session: str) -> dict[str, Any]:
    """The operation that refuses everything, unless this session holds the key."""
    return {"Verb": "check-session", "Key": key, "Session": session}


def lock_operation(key: str, session: str, value: str) -> dict[str, Any]:
    """The operation that gives a key to a session."""
    return {"Verb": "lock", "Key": key, "Session": session, "Flags": LOCK_FLAG, "Value": value}


def unlock_operation(key: str, session: str) -> dict[str, Any]:
    """The operation that frees a key, if this session holds it.

    It keeps the flags: without them Consul would write 0, and every other client would take
    the key for a foreign one.
    """
    return {"Verb": "unlock", "Key": key, "Session": session, "Flags": LOCK_FLAG}


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
            operation["Value"] = base64_text(self.value)
        if self.modify_index or "cas" in self.verb or "index" in self.verb:
            operation["Index"] = self.modify_index
        if self.flags:
            operation["Flags"] = self.flags
        return operation


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)
