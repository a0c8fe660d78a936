"""Names of locks: refused here already, before any traffic, if Consul would trip over them."""

from __future__ import annotations

NAME_MOST = 512
"""Bytes.  Consul takes longer keys, but cannot show or repair them comfortably."""


def check_name(name: str) -> str:
    """The name itself; raises ValueError saying what is wrong with it."""
    fault = _fault(name)
    if fault:
        raise ValueError(f'bad key "{shown(name)}": {fault}')
    return name


def _fault(name: str) -> str:
    if not name:
        return "it is empty"
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name):
        return "control character"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "it is not UTF-8"
    if size > NAME_MOST:
        return f"{size} bytes, at most {NAME_MOST} are allowed"
    if name.startswith("/") or name.endswith("/"):
        return "a slash at the beginning or the end"
    return _element_fault(name.split("/"))


def _element_fault(elements: list[str]) -> str:
    if "" in elements:
        return 'empty path element ("//")'
    if "." in elements or ".." in elements:
        return '"." or ".." as a path element'
    return ""


def shown(text: str, most: int = 60) -> str:
    """Text of others made safe for a terminal: nothing that moves the cursor, not too long."""
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return safe if len(safe) <= most else safe[: most - 3] + "..."
