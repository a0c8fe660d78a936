"""Who holds a lock, since when and in which state, in words: the one place that says so."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.text import shown
from consul_lock_cli.output.lock_json import moment, text

if TYPE_CHECKING:
    from consul_lock import Break, Holder, Status

COLORS = {
    "held": "yellow", "free": "green", "vanished": "red", "foreign": "magenta",
    "claimed": "yellow", "running": "yellow", "done": "green", "failed": "red", "lost": "red",
    "timeout": "red", "missed": "red", "paused": "cyan", "unreadable": "magenta",
}  # fmt: skip
"""Of states, by their first words."""

_KINDS = {"none": "nothing is there", "foreign": "no lock"}

# By what is known of it.
_TREE = {True: "tree lock", False: "read/write lock", None: "tree or read/write lock"}

# Of a semaphore with many slots, the first few are enough to ask.
_NAMED_MAX = 3


def word(text: str) -> str:
    """A state in its colour."""
    return click.style(text, fg=COLORS.get(text))


def state(status: Status) -> str:
    """In one word."""
    return "foreign" if status.kind == "foreign" else status.state


def kind(status: Status) -> str:
    """What it is, in words."""
    if status.kind == "read-write":
        return _TREE[status.tree]
    return _KINDS.get(status.kind, status.kind)


def mode(status: Status) -> str:
    """How it is held, in one or two words."""
    if status.kind == "semaphore":
        limit = "?" if status.limit is None else status.limit
        return f"sem {len(status.holders)}/{limit}"
    if status.tree:
        return "tree"
    if status.kind == "read-write":
        readers = len(status.holders)
        return f"read {readers}" if status.mode == "read" and readers > 1 else status.mode or "rw"
    return "lock" if status.kind == "lock" else "-"


def foreign(status: Status, length: int) -> str:
    """A value that is no lock's: so many characters of it, and its size if that is not all."""
    value = text(status.value)
    size = f" ({len(status.value)} bytes)" if len(value) > length else ""
    return f'value "{shown(value, length)}"{size}, flags {status.flags}'


def broken_by(last: Break, now: float, length: int) -> str:
    """Who broke it, and why."""
    ago = f" {show_duration(round(max(0.0, now - last.at)))} ago" if last.at else ""
    return f"by {shown(last.user, 20)}@{shown(last.host)}{ago}" + (
        f": {shown(last.reason, length)}" if last.reason else ""
    )


def identity(holder: Holder) -> str:
    """Which process it is: "web3 pid 4242"; of a client that does not say so, its session."""
    if holder.foreign:
        return f"session {shown(holder.session)}"
    return f"{shown(holder.host)} pid {holder.pid}"


def short_identity(holder: Holder) -> str:
    """The same for the cell of a table: "web3:4242"."""
    if holder.foreign:
        return f"session {shown(holder.session, 13)}"
    return f"{shown(holder.host)}:{holder.pid}"


def age(holder: Holder, now: float) -> str:
    """For how long, by this host's clock and its own."""
    since = moment(holder.since)
    return "-" if since is None else show_duration(round(max(0.0, now - holder.since)))


def who(holder: Holder, now: float) -> str:
    """In one line: "web3 pid 4242 (root), since 2026-11-21 17:00:03Z, 3m12s"."""
    if holder.foreign:
        return f"{identity(holder)} (a client that says nothing of itself)"
    since = _since(holder)
    when = f", since {since}, {age(holder, now)}" if since else ""
    return f"{_with_user(holder)}{when}"


# A tree lock whose own node nobody holds.
_ABOVE = "below a tree lock that is held, or in lock-delay"


def held_by(holders: Sequence[Holder], *, tree: bool = False) -> str:
    """ "held by web3 pid 4242 (root, since 2026-11-21 17:00:03Z, 3m12s)"; ``tree``: of a tree lock,
    whose holders are not those of the nodes above it."""
    if not holders:
        return _ABOVE if tree else "free, but in lock-delay or freed just now"
    if len(holders) == 1:
        return f"held by {_among_others(holders[0])}"
    named = ", ".join(_among_others(holder) for holder in holders[:_NAMED_MAX])
    more = len(holders) - _NAMED_MAX
    rest = f" and {more} more" if more > 0 else ""
    return f"held by {len(holders)}: {named}{rest}"


def briefly(holders: Sequence[Holder], *, tree: bool = False) -> str:
    """For a line that is short: "held by web3 pid 4242 (root) for 3m12s"."""
    if not holders:
        return _ABOVE if tree else "free, but in lock-delay"
    first = holders[0]
    since = f" for {age(first, time.time())}" if _since(first) else ""
    more = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
    return f"held by {_with_user(first)}{since}{more}"


def shortly(holders: Sequence[Holder]) -> str:
    """For a line that is very short: "3m12s web3:4242"."""
    if not holders:
        return "in lock-delay"
    first = holders[0]
    if first.foreign:
        return shown(first.session)
    since = f"{age(first, time.time())} " if _since(first) else ""
    return f"{since}{shown(first.host, 20)}:{first.pid}"


def _with_user(holder: Holder) -> str:
    user = f" ({shown(holder.user)})" if holder.user and not holder.foreign else ""
    return f"{identity(holder)}{user}"


def _among_others(holder: Holder) -> str:
    """With all that is said of it in brackets."""
    if holder.foreign:
        return identity(holder)
    about = [shown(holder.user)] if holder.user else []
    if since := _since(holder):
        about += [f"since {since}", show_duration(time.time() - holder.since)]
    return f"{identity(holder)} ({', '.join(about)})" if about else identity(holder)


def _since(holder: Holder) -> str:
    """A moment for people, in UTC; empty: it is not known."""
    day, _, time_of_day = (moment(holder.since) or "T").partition("T")
    return f"{day} {time_of_day[:8]}Z" if day else ""
