"""`consul-lock cron run-now`: run a cron job once more, outside of its slots."""

from __future__ import annotations

from typing import Any

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import EPILOG
from consul_lock_cli.cron.extra_run import ExtraRun
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.lock import session_options
from consul_lock_cli.options.process import command_options
from consul_lock_cli.options.types import COMMAND, CRON_NAME, DURATION, Runner
from consul_lock_cli.run.ancestors import refuse_own_ancestors
from consul_lock_cli.run.execution import conclude, undertake
from consul_lock_cli.run.guardian_release import releasing
from consul_lock_cli.run.status_file import StatusFile, status_file_options
from consul_lock_cli.settings.context import TypedOption
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.lock import LockSpec
from consul_lock_cli.spec.process import ProcessPolicy
from consul_lock_cli.spec.run import RunSpec, WaitPolicy
from consul_lock_cli.spec.timing import check_timing

_USAGE = "consul-lock cron run-now NAME -- COMMAND"


class _NameFirst(Runner):
    """NAME is before the --, with the options on either side of it; COMMAND is behind the --."""

    allow_interspersed_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without the -- an option of COMMAND would be taken for one of this command."""
        asks = {"-h", "--help"} & set(args)
        if "--" not in args and not asks and not ctx.resilient_parsing:
            raise Misuse("no -- before COMMAND", _USAGE)
        return super().parse_args(ctx, args)


@click.command(
    "run-now",
    cls=_NameFirst,
    epilog=EPILOG,
    options_metavar="[OPTIONS]",
)
@click.option(
    # The setting is for locks: it need not be meant for this one.
    "-w", "--wait", type=DURATION, default=0.0, cls=TypedOption,
    help="Wait up to DUR for a run that is under way [0].",
)  # fmt: skip
@click.option("--new", is_flag=True, help="Also run a job that was never run and has no record.")
@session_options
@command_options
@status_file_options
@console_options
@connection_options
@click.argument("name", type=CRON_NAME)
@click.argument("command", nargs=-1, type=COMMAND, metavar="-- COMMAND")
def cron_run_now(
    connection: Connection,
    console: Console,
    session: dict[str, Any],
    policy: ProcessPolicy,
    status_file: StatusFile,
    name: str,
    wait: float,
    new: bool,
    command: tuple[str, ...],
) -> int:
    """Run COMMAND now as an extra run of the cron job NAME.

    It runs under the lock NAME, so no run of a slot is under way at the same time: if one is,
    nothing is started (75, see --wait).  The run is recorded in the history as an extra one.  The
    slots stay as they are: the next one runs when its time comes, and is skipped, as for any
    overlap, if COMMAND still runs then.  A pause of the job does not prevent it.

    Example: consul-lock cron run-now jobs/report -- /usr/local/bin/report
    """
    if not command:
        raise Misuse("no command to run", _USAGE)
    spec = LockSpec((name,), **session)
    spec.check()
    refuse_own_ancestors(spec, wait, connection.place())
    check_timing(spec.ttl, spec.lock_delay, policy.kill_after, unsafe=policy.unsafe_timing)
    run_spec = RunSpec(spec, WaitPolicy(wait), policy)
    status_file.begin(console)
    done = undertake(
        command,
        policy,
        console,
        status_file,
        lambda signals: ExtraRun(
            name, new, run_spec, command, connection, console, signals, status_file
        ),
        release=releasing(spec, connection),
    )
    return conclude(done, command, console, status_file)
