"""`consul-lock cron install`: what starts a job, for cron and for systemd."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import environment
from tests.cli.in_process import Result, in_process
from tests.cli.inspect_fixture import ask

# What a shell, cron and systemd each have their own ideas of.
_NASTY = ["100%", "a b", "$HOME", "it's", 'x"y\\z', "", "é;|&", "%%$$"]


def install(*arguments: str, **more: str) -> Result:
    """Consul is not asked: there is none."""
    return in_process("cron", "install", *arguments, env=environment("127.0.0.1:1", **more))


def test_the_line_of_a_crontab_is_read_by_cron_as_it_was_typed() -> None:
    """Cron undoes the \\%, and a shell the rest; options are handed on as they were typed."""
    options = ["--name", "sync", "--every", "10m", "-w", "3s", "--overlap", "wait", "--meta", "a=b",
               "--meta", "c=%d", "-vv", "--foreground"]  # fmt: skip
    result = install("--as", "crontab", "--user", "root", *options, "--", "job", *_NASTY)
    assert (result.returncode, "dry run" in result.stderr) == (0, True)
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


def test_an_id_for_the_shell_to_expand_is_not_quoted() -> None:
    """In an ID alone; a job's arguments are as they were typed."""
    slot = "$(date -u +%F)"
    arguments = ["--name", "k", "--slot", slot, "--on", "0 4 * * 1-5", "--", "job", "$(x)"]
    line = install("--as", "crontab", *arguments).stdout.splitlines()[-1]
    assert line.startswith("0 4 * * 1-5 ")
    assert line.endswith(""" --slot "$(date -u +\\%F)" -- job '$(x)'""")
    units = install("--as", "systemd", *arguments).stdout
    assert 'ExecStart=/bin/sh -c "exec ' in units


@pytest.mark.parametrize(
    "options, why",
    [
        (["--schedule", "61 2 * * *"], '--schedule "61 2 * * *"'),
        (["--schedule", "0 0 31 2 *"], "no such day ever comes"),
        (["--schedule", "0 2 * * *", "--timezone", "Europe/Atlantis"], "is unknown on this host"),
    ],
)
def test_a_schedule_that_cannot_be_is_78_as_when_it_is_run(options: list[str], why: str) -> None:
    """Nothing is printed that would be installed."""
    job = ["--name", "k", *options, "--", "job"]
    for form in ([], ["--as", "crontab"]):
        result = install(*form, *job)
        assert (result.returncode, result.stdout) == (78, "")
    run = in_process("cron", "run", "--dry-run", *job, env=environment("127.0.0.1:1"))
    assert (run.returncode, run.stderr) == (78, result.stderr)


def test_both_forms_are_printed_unless_one_is_asked_for() -> None:
    """A crontab, a timer and a service, with an empty line between them."""
    options = ["--name", "k", "--every", "1h", "--", "job"]
    first, *units = install(*options).stdout.split("\n\n# /etc/systemd/system/")
    assert first == install("--as", "crontab", *options).stdout.rstrip("\n")
    assert [unit.splitlines()[0].split(",")[0] for unit in units] == ["k.timer", "k.service"]
    only = install("--as", "systemd", *options).stdout
    assert only == "# /etc/systemd/system/" + "\n\n# /etc/systemd/system/".join(units)


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
def test_options_that_could_not_work_are_64(arguments: list[str], said: str) -> None:
    """As `cron run` would have it, and nothing is printed that could be installed."""
    result = install("--name", "k", *arguments, "--", "job")
    assert (result.returncode, result.stdout) == (64, "")
    assert said in result.stderr


def test_a_job_at_a_time_of_the_day_has_its_days_begin_elsewhere() -> None:
    """Unless it is said where."""
    daily = ["--name", "k", "--every", "1d", "--on", "30 3 * * *", "--as", "crontab"]
    for zone, offset in (
        ("UTC0", "15h"),
        ("XXX-5", "10h"),
    ):  # of a process: it is read at its start
        fresh = ask("127.0.0.1:1", "cron", "install", *daily, "--", "job", TZ=zone)
        assert f" --every 1d --offset {offset} -- job" in fresh.stdout
    given = install(*daily, "--offset", "1h", "--", "job").stdout
    assert " --every 1d --offset 1h -- job" in given
