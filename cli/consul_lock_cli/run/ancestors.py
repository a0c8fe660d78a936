"""Locks that ancestors of this process hold: waiting for one of them would never end.

A command that runs under a lock may call `consul-lock` again.  What its ancestors hold is in
its environment: a JSON list, as CONSUL_LOCK_KEY names only the nearest lock.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.text import shown
from consul_lock_cli.spec.lock import LockKind, LockSpec

CHAIN = "CONSUL_LOCK_CHAIN"
"""The variable with all of them, the nearest last."""

_READ, _WRITE = "read", "write"


class HeldLock(NamedTuple):
    """What one ancestor holds."""

    keys: tuple[str, ...]
    mode: str = LockKind.LOCK
    limit: int | None = 1
    session: str = "unknown"
    host: str = ""
    pid: int = 0
    place: str | None = None
    """Where its cluster keeps it, see `Connection.place`; None: it does not say."""

    def gone(self) -> bool:
        """Whether it is known to have ended: a daemon keeps the environment of its start."""
        if self.host != os.uname().nodename or self.pid <= 0:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


def refuse_own_ancestors(
    spec: LockSpec, wait: float | None, place: str, environ: Mapping[str, str] = os.environ
) -> None:
    """Raise `Misuse` if the wait could only end when this process ends.

    Where others could come in between, as a writer between two readers, it may go well, and
    is not refused; nor is the same name in another datacenter, namespace or partition.
    """
    if wait == 0:
        return
    here = [held for held in _ancestors(environ) if held.place in (None, place)]
    for key, session in _clashes(spec, here):
        raise deadlock(key, session)


def deadlock(key: str, session: str) -> Misuse:
    """The error for waiting for what an ancestor holds."""
    return Misuse(
        f"{shown(key)} would deadlock with an ancestor of this process"
        f" (session {shown(session)}), which holds it",
        "use another --key, or -n to give up at once",
    )


def named_ancestors(environ: Mapping[str, str] = os.environ) -> frozenset[int]:
    """The processes of this host that the environment speaks of."""
    host = os.uname().nodename
    return frozenset(held.pid for held in _ancestors(environ) if held.host == host)


def chain_with(
    spec: LockSpec, session: str | None, place: str, environ: Mapping[str, str] = os.environ
) -> str:
    """The variable for a command that runs under this lock."""
    process = (os.uname().nodename, os.getpid())
    own = HeldLock(spec.keys, spec.mode, spec.limit, session or "", *process, place)
    chain = [held for held in _ancestors(environ) if not held.gone()]
    return json.dumps([held._asdict() for held in [*chain, own]], separators=(",", ":"))


def _ancestors(environ: Mapping[str, str]) -> list[HeldLock]:
    if CHAIN in environ:
        return list(_parsed(environ[CHAIN]))
    if environ.get("CONSUL_LOCK_HELD") != "true" or not environ.get("CONSUL_LOCK_KEY"):
        return []
    limit = environ.get("CONSUL_LOCK_LIMIT", "1")
    return [
        HeldLock(
            tuple(environ["CONSUL_LOCK_KEY"].split("\n")),
            environ.get("CONSUL_LOCK_MODE", LockKind.LOCK),
            int(limit) if limit.isdecimal() else None,
            environ.get("CONSUL_LOCK_SESSION", "unknown"),
        )
    ]


def _parsed(text: str) -> Iterator[HeldLock]:
    """What is in the variable; foreign content is ignored."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    for each in found if isinstance(found, list) else ():
        fields = each if isinstance(each, dict) else {}
        keys = fields.get("keys")
        if isinstance(keys, list) and keys and all(isinstance(key, str) for key in keys):
            limit, pid, place = (fields.get(name) for name in ("limit", "pid", "place"))
            yield HeldLock(
                tuple(keys),
                str(fields.get("mode")),
                limit if isinstance(limit, int) else None,
                str(fields.get("session")),
                str(fields.get("host")),
                pid if isinstance(pid, int) and 0 < pid < 2**31 else 0,
                place if isinstance(place, str) else None,
            )


def _clashes(spec: LockSpec, ancestors: list[HeldLock]) -> Iterator[tuple[str, str]]:
    """The keys that cannot be acquired before an ancestor ends, and its session."""
    wanted = _claims(spec.keys, spec.mode)
    alive = [held for held in ancestors if not held.gone()]
    for held in alive:
        for claim, access in _claims(held.keys, held.mode).items():
            if claim in wanted and _WRITE in (access, wanted[claim]):
                yield claim[1], held.session
    if spec.mode is LockKind.SEMAPHORE:
        slots = [h for h in alive if h.mode == LockKind.SEMAPHORE and h.keys == spec.keys]
        if len(slots) >= (spec.limit or 1):
            yield spec.keys[0], slots[-1].session


def _claims(keys: tuple[str, ...], mode: str) -> dict[tuple[str, str], str]:
    """What a lock takes: two that take the same exclude each other, unless both read."""
    if mode in (LockKind.LOCK, LockKind.MULTI, LockKind.LEADER):
        return {("lock", key): _WRITE for key in keys}
    if mode == LockKind.SHARED:
        return {("document", keys[0]): _READ}
    if mode == LockKind.EXCLUSIVE:
        return {("document", keys[0]): _WRITE}
    if mode == LockKind.TREE:
        parts = keys[0].split("/")
        above: dict[tuple[str, str], Any] = {
            ("document", "/".join(parts[:n])): _READ for n in range(1, len(parts))
        }
        return {**above, ("document", keys[0]): _WRITE}
    return {}
