"""Campaigning for an election: for ever, however long Consul is away, once it has been reached."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.error_table import complaint
from consul_lock_cli.spec.lock import LockSpec
from consul_lock_cli.spec.run import WaitPolicy

if TYPE_CHECKING:
    from consul_lock_cli.spec.lock import Lockable

FOR_EVER = 1e9
"""Seconds: how long the library retries after errors for a candidate, which stays in the queue."""

# Seconds between two looks whether Consul can be reached, until it is; then those of --retry-for.
_EVERY = 1.0


def campaign(
    spec: LockSpec,
    election: Lockable,
    wait_policy: WaitPolicy,
    wait: float | None,
    console: Console,
) -> bool:
    """Whether this process leads within ``wait`` seconds (None: for ever).

    The first contact has --retry-for, so that a wrong address fails soon: raises `Unavailable`
    then.  After that Consul may be away for any time, up to ``wait``; that is reported
    once when it has been away for --retry-for, and once when it is back.
    """
    if not wait_policy.reached:
        _reach(
            election, wait_policy.retry_for if wait is None else min(wait, wait_policy.retry_for)
        )
    over, away = threading.Event(), threading.Event()
    asked = (election, wait_policy.retry_for, console, over, away)
    threading.Thread(target=_look, args=asked, daemon=True).start()
    try:
        leads = spec.acquire(election, wait)
    finally:
        over.set()  # it is not joined, as it may be asking Consul just now
    if away.is_set():
        _back(console, away)
    return leads


def _reach(election: Any, seconds: float) -> None:
    from consul_lock import Unavailable

    end = time.monotonic() + seconds
    while True:
        try:
            election.leader()
            return
        except Unavailable:
            left = end - time.monotonic()
            if left <= 0:
                raise
        time.sleep(min(_EVERY, left))


def _back(console: Console, away: threading.Event) -> None:
    away.clear()
    console.note("Consul answers again", event="available")


def _look(
    election: Any, retry_for: float, console: Console, over: threading.Event, away: threading.Event
) -> None:
    """See whether Consul is there, while the main thread waits for the lead."""
    from consul_lock import ConsulLockError, Unavailable

    since, pause = None, max(_EVERY, retry_for)
    while not over.wait(pause):
        try:
            election.leader()
        except Unavailable as error:
            since, pause = since or time.monotonic(), _EVERY
            long = time.monotonic() - since >= retry_for
            if long and not away.is_set() and not over.is_set():
                away.set()
                console.warn(f"{complaint(error)}: campaigning goes on", event="unavailable")
            continue
        except ConsulLockError:
            continue  # reported by the campaign itself, if it matters
        if away.is_set() and not over.is_set():
            _back(console, away)
        since, pause = None, max(_EVERY, retry_for)
