"""A job runs under a lock; a second one waits for it, and then runs.

    make demo

Every line is printed by the process that it is about.  The agent is a private one: the real
Consul if available, else the model of it that comes with the package; the first line says which.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time

from consul_lock import Client, Lock

CONSUL_LOCK = [sys.executable, "-m", "consul_lock_cli"]

KEY = "demo/deploy"

SAY = "import sys, time; print(sys.argv[1], flush=True); time.sleep(float(sys.argv[2]))"


def job(name: str, seconds: float) -> list[str]:
    """A command that takes the lock, says so, works for a while and lets go."""
    words = f"  {name}: the lock is mine; working for {seconds:g} s"
    work = [sys.executable, "-c", SAY, words, str(seconds)]
    return [*CONSUL_LOCK, "run", "-v", "--key", KEY, "--", *work]


def inside() -> int:
    """What runs beside the private agent."""
    print("two jobs want the same lock:", flush=True)
    first = subprocess.Popen(job("first", 2.0))
    with Client() as client:
        while not Lock(KEY, client=client).locked() and first.poll() is None:
            time.sleep(0.05)
    second = subprocess.Popen(job("second", 0.5))
    codes = first.wait(), second.wait()
    print("both have run, one after the other; exit codes", *codes, flush=True)
    return max(codes)


def main() -> int:
    """Start the private agent, and this program again beside it."""
    if sys.argv[1:] == ["inside"]:
        return inside()
    command = [*CONSUL_LOCK, "dev", "--", sys.executable, __file__, "inside"]
    said = ["consul-lock", "dev", "--", "python", "examples/demo.py", "inside"]
    print("$", shlex.join(said), flush=True)
    return subprocess.call(command)


if __name__ == "__main__":
    sys.exit(main())
