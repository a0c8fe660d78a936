"""Something that has happened to a lock, in a line for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from consul_lock_cli.base.text import shown
from consul_lock_cli.output.holder_text import identity
from consul_lock_cli.output.lock_json import moment

if TYPE_CHECKING:
    from consul_lock import Change

_COLORS = {"acquired": "yellow", "held": "yellow", "released": "green", "lost": "red"}


def event_line(change: Change, at: float) -> str:
    """When, what, which lock, and whose: "17:00:03Z acquired jobs/a web3 pid 4242 (root)"."""
    holder = change.holder
    user = f" ({shown(holder.user, 20)})" if holder.user and not holder.foreign else ""
    what = click.style(f"{change.what:<8}", fg=_COLORS.get(change.what))
    clock = (moment(at) or "T")[11:19]
    return f"{clock}Z {what} {shown(change.status.name, 512)}  {identity(holder)}{user}"
