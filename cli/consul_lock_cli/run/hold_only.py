"""`run --hold`: hold the lock with no command, until a signal comes."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from consul_lock_cli.base.clock import rfc3339
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.process.interrupt import Interrupted, interruptible
from consul_lock_cli.process.signals import Signals
from consul_lock_cli.run.environment import all_keys
from consul_lock_cli.run.loss import LossReport
from consul_lock_cli.spec.lock import LockSpec

if TYPE_CHECKING:
    from consul_lock_cli.spec.lock import Lockable


def keep(
    spec: LockSpec,
    lock: Lockable,
    slot: int | None,
    loss: LossReport,
    console: Console,
    signals: Signals,
) -> bool:
    """Print to stdout what is held, and wait.  Whether it was lost; a signal is no loss.

    Raises `Misuse` if stdout cannot be written.
    """
    acquired = time.time()
    about = {
        "v": 1, "event": "acquired", "key": all_keys(spec), "keys": list(spec.keys),
        "mode": spec.mode, "limit": spec.limit, "slot_index": slot,
        "session": lock.session_id, "token": lock.token,
        "acquired_at": rfc3339(acquired), "acquired_at_epoch": round(acquired, 3), "ttl": spec.ttl,
    }  # fmt: skip
    try:
        sys.stdout.write(json.dumps(about) + "\n")
        sys.stdout.flush()
    except OSError as error:
        raise Misuse(
            f"--hold cannot print to stdout: {error.strerror}",
            "leave it open, or redirect it to /dev/null",
        ) from error
    try:
        interruptible(signals, lambda: _wait_for_loss(lock))
    except Interrupted:
        return False
    why, about_it, hint = loss.cause()
    console.error(f"LOST {spec.title}: {why} ({ExitCode.LOST:d})", hint, event="lost", **about_it)
    return True


def _wait_for_loss(lock: Lockable) -> None:
    # At its deadline it is over, whether the loss has been reported or not.
    while lock.held:
        lock.lost.wait(lock.remaining())
