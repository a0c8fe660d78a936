"""Who leads an election: read once, or watched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.consul.monotonic_reads import MonotonicReads
from consul_lock._protocol.flow import Flow, Job, Now, Sleep
from consul_lock._protocol.holder import Holder, parse_holder
from consul_lock.errors import Unavailable

# Seconds of one blocking read; a change ends it at once.
_POLL = 10.0

# Seconds that an answer without news must have taken, else there is a pause of that length: Consul
# may wake a reader for nothing, and a proxy may cut long polls short.
_PAUSE = 0.1


@dataclass(frozen=True)
class Leader:
    """Who leads an election, and what it says."""

    value: str
    """What it has proclaimed; the whole value of the key, if the leader is a foreign client."""
    token: int
    """Its fencing token, the same for as long as it leads.  A leader that is a foreign client
    has none: then it is the ModifyIndex of its last write."""
    holder: Holder
    """Its session, host, process and so on."""


def leader_in(pair: Pair | None) -> Leader | None:
    """The leader, as an election's key names it; None: nobody leads."""
    if pair is None or not pair.session:
        return None
    holder = parse_holder(pair.session, pair.value, pair.modify_index)
    return Leader(holder.value, holder.token or pair.modify_index, holder)


class Observer:
    """Sees each leader once, in order.  It needs no session."""

    def __init__(self, client: ClientCore, key: str) -> None:
        self._client = client
        self._read = partial(client.api.get, key)
        self._reads = MonotonicReads()
        self._shown: Any = ...
        """What distinguishes the leader that was shown last; at first it equals none."""

    def next(self) -> Job[Leader | None]:
        """The leader, once it is another one, or says something else, than shown last."""
        patience = ErrorBudget(self._client)
        return Job(patience.bound(self._next(patience)))

    def _next(self, patience: ErrorBudget) -> Flow[Leader | None]:
        while True:
            try:
                found = yield from self._reads.next(self._read, _POLL)
            except Unavailable as error:
                failed: Unavailable | None = error
            else:
                failed = None
            if failed is not None:
                self._reads.index = 0
                yield from patience.ride_out(failed)
                continue
            leader = leader_in(found.pair)
            if _mark(leader) != self._shown:
                self._shown = _mark(leader)
                return leader
            now = yield Now()
            if now - found.sent < _PAUSE:
                yield Sleep(_PAUSE / 2, _PAUSE)


def _mark(leader: Leader | None) -> Any:
    """What identifies a leader; a candidate can lead again with the same session."""
    if leader is None:
        return None
    holder = leader.holder
    return holder.session, leader.value, None if holder.foreign else leader.token
