"""A fresh Python that runs some lines: with signals, masks and threads that are its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from tests.cli.command import PATIENCE, environment

_BEGIN = """
import os, signal, sys, threading, time

def mask(name):
    line = [l for l in open("/proc/self/status") if l.startswith(name + ":")][0]
    bits = int(line.split()[1], 16)
    return {signal.Signals(n).name for n in range(1, 32) if bits >> (n - 1) & 1}

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""


# `python -c IGNORING NAMES PROGRAM`.
_IGNORING = """
import os, signal, sys
for name in sys.argv[1].split():
    signal.signal(signal.Signals[name], signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2]])
"""


def fresh(lines: str, *, ignored: str = "") -> tuple[int, list[str]]:
    """Its exit code, or minus the signal that killed it, and the lines that it wrote.

    ``ignored`` are names of signals that its parent ignores, as nohup does.
    """
    program = _BEGIN + textwrap.dedent(lines)
    done = subprocess.run(
        [sys.executable, "-c", *((_IGNORING, ignored, program) if ignored else (program,))],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()
