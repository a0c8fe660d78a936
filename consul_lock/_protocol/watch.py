"""A long poll on something that is held, for a loss to be seen within milliseconds."""

from __future__ import annotations

from consul_lock._protocol.client import ClientCore
from consul_lock._protocol.flow import Flow, Sleep
from consul_lock._protocol.hold import Hold
from consul_lock._protocol.state import State
from consul_lock.errors import ConsulLockError

# Seconds of one blocking read; a change ends it at once.
_POLL = 10.0

# Seconds between tries after an error, which is no loss.
_RETRY = (0.25, 1.0)


def watch(core: ClientCore, hold: Hold) -> Flow[None]:
    """Until the hold ends, whoever ends it."""
    index = 0
    while hold.state is State.HELD and not core.closed:
        try:
            found = yield from hold.lock.look(hold, index, _POLL)
            if hold.state is not State.HELD:
                return
            reason = yield from hold.lock.examine(hold, found, None)
        except ConsulLockError:
            index = 0
            yield Sleep(*_RETRY)
            continue
        if reason is not None:
            yield from core.lose(hold, reason)
            return
        index = found.raft_index if found.raft_index >= index else 0
