"""Asking whoever typed the command, before something is done that cannot be undone."""

from __future__ import annotations

import sys

import click

from consul_lock_cli.base.console import Misuse


def check(hint: str) -> None:
    """Raise `Misuse` if there is nobody to ask."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise Misuse("nobody to ask: stdin is no terminal", hint)


def agreed(what: str) -> bool:
    """Whether the answer is yes."""
    click.echo(f"{what}? [y/N]: ", err=True, nl=False)
    # Not click.confirm: it takes the end of what is typed for a Ctrl-C.
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        click.echo(err=True)
    return answer.strip().lower() in ("y", "yes")
