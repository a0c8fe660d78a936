"""`consul-lock cron install`: a line of a crontab, or units of systemd, printed or put in place."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.durations import exact_duration
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.cron.files import InstalledJob, crontab, service, timer
from consul_lock_cli.cron.fire_times import checked, far_offset
from consul_lock_cli.cron.placement import put_in_place
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.cron import cron_options
from consul_lock_cli.options.lock import session_options
from consul_lock_cli.options.process import command_options
from consul_lock_cli.options.types import COMMAND, FOLDER, Runner
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.cron import CronSpec
from consul_lock_cli.spec.lock import LockSpec
from consul_lock_cli.spec.process import ProcessPolicy
from consul_lock_cli.spec.run import WaitPolicy
from consul_lock_cli.spec.timing import check_timing

# Options of this command, and not of `cron run`.
_OWN = ("form", "user", "on", "write", "root")

# What anybody could read in such a file, and what to use instead.
_SECRETS = {"token": "--token-file", "http_auth": "the configuration file"}

_TYPED = "consul_lock_cli.commands.cron.install.typed"


class Installer(Runner):
    """One that hands the options on as they were typed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse them, and remember those that are for `cron run`."""
        values, _, order = self.make_parser(ctx).parse_args(list(args))
        given = dict.fromkeys(param for param in order if isinstance(param, click.Option))
        ctx.meta[_TYPED] = [
            word
            for param in given
            if param.name not in _OWN
            for word in _typed(param, values[param.name])
        ]
        return super().parse_args(ctx, args)


def _typed(option: click.Option, value: Any) -> list[str]:
    name = max(option.opts, key=len)
    if option.count:
        return [name] * value
    if option.is_flag:
        return [name if value else max(option.secondary_opts, key=len)]
    values: Sequence[Any] = value if option.multiple else [value]
    return [word for each in values for word in (name, str(each))]


@click.command("install", cls=Installer, options_metavar="[OPTIONS] --name NAME --every DUR [--]")
@click.option(
    "--as", "form", type=click.Choice(["crontab", "systemd"]), help="Print only this one [both]."
)
@click.option(
    "--user", metavar="USER", help="User who runs it; the crontab is then one for /etc/cron.d."
)
@click.option(
    "--on", metavar="FIELDS", help="When to start, as '30 3 * * *' [from --every or --schedule]."
)
@click.option(
    "--write", is_flag=True, help="Put the files in place; replaces those of this job [print them]."
)
@click.option(
    "--root",
    type=FOLDER,
    default="/",
    help="With --write: put them below DIR, as for an image [/].",
)
@cron_options
@session_options
@command_options
@console_options
@connection_options
@click.argument("command", nargs=-1, type=COMMAND)
def cron_install(
    connection: Connection,
    console: Console,
    name: str,
    cron_spec: CronSpec,
    wait_policy: WaitPolicy,
    session: dict[str, Any],
    policy: ProcessPolicy,
    form: str | None,
    user: str | None,
    on: str | None,
    write: bool,
    root: str,
    command: tuple[str, ...],
) -> None:
    """Print a crontab line and systemd units that start COMMAND.

    Nothing is written without --write, which puts the file into /etc/cron.d (--as crontab --user
    USER) or the units into /etc/systemd/system (--as systemd).  Consul is not contacted.  The
    other options are those of 'cron run', and are checked in the same way.  An interval that a
    crontab cannot express, such as 7m or 36h, is started more often than there are slots, which
    does no harm.

    Example: consul-lock cron install --name sync --every 10m --as crontab --user root -- sync
    """
    if not command:
        raise Misuse("no command to run", "consul-lock cron install --name NAME --every 1h -- ...")
    LockSpec((name,), **session).check()
    unsafe = policy.unsafe_timing or cron_spec.overlap == "allow"
    check_timing(session["ttl"], session["lock_delay"], policy.kill_after, unsafe=unsafe)
    ctx = click.get_current_context()
    for secret, better in _SECRETS.items():
        if ctx.get_parameter_source(secret) is click.core.ParameterSource.COMMANDLINE:
            option = f"--{secret.replace('_', '-')}"
            raise Misuse(f"{option} could be read by every user", f"use {better}")
    if user is not None and (not user.isprintable() or not user or " " in user):
        raise Misuse("--user is not a user name", "as in --user root")
    cron_spec.check_schedule(name)
    typed = [*ctx.meta[_TYPED], *_days_begin(cron_spec, on)]
    words = [_program(), "cron", "run", *typed, "--", *command]
    job = InstalledJob(name, cron_spec, on, user, words, policy.kill_after)
    if write:
        put_in_place(job, form, Path(root), console)
        return
    files = [] if form == "systemd" else [crontab(job)]
    files += [] if form == "crontab" else [timer(job), service(job)]
    for number, text in enumerate(files):
        click.echo(f"{chr(10) if number else ''}{text}")
    console.note("this was a dry run: nothing was written; --write puts the files in place")


def _program() -> str:
    """The path of this program: neither cron nor systemd has the PATH of the user."""
    ourselves = Path(sys.argv[0])
    if ourselves.name == "consul-lock" and ourselves.is_file():
        return str(ourselves.absolute())
    import shutil  # every start would pay for it

    return shutil.which("consul-lock") or "consul-lock"


def _days_begin(cron_spec: CronSpec, on: str | None) -> list[str]:
    """An option that keeps the beginning of a day away from the time at which it is fired."""
    every = cron_spec.every
    if on is None or every is None or every % 86400 or cron_spec.offset is not None:
        return []
    checked("--on", on)
    offset = far_offset(on, time.localtime().tm_gmtoff)
    return ["--offset", exact_duration(offset)] if offset else []
