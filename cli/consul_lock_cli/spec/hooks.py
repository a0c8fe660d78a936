"""Commands that are run when something has happened to a lock or a job."""

from __future__ import annotations

from typing import NamedTuple


class Hooks(NamedTuple):
    """For each event a string for the shell; None: nothing is run."""

    success: str | None = None
    """The command has ended with 0."""
    failure: str | None = None
    """It has ended in any other way, was stopped, or could not be run."""
    skip: str | None = None
    """The slot is not to be run here: another host has it, or it is late or paused."""
    busy: str | None = None
    """The lock is held by others; of a job: an earlier run is alive."""
    acquire: str | None = None
    """The lock is held, or the slot claimed, and the command is about to start."""
    lost_run: str | None = None
    """The run of the job before this one was lost."""
    timeout: float = 10.0
    """Seconds after which one of them is killed."""
