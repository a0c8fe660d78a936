"""`consul-lock leader`: run a command while leading an election, again and again."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import EPILOG, ExitCode
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.hooks import OF_A_LOCK, hook_options
from consul_lock_cli.options.lock import session_options
from consul_lock_cli.options.process import command_options
from consul_lock_cli.options.types import COMMAND, DURATION, NAME, Runner
from consul_lock_cli.process.launch import inherited
from consul_lock_cli.process.outcome import StopReason
from consul_lock_cli.run.ancestors import refuse_own_ancestors
from consul_lock_cli.run.execution import conclude
from consul_lock_cli.run.locked_command import hold_while_running
from consul_lock_cli.run.status_file import StatusFile, status_file_options
from consul_lock_cli.settings.variables import AGAIN
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.hooks import Hooks
from consul_lock_cli.spec.lock import LockKind, LockSpec
from consul_lock_cli.spec.process import ProcessPolicy
from consul_lock_cli.spec.run import RunSpec, WaitPolicy
from consul_lock_cli.spec.timing import check_timing

# Bytes of the value: with the rest that is said of a holder it has to fit into its record.
_VALUE_MAX = 1024


@click.command(
    cls=Runner,
    epilog=EPILOG,
    options_metavar="[OPTIONS] --key KEY [--]",
)
@click.option(
    "-k", "--key", "--name", "keys", type=NAME, multiple=True, help="Name of the election."
)
@click.option("--value", default="", metavar="TEXT", help="Value that the leader publishes.")
@click.option("-w", "--wait", type=DURATION, help="Give up after DUR without leading [for ever].")
@session_options
@command_options
@hook_options(*OF_A_LOCK)
@status_file_options
@console_options
@connection_options
@click.argument("command", nargs=-1, type=COMMAND)
def leader(
    connection: Connection,
    console: Console,
    session: dict[str, Any],
    policy: ProcessPolicy,
    hooks: Hooks,
    status_file: StatusFile,
    keys: tuple[str, ...],
    value: str,
    wait: float | None,
    command: tuple[str, ...],
) -> int:
    """Run COMMAND while this process is the leader of KEY.

    It campaigns until it leads, and starts COMMAND.  If the lead is lost, COMMAND is stopped
    before any other process can lead, and it campaigns again.  When COMMAND ends by itself,
    consul-lock ends with its exit code, and the next candidate leads at once.  --retry-for is
    for the first contact with Consul; later it campaigns however long Consul is unavailable.

    Example: consul-lock leader --key scheduler -- /usr/local/bin/scheduler
    """
    if len(keys) > 1:
        raise Misuse("an election has one --key", "run one 'consul-lock leader' for each")
    if len(value.encode("utf-8", "surrogateescape")) > _VALUE_MAX:
        raise Misuse(f"--value is longer than {_VALUE_MAX} bytes", "publish where to find it")
    spec = LockSpec(keys, LockKind.LEADER, **session, value=value)
    spec.check()
    if not command:
        raise Misuse("no command to run", "consul-lock leader --key NAME -- COMMAND")
    refuse_own_ancestors(spec, wait, connection.place())
    check_timing(spec.ttl, spec.lock_delay, policy.kill_after, unsafe=policy.unsafe_timing)
    retry_for = connection.settings["retry_for"]
    # Before the command is forked, which is not to see it.
    reached = os.environ.pop(AGAIN, None) is not None
    run_spec = RunSpec(spec, WaitPolicy(wait, retry_for=retry_for, reached=reached), policy, hooks)
    done = hold_while_running(run_spec, command, connection, console, status_file)
    if not done.asked and done.ended is not None and done.ended.stopped is StopReason.LOST:
        console.note(f"campaigning for {spec.title} again", event="campaigning")
        _once_more(status_file, console)
    return conclude(done, command, console, status_file)


def _once_more(status_file: StatusFile, console: Console) -> None:
    """Begin anew, as the same process: the library has started threads by now, and what has
    threads cannot fork a command safely."""
    status_file.survive(ExitCode.LOST, console)
    # Signals stay blocked, so none is lost.  Nothing is open but what Python opened,
    # which closes itself.
    os.execve(sys.executable, sys.orig_argv, {**inherited(), AGAIN: "1"})
