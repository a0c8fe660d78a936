"""The ways in which a program leaves the process group, or the session, that it was started in."""

from __future__ import annotations

import os
import sys

ROOT = os.geteuid() == 0

WORK = "trap '' TERM; echo $ESCAPE $$; exec {program} 120"
_WORK = WORK.format(program="sleep")
# It prints its pid, and the name in $ESCAPE before it.  It ignores TERM where a shell or a relay
# could pass it on, and ends with the test at the latest.
_WORKER = ("sh", "-c", _WORK)

# Double fork: it is nobody's child, in a session of its own.
_DAEMON = """
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp(sys.argv[1], sys.argv[1:])
    os._exit(0)
os.wait()
signal.alarm(120)
signal.pause()
"""

# It has no use for the packages that are installed.
_PYTHON = (sys.executable, "-I", "-S", "-c")
_SUBPROCESS = "import subprocess, sys; subprocess.run(sys.argv[1:], {how})"


def _python(how: str) -> list[str]:
    return [*_PYTHON, _SUBPROCESS.format(how=how), *_WORKER]


OWN_GROUP: dict[str, list[str]] = {
    "timeout": ["timeout", "120", *_WORKER],
    "set -m": ["bash", "-c", 'set -m; "$@" & wait', "bash", *_WORKER],
    "process_group=0": _python("process_group=0"),
}
"""Commands that start a worker in a group of its own, and wait."""

OWN_SESSION: dict[str, list[str]] = {
    "setsid -w": ["setsid", "-w", *_WORKER],
    "start_new_session": _python("start_new_session=True"),
    "daemon": [*_PYTHON, _DAEMON, *_WORKER],
}
"""Those with a session of its own."""

if ROOT:
    OWN_SESSION["su -c"] = ["su", "-s", "/bin/sh", "-c", _WORK, "nobody"]
    OWN_SESSION["runuser -c"] = ["runuser", "-s", "/bin/sh", "-c", _WORK, "nobody"]

PLAIN = ["env", *_WORKER]
"""A worker that stays in the group."""
