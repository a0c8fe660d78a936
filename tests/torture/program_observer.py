"""Follows all keys below a prefix, past the library: who is on which, at which time.

`python -m tests.torture.program_observer FOLDER PREFIX`, until the file ``stopped`` is there.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.torture.history import HistoryWriter, boottime
from tests.torture.holds import ALL
from tests.torture.pace import rest

LOCK, SEMAPHORE, READ_WRITE = 3304740253564472344, 16210313421097356768, 4377101031871790599
"""The flags of keys that are locks, and documents: the first two are those of Go's client."""

_EVERY = 0.15
"""Seconds between two reads."""

_TIMEOUT = 3.0


def ask(path: str) -> Any:
    """What Consul says; None for a key that is not there.  Raises OSError or ValueError."""
    where = urlsplit(os.environ["CONSUL_HTTP_ADDR"])
    assert where.hostname, "an address with a scheme"
    connection = http.client.HTTPConnection(where.hostname, where.port or 8500, timeout=_TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise OSError(f"{answer.status} for {path}")
    return json.loads(body)


Resources = dict[str, tuple[int, int, dict[str, int]]]


def resources(entries: list[dict[str, Any]], leaders: dict[str, str]) -> Resources:
    """By name of what can be held: the index of its last change, its limit, and who has what.

    ``leaders`` are remembered from earlier reads: what a dead session takes is still of its group,
    as long as it is in a document.  Afterwards it may contend alone, or with another group.
    """
    found: Resources = {}
    inside: set[str] = set()
    leaders.update(_leaders(entries))
    for entry in entries:
        key, session = entry["Key"], entry.get("Session")
        name, _, last = key.rpartition("/")
        if "/.slot/" in key and session:
            found[key] = entry["ModifyIndex"], 1, {leaders.get(session, session): 1}
        elif last == ".lock" and entry["Flags"] in (SEMAPHORE, READ_WRITE):
            document = _value(entry)
            document = document if isinstance(document, dict) else {}
            inside.update(document.get("Holders") or {})
            found[name] = (
                entry["ModifyIndex"],
                document.get("Limit") or ALL,
                _taken(document, leaders),
            )
        elif last == ".lock":
            found[name] = entry["ModifyIndex"], 1, {session: 1} if session else {}
    for session in leaders.keys() - inside:
        del leaders[session]
    return found


def _taken(document: dict[str, Any], leaders: dict[str, str]) -> dict[str, int]:
    """What each holder takes, in the name of its leader."""
    holders: dict[str, int] = {}
    for session, what in (document.get("Holders") or {}).items():
        mode = what.get("mode") if isinstance(what, dict) else "read"
        who = leaders.get(session, session)
        holders[who] = holders.get(who, 0) + (ALL if mode == "write" else 1)
    return holders


def _leaders(entries: list[dict[str, Any]]) -> dict[str, str]:
    """Who speaks for each contender: the first of sessions that take several slots together."""
    found = {}
    for entry in entries:
        session, value = entry.get("Session"), _value(entry)
        if session and entry["Key"].endswith(f"/{session}"):
            claim = value.get("claim") if isinstance(value, dict) else None
            found[session] = (claim.get("of") if isinstance(claim, dict) else None) or session
    return found


def _value(entry: dict[str, Any]) -> Any:
    try:
        return json.loads(base64.b64decode(entry.get("Value") or ""))
    except ValueError:
        return None


class Observer:
    """Reads, and writes what it has read."""

    def __init__(self, writer: HistoryWriter, prefix: str) -> None:
        self._writer = writer
        self._prefix = quote(prefix)
        self._known: set[str] = set()
        self._leaders: dict[str, str] = {}

    def look(self) -> None:
        """One read of everything, which Consul answers from one state of its store."""
        before = boottime()
        try:
            entries = ask(f"/v1/kv/{self._prefix}?recurse&consistent") or []
        except (OSError, ValueError):
            return
        found = resources(entries, self._leaders)
        self._writer.write("seen", before=before, after=boottime(), resources=found)
        for session in {session for _, _, holders in found.values() for session in holders}:
            self._name(session)

    def _name(self, session: str) -> None:
        if session in self._known:
            return
        try:
            (about,) = ask(f"/v1/session/info/{session}") or [{}]
        except (OSError, ValueError):
            return
        self._known.add(session)
        self._writer.write("session", session=session, name=about.get("Name", ""))


def main(folder: str, prefix: str) -> None:
    """Look, again and again."""
    observer = Observer(HistoryWriter(Path(folder), "observer"), prefix)
    while not (Path(folder) / "stopped").exists():
        observer.look()
        rest(_EVERY)


if __name__ == "__main__":
    main(*sys.argv[1:])
