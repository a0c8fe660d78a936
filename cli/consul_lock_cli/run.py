"""`consul-lock run`: hold a lock while a command runs."""

from __future__ import annotations

import os
import shutil

import click

from consul_lock_cli import signals
from consul_lock_cli.child import Child
from consul_lock_cli.exits import ExitCode
from consul_lock_cli.hold import Hold, Wanted
from consul_lock_cli.options import (
    DURATION,
    NAME,
    Connection,
    connection_options,
    talk_options,
)
from consul_lock_cli.talk import Misuse, Talk
from consul_lock_cli.timing import check_timing

_EPILOG = (
    "\b\nExit codes, beside those of COMMAND itself (128+n if signal n killed it):\n"
    + "\n".join(
        f"  {code:d}  {code.sentence}" for code in ExitCode if code is not ExitCode.OVERTIME
    )
)


@click.command(
    epilog=_EPILOG,
    context_settings={"allow_interspersed_args": False},
    options_metavar="[OPTIONS] --key KEY [--]",
)
@click.option("-k", "--key", type=NAME, help="Name of the lock, as in 'consul lock KEY'.")
@click.option("-n", "--nonblock", is_flag=True, help="Give up at once if it is held.")
@click.option("-w", "--wait", type=DURATION, help="Give up after DUR [for ever].")
@click.option(
    "-E",
    "--conflict-exit-code",
    type=click.IntRange(0, 255),
    default=int(ExitCode.HELD),
    metavar="N",
    help="Exit code if we give up [75].",
)
@click.option(
    "--ttl",
    type=DURATION,
    default=10.0,
    help="TTL of the session, 10s to 24h [10s]; after a crash Consul frees at twice that.",
)
@click.option(
    "--lock-delay",
    type=DURATION,
    default=30.0,
    help="How long Consul keeps a lost lock from others, up to 60s [30s]: our time to stop.",
)
@click.option(
    "--kill-after",
    type=DURATION,
    default=5.0,
    help="KILL so long after TERM [5s].",
)
@click.option(
    "--retry-for",
    type=DURATION,
    default=15.0,
    help="How long to ride out errors of Consul [15s], as in an election.",
)
@talk_options
@connection_options
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def run(
    connection: Connection,
    talk: Talk,
    key: str | None,
    nonblock: bool,
    wait: float | None,
    conflict_exit_code: int,
    ttl: float,
    lock_delay: float,
    kill_after: float,
    retry_for: float,
    command: tuple[str, ...],
) -> int:
    """Hold the lock KEY while COMMAND runs.

    COMMAND starts only with the lock, and its exit code is ours.  The lock is released when
    nothing of COMMAND's process group is left.  If the lock is lost, COMMAND is stopped before
    anybody else can have it.

    Example: consul-lock run --key backup -w 10m -- /usr/local/bin/backup --all
    """
    _refuse_a_limit(nonblock, command)
    if key is None or not command:
        what = "no --key: which lock?" if key is None else "no command to run"
        raise Misuse(what, "consul-lock run --key NAME -- COMMAND")
    patience = 0.0 if nonblock else wait
    _refuse_our_ancestor(key, patience)
    check_timing(ttl, lock_delay, kill_after)
    if not lock_delay:
        talk.warn("--lock-delay 0: a session that is destroyed lets others in at once")
    wanted = Wanted(key, patience, conflict_exit_code, ttl, lock_delay, kill_after, retry_for)
    ours = signals.take_over()
    # Before the library is imported, as it starts threads.
    child = Child(command, ours)
    try:
        return Hold(wanted, command, connection, talk, ours).around(child)
    finally:
        child.abandon()


def _refuse_a_limit(nonblock: bool, command: tuple[str, ...]) -> None:
    """`consul lock -n 3 KEY COMMAND` is a semaphore; our -n is that of flock."""
    if nonblock and command and command[0].isdecimal() and shutil.which(command[0]) is None:
        raise Misuse(
            f'-n takes no number, so "{command[0]}" would be the command',
            f"for a semaphore use --limit {command[0]}; -n is --nonblock, as with flock",
        )


def _refuse_our_ancestor(key: str, wait: float | None) -> None:
    """Waiting for a lock that ends when we end would never end."""
    held = os.environ.get("CONSUL_LOCK_HELD") == "true"
    if held and os.environ.get("CONSUL_LOCK_KEY") == key and wait != 0:
        session = os.environ.get("CONSUL_LOCK_SESSION", "unknown")
        raise Misuse(
            f"{key} would deadlock with our own ancestor (session {session}), which holds it",
            "use another --key, or -n to give up at once",
        )
