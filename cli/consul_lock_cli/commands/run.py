"""`consul-lock run`: hold a lock while a command runs."""

from __future__ import annotations

import shutil
import sys

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import EPILOG
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.lock import locking_options
from consul_lock_cli.options.process import command_options
from consul_lock_cli.options.types import COMMAND, Runner
from consul_lock_cli.options.waiting import patience_options, talk_options
from consul_lock_cli.run.ancestors import refuse_ours
from consul_lock_cli.run.dry_run import rehearse
from consul_lock_cli.run.locked_command import under
from consul_lock_cli.run.status_file import StatusFile, report_options
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.lock import LockSpec
from consul_lock_cli.spec.process import ProcessPolicy
from consul_lock_cli.spec.run import RunSpec, WaitPolicy
from consul_lock_cli.spec.timing import check_timing


@click.command(
    cls=Runner,
    epilog=EPILOG,
    options_metavar="[OPTIONS] --key KEY [--]",
)
@locking_options
@patience_options
@click.option("--hold", is_flag=True, help="Run nothing: print a JSON line, hold till a signal.")
@command_options
@report_options
@click.option("--dry-run", is_flag=True, help="Say what would happen now, and do nothing.")
@talk_options
@connection_options
@click.argument("command", nargs=-1, type=COMMAND)
def run(
    connection: Connection,
    talk: Console,
    what: LockSpec,
    patience: WaitPolicy,
    manner: ProcessPolicy,
    report: StatusFile,
    hold: bool,
    dry_run: bool,
    command: tuple[str, ...],
) -> int:
    """Hold the lock KEY while COMMAND runs.

    COMMAND starts only with the lock, and its exit code is ours.  The lock is released when
    nothing of COMMAND's process group is left.  If the lock is lost, COMMAND is stopped before
    anybody else can have it.

    Example: consul-lock run --key backup -w 10m -- /usr/local/bin/backup --all
    """
    _refuse_a_limit(patience, command)
    what.check()
    if hold and command:
        raise Misuse(f'--hold runs no command, but there is "{command[0]}"', "leave one out")
    if hold and sys.stdout is None:
        raise Misuse("--hold prints to stdout, which is closed", "leave it open, if to /dev/null")
    if not hold and not command:
        raise Misuse("no command to run", "consul-lock run --key NAME -- COMMAND")
    refuse_ours(what, patience.wait, connection.place())
    check_timing(
        what.ttl,
        what.lock_delay,
        0.0 if hold else manner.kill_after,
        unsafe=manner.unsafe_timing,
    )
    if not what.lock_delay:
        talk.warn("--lock-delay 0: a session that is destroyed lets others in at once")
    wanted = RunSpec(what, patience, manner)
    if dry_run:
        return rehearse(wanted, command, connection, talk)
    return under(wanted, command, connection, talk, report)


def _refuse_a_limit(patience: WaitPolicy, command: tuple[str, ...]) -> None:
    """`consul lock -n 3 KEY COMMAND` is a semaphore; our -n is that of flock."""
    number = command[0] if patience.wait == 0 and command else ""
    if number.isdecimal() and shutil.which(number) is None:
        raise Misuse(
            f'-n takes no number, so "{number}" would be the command',
            f"for a semaphore use --limit {number}; -n is --nonblock, as with flock",
        )
