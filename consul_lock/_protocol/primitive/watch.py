"""A long poll on something that is held, for a loss to be seen within milliseconds.

It also sees when another program overwrites the value without taking the lock: that is no loss, and
is logged as a warning.  The value is not written back: the other program, such as a job that copies
keys, would do it again, and each write wakes all watchers.
"""

from __future__ import annotations

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.models import Pair, ReadResult
from consul_lock._protocol.flow import Flow, Now, Sleep, Warn
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.holder import parse_holder
from consul_lock._protocol.keys import LOCK_FLAG, READ_WRITE_FLAG, SEMAPHORE_FLAG
from consul_lock.errors import ConsulLockError

# Seconds of one blocking read; a change ends it at once.
_POLL = 10.0

# Seconds between tries after an error, which is no loss.
_RETRY = (0.25, 1.0)

_FLAGS = frozenset({LOCK_FLAG, SEMAPHORE_FLAG, READ_WRITE_FLAG})

# Bytes of a foreign value that are shown.
_SHOWN_MAX = 40


def watch(core: ClientCore, hold: Hold) -> Flow[None]:
    """Until the hold ends, for any reason."""
    index, told = 0, set[tuple[str, int, bytes] | str]()
    while hold.state is State.HELD and not core.closed:
        unforeseen: Exception | None = None
        try:
            found = yield from hold.lock.look(hold, index, _POLL)
            if hold.state is not State.HELD:
                return
            reason = yield from hold.lock.examine(hold, found, None)
        except Exception as error:  # noqa: BLE001 - nothing that is odd ends a watch
            failed, unforeseen = True, None if isinstance(error, ConsulLockError) else error
        else:
            failed = False
        if failed:
            index = 0
            if unforeseen is not None and repr(unforeseen) not in told:
                told.add(repr(unforeseen))
                text = f"the watch of {hold.key!r} met something unforeseen and goes on"
                yield Warn(f"{text}: {unforeseen!r}; please report it", "watch-error", unforeseen)
            now = yield Now()
            low, high = _RETRY
            least = core.contact.limit.distance(now)
            yield Sleep(low + least, high + least)
            continue
        if reason is not None:
            yield from core.lose(hold, reason)
            return
        for pair in _overwritten(core, hold, found):
            what = (pair.key, pair.flags, pair.value)
            if what not in told:
                told.add(what)
                yield Warn(_complaint(pair), "overwritten")
        index = found.raft_index if found.raft_index >= index else 0


def _overwritten(core: ClientCore, hold: Hold, found: ReadResult) -> list[Pair]:
    """The keys that the sessions hold with a value that is not of this process."""
    ids = {session.id for session in hold.sessions}
    return [pair for pair in found.pairs if pair.session in ids and not _ours(core, pair)]


def _ours(core: ClientCore, pair: Pair) -> bool:
    writer, us = parse_holder(pair.session, pair.value), core.identity.about
    same = (writer.host, writer.pid) == (us.get("host"), us.get("pid"))
    return same and pair.flags in _FLAGS


def _complaint(pair: Pair) -> str:
    value = pair.value[:_SHOWN_MAX].decode("utf-8", "replace")
    more = "..." if len(pair.value) > _SHOWN_MAX else ""
    seen = (
        "others cannot see who holds it"
        if pair.flags in _FLAGS
        else f"its flags are {pair.flags} now, so others take it for no lock until it is released"
    )
    return (
        f"{pair.key!r} was overwritten ({value!r}{more}) while it is held: it is still"
        f" held, but {seen}; something writes there without acquiring it"
    )
