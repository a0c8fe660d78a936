"""`cron install --write`: files where cron and systemd read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import environment
from tests.cli.in_process import Result, in_process


def _install(root: Path, *options: str, name: str = "jobs/sync") -> Result:
    """Consul is not asked: there is none."""
    job = ("--name", name, "--every", "10m", "--", "job")
    env = environment("127.0.0.1:1")
    return in_process("cron", "install", "--root", str(root), *options, *job, env=env)


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path) -> Path:
    """A root of a file system with the folders of cron and systemd."""
    (tmp_path / "etc/cron.d").mkdir(parents=True)
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    return tmp_path


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_without_write_it_is_a_dry_run_and_says_so(root: Path) -> None:
    """On stderr: what is printed can go into a file."""
    done = _install(root, "--as", "crontab", "--user", "root")
    assert (done.returncode, _files(root)) == (0, [])
    assert "this was a dry run: nothing was written" in done.stderr
    assert "dry run" not in done.stdout


def test_the_file_of_cron_is_what_is_printed_without_it(root: Path) -> None:
    """For everybody to read, and by cron; nothing else stays there."""
    options = ("--as", "crontab", "--user", "root")
    printed = _install(root, *options).stdout
    done = _install(root, *options, "--write")
    assert (done.returncode, done.stdout) == (0, "")
    path = root / "etc/cron.d/jobs-sync"
    assert done.stderr == f"consul-lock: wrote {path}\n"
    assert _files(root) == ["etc/cron.d/jobs-sync"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.read_text() == printed


def test_the_units_are_written_and_replaced_by_those_of_the_same_job(root: Path) -> None:
    """With what starts them."""
    for user in ("root", "backup"):
        done = _install(root, "--as", "systemd", "--write", "--user", user)
        assert done.returncode == 0
        assert "systemctl enable --now jobs-sync.timer" in done.stderr
    service = root / "etc/systemd/system/jobs-sync.service"
    assert "User=backup\n" in service.read_text()
    assert _files(root) == [
        "etc/systemd/system/jobs-sync.service", "etc/systemd/system/jobs-sync.timer",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["crontab", "systemd"])
def test_a_file_of_another_job_is_not_replaced(root: Path, form: str) -> None:
    """Its name may be the same, as of two jobs: all of them stay as they are."""
    options = ("--as", form, "--user", "root", "--write")
    assert _install(root, *options).returncode == 0
    before = {name: (root / name).read_text() for name in _files(root)}
    done = _install(root, *options, name="jobs-sync")
    assert (done.returncode, "is not of this job" in done.stderr) == (64, True)
    assert {name: (root / name).read_text() for name in _files(root)} == before


@pytest.mark.parametrize("options", [(), ("--as", "crontab")])
def test_where_it_is_to_be_written_must_be_said(root: Path, options: tuple[str, ...]) -> None:
    """Cron and systemd together would start it twice, and /etc/cron.d wants a user."""
    done = _install(root, "--write", *options)
    assert (done.returncode, _files(root)) == (64, [])


@pytest.mark.parametrize(
    "form, folder, reader",
    [("crontab", "etc/cron.d", "cron"), ("systemd", "etc/systemd/system", "systemd")],
)
def test_a_folder_that_is_not_there_is_an_error_that_names_it(
    tmp_path: Path, form: str, folder: str, reader: str
) -> None:
    """It is not made: nothing would read it."""
    done = _install(tmp_path, "--as", form, "--user", "root", "--write")
    said, hint = done.stderr.splitlines()
    assert done.returncode == 64
    assert said == f"consul-lock: --write: there is no folder {tmp_path / folder}"
    assert hint.startswith(f"hint: is {reader} installed here?")
    assert _files(tmp_path) == []
