"""`consul-lock cron install`: what starts a job, for cron and for systemd."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.cron import fire_times, quoting
from tests.cli.inspect_fixture import Result, ask

HOUR, DAY = 3600.0, 86400.0

# What a shell, cron and systemd each have their own ideas of.
_NASTY = ["100%", "a b", "$HOME", "it's", 'x"y\\z', "", "é;|&", "%%$$"]


def install(*arguments: str, **more: str) -> Result:
    """Consul is not asked: there is none."""
    return ask("127.0.0.1:1", "cron", "install", *arguments, **more)


@pytest.mark.parametrize(
    "every, offset, fields, calendar",
    [
        (60, 0, "* * * * *", "*-*-* *:*:00 UTC"),
        (600, 0, "*/10 * * * *", "*-*-* *:00/10:00 UTC"),
        (600, 240, "4-59/10 * * * *", "*-*-* *:04/10:00 UTC"),
        (600, 241, "5-59/10 * * * *", "*-*-* *:05/10:00 UTC"),
        (HOUR, 0, "0 * * * *", "*-*-* *:00:00 UTC"),
        (HOUR, 300, "5 * * * *", "*-*-* *:05:00 UTC"),
        (6 * HOUR, 5400, "30 1-23/6 * * *", "*-*-* 01/6:30:00 UTC"),
        (6 * HOUR, 6 * HOUR - 1, "0 */6 * * *", "*-*-* 00/6:00:00 UTC"),
        # What a clock face does not show: by a step that divides it.
        (420, 0, "* * * * *", "*-*-* *:*:00 UTC"),
        (1.5 * HOUR, 0, "*/30 * * * *", "*-*-* *:00/30:00 UTC"),
        (36 * HOUR, 0, "0 */12 * * *", "*-*-* 00/12:00:00 UTC"),
        (5 * HOUR, 0, "0 * * * *", "*-*-* *:00:00 UTC"),
        (90, 0, "* * * * *", "*-*-* *:*:00 UTC"),
        (60.5, 0, "* * * * *", "*-*-* *:*:00 UTC"),
    ],
)
def test_each_slot_is_met(every: float, offset: float, fields: str, calendar: str) -> None:
    """By a crontab and a timer; never before it begins."""
    assert fire_times.crontab_fields(every, offset) == fields
    assert fire_times.calendar(every, offset) == calendar


def test_seconds_and_days_are_for_systemd() -> None:
    """A crontab has no seconds, and its days are those of the host's zone."""
    assert fire_times.calendar(30, 0) == "*-*-* *:*:00/30 UTC"
    assert fire_times.calendar(7, 0) == "*-*-* *:*:* UTC"
    assert fire_times.calendar(DAY, 1.5 * HOUR) == "*-*-* 01:30:00 UTC"
    for every, said in ((30, "once a minute at most"), (DAY, "at which time of day")):
        with pytest.raises(Misuse, match=said):
            fire_times.crontab_fields(every, 0)


@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("zone", [-11, -5, 0, 1, 5.5, 13])
def test_a_day_begins_half_a_day_from_the_firing(hour: int, zone: float) -> None:
    """So a change of the clocks cannot put two firings into one day, and none into another."""
    offset = fire_times.far_offset(f"30 {hour} * * *", zone * HOUR)
    assert offset is not None
    fired = (hour + 0.5 - zone) * HOUR
    assert 10 * HOUR <= (fired - offset) % DAY <= 14 * HOUR


@pytest.mark.parametrize(
    "text, calendar",
    [
        ("30 3 * * *", "*-*-* 3:30:00"),
        ("*/5 2-4 * * 1,3", "Mon,Wed *-*-* 2..4:0/5:00"),
        ("0 0 1-7/2 */2 *", "*-1/2-1..7/2 0:0:00"),
        ("0 4 * * Mon-Fri", "Mon..Fri *-*-* 4:0:00"),
    ],
)
def test_a_cron_expression_for_a_timer(text: str, calendar: str) -> None:
    """In the words of systemd."""
    assert fire_times.calendar_of("--on", text, "") == calendar


@pytest.mark.parametrize("text", ["", "* * * *", "@daily", "0 4 1 * 1", "x * * * *", "0 4 * Jan *"])
def test_what_a_timer_cannot_say_is_misuse(text: str) -> None:
    """It is not guessed."""
    with pytest.raises(Misuse):
        fire_times.calendar_of("--on", text, "")


