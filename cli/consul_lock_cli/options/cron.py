"""The options of `cron run` that say which slot is meant, and when it is run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from consul_lock.limits import HISTORY_MAX, RETRIES_MAX
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.headings import headed
from consul_lock_cli.options.types import CRON_NAME, DURATION, WholeNumber
from consul_lock_cli.settings.context import TypedOption
from consul_lock_cli.spec.cron import CronSpec
from consul_lock_cli.spec.run import WaitPolicy

_SLOT = [
    click.option(
        "-k", "--key", "--name", "name", type=CRON_NAME,
        help="Name of the job; its record is NAME/.cron.",
    ),
    click.option(
        "--every", type=DURATION, help="A slot each DUR, counted from 1970 in UTC; 10 is 10s."
    ),
    click.option("--offset", type=DURATION, help="Shift the beginning of the slots by DUR [0]."),
    click.option("--slot", metavar="ID", help="The slot is this text: run once for each ID."),
    click.option(
        "--schedule", metavar="EXPR",
        help="A slot at each time of a cron expression, as '30 2 * * *'.",
    ),
    click.option("--timezone", metavar="ZONE", help="Zone of --schedule, as Europe/Berlin [UTC]."),
    click.option(
        "--early", type=DURATION,
        help="Accept a slot so long before it begins [a quarter of it, 30s at most].",
    ),
    click.option(
        "--max-lateness", type=DURATION, help="Skip a slot that began longer ago [never].",
    ),
]  # fmt: skip

_CONTEST = [
    click.option(
        "--splay", type=DURATION, default=0.0,
        help="First sleep for a random time up to DUR, so that different hosts win [0].",
    ),
    click.option(
        "--overlap", type=click.Choice(["skip", "wait", "allow"]), default="skip",
        help="While an earlier run is alive: skip the slot, wait, or run beside it [skip].",
    ),
    click.option("-w", "--wait", type=DURATION, help="With --overlap wait: how long [for ever]."),
    click.option(
        "--retry-crashed", type=WholeNumber(0, RETRIES_MAX), default=0, metavar="N",
        help="Up to N more attempts at a slot whose run has died [0].",
    ),
    click.option(
        "--retry-failed", type=WholeNumber(0, RETRIES_MAX), default=0, metavar="N",
        help="Up to N more attempts at a slot whose run has failed [0].",
    ),
    click.option(
        "--standby", type=DURATION, default=0.0,
        help="If another host runs it, stay for DUR, ready for such an attempt [0].",
    ),
    click.option(
        "--max-skew", type=DURATION,
        help="Treat a record that is further ahead as a wrong clock [a slot, 5m at least].",
    ),
    click.option(
        "--require-synced-clock", is_flag=True,
        help="Run nothing unless the clock of this host is synchronised.",
    ),
    click.option(
        "--history", type=WholeNumber(0, HISTORY_MAX), default=20, metavar="N",
        help="How many runs, and IDs, are remembered [20].",
    ),
]  # fmt: skip

_ENDS = [
    click.option(
        "--skip-exit-code", "skip_code", type=WholeNumber(0, 255), default=0, metavar="N",
        help="Exit code if another host has the slot, or it is late or paused [0].",
    ),
    click.option(
        "--overlap-exit-code", "overlap_code", type=WholeNumber(0, 255), default=0, metavar="N",
        help="Exit code if an earlier run is alive [0].",
    ),
    click.option(
        "--report", type=click.Choice(["never", "failure", "always"]), default="failure",
        help="Print a line with exit code, slot, attempt and run time [failure].",
    ),
    click.option(
        "--chronic", is_flag=True,
        help="Keep what COMMAND prints, and print it (to stdout) only if COMMAND fails.",
    ),
    click.option(
        "--outage-quiet", type=DURATION, default=0.0,
        help="Say once per host and DUR that Consul cannot be reached [each run says it].",
    ),
    click.option(
        "--unavailable-exit-code", "unavailable_code", type=WholeNumber(0, 255), metavar="N",
        default=int(ExitCode.UNAVAILABLE), help="Exit code if Consul cannot be reached [69].",
    ),
    click.option(
        # The setting is for locks: it need not be meant for cron jobs.
        "--fail-open/--fail-closed", cls=TypedOption,
        help="If Consul cannot be reached: run COMMAND on every host, or not at all [closed].",
    ),
    click.option(
        "--yes-run-everywhere", "everywhere", is_flag=True, help="Required with --fail-open.",
    ),
]  # fmt: skip


_HEADED = (("Job and slot", _SLOT), ("Which host runs it", _CONTEST), ("Outcome", _ENDS))


def cron_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them; the command gets ``name``, ``cron_spec`` and ``wait_policy``."""

    @functools.wraps(command)
    def with_cron_spec(
        name: str | None, fail_open: bool, everywhere: bool, splay: float, unavailable_code: int,
        **values: Any,
    ) -> Any:  # fmt: skip
        if name is None:
            raise Misuse(
                "no --name: which job?", "consul-lock cron run --name NAME --every 1h -- ..."
            )
        if fail_open and not everywhere:
            raise Misuse(
                "--fail-open: without Consul every host would run the job",
                "add --yes-run-everywhere if that does no harm",
            )
        wanted = {field: values.pop(field) for field in CronSpec._fields}
        _leave_out_what_others_mean(wanted)
        cron_spec = CronSpec(**wanted)
        cron_spec.check()
        wait_policy = WaitPolicy(
            cron_spec.wait, unavailable_code=unavailable_code, fail_open=fail_open, splay=splay
        )
        return command(name=name, cron_spec=cron_spec, wait_policy=wait_policy, **values)

    decorated: Callable[..., Any] = with_cron_spec
    for title, options in reversed(_HEADED):
        decorated = headed(title, options)(decorated)
    return decorated


def _leave_out_what_others_mean(wanted: dict[str, Any]) -> None:
    """A setting for all jobs, or for locks, is no contradiction where it means nothing."""
    ctx = click.get_current_context()

    def typed(name: str) -> bool:
        source = ctx.get_parameter_source(name)
        return source is click.core.ParameterSource.COMMANDLINE

    meaningless = {
        "wait": wanted["overlap"] != "wait",
        "timezone": wanted["schedule"] is None,
        "early": wanted["slot"] is not None,
    }
    for name, means_nothing in meaningless.items():
        if means_nothing and not typed(name):
            wanted[name] = None
