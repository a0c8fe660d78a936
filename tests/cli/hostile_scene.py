"""Locks and cron jobs in Consul whose every text another user has chosen: what a terminal obeys,
what turns text around, what looks like a line of consul-lock, markup, and words of a shell."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import quote

from tests.support.raw_kv import RawConsul

FORGED = "consul-lock: released (0)"

HOSTILE = (
    "web\x1b[2J\x1b]8;;http://x.invalid\x07here\x1b]8;;\x07\x1b[6n\x1b]0;title\x1b\\\x9b1;1H\x85\x7f\x08\0"
    f"\r\n{FORGED}\n\u2028\u2029\u202e\u2066\u200b\ufeff\u00ad\U000e0041"
    "<script>alert(1)</script>{0}%s$(id)`id`'\""
)
"""For values.  It is no word of a shell, nor harmless HTML; what shows it has to escape it."""

# A part of a key has no slash.  Newer servers refuse what is not printable: `writable` says so.
NAME = HOSTILE.replace("/", "").replace("\0", "")

# The colours of consul-lock's own text, how it clears the screen and the line, and nothing else.
_OWN = re.compile("\x1b\\[(?:0|1|3[0-7])m|\x1b\\[H\x1b\\[2J|\r\x1b\\[K")

_FLAG = 3304740253564472344
_DOCUMENT_FLAG = 4377101031871790599
_SEMAPHORE_FLAG = 16210313421097356768
_CRON_FLAG = 6231955483607814123

_DEAD = "11111111-2222-3333-4444-555555555555"
"""A session that is not there any more."""


def harmful(text: str) -> list[str]:
    """The characters that a terminal would obey, or that hide or turn what stands beside them, and
    a line that consul-lock has not written."""
    left = _OWN.sub("", text).replace("\r\n", "\n")
    found = sorted({repr(c) for c in left if not c.isprintable() and c != "\n"})
    return found + [line for line in left.splitlines() if line.startswith(FORGED)]


class HostileScene:
    """What is below ``prefix``, in a Consul that may be written to."""

    def __init__(self, consul: RawConsul, prefix: str) -> None:
        self._consul = consul
        self.prefix = prefix
        self._sessions: list[str] = []
        # Of this scene alone: with its node the sessions of the other one would end.
        self.node = f"node {prefix} {NAME}"
        answer = consul.request(
            "PUT",
            "/v1/catalog/register",
            {"Node": self.node, "Address": "127.0.0.1", "SkipNodeUpdate": False,
             "Check": {"CheckID": NAME, "Name": NAME, "Status": "passing", "Output": HOSTILE}},
        )  # fmt: skip
        self.writable = answer.status == 200
        if not self.writable:
            self.node = ""
        self._locks()
        self._documents()
        self._jobs()

    def name(self, last: str) -> str:
        """A name of the scene."""
        return f"{self.prefix}/{last}"

    def close(self) -> None:
        """Leave nothing behind."""
        for session in self._sessions:
            self._consul.request("PUT", f"/v1/session/destroy/{session}")
        self._consul.request("DELETE", f"/v1/kv/{quote(self.prefix)}/?recurse")
        if self.node:
            self._consul.request("PUT", "/v1/catalog/deregister", {"Node": self.node})

    # -- what others have written ---------------------------------------------------------------

    def _locks(self) -> None:
        self._lock("lock")
        waiter = self._session()
        self._put(f"lock/.queue/{waiter}", self._about(), waiter)
        self._put("lock/.queue", f"{waiter} 1")
        self._put("lead/.lock", {**self._about(), "value": HOSTILE}, self._session())
        self._put("dead/.lock", self._about())
        self._put("foreign/.lock", HOSTILE, self._session(), 5)
        self._put("text", HOSTILE, flags=0)
        breaker = self._session()
        self._put("broken/.lock", self._about())
        note = {"v": 1, "at": time.time(), "host": HOSTILE, "user": HOSTILE, "reason": HOSTILE}
        self._put(f"broken/.break/{self._session()}", note, breaker)
        if self._put(f"{NAME}/.lock", self._about(), self._session()):
            self._put(f"dead {NAME}/.lock", self._about())
            self._put(f"job {NAME}/.cron", self._record(), flags=_CRON_FLAG)
            self._put(f"foreign {NAME}/.lock", HOSTILE, flags=5)

    def _lock(self, name: str) -> str:
        session = self._session()
        self._put(f"{name}/.lock", self._about(), session)
        return session

    def _documents(self) -> None:
        for name, mode, below, flags in (
            ("rw", "write", "/.lock/", _DOCUMENT_FLAG), ("sem", "slot", "/", _SEMAPHORE_FLAG),
        ):  # fmt: skip
            session = self._session()
            claim = {"mode": mode, "places": 1, "of": session, "n": 1}
            self._put(
                f"{name}{below}{session}",
                {"claim": claim, "in": True, **self._about()}, session, flags,
            )  # fmt: skip
            holders: dict[str, Any] = {session: {"mode": mode}}
            document: dict[str, Any] = {"Holders": holders}
            if name == "sem":
                document = {"Limit": 2, "Holders": {session: True, _DEAD: True}}
            self._put(f"{name}/.lock", document, flags=flags)

    def _jobs(self) -> None:
        self._put("job/.cron", self._record(), flags=_CRON_FLAG)
        for name, field in (("none", ""), ("newer", "v"), ("odd", "state"), ("id", "slot")):
            value = {**self._record(), field: HOSTILE} if field else HOSTILE
            self._put(f"{name}/.cron", value, flags=_CRON_FLAG)
        session = self._lock("busy")
        running = {**self._record(), "state": "running", "session": session, "paused": None}
        self._put("busy/.cron", running, flags=_CRON_FLAG)
        before = time.time() // 3600 * 3600 - 3600
        lost = {**running, "session": _DEAD, "slot": before, "claimed_at": before}
        self._put("lost/.cron", lost, flags=_CRON_FLAG)
        idle = {**self._record(), "paused": None, "slot": time.time() // 3600 * 3600 - 36000}
        self._put("idle/.cron", idle, flags=_CRON_FLAG)

    def _about(self) -> dict[str, Any]:
        texts = dict.fromkeys(("host", "user", "command", "tool"), HOSTILE)
        return {
            "v": 1, "since": time.time() - 60, "pid": 4242, **texts, "ttl": 10.0,
            "lock_delay": 30.0, "meta": {HOSTILE: HOSTILE, "reason": HOSTILE},
        }  # fmt: skip

    @staticmethod
    def _record() -> dict[str, Any]:
        now = time.time()
        slot = now // 3600 * 3600
        past = {
            "slot": slot - 3600, "attempt": 1, "state": "failed", "host": HOSTILE,
            "claim": HOSTILE, "claimed_at": slot - 3600, "runtime": 1.0, "exit": 1,
        }  # fmt: skip
        return {
            "v": 1, "slot": slot, "state": "failed", "attempt": 1, "claim": HOSTILE,
            "host": HOSTILE, "pid": 4242, "session": HOSTILE[:60], "token": 7, "schedule": HOSTILE,
            "overlaps": 1, "overlapped": HOSTILE, "offset": 0.0, "every": 3600.0,
            "claimed_at": slot, "started_at": slot, "finished_at": slot + 1, "runtime": 1.0,
            "exit": 1, "paused": {"by": HOSTILE, "at": now, "until": None, "reason": HOSTILE},
            "changed": {"what": HOSTILE, "by": HOSTILE, "at": now},
            "skipped": [],
            "history": [past, {**past, "slot": None}],
        }  # fmt: skip

    def _session(self) -> str:
        asked = {"Name": HOSTILE, "LockDelay": "0s", "Behavior": "release", "NodeChecks": []}
        if self.node:
            asked |= {"Node": self.node, "NodeChecks": [NAME], "Checks": [NAME]}
        answer = self._consul.request("PUT", "/v1/session/create", asked)
        assert answer.status == 200, answer
        self._sessions.append(answer.json()["ID"])
        return self._sessions[-1]

    def _put(self, key: str, value: Any, session: str = "", flags: int = _FLAG) -> bool:
        text = value if isinstance(value, str) else json.dumps(value)
        acquire = f"&acquire={session}" if session else ""
        path = f"/v1/kv/{quote(self.name(key))}?flags={flags}{acquire}"
        answer = self._consul.request("PUT", path, text.encode())
        if answer.status == 400 and NAME in key:
            return False  # newer servers refuse such a name
        assert answer.status == 200, answer
        assert answer.json() is True, answer
        return True
