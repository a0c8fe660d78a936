"""What people read: tables and lines, with nothing in them that could move their cursor."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.text import pad, shown, width
from consul_lock_cli.output.holder_text import (
    COLORS,
    age,
    broken_by,
    foreign,
    identity,
    kind,
    mode,
    short_identity,
    state,
    who,
    word,
)

if TYPE_CHECKING:
    from consul_lock import Holder, Leftover, SessionStatus, Status

# Holders named in one cell.
_NAMED_MAX = 4

_HEALTH = {"passing": "green", "warning": "yellow", "critical": "red"}

Row = Sequence[str]

HEAD = ("KEY", "STATE", "MODE", "HOLDER", "SINCE", "WAITERS")


def wants_color(choice: str) -> bool:
    """Whether what goes to stdout may have colours."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") in (None, "", "dumb"):
        return False
    return on_terminal()


def on_terminal() -> bool:
    """Whether somebody reads what goes to stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def table(head: Row, rows: Sequence[Row], styled: int | None = None) -> str:
    """Columns under their names; the column ``styled`` has colours, by its first word."""
    every = [head, *rows]
    widths = [max(width(row[column]) for row in every) for column in range(len(head))]
    lines = []
    for number, row in enumerate(every):
        cells = [pad(text, columns) for text, columns in zip(row, widths, strict=True)]
        cells[-1] = row[-1]
        if number and styled is not None:
            cells[styled] = _styled(cells[styled])
        text = "  ".join(cells).rstrip()
        lines.append(text if number else click.style(text, bold=True))
    return "\n".join(lines)


def _styled(cell: str) -> str:
    first = cell.partition(" ")[0].lower()
    return click.style(cell, fg={**COLORS, **_HEALTH}.get(first))


def status_row(each: Status, now: float) -> Row:
    """One of them, under `HEAD`."""
    return (
        shown(each.name, 512),
        state(each),
        mode(each),
        _holders(each),
        age(each.holders[0], now) if each.holders else "-",
        str(len(each.waiters)),
    )


def _holders(status: Status) -> str:
    if status.kind == "foreign":
        return foreign(status, 30)
    if len(status.holders) == 1:
        (holder,) = status.holders
        command = f' "{shown(holder.command, 30)}"' if holder.command else ""
        user = f" {shown(holder.user, 20)}" if holder.user else ""
        return f"{short_identity(holder)}{user}{command}"
    named = [short_identity(holder) for holder in status.holders[:_NAMED_MAX]]
    more = len(status.holders) - _NAMED_MAX
    if not named and status.last_break is not None:
        return f"(broken {broken_by(status.last_break, time.time(), 30)})"
    if not named and status.last_holder is not None:
        return f"(its last holder {identity(status.last_holder)} died or lost it)"
    return " ".join([*named, *([f"and {more} more"] if more > 0 else [])]) or "-"


def describe(status: Status, now: float) -> str:
    """All that is known of one, on several lines."""
    what = kind(status)
    if status.kind == "semaphore":
        limit = "no limit yet" if status.limit is None else f"{status.limit}"
        what = f"semaphore, {len(status.holders)} of {limit}"
    elif status.tree:
        what = "tree lock" if status.mode == "write" else "tree lock on a name below it"
    elif status.mode in ("read", "write"):
        what = f"{what}, {status.mode}"
    last = status.last_holder
    # The keys do not show whether it died, or was broken, or only its session ended.
    ended = "" if last is None else f"; its last holder {identity(last)} died or lost it"
    lines = [f"{shown(status.name, 512)}: {word(state(status))} ({what}){ended}"]
    if last is not None:
        lines.append(f"  last       {who(last, now)}")
        lines.append("             its lock-delay may still run: 'watch' shows when a holder dies")
    if status.problem:
        lines.append(f"  value      {foreign(status, 256).removeprefix('value ')}")
        lines.append(f"  problem    {shown(status.problem, 500)}")
    for holder in status.holders:
        dead = "; VANISHED: its session is gone" if holder.session in status.vanished else ""
        text = who(holder, now)
        if not holder.confirmed:
            text = f"handed over to {text}, not confirmed"
        lines.append(f"  holder     {text}{dead}")
        lines += [f"             {text}" for text in _details(holder)]
    for place, waiter in enumerate(status.waiters, 1):
        lines.append(f"  waiter {place:<3} {who(waiter, now)}")
    if status.last_break is not None:
        lines.append(f"  last break {broken_by(status.last_break, now, 600)}")
        lines.append(f"             session {shown(status.last_break.session)}")
    return "\n".join(lines)


def _details(holder: Holder) -> list[str]:
    token = "" if holder.token is None else f"token {holder.token}"
    lines = [token] if holder.foreign else [f"session {shown(holder.session)} {token}".rstrip()]
    lines = [line for line in lines if line]
    if holder.command:
        lines.append(f"command {shown(holder.command, 200)}")
    if holder.meta:
        pairs = " ".join(f"{k}={v}" for k, v in sorted(holder.meta.items()))
        lines.append(f"meta {shown(pairs, 500)}")
    if holder.value:
        lines.append(f"value {shown(holder.value, 200)}")
    return lines


def holder_table(status: Status, sessions: dict[str, SessionStatus]) -> str:
    """Lines for each holder, as one with its session and command would not fit 80 columns."""
    now, rows, behind = time.time(), [], []
    for holder in status.holders:
        known = sessions.get(holder.session)
        gone = "session gone" if holder.session in status.vanished else ""
        pid = f":{holder.pid}"
        rows.append(
            (
                "-" if holder.foreign else f"{shown(holder.host, 20 - len(pid))}{pid}",
                shown(holder.user, 10) or "-",
                age(holder, now),
                "-" if holder.token is None else str(holder.token),
                (known.node_health if known else gone) or "unknown",
                f"{show_duration(known.ttl)} + {show_duration(known.lock_delay)}" if known else "-",
            )
        )
        node = f", node {shown(known.node, 20)}" if known else ""
        command = f"\n  command {shown(holder.command, 70)}" if holder.command else ""
        behind.append(f"  session {shown(holder.session, 40)}{node}{command}")
    columns = ("HOLDER", "USER", "SINCE", "TOKEN", "HEALTH", "TTL + DELAY")
    head, *lines = table(columns, rows, 4).split("\n")
    return "\n".join([head, *(text for pair in zip(lines, behind, strict=True) for text in pair)])


def leftover_table(found: Sequence[Leftover]) -> str:
    """A line for each key that somebody who died has left."""
    rows = [
        (shown(each.key, 512), each.what, identity(each.holder) if each.holder else "-")
        for each in found
    ]
    return table(("KEY", "WHAT", "OF"), rows)
