"""All or nothing: at no moment has anybody a part of what it wants to have together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.simulation.consul_state import Seen, Waiter
from tests.simulation.simulator import Violation

if TYPE_CHECKING:
    from tests.simulation.weighted_invariants import CrowdReferee


class Whole:
    """Looks at every moment."""

    def __init__(self, referee: CrowdReferee) -> None:
        self._referee = referee
        self._bundles: dict[str, frozenset[str]] = {}
        """Which keys a session has to have together."""

    def check(self, then: Seen, now: Seen) -> None:
        """Something has changed."""
        if not self._referee.exclusive:
            return  # a hand has deleted a part of something
        if self._referee.kind.documents:
            _groups_are_whole(now)
        else:
            self._bundles_are_whole(then, now)

    def _bundles_are_whole(self, then: Seen, now: Seen) -> None:
        """At every moment a session has all keys that it wants together, or none of them."""
        had, has = self._keys(then), self._keys(now)
        for session, keys in has.items():
            if session not in had:
                self._bundles[session] = self._wanted(session) or keys
                self._referee.counts["taken together"] += len(keys) > 1
            if keys != self._bundles[session]:
                wanted = sorted(self._bundles[session])
                raise Violation(f"{session} has {sorted(keys)}, but wanted {wanted}")

    def _keys(self, seen: Seen) -> dict[str, frozenset[str]]:
        keys: dict[str, set[str]] = defaultdict(set)
        for name in self._referee.kind.names:
            for session in seen.holders(name):
                keys[session].add(name)
        return {session: frozenset(found) for session, found in keys.items()}

    def _wanted(self, session: str) -> frozenset[str] | None:
        """What the attempt wants that uses this session; None: nobody uses it any more.

        Its thread may want something else by now: a write whose answer was lost takes what was
        wanted by the attempt that has been given up.  That an attempt wants what its caller
        asked for is checked when it is granted.
        """
        attempt = self._referee.attempt_of(session)
        if attempt is None:
            return None
        keys = {claim.resource for claim in attempt.claims}
        return frozenset(name for name in self._referee.kind.names if f"{name}/.lock" in keys)

    def granted(self, wanted: frozenset[str], session: str) -> None:
        """The library reports to a caller who asked for these that this session has them."""
        if self._referee.kind.documents or not self._referee.exclusive:
            return
        if self._bundles.get(session, wanted) != wanted:
            has = sorted(self._bundles[session])
            raise Violation(f"{session} was granted {sorted(wanted)}, and has {has}")


def _groups_are_whole(now: Seen) -> None:
    """At every moment a group is in everything that it wants, or in nothing of it."""
    groups: dict[str, list[tuple[str, Waiter]]] = defaultdict(list)
    for name, contenders in now.contenders.items():
        for waiter in contenders:
            if waiter.ours:
                groups[waiter.leader].append((name, waiter))
    for members in groups.values():
        first = members[0][1]
        if len(members) != first.n * first.places:
            continue  # one of its sessions has ended
        inside = [waiter.session in now.holders(name) for name, waiter in members]
        if any(inside) and not all(inside):
            raise Violation(f"{members} are in partly: {inside}")
