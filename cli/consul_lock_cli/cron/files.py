"""The files that start a cron job on every host: a line of a crontab, or a timer and a service."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from consul_lock_cli.base.durations import exact_duration
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.cron import fire_times, quoting
from consul_lock_cli.spec.cron import CronSpec

# Seconds that systemd grants beyond those that consul-lock grants the command.
_STOP_MORE = 10

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_MORE_OFTEN = (
    '# {who} cannot say "every {every}": it starts the job more often, and a start in a'
    " slot\n# that was run ends at once."
)


class InstalledJob(NamedTuple):
    """What is to be started, and when."""

    name: str
    cron_spec: CronSpec
    on: str | None
    """A cron expression that says when to fire; None: as the slots say."""
    user: str | None
    words: Sequence[str]
    """The command line: consul-lock, the options, and the job."""
    kill_after: float

    @property
    def file(self) -> str:
        """A name for its files: Debian's cron passes over those with a dot in them."""
        return re.sub(r"[^A-Za-z0-9_-]+", "-", self.name).strip("-") or "job"


def crontab(job: InstalledJob) -> str:
    """A line for /etc/cron.d if there is a user in it, else for a user's own crontab."""
    times, line = job.cron_spec, quoting.for_a_shell(job.words, job.cron_spec.slot)
    if "\n" in line or "\r" in line:
        raise Misuse("a crontab has no line breaks in a command", "put the command into a script")
    where = f"/etc/cron.d/{job.file}" if job.user else "the crontab of a user ('crontab -e')"
    notes = [
        f"# {where}, the same on every host",
        "# What the job writes is mailed; where it is not run, nothing is written.",
        "# MAILTO=root",
        "# The environment of cron is nearly empty: where Consul is, if not at 127.0.0.1:8500,",
        "# and what the job needs is set here; the former also in /etc/consul-lock/config.toml.",
        f"# PATH={_PATH}",
    ]
    if job.on is not None:
        fields = " ".join(fire_times.checked("--on", job.on))
    elif times.schedule is not None:
        fields = " ".join(fire_times.checked("--schedule", times.schedule))
        zone = times.timezone or "UTC"
        notes.append(f"# The slots are in {zone}; cron goes by the host's zone: let that be it.")
    elif times.every is not None:
        fields = fire_times.crontab_fields(times.every, times.offset or 0.0)
        notes += _more_often("cron", times)
    else:
        raise Misuse("--slot does not say when cron should start it", "add --on '30 3 * * *'")
    user = f"{job.user} " if job.user else ""
    return "\n".join([*notes, f"{fields} {user}{quoting.for_cron(line)}"])


def _more_often(who: str, times: CronSpec) -> list[str]:
    assert times.every is not None
    if fire_times.steps(times.every, times.offset or 0.0).exact:
        return []
    return [_MORE_OFTEN.format(who=who, every=exact_duration(times.every))]


def timer(job: InstalledJob) -> str:
    """The timer of systemd."""
    times, notes = job.cron_spec, list[str]()
    if job.on is not None:
        when = fire_times.calendar_of("--on", job.on, "")
    elif times.schedule is not None:
        when = fire_times.calendar_of("--schedule", times.schedule, times.timezone or "UTC")
    elif times.every is not None:
        when = fire_times.calendar(times.every, times.offset or 0.0)
        notes = _more_often("OnCalendar", times)
    else:
        raise Misuse("--slot does not say when the timer should start it", "add --on '30 3 * * *'")
    lines = [
        f"# /etc/systemd/system/{job.file}.timer, the same on every host",
        "[Unit]",
        f"Description={description(job)}",
        "",
        "[Timer]",
        *notes,
        f"OnCalendar={when}",
        "AccuracySec=1s",
        "# A slot that was missed is over: consul-lock would run the present one once more.",
        "Persistent=false",
        "# Not so as to spread the hosts: that is --splay, which comes after the slot is known.",
        "RandomizedDelaySec=0",
        "",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return "\n".join(lines)


def service(job: InstalledJob) -> str:
    """The service that it starts."""
    times = job.cron_spec
    codes = sorted({times.skip_code, times.overlap_code} - {0})
    success = ["SuccessExitStatus=" + " ".join(map(str, codes))] if codes else []
    lines = [
        f"# /etc/systemd/system/{job.file}.service, the same on every host",
        "[Unit]",
        f"Description={description(job)}",
        "Wants=network-online.target",
        "After=network-online.target consul.service",
        "",
        "[Service]",
        "Type=oneshot",
        *([f"User={job.user}"] if job.user else []),
        f"ExecStart={quoting.for_systemd(job.words, times.slot)}",
        "# Where it is not run the exit code is 0, or what --skip-exit-code and such say.",
        *success,
        "# Signal only consul-lock; it stops the command and then releases the lock.",
        "KillMode=mixed",
        "# More than --kill-after, so that consul-lock itself kills what does not stop.",
        f"TimeoutStopSec={ceil(job.kill_after) + _STOP_MORE}s",
    ]
    return "\n".join(lines)


def description(job: InstalledJob) -> str:
    """The line that names the job in its units."""
    return f"{job.name}, once for each slot on one of all hosts".replace("%", "%%")
