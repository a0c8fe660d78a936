"""Several locks at once: all or nothing, with one session and one token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import ReadResult, key_rule
from consul_lock._protocol.consul.operations import check_session, unlock_operation
from consul_lock._protocol.consul.replies import TXN_OPERATIONS_MAX
from consul_lock._protocol.flow import Flow, Job, Request
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.holder import Holder, parse_holder
from consul_lock._protocol.keys import LockKeys, keys_of_name
from consul_lock._protocol.lock.decision import as_refused
from consul_lock._protocol.multilock.attempt import MultiLockAttempt, guarded, read_keys
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session.session import Session
from consul_lock.errors import ConfigError, LockTimeout, LossReason

NAMES_MAX = TXN_OPERATIONS_MAX
"""Locks of one `MultiLockCore`: each takes one operation of a transaction, at least."""

# Characters of the names in messages.
_SHOWN_MAX = 120


class MultiLockBase(Lockable):
    """The locks of several names; all but how they are acquired and released."""

    def __init__(self, client: ClientCore, locks: tuple[LockKeys, ...], settings: Settings) -> None:
        super().__init__(client, _shown([lock.name for lock in locks]), locks[0].key, settings)
        self.names = tuple(lock.name for lock in locks)
        self.keys = tuple(lock.key for lock in locks)
        self.named = _shown([repr(name) for name in self.names])
        """The names, each in quotes, for what is said of requests."""
        self.rule = " ".join(key_rule(key.removesuffix(".lock")) for key in self.keys)

    ends_session = True
    kind = "multilock"

    def attempt(self, owner: Any, blocking: bool, n: int = 1) -> MultiLockAttempt:
        return MultiLockAttempt(
            self.keys, self.about_now(), (self.terms, self.shared), owner, blocking
        )

    def farewell(self, session: Session) -> list[Request]:
        if not guarded(self.keys):
            return []
        operations = list[dict[str, Any]]()
        for key in self.keys:
            operations += (unlock_operation(key, session.id), {"Verb": "delete", "Key": key})
        doing = f"releasing {self.named}"
        return [self.client.api.transaction(operations, doing, self.rule)]

    # -- looking after it ----------------------------------------------------------------------

    def proof(self, hold: Hold) -> list[dict[str, Any]]:
        return [check_session(key, hold.session.id) for key in self.keys]

    def refuted(self, hold: Hold, refusal: str, timeout: float | None) -> Flow[LossReason | None]:
        return self.client.diagnose(hold, as_refused(hold.key, refusal), timeout)

    def examine(self, hold: Hold, found: ReadResult | None, timeout: float | None) -> Flow[Any]:
        if found is not None:
            if found.pair is not None and found.pair.session == hold.session.id:
                return None
            return (yield from self.client.diagnose(hold, found.pair, timeout))
        doing = f"verifying {self.named}"
        proof = self.proof(hold)
        outcome = yield from self.client.api.transact(proof, doing, self.rule, timeout=timeout)
        if outcome.done:
            return None
        return (yield from self.refuted(hold, outcome.errors[0][1], timeout))

    def look(self, hold: Hold, index: int, wait: float) -> Flow[ReadResult]:
        """Of the first key only: one long poll sees one key, and each costs a connection.  The
        others are looked at with each renewal."""
        return self.client.api.get(self.key, index, wait, consistent=True)

    def guarded(self, hold: Hold) -> Flow[list[dict[str, Any]]]:
        yield from ()
        return self.proof(hold)

    # -- questions -----------------------------------------------------------------------------

    def who(self) -> Flow[Holder | None]:
        held = yield from self._held()
        return next(iter(held.values()), None)

    def holders(self) -> Job[dict[str, Holder]]:
        """Who holds which of the locks, by name."""
        return Job(self._held())

    def _held(self) -> Flow[dict[str, Holder]]:
        pairs = yield from read_keys(self.client, self.keys)
        found = [(name, pairs.get(key)) for name, key in zip(self.names, self.keys, strict=True)]
        return {
            name: parse_holder(pair.session, pair.value, pair.modify_index)
            for name, pair in found
            if pair is not None and pair.session
        }

    def queue(self) -> Flow[list[Holder]]:
        """Nobody: it has no queue, and those of the single locks are not its own."""
        yield from ()
        return []

    def not_had(self, timeout: float | None) -> Flow[LockTimeout]:
        held = yield from self._held()
        name, holder = next(iter(held.items()), ("", None))
        why = (
            f"{name!r} is held by {holder}" if holder else "all are free just now, or in lock-delay"
        )
        return LockTimeout(
            f"{self.name!r} could not be acquired together within {timeout:g} s: {why}",
            hint="wait longer, or see who holds what with holders()",
            kind="held" if holder else "free",
            key=dict(zip(self.names, self.keys, strict=True)).get(name, self.key),
            holder=holder,
        )


def keys_of_names(names: Iterable[str]) -> tuple[LockKeys, ...]:
    """The keys of several locks.  Raises `ConfigError` for what cannot be held together."""
    if isinstance(names, str):
        raise ConfigError(
            f"names={names!r} is one string",
            hint=f"give a list of names: [{names!r}]",
            kind="value",
            settings=("names",),
        )
    locks = tuple(keys_of_name(name) for name in names)
    if not locks:
        raise ConfigError(
            "names is empty", hint="give at least one name", kind="value", settings=("names",)
        )
    if len(locks) > NAMES_MAX:
        raise ConfigError(
            f"{len(locks)} names; Consul carries out {NAMES_MAX} operations together, so more"
            " locks cannot be acquired at once",
            kind="value",
            settings=("names",),
        )
    seen = set[str]()
    for lock in locks:
        if lock.name in seen:
            raise ConfigError(
                f"{lock.name!r} is in names twice", kind="contradiction", settings=("names",)
            )
        seen.add(lock.name)
    for lock in locks:
        parts = lock.name.split("/")
        for size in range(1, len(parts)):
            if (above := "/".join(parts[:size])) in seen:
                raise ConfigError(
                    f"{above!r} and {lock.name!r} are in names, and one is above the other; these"
                    " locks know nothing of each other: leave one out",
                    kind="contradiction",
                    settings=("names",),
                )
    return locks


def _shown(names: Sequence[str]) -> str:
    """The names, for messages."""
    together = ", ".join(names)
    if len(together) <= _SHOWN_MAX:
        return together
    return f"{together[: _SHOWN_MAX - 20]}... ({len(names)} names)"