def test_the_line_of_a_crontab_is_read_by_cron_as_it_was_typed() -> None:
    """Cron undoes the \\%, and a shell the rest; options are handed on as they were typed."""
    options = ["--name", "sync", "--every", "10m", "-w", "3s", "--overlap", "wait", "--meta", "a=b",
               "--meta", "c=%d", "-vv", "--foreground"]  # fmt: skip
    result = install("--as", "crontab", "--user", "root", *options, "--", "job", *_NASTY)
    assert (result.returncode, result.stderr) == (0, "")
    *notes, line = result.stdout.splitlines()
    assert all(note.startswith("# ") for note in notes)
    assert notes[0].startswith("# /etc/cron.d/sync,")
    start = "*/10 * * * * root "
    assert line.startswith(start)
    assert "%" not in line.replace("\\%", "")
    words = shlex.split(line.removeprefix(start).replace("\\%", "%"))
    typed = [*words[3 : words.index("--")]]
    assert words[1:3] == ["cron", "run"]
    assert typed == ["--name", "sync", "--every", "10m", "--wait", "3s", "--overlap", "wait",
                     "--meta", "a=b", "--meta", "c=%d", "--verbose", "--verbose",
                     "--foreground"]  # fmt: skip
    assert words[words.index("--") + 1 :] == ["job", *_NASTY]


def test_what_a_shell_is_to_fill_in_stays_open_to_it() -> None:
    """In an ID alone; a job's arguments are as they were typed."""
    slot = "$(date -u +%F)"
    arguments = ["--name", "k", "--slot", slot, "--on", "0 4 * * 1-5", "--", "job", "$(x)"]
    line = install("--as", "crontab", *arguments).stdout.splitlines()[-1]
    assert line.startswith("0 4 * * 1-5 ")
    assert line.endswith(""" --slot "$(date -u +\\%F)" -- job '$(x)'""")
    units = install("--as", "systemd", *arguments).stdout
    assert 'ExecStart=/bin/sh -c "exec ' in units
    assert quoting.for_systemd(["a", slot, "$(x)"], slot) == (
        """/bin/sh -c "exec a \\"$$(date -u +%%F)\\" '$$(x)'\""""
    )


def test_units_have_sane_settings() -> None:
    """Both files, and nothing else."""
    options = ["--every", "1h", "--kill-after", "7s", "--skip-exit-code", "3", "--user", "app"]
    result = install("--as", "systemd", "--name", "jobs/a.b", *options, "--", "job")
    timer, service = result.stdout.split("\n\n# /etc/systemd/system/")
    assert timer.startswith("# /etc/systemd/system/jobs-a-b.timer")
    assert service.startswith("jobs-a-b.service")
    for setting in ("OnCalendar=*-*-* *:00:00 UTC", "Persistent=false", "RandomizedDelaySec=0"):
        assert f"\n{setting}\n" in timer
    for setting in ("Type=oneshot", "User=app", "KillMode=mixed", "SuccessExitStatus=3"):
        assert f"\n{setting}\n" in service
    assert service.rstrip().endswith("TimeoutStopSec=17s")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize(
    "arguments",
    [["--every", "10m"], ["--every", "30s"], ["--slot", "$(date -u +%F)", "--on", "0 4 * * 1-5"]],
)
def test_systemd_takes_the_units(tmp_path: Path, arguments: list[str]) -> None:
    """And finds in them what was typed."""
    program = tmp_path / "consul-lock"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    units = install("--as", "systemd", "--name", "job", *arguments, "--", "/bin/echo", *_NASTY,
                    PATH=path)  # fmt: skip
    assert units.returncode == 0, units
    timer, service = units.stdout.split("\n\n# /etc")
    (tmp_path / "job.timer").write_text(timer)
    (tmp_path / "job.service").write_text(f"#{service}")
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "job.timer"), str(tmp_path / "job.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--every", "1d"], "at which time of day"),
        (["--every", "30s", "--as", "crontab"], "once a minute at most"),
        (["--slot", "a"], "--slot does not say when"),
        (["--every", "1h", "--token", "t"], "--token could be read by every user"),
        (["--every", "1h", "--http-auth", "u:p"], "--http-auth could be read by every user"),
        (["--every", "1h", "--user", "a b"], "--user is not a user name"),
        (["--every", "1h", "--on", "x"], "five fields"),
        (["--every", "1h", "--slot", "x"], "contradict each other"),
        (["--every", "1h", "--kill-after", "60s"], "--kill-after"),
        (["--every", "1h", "--nonsense"], "No such option"),
    ],
)
def test_what_could_not_work_is_64(arguments: list[str], said: str) -> None:
    """As `cron run` would have it, and nothing is printed that could be installed."""
    result = install("--name", "k", *arguments, "--", "job")
    assert (result.returncode, result.stdout) == (64, "")
    assert said in result.stderr


def test_a_line_break_is_for_scripts() -> None:
    """A crontab has none."""
    result = install("--name", "k", "--every", "1h", "--", "sh", "-c", "a\nb")
    assert (result.returncode, result.stdout) == (64, "")


def test_a_job_at_a_time_of_the_day_has_its_days_begin_elsewhere() -> None:
    """Unless it is said where."""
    daily = ["--name", "k", "--every", "1d", "--on", "30 3 * * *", "--as", "crontab"]
    assert " --every 1d --offset 15h -- job" in install(*daily, "--", "job", TZ="UTC0").stdout
    assert " --every 1d --offset 10h -- job" in install(*daily, "--", "job", TZ="XXX-5").stdout
    given = install(*daily, "--offset", "1h", "--", "job").stdout
    assert " --every 1d --offset 1h -- job" in given
