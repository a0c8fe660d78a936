"""The ways in which a run can end."""

from __future__ import annotations

import enum


class EndKind(enum.StrEnum):
    """How it ended, in the words of the status file and of the metrics."""

    RUNNING = "running"
    """It has not: it waits, or the command runs; or it was killed."""

    EXIT = "exit"
    """The command ended by itself."""
    SIGNAL = "signal"
    """The command died of a signal."""
    LOST = "lost"
    """The lock was lost while the command ran."""
    TIMEOUT = "timeout"
    """The command ran for longer than --max-runtime."""
    CONFLICT = "conflict"
    """Somebody else holds the lock, so the command was not started."""
    UNAVAILABLE = "unavailable"
    """Consul could not be reached, so the command was not started."""
    SKIP = "skip"
    """Another host has the cron slot, or it is not to be run now; the command was not started."""
    INTERRUPTED = "interrupted"
    """A signal ended consul-lock while no command ran; with --hold, that is a success."""
    FAILED = "failed"
    """Something else; the command was not started."""
