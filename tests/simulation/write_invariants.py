"""Judges each change of locks with several holders: who may enter, who may be put out."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.simulation.atomicity_invariants import Whole
from tests.simulation.consul_state import Document, Seen, Waiter
from tests.simulation.simulator import Host, Violation

if TYPE_CHECKING:
    from tests.simulation.weighted_invariants import CrowdReferee


class Judge:
    """Compares each moment with the one before."""

    def __init__(self, referee: CrowdReferee) -> None:
        self._referee = referee
        self._kind = referee.kind
        self._counts = referee.counts
        self._grants: dict[int, set[str]] = defaultdict(set)
        """Who was let in by which write."""
        self._entered: dict[str, int] = {}
        """By which write a session was let in last."""
        self._limits: dict[str, list[tuple[int, int]]] = defaultdict(list)
        """From which index on a limit was in force, by name."""
        self._came: dict[int, float] = {}
        """When a contender key was made, by its CreateIndex."""
        self.whole = Whole(referee)

    def is_token(self, token: int, session: str) -> bool:
        """Whether it is the index of the write that let a session in.

        A group that does not know yet that it is in may have written its key once more since: as
        good a token, as nobody that it keeps out can have got in meanwhile.
        """
        late = not self._referee.orderly and self._kind.documents
        since = self._entered.get(session, token + 1)
        return session in self._grants.get(token, ()) or (late and token > since)

    # -- limits

    def limit(self, name: str, since: int) -> int:
        """The highest limit that has been in force from this index on."""
        limits = self._limits[name]
        earlier = [limit for index, limit in limits if index <= since]
        return max([*earlier[-1:], *(limit for index, limit in limits if index > since)], default=1)

    def most(self, name: str) -> int:
        """The highest limit that has ever been in force."""
        return max((limit for _, limit in self._limits[name]), default=1)

    def least(self, name: str) -> int:
        """The lowest limit that has ever been in force."""
        return min((limit for _, limit in self._limits[name]), default=1)

    # -- one change

    def changed(self, then: Seen, now: Seen, host: Host | None) -> None:
        """Something was written, or a session has ended."""
        for name in self._kind.names:
            if name in then.foreign and name not in now.foreign and host is not None:
                raise Violation("a key that is used for something else was overwritten")
            document = now.documents.get(name)
            before, after = then.holders(name), now.holders(name)
            if document is not None:
                self._note_limit(name, document)
            if before is not after and before != after:
                self._put_out(name, then, now, host)
                if document is not None:
                    self._let_in(name, then, now, document, host)
            elif document is not None and not self._kind.documents and after:
                # Unlocked and locked again in one write, for the next of the same client.
                self._counts["passed on inside a client"] += then.documents[name] != document
                self._grants[document.index].update(after)
            self._referee.dead.note(name, then, now)
            for waiter in now.contenders[name]:
                self._came.setdefault(waiter.create_index, self._referee.now)
        self.whole.check(then, now)

    def _note_limit(self, name: str, document: Document) -> None:
        limits = self._limits[name]
        if not limits or limits[-1][1] != document.limit:
            limits.append((document.index, document.limit))

    def _let_in(
        self, name: str, then: Seen, now: Seen, document: Document, host: Host | None
    ) -> None:
        before, after = then.holders(name), document.holders
        entering = [session for session in after if session not in before]
        for session in set(after) & set(before):
            if after[session] > before[session]:
                raise Violation(f"{session} has more of {name} than it was given")
            self._counts["downgraded"] += after[session] < before[session]
        if not entering:
            return
        # Without a leader requests are kept, and all are carried out when there is one.
        first = document.index if host is not None else self._highest(then) + 1
        for index in range(first, document.index + 1):
            self._grants[index].update(entering)
        self._entered.update(dict.fromkeys(entering, document.index))
        if sum(after.values()) > document.limit:
            raise Violation(f"{entering} were let in to {name}, and there was no room: {after}")
        for session in entering:
            self._one_enters(name, session, then, now, host)
        own = [s for s in entering if s not in self._referee.foreign_sessions]
        if self._referee.orderly:
            self._in_order(name, own, (then, now), document)
        self._counts["let in together"] += len({self._leader(s, now) for s in own}) > 1

    def _highest(self, seen: Seen) -> int:
        return max((document.index for document in seen.documents.values()), default=0)

    def _one_enters(
        self, name: str, session: str, then: Seen, now: Seen, host: Host | None
    ) -> None:
        owner = self._referee.owner(session)
        if session in self._referee.foreign_sessions:
            self._counts["taken by a foreign client"] += 1
            return
        if self._kind.documents and not now.contends(name, session):
            raise Violation(f"{session} was let in to {name}, and has no contender key")
        waited = then.contends(name, session)
        if host is None:
            self._counts["let in by a new leader"] += 1
        elif owner != host.number:
            if not waited:
                raise Violation(f"{session} was let in to {name}, and did not wait for it")
            self._counts["handed over"] += 1
        else:
            self._counts["taken from the queue" if waited else "taken by a newcomer"] += 1

    def _in_order(
        self, name: str, entering: list[str], change: tuple[Seen, Seen], document: Document
    ) -> None:
        """A contender that is let in fits beside the holders and those who came before it."""
        then, now = change
        if not self._kind.documents:
            return
        coming = {waiter.session: waiter for waiter in now.contenders[name]}
        used = sum(document.holders.values())
        for session in entering:
            leader = coming[session].leader
            first = min(w.create_index for w in coming.values() if w.leader == leader)
            earlier = [
                w
                for w in now.waiting(name)
                if w.create_index < first and w.n * w.weight <= document.limit
            ]
            thread = self._referee.thread_of(session)
            if thread is not None and thread.has:
                continue  # those before it may be waiting for what it has
            if not then.contends(name, session):
                # It was on its way already when they came.
                self._counts["overtaken by a newcomer"] += self._too_much(earlier, used, document)
                just_now = self._referee.now - self._referee.on_the_way
                earlier = [w for w in earlier if self._came[w.create_index] < just_now]
            if self._too_much(earlier, used, document):
                raise Violation(f"{session} was let in to {name} before {earlier}")

    def _too_much(self, earlier: list[Waiter], used: int, document: Document) -> bool:
        return bool(earlier) and sum(w.weight for w in earlier) + used > document.limit

    def _put_out(self, name: str, then: Seen, now: Seen, host: Host | None) -> None:
        leaving = then.holders(name).keys() - now.holders(name).keys()
        for session in leaving:
            owner = self._referee.owner(session)
            if host is None:
                self._counts["freed by Consul or others"] += 1
            elif owner == host.number:
                self._counts["left"] += 1
            elif not then.documents[name].confirmed:
                self._counts["taken over"] += 1
            elif not self._kind.documents:
                raise Violation(f"contender {host.number} took {name} away from {session}")
            else:
                self._pruned(name, session, host)

    def _pruned(self, name: str, session: str, host: Host) -> None:
        dead = self._referee.dead
        self._counts["pruned"] += 1
        if not self._referee.exclusive:
            return
        if dead.since(name, session) is None:
            raise Violation(f"contender {host.number} put out {session}, which is alive")
        if not dead.may_be_pruned(name, session):
            since = dead.since(name, session)
            raise Violation(f"{session}, dead since {since}, was put out of {name} in lock-delay")

    def _leader(self, session: str, now: Seen) -> str:
        waiters = (w for contenders in now.contenders.values() for w in contenders)
        return next((w.leader for w in waiters if w.session == session), session)
