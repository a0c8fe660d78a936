"""The options of a cron job: which slot is meant, and when it is run."""

from __future__ import annotations

from typing import Any

import click
import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.options.cron import cron_options
from consul_lock_cli.spec.cron import CronSpec
from consul_lock_cli.spec.run import WaitPolicy


@click.command
@cron_options
def given(
    name: str, cron_spec: CronSpec, wait_policy: WaitPolicy
) -> tuple[str, CronSpec, WaitPolicy]:
    """Give back what arrives."""
    return name, cron_spec, wait_policy


def job_of(*arguments: str, **defaults: Any) -> tuple[CronSpec, WaitPolicy]:
    """``defaults`` are what a file says."""
    name, spec, policy = given.main(
        ["--name", "jobs/a", *arguments], standalone_mode=False, default_map=defaults
    )
    assert name == "jobs/a"
    return spec, policy


@pytest.mark.parametrize(
    "arguments, changes",
    [
        (["--every", "1h"], {}),
        (["--every", "1h", "--offset", "5m"], {"offset": 300.0}),
        (["--every", "1h", "--early", "1s"], {"early": 1.0}),
        (["--every", "1h", "--max-lateness", "1m"], {"max_lateness": 60.0}),
        (["--every", "1h", "--overlap", "allow"], {"overlap": "allow"}),
        (["--every", "1h", "--overlap", "wait", "-w", "3s"], {"overlap": "wait", "wait": 3.0}),
        (["--every", "1h", "--retry-crashed", "1"], {"retry_crashed": 1}),
        (["--every", "1h", "--retry-failed", "2"], {"retry_failed": 2}),
        (["--every", "1h", "--standby", "1m"], {"standby": 60.0}),
        (["--every", "1h", "--max-skew", "3h"], {"max_skew": 10800.0}),
        (["--every", "1h", "--require-synced-clock"], {"require_synced_clock": True}),
        (["--every", "1h", "--history", "0"], {"history": 0}),
        (["--every", "1h", "--skip-exit-code", "9"], {"skip_code": 9}),
        (["--every", "1h", "--overlap-exit-code", "7"], {"overlap_code": 7}),
        (["--every", "1h", "--report", "always"], {"report": "always"}),
        (["--every", "1h", "--chronic"], {"chronic": True}),
        (["--every", "1h", "--outage-quiet", "10m"], {"outage_quiet": 600.0}),
        (["--slot", "x"], {"every": None, "slot": "x"}),
        (["--schedule", "0 4 * * *", "--timezone", "Asia/Tokyo"],
         {"every": None, "schedule": "0 4 * * *", "timezone": "Asia/Tokyo"}),
    ],
)  # fmt: skip
def test_an_option_changes_what_it_is_about(
    arguments: list[str], changes: dict[str, object]
) -> None:
    """And nothing else."""
    spec, policy = job_of(*arguments)
    assert spec._asdict() == CronSpec(every=3600.0)._asdict() | changes
    assert policy == WaitPolicy(spec.wait)


@pytest.mark.parametrize(
    "arguments, changes",
    [
        (["--splay", "3s"], {"splay": 3.0}),
        (["--unavailable-exit-code", "5"], {"unavailable_code": 5}),
        (["--fail-open", "--yes-run-everywhere"], {"fail_open": True}),
        (["--yes-run-everywhere"], {}),
    ],
)
def test_the_policy_for_an_unreachable_consul(
    arguments: list[str], changes: dict[str, object]
) -> None:
    """It is the policy of any wait."""
    _, policy = job_of("--slot", "x", *arguments)
    assert policy._asdict() == WaitPolicy()._asdict() | changes


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--slot", "x"], "no --name: which job"),
        (["--name", "a//b", "--slot", "x"], "bad key"),
        (["--name", "k", "--slot", "x", "--fail-open"], "every host would run the job"),
        (["--name", "k"], "no slot: give"),
        (["--name", "k", "--slot", "x", "--overlap", "maybe"], "maybe"),
        (["--name", "k", "--slot", "x", "--history", "201"], "201"),
        (["--name", "k", "--slot", "x", "--retry-failed", "-1"], "-1"),
        (["--name", "k", "--slot", "x", "--skip-exit-code", "256"], "256"),
        (["--name", "k", "--every", "soon"], "bad duration"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: list[str], said: str) -> None:
    """With the words that were wrong."""
    with pytest.raises(click.UsageError) as refused:
        given.main(arguments, standalone_mode=False)
    assert said in refused.value.format_message()


@pytest.mark.parametrize(
    "arguments, name, value",
    [
        (["--every", "1h"], "wait", "3s"),
        (["--every", "1h"], "timezone", "Asia/Tokyo"),
        (["--slot", "x"], "early", "1s"),
    ],
)
def test_a_setting_for_all_jobs_is_left_out_where_it_means_nothing(
    arguments: list[str], name: str, value: str
) -> None:
    """It was meant for other jobs; typed for this one, it is a contradiction."""
    spec, _ = job_of(*arguments, **{name: value})
    assert getattr(spec, name) is None
    with pytest.raises(Misuse):
        job_of(*arguments, f"--{name}", value)


@pytest.mark.parametrize(
    "arguments, name, value, kept",
    [
        (["--every", "1h", "--overlap", "wait"], "wait", "3s", 3.0),
        (["--schedule", "0 4 * * *"], "timezone", "Asia/Tokyo", "Asia/Tokyo"),
        (["--every", "1h"], "early", "1s", 1.0),
    ],
)
def test_where_it_means_something_it_counts(
    arguments: list[str], name: str, value: str, kept: object
) -> None:
    """Nobody has to repeat it for each job."""
    spec, _ = job_of(*arguments, **{name: value})
    assert getattr(spec, name) == kept
