"""Questions about a lock, answered by Consul."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.hold import waiter as lines
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.holder import Holder, parse

if TYPE_CHECKING:
    from consul_lock._protocol.lock.base import LockCore


def holder(client: ClientCore, key: str) -> Flow[Holder | None]:
    """Who holds a key; None: nobody."""
    found = yield from client.wire.get(key)
    pair = found.pair
    if pair is None or not pair.session:
        return None
    return parse(pair.session, pair.value, pair.modify_index)


def waiters(client: ClientCore, base: str) -> Flow[list[Holder]]:
    """Who is in a line, in order."""
    found = yield from client.wire.tree(base)
    entries = lines.read(base, found.pairs).entries
    return [parse(entry.session, entry.about) for entry in entries]


def read_line(lock: LockCore, hold: Hold, timeout: float) -> Flow[None]:
    """Read the line while holding, so that the release itself needs one request only."""
    found = yield from lock.client.wire.tree(lock.base, timeout)
    line = lines.read(lock.base, found.pairs).behind(hold.session.id)
    if hold.state is State.HELD:
        hold.line, hold.crowded = line, hold.crowded or bool(line.sign)
