"""Talk to a Consul, real or not, and write down what matters of its answers.

A script is a function that is given a `Talk`.  Run against two servers it must leave the same
log.  So the log holds nothing that may differ: indexes count from where the script began, and
session ids are numbered in the order in which they appear.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

Body = str | bytes | list[Any] | dict[str, Any] | None
Record = tuple[Any, ...]

_HEADERS = (
    "content-type",
    "x-consul-index",
    "x-consul-knownleader",
    "x-consul-lastcontact",
    "x-consul-query-backend",
    "x-consul-default-acl-policy",
    "allow",
    "location",
    "content-security-policy",
)
_PATIENCE = 60.0
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_INDEX_TEXT = re.compile(r"(?<=current modify index )(\d+) != (\d+)")
_INDEX_FIELDS = {"CreateIndex", "ModifyIndex"}


@dataclass(frozen=True)
class Said:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def index(self) -> int:
        return int(self.headers["x-consul-index"])


class Pending(Protocol):
    """A request that may not be answered yet."""

    def poll(self) -> Said | None: ...


class Line(Protocol):
    """A way to a server."""

    def ask(self, method: str, target: str, body: bytes | None) -> Said: ...

    def begin(self, method: str, target: str, body: bytes | None) -> Pending: ...

    def now(self) -> float: ...

    def pause(self) -> None:
        """Let a little time pass."""


class Talk:
    """One script against one server."""

    def __init__(self, line: Line, prefix: str) -> None:
        self.line = line
        self.prefix = prefix
        self.log: list[Record] = []
        self._ids: dict[str, str] = {}
        self._base = self._clean()

    def _clean(self) -> int:
        """Empty the server; return the index from which on all indexes are comparable."""
        for session in self.line.ask("GET", "/v1/session/list", None).json:
            self.line.ask("PUT", f"/v1/session/destroy/{session['ID']}", None)
        self.line.ask("PUT", "/v1/kv/start", b"")
        self.line.ask("DELETE", "/v1/kv/?recurse", None)
        session = self.line.ask("PUT", "/v1/session/create", None).json["ID"]
        self.line.ask("PUT", f"/v1/session/destroy/{session}", None)
        self.line.ask("PUT", "/v1/kv/start", b"")
        base = self.line.ask("GET", "/v1/kv/start", None).index
        self.line.ask("DELETE", "/v1/kv/start", None)
        return base

    def __call__(self, method: str, path: str, body: Body = None, *, loose: bool = False) -> Said:
        """Ask, and log the answer; if ``loose``, only its status."""
        said = self.line.ask(method, self._target(path), _bytes(body))
        self._note(said, loose=loose)
        return said

    def session(self, *, lock_delay: str = "0s", **fields: Any) -> str:
        """Create a session, without checks unless they are given."""
        asked = {"NodeChecks": [], "LockDelay": lock_delay, **fields}
        return str(self("PUT", "/v1/session/create", asked).json["ID"])

    def txn(self, *ops: dict[str, Any]) -> Said:
        """A transaction; keys are below the script's own prefix."""
        return self("PUT", "/v1/txn", [self._own(op) for op in ops])

    def _own(self, op: dict[str, Any]) -> dict[str, Any]:
        return {"KV": {**op["KV"], "Key": f"{self.prefix}/{op['KV']['Key']}"}}

    @contextmanager
    def while_asking(self, path: str) -> Iterator[Callable[[], Said]]:
        """A blocking GET goes on during the block; what is yielded waits for its answer."""
        pending = self.line.begin("GET", self._target(path), None)
        # The server has it when it has answered a few others after it.  Were it late all the
        # same, the logs would differ and the script be run again.
        for _ in range(5):
            self.line.ask("GET", "/v1/status/leader", None)

        def answer() -> Said:
            said = self._wait(pending.poll)
            self._note(said)
            return said

        yield answer

    @contextmanager
    def ends_or_not(self, path: str, wait: float) -> Iterator[None]:
        """A blocking GET goes on during the block; whether its time was out is in the log."""
        start = self.line.now()
        with self.while_asking(f"{path}&wait={wait}s") as answer:
            yield
            answer()
        self.log.append(("waited", self.line.now() - start >= wait))

    def unanswered(self, path: str) -> None:
        """A blocking GET (with a short ``wait``) is answered by its timeout, not before."""
        start = self.line.now()
        pending = self.line.begin("GET", self._target(path), None)
        self._note(self._wait(pending.poll))
        self.log.append(("took", self.line.now() - start > 0.2))

    def until(
        self, good: Callable[[Said], bool], method: str, path: str, body: Body = None
    ) -> float:
        """Ask until the answer is ``good``; log that one; return the seconds it took."""
        start = self.line.now()

        def ask() -> Said | None:
            said = self.line.ask(method, self._target(path), _bytes(body))
            return said if good(said) else None

        self._note(self._wait(ask))
        return self.line.now() - start

    def _wait(self, condition: Callable[[], Said | None]) -> Said:
        start = self.line.now()
        while (found := condition()) is None:
            assert self.line.now() - start < _PATIENCE, "the answer never came"
            self.line.pause()
        return found

    def _target(self, path: str) -> str:
        return path if path.startswith("/v1") else f"/v1/kv/{self.prefix}/{path}"

    # -- the log

    def _note(self, said: Said, *, loose: bool = False) -> None:
        if loose:
            self.log.append((said.status,))
            return
        headers = {name: said.headers[name] for name in _HEADERS if name in said.headers}
        if "x-consul-index" in headers:
            headers["x-consul-index"] = str(self._relative(int(headers["x-consul-index"])))
        body: Any = said.body
        if said.body and headers.get("content-type") == "application/json":
            body = self._normal(said.json)
        elif headers.get("content-type", "").startswith("text/"):
            body = self._normal(said.body.decode())
        self.log.append((said.status, headers, body))

    def _relative(self, index: int) -> int:
        return max(index - self._base, -3)

    def _normal(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: self._relative(item) if name in _INDEX_FIELDS else self._normal(item)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return sorted((self._normal(item) for item in value), key=_by_age)
        if isinstance(value, str):
            value = _UUID.sub(self._number, value)
            return _INDEX_TEXT.sub(self._compared, value)
        return value

    def _compared(self, found: re.Match[str]) -> str:
        one, other = (self._relative(int(index)) for index in found.groups())
        return f"{one} != {other}"

    def _number(self, found: re.Match[str]) -> str:
        return self._ids.setdefault(found[0], f"<session {len(self._ids) + 1}>")


def _by_age(item: Any) -> int:
    """A list of sessions comes in the order of their ids, which are random; others stay."""
    return int(item["CreateIndex"]) if isinstance(item, dict) and "LockDelay" in item else 0


def op(verb: str, key: str, **fields: Any) -> dict[str, Any]:
    """An operation of a transaction."""
    return {"KV": {"Verb": verb, "Key": key, **fields}}


def _bytes(body: Body) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()
