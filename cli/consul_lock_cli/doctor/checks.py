"""All checks of `consul-lock doctor`, and how they are made one after the other.

A check is a function from the `Patient` to a `Finding`; it may also raise what it met.  A new
one is a line in `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from consul_lock_cli.doctor import consul, host, network, processes
from consul_lock_cli.doctor import settings as told
from consul_lock_cli.doctor import trial as trials
from consul_lock_cli.doctor.context import Patient
from consul_lock_cli.doctor.cron_clocks import cron_clocks
from consul_lock_cli.doctor.finding import Check, Finding, Verdict, failed, skip

CHECKS = (
    # First, as they fork: later there may be threads.
    Check("processes", processes.processes),
    Check("guardian", processes.guardian),
    Check("sources", told.sources),
    Check("config-files", told.config_files),
    Check("settings", told.settings),
    Check("timing", told.timing),
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
    Check("trial", trials.trial, ("leader", "timing")),
    Check("long-poll", trials.long_poll, ("trial",)),
    Check("node-health", consul.node_health, ("leader",)),
    Check("cron-clocks", cron_clocks, ("leader",)),
)
"""In the order in which they are made.  A check that needs another one comes after it."""


class Result(NamedTuple):
    """A check with its finding."""

    name: str
    finding: Finding


def examine(patient: Patient, checks: Iterable[Check] = CHECKS) -> Iterator[Result]:
    """Make the checks, one after the other."""
    broken: set[str] = set()
    for check in checks:
        cause = next((need for need in check.needs if need in broken), None)
        finding = skip(f"not without: {cause}") if cause else _look(check, patient)
        if cause or finding.verdict is Verdict.FAIL:
            broken.add(check.name)
        yield Result(check.name, finding)


def _look(check: Check, patient: Patient) -> Finding:
    try:
        return check.look(patient)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was found
        return failed(error)


def exit_code(results: Iterable[Result], strict: bool) -> int:
    """That of the first FAIL, else 0; with ``strict`` 1 for a warning."""
    findings = [result.finding for result in results]
    for finding in findings:
        if finding.verdict is Verdict.FAIL:
            return finding.code
    return int(strict and any(finding.verdict is Verdict.WARN for finding in findings))
