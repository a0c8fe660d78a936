"""Semaphores, and what they and `consul lock` keep in Consul."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from tests.interop.primitives import primitive
from tests.support.agent import Agent
from tests.support.apis import Face

SEMAPHORE_FLAG = 16210313421097356768


def semaphore(face: Face, name: str, limit: int, client: Any, **options: Any) -> Any:
    """One of this face."""
    return primitive(face, "Semaphore", name, limit, client=client, **options)


def document(limit: int, sessions: Iterable[str]) -> bytes:
    """What Go writes, byte for byte: no spaces, holders in the order of their names."""
    holders = ",".join(f'"{session}":true' for session in sorted(sessions))
    return f'{{"Limit":{limit},"Holders":{{{holders}}}}}'.encode()


class Slots:
    """The keys of one semaphore, read and written past the library and past Go."""

    def __init__(self, agent: Agent, name: str) -> None:
        self.agent = agent
        self.name = name

    @property
    def entry(self) -> dict[str, Any] | None:
        """The key of the document."""
        return self.agent.entry(f"{self.name}/.lock")

    @property
    def document(self) -> bytes | None:
        """The bytes of the document; None if there is none."""
        entry = self.entry
        return None if entry is None else base64.b64decode(entry["Value"] or "")

    @property
    def holders(self) -> set[str]:
        """The sessions in the document."""
        found = self.document
        return set(json.loads(found)["Holders"]) if found else set()

    @property
    def contenders(self) -> set[str]:
        """The sessions that have a contender key, holders and waiters."""
        names = (key.removeprefix(f"{self.name}/") for key in self.agent.keys(f"{self.name}/"))
        return {name for name in names if not name.startswith(".")}

    @property
    def state(self) -> Any:
        """Everything below the name, with all that Consul says of it."""
        answer = self.agent.request("GET", f"/v1/kv/{self.name}/?recurse")
        return None if answer.status == 404 else answer.json()

    def write(self, value: bytes, flags: int = SEMAPHORE_FLAG) -> None:
        """Store a document."""
        where = f"/v1/kv/{self.name}/.lock?flags={flags}"
        assert self.agent.request("PUT", where, value).json() is True

    def other_contender(self, lock_delay: float = 0.0) -> str:
        """A session with a contender key, as Go makes it; it lives until it is destroyed."""
        settings = {
            "TTL": "3600s", "Behavior": "delete", "NodeChecks": [], "LockDelay": f"{lock_delay}s"
        }  # fmt: skip
        made = self.agent.request("PUT", "/v1/session/create", settings).json()["ID"]
        where = f"/v1/kv/{self.name}/{made}?acquire={made}&flags={SEMAPHORE_FLAG}"
        assert self.agent.request("PUT", where).json() is True
        return str(made)

    def destroy(self, session: str) -> None:
        """Destroy a session, and its contender key with it."""
        self.agent.request("PUT", f"/v1/session/destroy/{session}")

    def clear(self) -> None:
        """Delete everything below the name."""
        self.agent.request("DELETE", f"/v1/kv/{self.name}/?recurse")
