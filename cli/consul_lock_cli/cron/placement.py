"""The files that start a cron job, put where cron or systemd reads them."""

from __future__ import annotations

import shlex
from pathlib import Path

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.file_replacement import replace_file
from consul_lock_cli.cron.files import InstalledJob, crontab, description, service, timer

_CRON, _SYSTEMD = "etc/cron.d", "etc/systemd/system"


def put_in_place(job: InstalledJob, form: str | None, root: Path, console: Console) -> None:
    """Write the file of cron, or the units of systemd; below this root.

    Raises `Misuse` if which of them, or as which user, is not said, there is no folder for it, or a
    file is not of this job; `OSError`.
    """
    if form is None:
        raise Misuse(
            "--write: for cron or for systemd?", "--as crontab or --as systemd; both start it twice"
        )
    if form == "crontab":
        if job.user is None:
            raise Misuse("--write: a file of /etc/cron.d names a user", "--user root")
        files = {root / _CRON / job.file: crontab(job)}
    else:
        folder = root / _SYSTEMD
        files = {
            folder / f"{job.file}.timer": timer(job),
            folder / f"{job.file}.service": service(job),
        }
    for path in files:
        if not path.parent.is_dir():
            reads = "cron" if form == "crontab" else "systemd"
            raise Misuse(
                f"--write: there is no folder {path.parent}",
                f"is {reads} installed here? create the folder if that comes later, as in an image",
            )
        _refuse_another(path, job)
    for path, text in files.items():
        # At once, as cron must not read a half of it; it passes over names with a dot in them.
        replace_file(path, f"{text.rstrip()}\n", 0o644)
        console.note(f"wrote {path}")
    if form == "systemd":
        console.note(
            f"'systemctl daemon-reload && systemctl enable --now {job.file}.timer' starts it"
        )


def _refuse_another(path: Path, job: InstalledJob) -> None:
    """A file that is not of this job is not replaced: a/b and a-b have one name for their files."""
    try:
        found = path.read_text(errors="replace")
    except FileNotFoundError:
        return
    named = f"--name {shlex.quote(job.name)} ".replace("%", r"\%")
    if named not in found and f"Description={description(job)}\n" not in found:
        raise Misuse(f"--write: {path} is there, and is not of this job", "move it away first")
