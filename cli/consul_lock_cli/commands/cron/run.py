"""`consul-lock cron run`: run a job of many hosts' crontabs once for each slot."""

from __future__ import annotations

from typing import Any

import click

from consul_lock_cli.base.clock import synchronised
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import EPILOG, ExitCode
from consul_lock_cli.cron.job import CronJob
from consul_lock_cli.cron.kept_output import KeptOutput
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.cron import cron_options
from consul_lock_cli.options.hooks import hook_options
from consul_lock_cli.options.lock import session_options
from consul_lock_cli.options.process import command_options
from consul_lock_cli.options.types import COMMAND, Runner
from consul_lock_cli.run.ancestors import refuse_own_ancestors
from consul_lock_cli.run.execution import conclude, undertake
from consul_lock_cli.run.guardian_release import releasing
from consul_lock_cli.run.status_file import StatusFile, status_file_options
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.cron import CronSpec
from consul_lock_cli.spec.hooks import Hooks
from consul_lock_cli.spec.lock import LockSpec
from consul_lock_cli.spec.process import ProcessPolicy
from consul_lock_cli.spec.run import RunSpec, WaitPolicy
from consul_lock_cli.spec.timing import check_timing


@click.command(
    cls=Runner,
    epilog=EPILOG,
    options_metavar="[OPTIONS] --name NAME --every DUR [--]",
)
@cron_options
@session_options
@command_options
@hook_options("success", "failure", "skip", "busy", "acquire", "lost_run")
@status_file_options
@click.option("--dry-run", is_flag=True, help="Print what would happen now, and do nothing.")
@console_options
@connection_options
@click.argument("command", nargs=-1, type=COMMAND)
def cron_run(
    connection: Connection,
    console: Console,
    name: str,
    cron_spec: CronSpec,
    wait_policy: WaitPolicy,
    session: dict[str, Any],
    policy: ProcessPolicy,
    hooks: Hooks,
    status_file: StatusFile,
    dry_run: bool,
    command: tuple[str, ...],
) -> int:
    """Run COMMAND once for each slot, on one of all hosts.

    The host that claims the slot runs COMMAND under the lock NAME, with its exit code.  On the
    others nothing happens, and the exit code is 0.  The slot is that of the time at which
    consul-lock was started, so it does not matter whether the hosts' clocks agree.  If the host
    that runs it dies, the slot is lost, unless --retry-crashed is given.

    Example: consul-lock cron run --name sync --every 10m --splay 3s -- /usr/local/bin/sync
    """
    if not command:
        raise Misuse("no command to run", "consul-lock cron run --name NAME --every 1h -- COMMAND")
    run_spec = RunSpec(LockSpec((name,), **session), wait_policy, policy, hooks)
    _check(run_spec, cron_spec, connection, console)
    if dry_run:
        from consul_lock_cli.cron.dry_run import rehearse

        return rehearse(run_spec, cron_spec, command, connection, console)
    if cron_spec.require_synced_clock and not _kept(console):
        status_file.write(ExitCode.CONFIG, console)
        return ExitCode.CONFIG
    kept = KeptOutput() if cron_spec.chronic else None
    status_file.begin(console)
    done = undertake(
        command,
        policy,
        console,
        status_file,
        lambda signals: CronJob(
            run_spec, cron_spec, command, connection, console, signals, status_file, kept
        ),
        output=kept.descriptor if kept else None,
        release=releasing(run_spec.lock, connection),
    )
    return conclude(done, command, console, status_file)


def _check(
    run_spec: RunSpec, cron_spec: CronSpec, connection: Connection, console: Console
) -> None:
    spec, wait_policy, policy, _ = run_spec
    spec.check()
    if cron_spec.overlap == "wait":
        refuse_own_ancestors(spec, wait_policy.wait, connection.place())
    # Without a lock there is none to be lost.
    unsafe = policy.unsafe_timing or cron_spec.overlap == "allow"
    check_timing(spec.ttl, spec.lock_delay, policy.kill_after, unsafe=unsafe)
    if not spec.lock_delay:
        console.warn(
            "--lock-delay 0: when the session is destroyed, others acquire the lock at once"
        )


def _kept(console: Console) -> bool:
    """Whether the clock is synchronised; if not, that is reported."""
    try:
        kept, why = synchronised(), "the kernel says unsynchronised"
    except OSError as error:
        kept, why = False, str(error)
    if not kept:
        console.error(
            f"--require-synced-clock: the clock is not synchronised ({why}): not started"
            f" ({ExitCode.CONFIG:d})",
            "run chrony, ntpd or systemd-timesyncd; 'timedatectl' shows it",
            code=ExitCode.CONFIG,
        )
    return kept
