"""The metrics file: gauges of the last run on this host, for node_exporter's textfile collector.

It is written at the end: a run that is under way, or was killed, leaves the gauges of the run
before, whose time of end gets older and older.  A file has no memory, so there are no counters, and
each gauge is true of one run.

What was not started because another process had the lock or the cron slot is no run.  On the hosts
that share a job that is the usual end, and it must not hide how the last run on this host went: it
has gauges of its own in the same file.  The same holds where Consul could not be reached: another
host may have run the job well.  So each end reads what the file has of the other kind, and
two that come at the same moment, as a slot is skipped while the run before comes to its end, take
turns.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.file_replacement import followed, replace_file
from consul_lock_cli.run.end_kind import EndKind
from consul_lock_cli.spec.lock import LockKind

_RUN = {
    "consul_lock_last_run_start_timestamp_seconds": "When consul-lock began the last run.",
    "consul_lock_last_run_end_timestamp_seconds": "When the last run ended.",
    "consul_lock_last_run_success": (
        "Whether the last run succeeded: exit code 0, and the command was run."
    ),
    "consul_lock_last_run_success_timestamp_seconds": (
        "When the last run ended, if it succeeded; absent if it did not."
    ),
    "consul_lock_last_run_exit_code": "Exit code of consul-lock in the last run.",
    "consul_lock_last_run_outcome": "1, with the way in which the last run ended as the label.",
    "consul_lock_last_run_acquired": "Whether the last run acquired its lock.",
    "consul_lock_last_run_lost": "Whether the last run lost its lock.",
    "consul_lock_last_run_wait_seconds": "How long the last run waited for its lock.",
    "consul_lock_last_run_hold_seconds": "How long the last run held its lock.",
    "consul_lock_last_run_command_seconds": "How long the command of the last run took.",
    "consul_lock_last_run_slot_timestamp_seconds": "The time of the cron slot of the last run.",
}

_SKIP = {
    "consul_lock_last_skip_timestamp_seconds": (
        "When the command was last not started, as another process had the lock or cron slot, or"
        " Consul could not be reached."
    ),
    "consul_lock_last_skip_exit_code": "Exit code of consul-lock then.",
    "consul_lock_last_skip_reason": "1, with the reason as the label.",
}

# The kinds that events and `consul-lock exporter` have, too, by the mode of the lock.
_KINDS = {
    LockKind.SHARED: "read-write",
    LockKind.EXCLUSIVE: "read-write",
    LockKind.TREE: "read-write",
    LockKind.MULTI: "multilock",
    LockKind.LEADER: "election",
}

_SKIPS = (EndKind.SKIP, EndKind.CONFLICT, EndKind.UNAVAILABLE)

_MODE = 0o644
"""node_exporter is another user, whatever the umask of this one."""

# A sample as it is written here; what is in quotes has its own quotes escaped.
_SAMPLE = re.compile(r'(?P<name>\w+)\{(?P<labels>(?:\w+="(?:[^"\\]|\\.)*",?)+)\} [-+.\w]+')

# Seconds, and between two tries.
_TURN, _AGAIN = 0.5, 0.01

Samples = dict[str, str]
"""The line of each gauge, by its name."""


class MetricsFile:
    """Where the gauges of one name are written."""

    def __init__(self, path: Path) -> None:
        if path.suffix != ".prom":
            raise Misuse(
                f"--metrics-file: '{path}' does not end in .prom",
                "node_exporter's textfile collector reads no other file",
            )
        self._path = path

    def write(self, known: Mapping[str, Any], began: float | None, ended: float) -> None:
        """Replace it by what is ``known`` of a run for the status file.  Raises OSError."""
        target = followed(self._path)
        if target.exists() and not target.is_file():
            raise OSError(errno.EINVAL, "not a regular file", str(target))
        labels = _labels(
            # The names of several locks are one a line.
            name=str(known["key"] or "").replace("\n", ", "),
            kind=_kind(known),
        )
        skipped = known["exit"]["kind"] in _SKIPS
        if skipped:
            samples = _of_a_skip(known, ended, labels)
        else:
            samples = _of_a_run(known, began, ended, labels)
        with _turn(target.parent):
            try:
                samples |= _kept(target, _RUN if skipped else _SKIP, labels)
            except FileNotFoundError:
                pass  # the first
            except OSError:
                # A skip is less than what would be lost; how a run went is more.
                if skipped:
                    raise
            replace_file(target, _text(samples), _MODE, "utf-8")


def _kind(known: Mapping[str, Any]) -> str:
    mode = known["mode"]
    return "cron" if "name" in known else _KINDS.get(mode, str(mode or ""))


def _of_a_run(known: Mapping[str, Any], began: float | None, ended: float, labels: str) -> Samples:
    kind, code = known["exit"]["kind"], known["exit_code"]
    # With --hold there is no command, and a signal is its usual end.
    success = code == 0 and kind in (EndKind.EXIT, EndKind.INTERRUPTED)
    values = (
        began,
        ended,
        success,
        ended if success else None,
        code,
        (1, _labels(outcome=kind)),
        known["acquired"],
        known["lost"],
        known["waited_s"],
        known["held_s"],
        known["runtime_s"],
        known.get("slot_epoch"),
    )
    return _samples(_RUN, values, labels)


def _of_a_skip(known: Mapping[str, Any], ended: float, labels: str) -> Samples:
    kind = known["exit"]["kind"]
    if kind == EndKind.SKIP:
        reason = str(known.get("outcome", ""))
    else:
        reason = "held" if kind == EndKind.CONFLICT else "unavailable"
    values = (ended, known["exit_code"], (1, _labels(reason=reason)))
    return _samples(_SKIP, values, labels)


def _samples(names: Mapping[str, str], values: tuple[Any, ...], labels: str) -> Samples:
    """A line for each value but those that are None."""
    made = {}
    for name, value in zip(names, values, strict=True):
        if value is not None:
            number, more = value if isinstance(value, tuple) else (value, "")
            both = f"{labels},{more}" if more else labels
            made[name] = f"{name}{{{both}}} {_number(number)}"
    return made


def _number(value: Any) -> str:
    return repr(round(value, 3)) if isinstance(value, float) else str(int(value))


def _labels(**values: str) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items())


def _escaped(value: str) -> str:
    # What was no text where it was typed would make the whole file invalid.
    text = value.encode("utf-8", "replace").decode()
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _text(samples: Samples) -> str:
    parts = [
        f"# HELP {name} {help_}\n# TYPE {name} gauge\n{samples[name]}\n"
        for name, help_ in (_RUN | _SKIP).items()
        if name in samples
    ]
    return "".join(parts)


def _kept(file: Path, names: Mapping[str, str], labels: str) -> Samples:
    """What the file has of these gauges, with the same labels.  Raises OSError."""
    found = {}
    for line in file.read_text("utf-8", "replace").split("\n"):
        sample = _SAMPLE.fullmatch(line)
        if sample and sample["name"] in names and f"{sample['labels']},".startswith(f"{labels},"):
            found[sample["name"]] = line
    return found


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Others that write a metrics file in this folder wait meanwhile.

    Not for long, and where the system has no such lock there is none: everybody who can read the
    folder can hold it, and that must not keep a run from its end.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, descriptor)
            end = time.monotonic() + _TURN
            while not _locked(descriptor) and time.monotonic() < end:
                time.sleep(_AGAIN)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
