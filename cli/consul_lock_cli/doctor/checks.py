"""All checks of `consul-lock doctor`, and how they are made one after the other.

A check is a function from the `DoctorContext` to a `Finding`; it may also raise what it met.  A new
one is a line in `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import click

from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import harmless
from consul_lock_cli.doctor import certificate, consul, host, network, processes, settings, trial
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.cron_clocks import cron_clocks
from consul_lock_cli.doctor.finding import Finding, Trouble, Verdict, skip

# What the doctor may exit with.  What else an error says is a wrong setting of this host.
_CLASSES = frozenset(
    {ExitCode.UNAVAILABLE, ExitCode.PERMISSION, ExitCode.CONFIG, ExitCode.SOFTWARE}
)


class Check(NamedTuple):
    """One question.  ``needs`` names the checks that must not have failed or been skipped."""

    name: str
    look: Callable[[DoctorContext], Finding]
    needs: tuple[str, ...] = ()


CHECKS = (
    # First, as they fork: later there may be threads.
    Check("processes", processes.processes),
    Check("guardian", processes.guardian),
    Check("sources", settings.sources),
    Check("config-files", settings.config_files),
    Check("packages", host.packages),
    Check("settings", settings.settings, ("packages",)),
    Check("client-certificate", certificate.client_certificate, ("settings",)),
    Check("timing", settings.timing),
    Check("open-files", host.open_files),
    Check("clock", host.clock),
    Check("name", network.name, ("settings",)),
    Check("connect", network.connect, ("name",)),
    Check("tls", network.tls, ("connect",)),
    Check("agent", consul.agent, ("tls",)),
    Check("client-agent", consul.client_agent, ("agent",)),
    Check("agent-clock", host.time_of_consul, ("agent",)),
    Check("token", consul.token, ("agent",)),
    Check("leader", consul.leader, ("agent",)),
    Check("latency", consul.latency, ("leader",)),
    Check("trial", trial.trial, ("leader", "timing")),
    Check("long-poll", trial.long_poll, ("trial",)),
    Check("node-health", consul.node_health, ("leader",)),
    Check("cron-clocks", cron_clocks, ("leader",)),
)
"""In the order in which they are made.  A check that needs another one comes after it."""


class Result(NamedTuple):
    """A check with its finding."""

    name: str
    finding: Finding


def examine(context: DoctorContext, checks: Iterable[Check] = CHECKS) -> Iterator[Result]:
    """Make the checks, one after the other."""
    broken: set[str] = set()
    for check in checks:
        cause = next((need for need in check.needs if need in broken), None)
        finding = skip(f"skipped: needs {cause}") if cause else _look(check, context)
        if cause or finding.verdict is Verdict.FAIL:
            broken.add(check.name)
        # Servers and others have a part in these texts.
        yield Result(
            check.name,
            finding._replace(text=harmless(finding.text), hint=harmless(finding.hint)),
        )


def _look(check: Check, context: DoctorContext) -> Finding:
    try:
        return check.look(context)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was found
        return failed(error)


def exit_code(results: Iterable[Result], strict: bool) -> int:
    """That of the first FAIL, else 0; with ``strict`` 1 for a warning."""
    findings = [result.finding for result in results]
    for finding in findings:
        if finding.verdict is Verdict.FAIL:
            return finding.code
    return int(strict and any(finding.verdict is Verdict.WARN for finding in findings))


def failed(error: Exception) -> Finding:
    """The finding for whatever a check raised."""
    if isinstance(error, Trouble):
        return error.finding
    if isinstance(error, click.ClickException):
        hint = getattr(error, "hint", "")
        return Finding(Verdict.FAIL, error.format_message(), hint, ExitCode.CONFIG)
    code, hint = failure(error)
    kind = f"{type(error).__name__}: " if code is ExitCode.SOFTWARE else ""
    known = code if code in _CLASSES else ExitCode.CONFIG
    return Finding(Verdict.FAIL, f"{kind}{complaint(error)}", hint, known)
