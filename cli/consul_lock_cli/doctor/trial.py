"""A lock on trial: every step that a lock takes, on a key that nobody else uses."""

from __future__ import annotations

import base64
import contextlib
import time
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.finding import Finding, Trouble, ok, warn
from consul_lock_cli.doctor.http import AgentAnswer

# Of the time that a long poll should last: less is no long poll.
_HELD = 0.8


class _Step(NamedTuple):
    """What is done, and what a token needs for it."""

    doing: str
    rule: str


class Trial:
    """One session and one key.  As a context manager it leaves nothing behind."""

    def __init__(self, context: DoctorContext) -> None:
        self._ask = context.agent.ask
        self._patient = context
        self.key = f"{context.key}/.doctor-{uuid.uuid4()}"
        self._path = f"/v1/kv/{self.key}"
        self._session = ""
        self._made = _Step("creating a session", 'session_prefix "" { policy = "write" }')
        self._kept = _Step(
            f"writing {self.key}", f'key_prefix "{context.key}" {{ policy = "write" }}'
        )
        self._read = _Step(
            f"reading {self.key}", f'key_prefix "{context.key}" {{ policy = "read" }}'
        )

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_: object) -> None:
        if self._session:
            # The session ends by itself, and the key with it; if possible, at once.
            with contextlib.suppress(Trouble):
                self._ask("PUT", f"/v1/session/destroy/{self._session}")
            with contextlib.suppress(Trouble):
                self._ask("DELETE", self._path)

    def create(self) -> None:
        """Make the session, as a lock does: without checks, its keys go with it."""
        body = {
            "Name": "consul-lock doctor",
            "TTL": f"{self._patient.ttl:g}s",
            # Nobody waits for this key.
            "LockDelay": "0s",
            "Behavior": "delete",
            "NodeChecks": [],
            "ServiceChecks": [],
        }
        answer = self._good(self._ask("PUT", "/v1/session/create", body), self._made)
        self._session = answer.read(lambda made: str(made["ID"]))
        if self._patient.node is None:
            found = self._ask("GET", f"/v1/session/info/{self._session}")
            if found.status == 200:
                self._patient.node = found.read(
                    lambda known: str(known[0].get("Node")) if known else None
                )

    def lock(self) -> None:
        """Lock the key, if there is none: one transaction."""
        value = base64.b64encode(b"consul-lock doctor").decode()
        where = {"Key": self.key, "Session": self._session}
        operations: list[dict[str, Any]] = [
            {"KV": {"Verb": "check-not-exists", "Key": self.key}},
            {"KV": {"Verb": "lock", "Value": value, **where}},
        ]
        self._good(self._ask("PUT", "/v1/txn", operations), self._kept)

    def renew(self) -> None:
        """Renew the session, which is young."""
        answer = self._good(self._ask("PUT", f"/v1/session/renew/{self._session}"), self._made)
        if answer.status == 404:
            raise Trouble(
                "the session was gone a moment later", "are sessions destroyed by another program?"
            )

    def compare_and_set(self) -> None:
        """A write under a condition that does not hold is refused, one that holds is done."""
        index = self.index()
        for asked, expected in ((index + 1, False), (index, True)):
            answer = self._ask("PUT", self._path, "still held", cas=asked)
            if self._good(answer, self._kept).json() is not expected:
                raise Trouble(
                    f"a write with cas={asked} was {'refused' if expected else 'done'}, though the"
                    f" index is {index}",
                    "does somebody else write this key, or a proxy answer in Consul's place?",
                )

    def index(self) -> int:
        """The ModifyIndex of the key."""
        found = self._good(self._ask("GET", self._path, consistent=""), self._read)
        if found.status == 404:
            raise Trouble(
                f"{self.key} was written but cannot be read",
                f"the token may not read it: {self._read.rule}",
                ExitCode.PERMISSION,
            )
        return found.read(lambda pairs: int(pairs[0]["ModifyIndex"]))

    def poll(self, seconds: float) -> float:
        """Wait for a change that does not come; how long that took."""
        index = self.index()
        wait = f"{max(1, round(seconds * 1000))}ms"
        # Consul adds up to a sixteenth.
        limit = seconds * 17 / 16 + self._patient.config.request_timeout
        started = time.monotonic()
        answer = self._ask("GET", self._path, timeout=limit, index=index, wait=wait)
        self._good(answer, self._read)
        return time.monotonic() - started

    def release(self) -> None:
        """Let the key go."""
        answer = self._ask("PUT", self._path, "released", release=self._session)
        if self._good(answer, self._kept).json() is not True:
            raise Trouble(
                "the key was lost before it was released", "does another program write it?"
            )

    def destroy(self) -> None:
        """End the session and delete the key: nothing is left."""
        self._good(self._ask("PUT", f"/v1/session/destroy/{self._session}"), self._made)
        self._good(self._ask("DELETE", self._path), self._kept)
        if self._ask("GET", self._path, consistent="").status == 200:
            raise Trouble(
                f"{self.key} still exists after its deletion", "does another program write it?"
            )
        if self._ask("GET", f"/v1/session/info/{self._session}", consistent="").json():
            raise Trouble("the session is still there after its end", "see the servers' logs")
        self._session = ""

    def _good(self, answer: AgentAnswer, step: _Step) -> AgentAnswer:
        """The answer, if it is one; raises `Trouble` if not."""
        if answer.denied:
            node = self._patient.node
            where = f' on node "{shown(node)}"' if node and step is self._made else ""
            unknown = "ACL not found" in answer.text
            raise Trouble(
                f"permission denied: {step.doing}{where}",
                "the token is unknown to the cluster" if unknown else f"it needs {step.rule}",
                ExitCode.PERMISSION,
            )
        if answer.status not in (200, 404):
            raise Trouble(
                f"{step.doing}: Consul answered HTTP {answer.status}:"
                f" {shown(answer.text.strip(), 160)}",
                "the servers may be configured for other limits",
                ExitCode.CONFIG,
            )
        return answer


@contextlib.contextmanager
def _locked(context: DoctorContext) -> Iterator[Trial]:
    with Trial(context) as trial:
        trial.create()
        trial.lock()
        yield trial


def trial(context: DoctorContext) -> Finding:
    """All steps once; nothing is left, even if one of them fails."""
    started = time.monotonic()
    with _locked(context) as tried:
        tried.renew()
        tried.compare_and_set()
        tried.release()
        tried.destroy()
    took = (time.monotonic() - started) * 1000
    return ok(f"locked, renewed and released {context.key}/.doctor-... ({took:.0f}ms)")


def long_poll(context: DoctorContext) -> Finding:
    """Consul, and any proxy before it, lets a blocking query stay open: waiters need that."""
    with _locked(context) as tried:
        took = tried.poll(context.poll)
    asked = show_duration(context.poll)
    if took < context.poll * _HELD:
        return warn(
            f"a long poll of {asked} was answered after {show_duration(took)}",
            "a proxy may drop its parameters: waiters would poll without a pause",
        )
    return ok(f"blocking queries work ({asked})")
