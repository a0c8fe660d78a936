"""Where a kind of lock lives in Consul, and what an operator can do to it there."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, Protocol

from tests.contract.operator import Operator

# What other clients know them by.
SEMAPHORE_FLAG = 16210313421097356768
READ_WRITE_FLAG = 4377101031871790599


class Layout(Protocol):
    """One way to keep a lock in Consul."""

    @property
    def has_line(self) -> bool:
        """Those who wait have a place."""

    def key(self, name: str) -> str:
        """The key that is the lock."""

    def owner(self, operator: Operator, name: str) -> str | None:
        """The session that holds it."""

    def waiting(self, operator: Operator, name: str) -> int:
        """How many are queued."""

    def take(self, operator: Operator, name: str) -> str:
        """Hold it with a session of its own, whatever it was before."""

    def revoke(self, operator: Operator, name: str) -> None:
        """Release it in the name of its holder."""

    def clear(self, operator: Operator, name: str, session: str) -> None:
        """End what was taken."""


class KeyLayout(NamedTuple):
    """The key of the lock is locked by its holder."""

    form: str = "{name}/.lock"
    has_line: bool = True

    def key(self, name: str) -> str:
        return self.form.format(name=name)

    def owner(self, operator: Operator, name: str) -> str | None:
        return operator.owner(self.key(name))

    def waiting(self, operator: Operator, name: str) -> int:
        entries = operator.keys(f"{self.key(name).removesuffix('/.lock')}/.queue/").values()
        return sum("Session" in entry for entry in entries)

    def take(self, operator: Operator, name: str) -> str:
        return operator.take(self.key(name))

    def revoke(self, operator: Operator, name: str) -> None:
        operator.revoke(self.key(name))

    def clear(self, operator: Operator, name: str, session: str) -> None:
        operator.destroy(session)


class DocumentLayout(NamedTuple):
    """The key of the lock holds a document about its holder; each contender has a key."""

    flags: int
    contender: str
    limit: int | None
    share: Any
    has_line: bool = True

    def key(self, name: str) -> str:
        return f"{name}/.lock"

    def owner(self, operator: Operator, name: str) -> str | None:
        return next(iter(self._holders(operator, name)), None)

    def waiting(self, operator: Operator, name: str) -> int:
        entries = operator.keys(f"{name}/").values()
        sessions = {e["Session"] for e in entries if "Session" in e and e["Flags"] == self.flags}
        return len(sessions - self._holders(operator, name).keys())

    def take(self, operator: Operator, name: str) -> str:
        session = operator.create_session()
        contender = self.contender.format(name=name, session=session)
        answer = operator.ask(
            "PUT", f"/v1/kv/{contender}?acquire={session}&flags={self.flags}", b"x"
        )
        assert answer is True
        self._write(operator, name, {session: self.share})
        return session

    def revoke(self, operator: Operator, name: str) -> None:
        self._write(operator, name, {})

    def clear(self, operator: Operator, name: str, session: str) -> None:
        operator.destroy(session)
        operator.delete(self.key(name))

    def _holders(self, operator: Operator, name: str) -> dict[str, Any]:
        value = operator.value(self.key(name))
        found: dict[str, Any] = json.loads(value)["Holders"] if value else {}
        return found

    def _write(self, operator: Operator, name: str, holders: dict[str, Any]) -> None:
        document = {"Limit": self.limit} if self.limit else {}
        body = json.dumps({**document, "Holders": holders}).encode()
        assert operator.ask("PUT", f"/v1/kv/{self.key(name)}?flags={self.flags}", body)


SEMAPHORE_OF_ONE = DocumentLayout(SEMAPHORE_FLAG, "{name}/{session}", 1, True)
WRITE_LOCK = DocumentLayout(
    READ_WRITE_FLAG,
    "{name}/.lock/{session}",
    None,
    {"mode": "write", "lock_delay": 3.6},
)
