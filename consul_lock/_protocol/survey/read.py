"""One look at names, from outside."""

from __future__ import annotations

from typing import Any, NamedTuple

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import Pair, ReadResult, key_rule
from consul_lock._protocol.cron.record import CronProblem, CronRecord
from consul_lock._protocol.cron.store import records_below
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.keys import SEMAPHORE_FLAG
from consul_lock._protocol.survey.break_note import break_folder
from consul_lock._protocol.survey.status import Status, status_of_name, statuses_in
from consul_lock.errors import PermissionDenied


class Overview(NamedTuple):
    """All there is below a prefix, by name, as one moment's picture."""

    locks: list[Status]
    """What can be held, and what is foreign."""
    crons: list[CronRecord | CronProblem]
    """What cron guards remember."""
    hidden: bool = False
    """Whether Consul says that it has left out keys which the token may not read; up to 1.10 it
    does not say so."""


def whole(prefix: str, found: ReadResult) -> list[Status]:
    """What was read below a prefix, without names that the prefix cuts apart."""
    seen = statuses_in(found.pairs, found.filtered)
    return [s for s in seen if f"{s.name}/".startswith(prefix) or s.kind == "foreign"]


def read_below(client: ClientCore, prefix: str) -> Flow[list[Status]]:
    """Everything below a prefix, in one read."""
    found = yield from client.api.list_keys(prefix)
    return whole(prefix, found)


def overview(client: ClientCore, prefix: str) -> Flow[Overview]:
    """Everything below a prefix and the records of cron guards, in one read."""
    return overview_of(prefix, (yield from client.api.list_keys(prefix)))


def overview_of(prefix: str, found: ReadResult) -> Overview:
    """The locks and the records of cron guards in what was read below a prefix."""
    crons = records_below(prefix, found.pairs)
    told = {each.key for each in crons}
    locks = [s for s in whole(prefix, found) if s.key not in told]
    return Overview(locks, crons, found.filtered)


def read_name(client: ClientCore, name: str) -> Flow[Status]:
    """One name, without reading the names below it.

    The queue, the notes and a read/write lock's contenders have folders of their own; a
    semaphore's contenders are in the name's, so that is read once more if it is one.
    """
    folders = [f"{name}/.lock", f"{name}/.queue", break_folder(name)]
    operations: list[dict[str, Any]] = [{"Verb": "get-tree", "Key": key} for key in folders]
    rule = key_rule(f"{name}/", "read")
    outcome = yield from client.api.transact(operations, f"reading {name!r}", rule)
    status = status_of_name(name, outcome.pairs, outcome.filtered)
    if status.flags == SEMAPHORE_FLAG:
        found = yield from client.api.list_keys(f"{name}/", consistent=True)
        return status_of_name(name, found.pairs, found.filtered)
    if not status.index:
        # Nothing, or waiters only: it may be a lock on exactly this key.
        pairs = yield from _exactly(client, name)
        return status_of_name(name, [*outcome.pairs, *pairs], outcome.filtered)
    return status


def _exactly(client: ClientCore, name: str) -> Flow[tuple[Pair, ...]]:
    """The key of this name, which locks of this library never use; none if the token may read only
    what they do use.  Raises PermissionDenied if it may not even read that."""
    refused = False
    try:
        found = yield from client.api.get(name, consistent=True)
    except PermissionDenied as error:
        if error.kind != "denied":
            raise
        refused = True
    if not refused:
        return found.pairs
    # What was read before is filtered: that there was nothing does not show that it may be read.
    try:
        yield from client.api.get(f"{name}/.lock", consistent=True)
    except PermissionDenied as error:
        error.rule = key_rule(f"{name}/", "read")
        error.hint = f"it needs the rule  {error.rule}"
        raise
    return ()
