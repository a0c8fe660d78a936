"""Somebody who reads the holder document of a semaphore again and again, past the library."""

from __future__ import annotations

import base64
import json
import threading
from typing import Self

from tests.support.agent import Agent
from tests.support.overlap_check import Hold

# Seconds that one question may take; a blocking query wakes earlier when something changes.
_WAIT = 2


class DocumentReader:
    """Follows the document by blocking queries, in a thread, while the block runs."""

    def __init__(self, agent: Agent, name: str) -> None:
        self._agent = agent
        self._key = f"{name}/.lock"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="document reader", daemon=True)
        self.documents: dict[int, set[str]] = {}
        """Sessions that hold, by the index of the write that made it so."""
        self.limits: set[int] = set()
        """What the documents said about how many may."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _follow(self) -> None:
        index = 0
        while not self._over.is_set():
            where = f"/v1/kv/{self._key}?consistent&index={index}&wait={_WAIT}s"
            answer = self._agent.request("GET", where, timeout=30.0)
            index = int(answer.headers["x-consul-index"])
            if answer.status != 200:
                continue  # nobody holds: there is no document
            (entry,) = answer.json()
            document = json.loads(base64.b64decode(entry["Value"]))
            self.documents[entry["ModifyIndex"]] = set(document["Holders"])
            self.limits.add(document["Limit"])

    def too_many(self, limit: int) -> list[str]:
        """Documents with more holders than there are slots, believed or not."""
        return [f"{i}: {who}" for i, who in self.documents.items() if len(who) > limit]

    def wrong_grants(self, holds: list[Hold]) -> list[str]:
        """Holds whose token is the index of a document that does not name them."""
        return [
            str(hold)
            for hold in holds
            if hold.token in self.documents and hold.session not in self.documents[hold.token]
        ]

    def seen(self, holds: list[Hold]) -> float:
        """The part of these holds whose token is the index of a document that was seen."""
        return sum(hold.token in self.documents for hold in holds) / max(1, len(holds))
