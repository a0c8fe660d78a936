"""Which names a lock can have: one rule, for the library and for the command line.

It imports nothing of the library, so a command line with a typo in it is refused at once.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NAME_MAX", "Fault", "fault_of"]

NAME_MAX = 512
"""Bytes of a name at most; the session ids behind it have to fit into a URL, too."""


class Fault(NamedTuple):
    """What is wrong with a name."""

    why: str
    instead: str
    """A name that would do and is most likely meant; "" if there is none."""


def fault_of(name: str) -> Fault | None:
    """What Consul, or an HTTP server before it, would refuse or change in a name; None: nothing."""
    why = _why(name)
    if not why:
        return None
    likely = _cleaned(name.strip())
    return Fault(why, "" if _why(likely) else likely)


def _why(name: str) -> str:
    if not name:
        return "a name is a string that is not empty"
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        return f"it is not valid text: {error.reason}"
    if size > NAME_MAX:
        return f"{size} bytes, at most {NAME_MAX}"
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name):
        return "it has a control character"
    if name != name.strip():
        return "newer servers refuse a space at either end"
    return _why_as_path(name.split("/"))


def _why_as_path(parts: list[str]) -> str:
    if not parts[0] or not parts[-1]:
        return "it begins or ends with a slash"
    if "" in parts:
        return "empty path element"
    if "." in parts or ".." in parts:
        return "'.' and '..' mean something else in a path"
    return ""


def _cleaned(name: str) -> str:
    """What Go's client makes of it, as of any path."""
    kept: list[str] = []
    for part in name.split("/"):
        if part == "..":
            kept = kept[:-1]
        elif part not in ("", "."):
            kept.append(part)
    return "/".join(kept)
