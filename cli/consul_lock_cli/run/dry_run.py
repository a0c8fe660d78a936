"""`run --dry-run`: say what would happen now.  It reads, and creates nothing, no session either."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.base.text import shown
from consul_lock_cli.output.holder_text import held_by
from consul_lock_cli.spec.connection import Connection
from consul_lock_cli.spec.lock import LockKind, LockSpec

if TYPE_CHECKING:
    from consul_lock import Status
    from consul_lock_cli.spec.run import RunSpec

_KINDS = {
    LockKind.LOCK: "lock",
    LockKind.MULTI: "lock",
    LockKind.LEADER: "lock",
    LockKind.SEMAPHORE: "semaphore",
    LockKind.SHARED: "read-write",
    LockKind.EXCLUSIVE: "read-write",
    LockKind.TREE: "read-write",
}
"""What the library calls them when it looks at them from outside."""


class _Place(NamedTuple):
    """A name that is taken, and how."""

    key: str
    shared: bool = False


def rehearse(wanted: RunSpec, command: Sequence[str], connection: Connection, talk: Console) -> int:
    """The exit code: 0 if it would run now, 75 (-E) if it would wait or give up, 65, 69."""
    what, patience = wanted.what, wanted.patience
    with connection.client(talk) as client:
        from consul_lock import Survey, Unavailable

        what.make(client, program="")  # for its checks
        survey = Survey(client)
        try:
            seen = [(place, survey.status(place.key)) for place in _places(what)]
        except Unavailable as error:
            return _unavailable(error, wanted, command, talk)
    for _, status in seen:
        fault = _misfit(what, status)
        if fault:
            talk.error(f"{fault} ({ExitCode.DATA:d})", "use another --key", code=ExitCode.DATA)
            return ExitCode.DATA
    taken = [status for place, status in seen if _in_the_way(what, place, status)]
    if not taken:
        click.echo(f"{what.title} is free: would {_doing(command)}")
        return 0
    then = "give up" if patience.wait == 0 else "wait"
    for status in taken:
        click.echo(f"{shown(status.name)} is {_by(status)}: would {then}")
    return patience.conflict_code


def _unavailable(
    error: BaseException, wanted: RunSpec, command: Sequence[str], talk: Console
) -> int:
    if wanted.patience.fail_open:
        click.echo(f"Consul cannot be reached: would {_doing(command)} without the lock")
        return 0
    code = wanted.patience.unavailable_code
    talk.error(f"{complaint(error)} ({code})", failure(error).hint, code=code)
    return code


def _doing(command: Sequence[str]) -> str:
    return f"run {shlex.join(command)}" if command else "hold it"


def _places(what: LockSpec) -> Iterator[_Place]:
    """Every name that it takes; a tree lock shares those above its own."""
    if what.mode is LockKind.TREE:
        parts = what.keys[0].split("/")
        yield from (_Place("/".join(parts[:n]), True) for n in range(1, len(parts)))
    yield from (_Place(key, what.mode is LockKind.SHARED) for key in what.keys)


def _misfit(what: LockSpec, status: Status) -> str:
    """What is wrong with what is there; empty: nothing."""
    kind = _KINDS[what.mode]
    if status.kind == "foreign":
        return status.problem or f"{status.key!r} holds something that is not a lock"
    if status.kind not in (kind, "none"):
        return f"{status.key!r} is a {status.kind}, wanted a {kind}"
    if what.mode is LockKind.SEMAPHORE and status.limit not in (None, what.limit):
        return f"{status.name!r} is a semaphore with limit {status.limit}, wanted {what.limit}"
    return ""


def _in_the_way(what: LockSpec, place: _Place, status: Status) -> bool:
    """Whether we could not have it at once.  First come, first served: who waits comes first."""
    if what.mode is LockKind.SEMAPHORE:
        return bool(status.waiters) or len(status.holders) >= (what.limit or 1)
    if place.shared:
        return bool(status.waiters) or status.mode == "write"
    return bool(status.holders)


def _by(status: Status) -> str:
    if status.holders:
        return held_by(status.holders)
    return f"waited for by {len(status.waiters)}"
