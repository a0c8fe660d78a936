"""The records of the log: a sentence for people, and fields for programs, for each event.

The logger is ``consul_lock``.  The fields have a prefix, ``consul_lock_``, so that none can be
taken for an attribute that a record of `logging` has anyway (``name``), or for one of the program.
"""

from __future__ import annotations

import enum
import logging
import sys
import traceback
from collections.abc import Mapping
from typing import Any

log = logging.getLogger("consul_lock")

PREFIX = "consul_lock_"
"""Before the name of each field."""

# What is long, and has no place in each record.
_LEFT_OUT = frozenset({"meta"})


def write(event: str, level: int, about: Mapping[str, Any]) -> None:
    """Write a record at this level, if the log has it."""
    if log.isEnabledFor(level):
        put_record(level, "%s", sentence(event, about), extra=fields(event, about))


def put_record(level: int, text: str, *args: Any, **more: Any) -> None:
    """Let the log have a record.

    A handler, or a filter, may raise: an acquire must not fail for it, nor a keeper end, which
    would lose what it keeps.  It is printed, as `logging` prints errors of its own handlers.
    """
    try:
        log.log(level, text, *args, **more)
    except Exception:  # noqa: BLE001 - whatever it is
        if logging.raiseExceptions and sys.stderr is not None:
            traceback.print_exc()


def fields(event: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """What a record has for programs: words and numbers alone."""
    found = {f"{PREFIX}event": event}
    for name, value in about.items():
        if name not in _LEFT_OUT:
            found[PREFIX + name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, float):
        return round(value, 3)
    return value if value is None or isinstance(value, str | int) else str(value)


def sentence(event: str, about: Mapping[str, Any]) -> str:
    """What has happened, for people."""
    make = _SENTENCES.get(event)
    return event if make is None else make(about)


def _waiting(about: Mapping[str, Any]) -> str:
    text = f"waiting for {about['name']!r}"
    if "waited" in about:
        text += f" for {_seconds(about['waited'])}"
    return text + _held_by(about)


def _acquired(about: Mapping[str, Any]) -> str:
    return f"acquired {about['name']!r} {_got(about)}"


def _elected(about: Mapping[str, Any]) -> str:
    return f"elected to lead {about['name']!r} {_got(about)}"


def _got(about: Mapping[str, Any]) -> str:
    text = f"after {_seconds(about['waited'])}, fencing token {about['token']}"
    if about["handed_over"]:
        text += ", handed over" + ("" if about["holder"] is None else f" by {about['holder']}")
    return text


def _gave_up(about: Mapping[str, Any]) -> str:
    text = f"gave up {about['name']!r} after {_seconds(about['waited'])}"
    if about["why"] == "timeout":
        return text + _held_by(about)
    return f"{text}: {about['error'] or 'the call was cut off'}"


def _held_by(about: Mapping[str, Any]) -> str:
    return "" if about["holder"] is None else f", held by {about['holder']}"


def _released(about: Mapping[str, Any]) -> str:
    return f"released {about['name']!r}, which was held for {_seconds(about['held'])}"


def _resigned(about: Mapping[str, Any]) -> str:
    return f"resigned from {about['name']!r} after {_seconds(about['held'])}"


def _handed_over(about: Mapping[str, Any]) -> str:
    return f"handed {about['name']!r} over to {about['holder']}"


def _lost(about: Mapping[str, Any]) -> str:
    why = about["reason"].value
    if about["error"] is not None:
        why += f"; its renewals failed: {about['error']}"
    return (
        f"{about['name']!r} was lost after {_seconds(about['held'])} ({why}): somebody else may"
        " hold it by now"
    )


def _retrying(about: Mapping[str, Any]) -> str:
    return (
        f"a request for {about['name']!r} failed, and is tried again within"
        f" {_seconds(about['pause'])}: {about['error']}"
    )


def _taken(about: Mapping[str, Any]) -> str:
    by = f" by {about['host']}" if about["host"] else ""
    return f"slot {about['slot']} of {about['name']!r} was taken{by}"


def _skipped(about: Mapping[str, Any]) -> str:
    return f"slot {about['slot']} of {about['name']!r} is skipped ({about['why']})"


def _started(about: Mapping[str, Any]) -> str:
    return f"slot {about['slot']} of {about['name']!r} is run by this host, try {about['run']}"


def _ended(about: Mapping[str, Any]) -> str:
    code = "" if about["exit"] is None else f" with exit code {about['exit']}"
    return (
        f"slot {about['slot']} of {about['name']!r} ended after {_seconds(about['runtime'])}:"
        f" {about['state']}{code}"
    )


def _missed(about: Mapping[str, Any]) -> str:
    slots = about["slots"]
    if slots == 1:
        return f"slot {about['slot']} of {about['name']!r} was missed: no host has run it"
    return (
        f"{slots} slots of {about['name']!r} were missed, from {about['slot']} on: no host has run"
        " them"
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds < 10 else f"{seconds:.1f} s"


_SENTENCES = {
    "waiting": _waiting,
    "acquired": _acquired,
    "elected": _elected,
    "gave-up": _gave_up,
    "released": _released,
    "resigned": _resigned,
    "handed-over": _handed_over,
    "lost": _lost,
    "retrying": _retrying,
    "taken": _taken,
    "skipped": _skipped,
    "started": _started,
    "ended": _ended,
    "missed": _missed,
}
