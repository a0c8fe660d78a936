"""Hosts that have another --every for the same job."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from consul_lock_cli.cron.disagreement import disagreement
from consul_lock_cli.spec.cron import CronSpec
from tests.cli.cron_fixture import (
    EIGHT,
    Job,
    job_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.output.examples import past, record

_HERE = os.uname().nodename


def _said(spec: CronSpec, **before: Any) -> str:
    found = record(**{"host": "web3", "claim": "c", **before})
    run: Any = SimpleNamespace(name="jobs/a", before=found)
    return disagreement(spec, run)


def test_another_interval_of_another_host_is_named_with_both() -> None:
    """With the host that has claimed last, which an operator is to look at."""
    said = _said(CronSpec(every=600.0), every=900.0)
    assert said.startswith("hosts disagree on --every of jobs/a: 10m here, 15m on web3: ")
    said = _said(CronSpec(every=600.0, offset=60.0), every=600.0)
    assert said.startswith("hosts disagree on --offset of jobs/a: 1m here, 0 on web3: ")
    said = _said(CronSpec(schedule="0 2 * * *"), every=None, schedule="0 3 * * * UTC")
    assert said.startswith("hosts disagree on --schedule of jobs/a: 0 2 * * * here, ")
    berlin = {"every": None, "schedule": "0 2 * * * Europe/Berlin"}
    said = _said(CronSpec(schedule="0 2 * * *"), **berlin)
    assert said.startswith(
        "hosts disagree on --timezone of jobs/a: UTC here, Europe/Berlin on web3: "
    )
    assert _said(CronSpec(schedule="0 2 * * *", timezone="Europe/Berlin"), **berlin) == ""


def test_a_host_that_differs_is_named_though_this_one_has_claimed_last() -> None:
    """Its runs are between those of others; where a crontab was changed they are before them."""
    spec, mine = CronSpec(every=600.0), {"host": _HERE, "every": 600.0}
    other = past(1, host="web3", every=900.0)
    said = _said(spec, **mine, history=(other, past(2, **mine)))
    assert said.startswith("hosts disagree on --every of jobs/a: 10m here, 15m on web3: ")
    assert _said(spec, **mine, history=(other, past(2, host="web3", every=900.0))) == ""
    assert _said(CronSpec(every=900.0), **mine, history=(other, past(2, **mine))) == ""


@pytest.mark.parametrize(
    "spec, before",
    [
        (CronSpec(every=600.0), {"every": 600.0}),
        (CronSpec(every=600.0), {"every": 900.0, "host": _HERE}),
        (CronSpec(every=600.0), {"every": 900.0, "claim": ""}),
        (CronSpec(slot="a"), {"every": None, "epoch": None, "slot": "b"}),
        (CronSpec(schedule="0  2 * * *"), {"every": None, "schedule": "0 2 * * * UTC"}),
    ],
)
def test_hosts_that_agree_are_not_warned_of(spec: CronSpec, before: dict[str, Any]) -> None:
    """Nor is a crontab of this very host that was changed, nor a record that was reset."""
    assert _said(spec, **before) == ""


def test_a_host_with_another_interval_warns(job: Job) -> None:
    """Whether it wins its slot or not; a host that has the same does not."""
    job.fire("--every", "1h", "--", "true", at=EIGHT)
    job.forge(host="web3", every=1800.0)
    for more in (0, 1800):
        done = job.fire("--every", "1h", "--", "true", at=EIGHT + more)
        assert done.returncode == 0
        assert "hosts disagree on --every" in done.stderr
        assert "1h here, 30m on web3" in done.stderr
    job.forge(host="web3", every=3600.0)
    assert job.fire("--every", "1h", "--", "true", at=EIGHT + 1).stderr == ""
