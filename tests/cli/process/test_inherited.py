"""The command inherits the state with which consul-lock was started."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.cli.command import Running, environment
from tests.cli.program_supervisor import PROGRAM

_IGNORING = (
    "import os, signal as s, sys\n"
    "for signum in s.SIGPIPE, s.SIGXFSZ: s.signal(signum, s.SIG_DFL)\n"
    "s.signal(int(sys.argv[1]), s.SIG_IGN)\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


def _mask(signum: int) -> int:
    return 1 << (signum - 1)


def _ignored_here() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("SigIgn:")[1].split()[0], 16)


@pytest.mark.parametrize(
    "ignored, stays", [("CHLD", True), ("HUP", True), ("INT", True), ("PIPE", False)]
)
def test_signals_ignored_at_the_start_stay_ignored(ignored: str, stays: bool) -> None:
    """nohup holds for the command, too; but Python itself ignores PIPE, and that does not."""
    # The parent of the tests may have more ignored, such as a signal of its C library.
    given = _ignored_here() & ~_mask(signal.SIGPIPE) & ~_mask(signal.SIGXFSZ)
    signum = signal.Signals[f"SIG{ignored}"]
    prefix = (sys.executable, "-c", _IGNORING, str(int(signum)), *PROGRAM)
    command = ["grep", "SigIgn", "/proc/self/status"]
    with Running(command, environment(), prefix=prefix) as running:
        mask = int(running.line().split()[1], 16)
        assert running.wait() == 0
    assert mask == given | (_mask(signum) if stays else 0)


def test_under_nohup_a_hangup_has_no_effect() -> None:
    """It neither reaches the command, nor ends consul-lock."""
    prefix = (sys.executable, "-c", _IGNORING, str(int(signal.SIGHUP)), *PROGRAM)
    script = "trap 'echo usr1; exit 0' USR1; echo ready; while :; do sleep 0.05; done"
    command = ["sh", "-c", script]
    with Running(command, environment(), prefix=prefix) as running:
        assert running.line() == "ready"
        running.send(signal.SIGHUP)
        running.send(signal.SIGUSR1)
        assert running.line() == "usr1"
        assert running.wait() == 0


def test_the_environment_is_passed_on_unchanged() -> None:
    """Python adds LC_CTYPE to an environment without a locale; the command does not see it."""
    given = {name: value for name, value in environment().items() if name[:3] not in ("LC_", "LAN")}
    with Running(["env"], given, prefix=PROGRAM) as running:
        seen = dict(line.split("=", 1) for line in iter(running.line, "") if "=" in line)
        assert running.wait() == 0
    assert seen.pop("SUPERVISED") == "yes"
    assert seen == given
