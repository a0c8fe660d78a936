"""`consul-lock run`: hold a lock while a command runs."""

from __future__ import annotations

import sys

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import EPILOG
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.hooks import OF_A_LOCK, hook_options
from consul_lock_cli.options.lock import locking_options
from consul_lock_cli.options.process import command_options
from consul_lock_cli.options.types import COMMAND, Runner
from consul_lock_cli.options.waiting import wait_options
from consul_lock_cli.run.ancestors import refuse_own_ancestors
from consul_lock_cli.run.locked_command import under
from consul_lock_cli.run.status_file import StatusFile, status_file_options
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.hooks import Hooks
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
@wait_options
@click.option("--hold", is_flag=True, help="Run nothing: print a JSON line, hold until a signal.")
@command_options
@hook_options(*OF_A_LOCK)
@status_file_options
@click.option("--dry-run", is_flag=True, help="Print what would happen now, and do nothing.")
@console_options
@connection_options
@click.argument("command", nargs=-1, type=COMMAND)
def run(
    connection: Connection,
    console: Console,
    spec: LockSpec,
    wait_policy: WaitPolicy,
    policy: ProcessPolicy,
    hooks: Hooks,
    status_file: StatusFile,
    hold: bool,
    dry_run: bool,
    command: tuple[str, ...],
) -> int:
    """Hold the lock KEY while COMMAND runs.

    COMMAND starts only with the lock; consul-lock ends with its exit code.  The lock is released
    when nothing that COMMAND has started is left, except daemons (see --daemons).  If the lock is
    lost, COMMAND and all that it has started are stopped before any other process can have it.
    KEY can also come first, with -- behind it: consul-lock run KEY -- COMMAND.

    Example: consul-lock run --key backup -w 10m -- /usr/local/bin/backup --all
    """
    _refuse_a_limit(wait_policy, command)
    spec.check()
    if hold and command:
        raise Misuse(f'--hold runs no command, but there is "{command[0]}"', "leave one out")
    if hold and sys.stdout is None:
        raise Misuse(
            "--hold prints to stdout, which is closed", "leave it open, or redirect it to /dev/null"
        )
    if not hold and not command:
        raise Misuse("no command to run", "consul-lock run --key NAME -- COMMAND")
    refuse_own_ancestors(spec, wait_policy.wait, connection.place())
    check_timing(
        spec.ttl,
        spec.lock_delay,
        0.0 if hold else policy.kill_after,
        unsafe=policy.unsafe_timing,
    )
    if not spec.lock_delay:
        console.warn(
            "--lock-delay 0: when the session is destroyed, others acquire the lock at once"
        )
    run_spec = RunSpec(spec, wait_policy, policy, hooks)
    if dry_run:
        from consul_lock_cli.run.dry_run import rehearse

        return rehearse(run_spec, command, connection, console)
    return under(run_spec, command, connection, console, status_file)


def _refuse_a_limit(wait_policy: WaitPolicy, command: tuple[str, ...]) -> None:
    """`consul lock -n 3 KEY COMMAND` is a semaphore; here -n is that of flock."""
    number = command[0] if wait_policy.wait == 0 and command else ""
    if not number.isdecimal():
        return
    import shutil  # every start would pay for it

    if shutil.which(number) is None:
        raise Misuse(
            f'-n takes no number, so "{number}" would be the command',
            f"for a semaphore use --limit {number}; -n is --nonblock, as with flock",
        )
