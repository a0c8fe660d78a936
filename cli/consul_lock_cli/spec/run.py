"""One hold as the user asked for it: what to lock, how long to wait, how to run the command."""

from __future__ import annotations

from typing import NamedTuple

from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.spec.hooks import Hooks
from consul_lock_cli.spec.lock import LockSpec
from consul_lock_cli.spec.process import ProcessPolicy


class WaitPolicy(NamedTuple):
    """Times are seconds."""

    wait: float | None = None
    """None: for ever."""
    conflict_code: int = ExitCode.HELD
    unavailable_code: int = ExitCode.UNAVAILABLE
    fail_open: bool = False
    """Run the command without the lock if Consul cannot be reached."""
    splay: float = 0.0
    min_hold: float = 0.0
    retry_for: float = 30.0
    """For how long to ask again while Consul fails: with ``-n``, and of a leader before Consul has
    been reached once."""
    reached: bool = False
    """It has been, in an earlier term."""


class RunSpec(NamedTuple):
    """What to hold, how long to wait for it, and how to run the command."""

    lock: LockSpec
    wait: WaitPolicy = WaitPolicy()
    process: ProcessPolicy = ProcessPolicy()
    hooks: Hooks = Hooks()
