"""`run --dry-run`: say what would happen now.  It reads, and creates nothing, no session either."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.output.holder_text import held_by
from consul_lock_cli.run.misfit import misfit, way_in
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.lock import LockKind, LockSpec, Place

if TYPE_CHECKING:
    from consul_lock import Status
    from consul_lock_cli.spec.run import RunSpec


def rehearse(
    run_spec: RunSpec, command: Sequence[str], connection: Connection, console: Console
) -> int:
    """The exit code: 0 if it would run now, 75 (-E) if it would wait or give up, 65, 69."""
    spec, wait_policy = run_spec.lock, run_spec.wait
    with connection.client(console) as client:
        from consul_lock import Survey, Unavailable

        spec.make(client, program="")  # for its checks
        survey = Survey(client)
        try:
            seen = [(place, survey.status(place.key)) for place in spec.places()]
        except Unavailable as error:
            return _unavailable(error, run_spec, command, console)
    for _, status in seen:
        fault = misfit(spec, status)
        if fault:
            console.error(f"{fault} ({ExitCode.DATA:d})", way_in(status), code=ExitCode.DATA)
            return ExitCode.DATA
    taken = [status for place, status in seen if _in_the_way(spec, place, status)]
    if not taken:
        click.echo(f"{spec.title} is free: would {_doing(command)}")
        return 0
    then = "give up" if wait_policy.wait == 0 else "wait"
    for status in taken:
        click.echo(f"{shown(status.name)} is {_by(status)}: would {then}")
    return wait_policy.conflict_code


def _unavailable(
    error: BaseException, run_spec: RunSpec, command: Sequence[str], console: Console
) -> int:
    if run_spec.wait.fail_open:
        click.echo(f"Consul cannot be reached: would {_doing(command)} without the lock")
        return 0
    code = run_spec.wait.unavailable_code
    console.error(f"{complaint(error)} ({code})", failure(error).hint, code=code)
    return code


def _doing(command: Sequence[str]) -> str:
    return f"run {shlex.join(command)}" if command else "hold it"


def _in_the_way(spec: LockSpec, place: Place, status: Status) -> bool:
    """Whether it could not be acquired at once.  First come, first served: waiters come first."""
    if spec.mode is LockKind.SEMAPHORE:
        return bool(status.waiters) or len(status.holders) >= (spec.limit or 1)
    if place.shared:
        return bool(status.waiters) or status.mode == "write"
    return bool(status.holders)


def _by(status: Status) -> str:
    if status.holders:
        return held_by(status.holders)
    return f"waited for by {len(status.waiters)}"
