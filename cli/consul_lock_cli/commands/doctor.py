"""`consul-lock doctor`: will locks work here?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.doctor.finding import CHECK
from consul_lock_cli.options.connection import connection_options
from consul_lock_cli.options.console import console_options
from consul_lock_cli.options.types import DURATION, NAME
from consul_lock_cli.output import lock_json
from consul_lock_cli.output.data_command import DiagnosticCommand, color_option
from consul_lock_cli.output.lock_table import wants_color
from consul_lock_cli.settings.context import LenientContext
from consul_lock_cli.spec.connection import Connection

if TYPE_CHECKING:
    # Not at start-up: the checks need much, and `--help` needs none of them.
    from consul_lock_cli.doctor.checks import Result


@click.command(
    cls=DiagnosticCommand,
    epilog="Exit codes: 0 locks work here; 1 with --strict, if there are warnings; of the first"
    " failure 69 (Consul cannot be reached or has no leader), 77 (the ACL token)"
    " or 78 (a setting).",
)
@click.option(
    "-k",
    "--key",
    "--name",
    "key",
    type=NAME,
    default="consul-lock-doctor",
    help="Try a lock below this name, with its ACL rules [consul-lock-doctor].",
)
@click.option("--ttl", type=DURATION, default=10.0, help="TTL to try with [10s].")
@click.option("--lock-delay", type=DURATION, default=30.0, help="Lock-delay to check [30s].")
@click.option("--kill-after", type=DURATION, default=5.0, help="Time to stop to check [5s].")
@click.option(
    "--long-poll",
    "poll",
    type=DURATION,
    default=5.0,
    help="Length of the test of blocking queries [5s].",
)
@click.option("--strict", is_flag=True, help="Exit with 1 if there are warnings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@color_option
@console_options
@connection_options
def doctor(
    connection: Connection,
    console: Console,
    key: str,
    ttl: float,
    lock_delay: float,
    kill_after: float,
    poll: float,
    strict: bool,
    as_json: bool,
    color: str,
) -> int:
    """Check whether locks work here, and what could be improved.

    Checks this host, the settings, the connection to Consul and the ACL token, and tries a lock
    on a unique key KEY/.doctor-..., which is deleted afterwards.

    Example: consul-lock doctor --key jobs/backup
    """
    from consul_lock_cli.doctor.checks import examine, exit_code
    from consul_lock_cli.doctor.context import DoctorContext

    ctx = click.get_current_context()
    assert isinstance(ctx, LenientContext)
    files, fault, unread = ctx.settings.files, ctx.fault, ctx.unread
    context = DoctorContext(
        connection, key, ttl, lock_delay, kill_after, poll, files, fault, unread
    )
    results = []
    for result in examine(context):
        results.append(result)
        if not as_json:
            _show(result, console.quiet, wants_color(color))
    code = exit_code(results, strict)
    if as_json:
        _print_json(results, code)
    else:
        click.echo(summary(results), color=wants_color(color))
    _sum_up(results, code, console)
    return code


_COLORS = {"ok": "green", "skip": "cyan", "warn": "yellow", "fail": "red"}


def _show(result: Result, quiet: bool, color: bool) -> None:
    name, finding = result
    verdict = click.style(f"{finding.verdict.upper():<5}", fg=_COLORS[finding.verdict])
    click.echo(f"{verdict} {name:<13} {finding.text}", color=color)
    if finding.hint and not quiet:
        click.echo(f"      {'':<13} hint: {finding.hint}")


def summary(results: list[Result]) -> str:
    """The last line: how many of each, and what that means."""
    counts = Counter(str(result.finding.verdict) for result in results)
    warnings = "warning" if counts["warn"] == 1 else "warnings"
    parts = (("ok", "ok"), ("skip", "skipped"), ("warn", warnings), ("fail", "failed"))
    said = ", ".join(f"{counts[verdict]} {word}" for verdict, word in parts)
    if counts["fail"]:
        means, color = "locks do not work here", "red"
    elif counts["warn"]:
        means, color = "locks work here; see the warnings", "yellow"
    else:
        means, color = "locks work here", "green"
    return f"{said}: {click.style(means, fg=color)}"


def _print_json(results: list[Result], code: int) -> None:
    items = [
        dict(zip(CHECK, (name, str(found.verdict), found.text, found.hint or None), strict=True))
        for name, found in results
    ]
    click.echo(lock_json.document(items, exit=code))


def _sum_up(results: list[Result], code: int, console: Console) -> None:
    """One line on stderr, for readers of stderr alone."""
    bad = [result for result in results if result.finding.verdict == "fail"]
    if bad:
        first, finding = bad[0]
        more = f"; {len(bad) - 1} more failed" if len(bad) > 1 else ""
        console.error(f"{first}: {finding.text}{more} ({code})", finding.hint)
    elif code:
        console.error(f"there are warnings, and --strict counts them ({code})")
