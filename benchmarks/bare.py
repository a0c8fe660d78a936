"""The floor: the requests of a `consul_lock.Lock`, sent by nothing but a socket.

No client library can be quicker than this in Python: the bytes are made beforehand, one buffer
a request, and of an answer only what is needed is looked at.  It has no timeouts, renews
nothing and handles no error, so it is a measure and not a lock.
"""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from typing import Any

FLAGS = 3304740253564472344  # Marks a key as a lock, for `consul lock` and for consul_lock.
CONTENT = json.dumps(
    {
        "v": 1,
        "since": 1790000000.123,
        "host": "worker-12.example.net",
        "pid": 123456,
        "user": "deploy",
        "command": "python -m example.jobs nightly --all",
        "ttl": 10.0,
        "lock_delay": 30.0,
        "tool": "consul-lock",
        "meta": {"job": "nightly"},
    }
)
VALUE = b64encode(CONTENT.encode()).decode()

Operation = dict[str, Any]


def check_not_exists(key: str) -> Operation:
    return {"Verb": "check-not-exists", "Key": key}


def check_session(key: str, session: str) -> Operation:
    return {"Verb": "check-session", "Key": key, "Session": session}


def lock(key: str, session: str) -> Operation:
    return {"Verb": "lock", "Key": key, "Session": session, "Value": VALUE, "Flags": FLAGS}


def unlock(key: str, session: str) -> Operation:
    return {"Verb": "unlock", "Key": key, "Session": session}


def delete(key: str) -> Operation:
    return {"Verb": "delete", "Key": key}


class Connection:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self.socket.close()

    def request(self, method: str, target: str, body: bytes = b"") -> bytes:
        head = f"{method} {target} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {len(body)}"
        return f"{head}\r\n\r\n".encode() + body

    def transaction(self, *operations: Operation) -> bytes:
        body = json.dumps([{"KV": operation} for operation in operations], separators=(",", ":"))
        return self.request("PUT", "/v1/txn", body.encode())

    def exchange(self, request: bytes) -> bytes:
        """Send it; the whole answer.  Consul gives every short answer a Content-Length."""
        self.socket.sendall(request)
        data = self.socket.recv(65536)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self.socket.recv(65536)
        at = data.index(b"Content-Length: ") + 16
        whole = end + 4 + int(data[at : data.index(b"\r\n", at)])
        while len(data) < whole:
            data += self.socket.recv(65536)
        return data

    def session(self) -> str:
        body = b'{"TTL": "3600s", "NodeChecks": [], "Behavior": "delete"}'
        answer = self.exchange(self.request("PUT", "/v1/session/create", body))
        return str(json.loads(answer.partition(b"\r\n\r\n")[2])["ID"])


def good(answer: bytes) -> bool:
    return answer.startswith(b"HTTP/1.1 200 ")


class Uncontended:
    """The two requests of a lock that nobody else wants."""

    def __init__(self, port: int, name: str) -> None:
        self._connection = connection = Connection(port)
        session, key = connection.session(), f"{name}/.lock"
        self._acquire = connection.transaction(check_not_exists(key), lock(key, session))
        self._release = connection.transaction(
            check_not_exists(f"{name}/.queue"), unlock(key, session), delete(key)
        )

    def acquire(self) -> None:
        if not good(self._connection.exchange(self._acquire)):
            raise SystemExit("bare: the lock was refused")

    def release(self) -> None:
        if not good(self._connection.exchange(self._release)):
            raise SystemExit("bare: the release was refused")

    def close(self) -> None:
        self._connection.close()


class Pair:
    """Two contenders of one lock, who hand it to each other."""

    def __init__(self, port: int, name: str) -> None:
        self.members = [Member(port, name), Member(port, name)]
        for member, other in zip(self.members, reversed(self.members), strict=True):
            member.meet(other.session)


class Member:
    """Waits with a blocking query; releases with the transaction that hands the lock over."""

    def __init__(self, port: int, name: str) -> None:
        self._connection = connection = Connection(port)
        self.session = connection.session()
        self._line, self._key = f"{name}/.queue/", f"{name}/.lock"
        entry = self._line + self.session
        self._target = f"/v1/kv/{self._key}"
        self._look = connection.request("GET", self._target)
        self._take = connection.transaction(lock(self._key, self.session), delete(entry))
        self._queue = connection.transaction(lock(entry, self.session))
        self._let_go = connection.transaction(unlock(self._key, self.session), delete(self._key))
        self._mine = self.session.encode()

    def meet(self, other: str) -> None:
        self._hand_over = self._connection.transaction(
            check_session(self._line + other, other),
            unlock(self._key, self.session),
            lock(self._key, other),
            delete(self._line + other),
        )

    def acquire(self) -> None:
        exchange = self._connection.exchange
        answer, queued = exchange(self._look), False
        while self._mine not in answer:
            if b'"Session"' not in answer:  # Free: at the start and at the end of a round.
                if good(exchange(self._take)):
                    return
                answer = exchange(self._look)
            elif queued:
                at = answer.index(b"X-Consul-Index: ") + 16
                index = answer[at : answer.index(b"\r\n", at)].decode()
                target = f"{self._target}?index={index}&wait=60s"
                answer = exchange(self._connection.request("GET", target))
            else:
                queued = good(exchange(self._queue))

    def release(self) -> None:
        if not good(self._connection.exchange(self._hand_over)):
            self._connection.exchange(self._let_go)

    def close(self) -> None:
        self._connection.close()
