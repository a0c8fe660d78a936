"""The files that start a cron job: a line of a crontab, a timer and a service."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.cron.files import InstalledJob, crontab, service, timer
from consul_lock_cli.spec.cron import CronSpec

_HOURLY = CronSpec(every=3600.0)


def _job(cron_spec: CronSpec = _HOURLY, **more: Any) -> InstalledJob:
    words = ["consul-lock", "cron", "run", "--", "job", "100%"]
    return InstalledJob("jobs/a.b", cron_spec, None, None, words, 5.0)._replace(**more)


def _settings(unit: str) -> list[str]:
    return [line for line in unit.splitlines() if "=" in line and not line.startswith("#")]


@pytest.mark.parametrize(
    "name, file",
    [("sync", "sync"), ("jobs/a.b", "jobs-a-b"), ("/é/", "job"), ("a  b", "a-b"), ("...", "job")],
)
def test_the_name_of_a_file_is_one_that_cron_reads(name: str, file: str) -> None:
    """Debian's passes over those with a dot in them."""
    assert _job(name=name).file == file


@pytest.mark.parametrize(
    "user, where, line",
    [
        (None, "# the crontab of a user ('crontab -e')", "0 * * * * consul-lock"),
        ("app", "# /etc/cron.d/jobs-a-b", "0 * * * * app consul-lock"),
    ],
)
def test_a_user_is_for_the_crontab_of_the_system(user: str | None, where: str, line: str) -> None:
    """A user's own has no such field; % is the end of a line in both."""
    *notes, last = crontab(_job(user=user)).splitlines()
    assert notes[0].startswith(where)
    assert all(note.startswith("# ") for note in notes)
    assert last == f"{line} cron run -- job 100\\%"


@pytest.mark.parametrize(
    "cron_spec, on, fields, calendar",
    [
        (_HOURLY, None, "0 * * * *", "*-*-* *:00:00 UTC"),
        (CronSpec(every=3600.0, offset=300.0), None, "5 * * * *", "*-*-* *:05:00 UTC"),
        (CronSpec(slot="x"), "0 4 * * 1", "0 4 * * 1", "Mon *-*-* 4:0:00"),
        (CronSpec(schedule="5 4 * * *"), None, "5 4 * * *", "*-*-* 4:5:00 UTC"),
        (
            CronSpec(schedule="5 4 * * *", timezone="Europe/Berlin"),
            None,
            "5 4 * * *",
            "*-*-* 4:5:00 Europe/Berlin",
        ),
        (_HOURLY, "7 * * * *", "7 * * * *", "*-*-* *:7:00"),
    ],
)
def test_it_is_started_as_its_slots_say_unless_it_is_said(
    cron_spec: CronSpec, on: str | None, fields: str, calendar: str
) -> None:
    """--on is the host's time, a schedule that of its zone."""
    job = _job(cron_spec, on=on)
    assert crontab(job).splitlines()[-1].startswith(f"{fields} consul-lock ")
    assert f"\nOnCalendar={calendar}\n" in timer(job)


def test_the_zone_of_a_schedule_is_noted_in_a_crontab() -> None:
    """Cron goes by that of the host."""
    assert "# The slots are in UTC;" in crontab(_job(CronSpec(schedule="5 4 * * *")))
    zone = CronSpec(schedule="5 4 * * *", timezone="Europe/Berlin")
    assert "# The slots are in Europe/Berlin;" in crontab(_job(zone))
    assert "The slots are in" not in crontab(_job())


def test_a_start_more_often_than_there_are_slots_is_explained() -> None:
    """Or somebody would take it for a mistake, and correct it."""
    odd = _job(CronSpec(every=420.0))
    assert '# cron cannot say "every 7m"' in crontab(odd)
    assert '# OnCalendar cannot say "every 7m"' in timer(odd)
    assert "cannot say" not in crontab(_job()) + timer(_job())


def test_of_an_id_it_has_to_be_said_when_to_start() -> None:
    """It has no time."""
    for make in (crontab, timer):
        with pytest.raises(Misuse, match="--slot does not say when") as refused:
            make(_job(CronSpec(slot="x")))
        assert "--on" in refused.value.hint


@pytest.mark.parametrize("word", ["a\nb", "a\rb"])
def test_a_line_break_is_for_scripts(word: str) -> None:
    """A crontab has none; a unit writes it as an escape."""
    job = _job(words=["job", word])
    with pytest.raises(Misuse, match="no line breaks"):
        crontab(job)
    assert "ExecStart=job" in service(job)


def test_a_timer_has_sane_settings() -> None:
    """It starts on time, all hosts at once, and nothing that was missed."""
    assert timer(_job()).splitlines()[0] == (
        "# /etc/systemd/system/jobs-a-b.timer, the same on every host"
    )
    assert _settings(timer(_job())) == [
        "Description=jobs/a.b, once for each slot on one of all hosts",
        "OnCalendar=*-*-* *:00:00 UTC",
        "AccuracySec=1s",
        "Persistent=false",
        "RandomizedDelaySec=0",
        "WantedBy=timers.target",
    ]


def test_a_service_has_sane_settings() -> None:
    """systemd leaves consul-lock the time to kill the command itself."""
    codes = CronSpec(every=3600.0, skip_code=9, overlap_code=7)
    unit = service(_job(codes, user="app", kill_after=6.2, name="100% a"))
    assert unit.startswith("# /etc/systemd/system/100-a.service, the same on every host")
    assert _settings(unit) == [
        "Description=100%% a, once for each slot on one of all hosts",
        "Wants=network-online.target",
        "After=network-online.target consul.service",
        "Type=oneshot",
        "User=app",
        "ExecStart=consul-lock cron run -- job 100%%",
        "SuccessExitStatus=7 9",
        "KillMode=mixed",
        "TimeoutStopSec=17s",
    ]


@pytest.mark.parametrize("skip, overlap, line", [(0, 0, ""), (0, 9, "9"), (9, 9, "9")])
def test_the_chosen_codes_count_as_success(skip: int, overlap: int, line: str) -> None:
    """Each once; 0 does anyway."""
    unit = service(_job(_HOURLY._replace(skip_code=skip, overlap_code=overlap)))
    assert [each for each in _settings(unit) if each.startswith("SuccessExitStatus=")] == (
        [f"SuccessExitStatus={line}"] if line else []
    )
    assert not any(each.startswith("User=") for each in _settings(unit))
