"""Somebody who reads all keys of some locks again and again, past the library."""

from __future__ import annotations

import base64
import json
import threading
from collections import defaultdict
from typing import Any, Self

from tests.support.agent import Agent

# Seconds between two looks, so that those who are looked at get on as well.
_PAUSE = 0.005


class KeyReader:
    """Looks at everything below a name, each time in one consistent read, which Consul answers
    from one state of its store: what two reads could show halfway, one cannot.

    ``allowed`` are, by contender, the sets of lock names that it takes, each all or nothing.
    Contenders are known by ``meta={"contender": ...}``.
    """

    def __init__(self, agent: Agent, name: str, allowed: dict[str, list[set[str]]]) -> None:
        self._agent = agent
        self._name = name
        self._allowed = allowed
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="key reader", daemon=True)
        self.looks = 0
        self.whole = 0
        """How often a session was seen that held one of its sets."""
        self.torn: list[str] = []
        """Sessions that held something else."""
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _look_on(self) -> None:
        try:
            while not self._over.wait(_PAUSE):
                where = f"/v1/kv/{self._name}/?recurse&consistent"
                answer = self._agent.request("GET", where, timeout=30.0)
                self.judge([] if answer.status == 404 else answer.json())
        except BaseException as error:  # noqa: BLE001 - raised in the test
            self.error = error

    def judge(self, entries: list[dict[str, Any]]) -> None:
        """Look at one state."""
        self.looks += 1
        held: defaultdict[str, set[str]] = defaultdict(set)
        whose: dict[str, str] = {}
        for entry in entries:
            session, (name, _, last) = entry.get("Session"), entry["Key"].rpartition("/")
            if session and last == ".lock":  # else it is an entry in the queue
                held[session].add(name.removeprefix(f"{self._name}/"))
                about = json.loads(base64.b64decode(entry["Value"]))
                whose[session] = about["meta"]["contender"]
        for session, names in held.items():
            if names in self._allowed[whose[session]]:
                self.whole += 1
            else:
                self.torn.append(f"contender {whose[session]} held {sorted(names)}")
