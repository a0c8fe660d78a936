"""What an operator can do to a Consul: plain HTTP, and nothing of consul-lock."""

from __future__ import annotations

import base64
import json
import socket
from typing import Any
from urllib.parse import quote, urlsplit

LOCK_FLAG = 3304740253564472344


class Operator:
    """``consul kv`` and ``consul session``, so to speak, for the server at ``address``."""

    def __init__(self, address: str) -> None:
        self.address = address
        place = urlsplit(address)
        self._place = place.hostname, place.port

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer; None if there is nothing there."""
        if not isinstance(body, bytes):
            body = b"" if body is None else json.dumps(body).encode()
        status, text = self._exchange(method, path, body)
        if status == 404:
            return None
        assert status == 200, (method, path, status, text)
        return json.loads(text)

    def _exchange(self, method: str, path: str, data: bytes) -> tuple[int, bytes]:
        """In HTTP/1.0, whose answer ends with the connection: thousands of tests ask some times
        each, and `http.client` takes three times as long."""
        head = f"{method} {path} HTTP/1.0\r\nContent-Length: {len(data)}\r\n\r\n"
        with socket.create_connection(self._place, 30) as connection:
            connection.sendall(head.encode() + data)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        first, _, text = answer.partition(b"\r\n\r\n")
        return int(first.split(b" ", 2)[1]), text

    # -- keys

    def keys(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Everything below a prefix, with decoded values."""
        found = self.ask("GET", f"/v1/kv/{quote(prefix)}?recurse") or ()
        return {e["Key"]: {**e, "Value": base64.b64decode(e["Value"] or "")} for e in found}

    def value(self, key: str) -> bytes | None:
        """What is stored under a key; None if there is no such key."""
        entry = self.keys(key).get(key)
        return entry["Value"] if entry else None

    def index(self, key: str) -> int:
        """The ModifyIndex of a key; 0 if there is no such key."""
        entry = self.keys(key).get(key)
        return int(entry["ModifyIndex"]) if entry else 0

    def owner(self, key: str) -> str | None:
        """The session that holds a key."""
        entry = self.keys(key).get(key, {})
        return entry.get("Session")

    def put(self, key: str, value: str) -> None:
        """``consul kv put``."""
        assert self.ask("PUT", f"/v1/kv/{quote(key)}", value.encode())

    def put_flags(self, key: str, flags: int, value: bytes) -> None:
        """``consul kv put -flags``."""
        assert self.ask("PUT", f"/v1/kv/{quote(key)}?flags={flags}", value)

    def delete(self, key: str) -> None:
        """``consul kv delete -recurse``."""
        self.ask("DELETE", f"/v1/kv/{quote(key)}?recurse")

    def revoke(self, key: str) -> None:
        """Release a key in the name of its holder."""
        assert self.ask("PUT", f"/v1/kv/{quote(key)}?release={self.owner(key)}", b"")

    # -- sessions

    def sessions(self) -> set[str]:
        """The ids of all sessions."""
        return {session["ID"] for session in self.ask("GET", "/v1/session/list")}

    def create_session(self) -> str:
        """A session of nobody, which lives until it is destroyed."""
        body = {"Name": "an operator", "LockDelay": "0s", "Behavior": "delete", "NodeChecks": []}
        return str(self.ask("PUT", "/v1/session/create", body)["ID"])

    def destroy(self, session: str | None) -> None:
        """``consul session`` has no such command, but its API has."""
        assert session
        assert self.ask("PUT", f"/v1/session/destroy/{session}", b"")

    def take(self, key: str) -> str:
        """Hold a key with a session of nobody, whatever it was before."""
        session = self.create_session()
        lock = {"Verb": "lock", "Key": key, "Session": session, "Flags": LOCK_FLAG, "Value": ""}
        operations = [{"KV": {"Verb": "delete", "Key": key}}, {"KV": lock}]
        self.ask("PUT", "/v1/txn", operations)
        assert self.owner(key) == session
        return session
