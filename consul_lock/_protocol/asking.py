"""Questions about a lock, answered by Consul."""

from __future__ import annotations

from consul_lock._protocol import line as lines
from consul_lock._protocol.client import ClientCore
from consul_lock._protocol.flow import Flow
from consul_lock._protocol.holder import Holder, parse


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
