"""The crontab line of the README under Debian's own cron, on three hosts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.support.agent import Agent
from tests.support.debian import debian_file
from tests.support.promised import missing
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[2]
_BLOCK = r"^```crontab\n(.*?)^```$"

# Seconds: ends a test that has failed.  cron begins a job at the full minute.
_PATIENCE = 200.0

# In place of the one that mails: each mail becomes a file of its own.
_SENDMAIL = """#!/bin/sh
exec cat >"$(mktemp {mails}/XXXXXX)"
"""


@pytest.fixture(scope="session")
def cron_daemon() -> Path:
    """Debian's cron, installed or fetched; a mount namespace shows it folders of its own."""
    separate = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if separate.returncode:
        missing("there is no right to make a mount namespace (root)")
    return debian_file("cron", "usr/sbin/cron")


@contextmanager
def host(folder: Path, daemon: Path, crontab: str) -> Iterator[Path]:
    """A host on which cron runs; the folder of its mails."""
    places = {
        "cron.d": "/etc/cron.d",
        "crontabs": "/var/spool/cron",
        "run": "/run",
        "bin": "/usr/local/bin",
        "sbin": "/usr/sbin",
    }
    for name in (*places, "mails", "crontabs/crontabs"):
        (folder / name).mkdir(parents=True)
    (folder / "cron.d" / "sync").write_text(crontab)
    programs = {
        "bin/consul-lock": f'#!/bin/sh\nexec "{sys.executable}" -m consul_lock_cli "$@"\n',
        "sbin/sendmail": _SENDMAIL.format(mails=folder / "mails"),
    }
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    shutil.copy(daemon, folder / "sbin" / "cron")
    mounts = [f"mount --bind {folder / mine} {place}" for mine, place in places.items()]
    script = " && ".join(["mkdir -p /var/spool/cron", *mounts, "exec /usr/sbin/cron -f"])
    process = subprocess.Popen(["unshare", "--mount", "sh", "-ec", script])
    try:
        yield folder / "mails"
    finally:
        process.terminate()
        process.wait()


def test_one_of_three_hosts_runs_the_job_and_the_others_send_no_mail(
    cron_daemon: Path, agent: Agent, tmp_path: Path
) -> None:
    """The line as it stands, but for its schedule (each minute) and the agent's address."""
    (line,) = re.findall(_BLOCK, (_ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert line.startswith("*/10 * * * * root /usr/local/bin/consul-lock cron run ")
    often = line.replace("*/10 ", "* ", 1).replace("--every 10m", "--every 1m")
    crontab = f"CONSUL_HTTP_ADDR={agent.address}\n{often.replace('--max-runtime 9m', '')}"
    with ExitStack() as hosts:
        mails = [
            hosts.enter_context(host(tmp_path / f"host-{n}", cron_daemon, crontab))
            for n in range(3)
        ]

        def sent() -> list[str]:
            return [file.read_text() for folder in mails for file in folder.iterdir()]

        def bodies() -> list[str]:
            return [mail.partition("\n\n")[2].strip() for mail in sent()]

        # The second slot shows that all hosts have had their turn in the first.
        eventually(lambda: len(set(filter(None, bodies()))) >= 2, _PATIENCE, message="two slots")
        slots = bodies()
    assert len(slots) == len(set(slots))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", slot) for slot in slots), sent()
