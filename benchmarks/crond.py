"""Three hosts, each with Debian's cron and a clock of its own, run one job: once a minute?

python benchmarks/crond.py [--minutes N] [--unguarded]

A host here is a real cron in namespaces of its own (mounts, name of the host), with its own
/etc/cron.d; all three talk to the client agent of one real cluster.  With libfaketime their
clocks differ.  It needs root, Linux, and the packages cron and faketime (without the second,
the clocks are all the same, and it says so).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import rounds

from tests.support.binary import NONE, find_consul
from tests.support.cluster import Cluster

# Seconds by which the clock of a host is off.
HOSTS = {"host-1": 0.0, "host-2": 1.7, "host-3": -1.9}
MINUTE = 60

_COMMAND = Path(sys.executable).with_name("consul-lock")
_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
# What cron reads and writes, and where a host has its own.
_PLACES = {
    "/etc/cron.d": "cron.d",
    "/var/spool/cron/crontabs": "crontabs",
    "/run": "run",
    "/etc/crontab": "crontab",
}
_GUARD = "{command} cron run --name crond --every 1m --http-addr {address} -- "


def crontab(job: Path, skew: float, address: str, *, guarded: bool) -> str:
    """One line, as every host has it, and the host's clock for what cron starts."""
    guard = _GUARD.format(command=_COMMAND, address=address) if guarded else ""
    clock = "".join(f"{name}={value}\n" for name, value in skewed(skew).items())
    return f"SHELL=/bin/sh\nPATH=/usr/bin:/bin\n{clock}* * * * * root {guard}{job}\n"


def skewed(seconds: float) -> dict[str, str]:
    """The environment in which the clock is off by so much."""
    if not seconds or not _FAKETIME.exists():
        return {}
    fake = {"LD_PRELOAD": str(_FAKETIME), "FAKETIME": f"{seconds:+.1f}s"}
    # Only the time of day is wrong on such a host: a second is as long as anywhere.
    return {**fake, "DONT_FAKE_MONOTONIC": "1"}


@contextmanager
def host(name: str, folder: Path, table: str) -> Iterator[None]:
    """A cron that runs ``table`` until the end of the block."""
    for place in ("cron.d", "crontabs", "run"):
        (folder / place).mkdir(parents=True)
    (folder / "crontab").touch()
    (folder / "cron.d" / "job").write_text(table)
    mounts = [f"mount --bind {folder / mine} {place}" for place, mine in _PLACES.items()]
    script = " && ".join([*mounts, f"hostname {name}", "exec /usr/sbin/cron -f -L 15"])
    process = subprocess.Popen(
        ["unshare", "--mount", "--uts", "sh", "-c", script],
        env={**os.environ, **skewed(HOSTS[name])},
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def observe(minutes: int, folder: Path, address: str, *, guarded: bool) -> list[str]:
    """What the job has written: the true time, the host and the slot, a line a run."""
    log, job = folder / "log", folder / "job"
    # The true time: what it starts has no part in the host's clock.
    job.write_text(
        "#!/bin/sh\n"
        f'echo "$(env -u LD_PRELOAD date +%s) $(hostname) $CONSUL_LOCK_CRON_SLOT" >>{log}\n'
    )
    job.chmod(0o755)
    log.touch()
    # Begin in the middle of a minute, so that each of them is seen whole.
    time.sleep((MINUTE * 1.5 - time.time()) % MINUTE)
    with ExitStack() as hosts:
        for name, skew in HOSTS.items():
            table = crontab(job, skew, address, guarded=guarded)
            hosts.enter_context(host(name, folder / name, table))
        time.sleep(MINUTE * minutes)
    return log.read_text().splitlines()


def judge(lines: list[str], minutes: int, *, guarded: bool) -> bool:
    """Print the runs of each minute; True if it is one for each."""
    # The nearest full minute: a clock may be two seconds early.
    runs = Counter(round(int(line.split()[0]) / MINUTE) for line in lines)
    who = Counter(line.split()[1] for line in lines)
    rows = [
        (time.strftime("%H:%MZ", time.gmtime(minute * MINUTE)), str(count))
        for minute, count in sorted(runs.items())
    ]
    rounds.print_table(("minute", "runs"), rows)
    print("by", ", ".join(f"{name} {who[name]}" for name in HOSTS))
    once = len(runs) == minutes and set(runs.values()) == {1}
    slots = [line.split()[2] for line in lines] if guarded and once else []
    return once and len(set(slots)) == len(slots)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--unguarded", action="store_true", help="the same without consul-lock")
    given = parser.parse_args()
    binary = find_consul()
    if binary is None:
        raise SystemExit(NONE)
    if os.geteuid() != 0 or not shutil.which("unshare") or not Path("/usr/sbin/cron").exists():
        raise SystemExit("needs root, unshare and the package cron")
    if not _FAKETIME.exists():
        print("no libfaketime: the clocks of the hosts are the same")
    with Cluster(binary) as cluster, tempfile.TemporaryDirectory() as folder:
        guarded = not given.unguarded
        lines = observe(given.minutes, Path(folder), cluster.client.address, guarded=guarded)
        met = judge(lines, given.minutes, guarded=guarded)
    print(f"one run a minute: {'yes' if met else 'NO'}")
    raise SystemExit(guarded and not met)


if __name__ == "__main__":
    main()
