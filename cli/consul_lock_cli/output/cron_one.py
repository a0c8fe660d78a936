"""One cron job that a command is about, and what is said if there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consul_lock_cli.base.names import shown
from consul_lock_cli.commands.status import NOT_SO

if TYPE_CHECKING:
    from consul_lock_cli.base.console import Talk
    from consul_lock_cli.output.data_command import Output


def nothing(talk: Talk, output: Output, text: str) -> int:
    """There is nothing to show or to do.  Exit code."""
    talk.tell(text)
    output.document([], str)
    return NOT_SO


def no_record(talk: Talk, output: Output, name: str) -> int:
    """Nobody has ever claimed a slot of that name.  Exit code."""
    return nothing(talk, output, f"there is no cron job {shown(name, 512)}: it has no record")
