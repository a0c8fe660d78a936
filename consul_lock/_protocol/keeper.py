"""The keeper: renews every session of a client and sees that its locks are still its own.

One thread or task a client, whatever the number of locks.  Three detectors of loss meet in
`ClientCore.lose`: Consul says that the session is dead; a read shows another session or no
key; the deadline passes without a renewal.  An error is not a loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from consul_lock._protocol import terms as rules
from consul_lock._protocol.answer import TRANSACTION_MOST, Outcome
from consul_lock._protocol.client import ClientCore
from consul_lock._protocol.flow import Flow, Now, Spawn, Wait
from consul_lock._protocol.hold import Hold
from consul_lock._protocol.records import key_rule
from consul_lock._protocol.session import Session
from consul_lock._protocol.state import State
from consul_lock.errors import ConsulLockError, LossReason, PermissionDenied

# Seconds between tries to clean up what could not be destroyed at once.
_SWEEP_PAUSE = 2.0

# Seconds for taking away what a lost hold left, before it is tried once more.
_TIDY = 30.0

# Seconds before the next try after a renewal that failed, and their spread.
_RETRY = (0.25, 0.5)


class Look(NamedTuple):
    """What to ask about one hold."""

    hold: Hold
    proof: list[dict[str, Any]]
    hints: list[dict[str, Any]]


class Keeper:
    """The flow behind the keeper thread or task."""

    def __init__(self, core: ClientCore) -> None:
        self._core = core
        self._next_sweep = 0.0

    def run(self) -> Flow[None]:
        """Until the client is closed."""
        core = self._core
        while not core.closed:
            core.planned = float("inf")  # until we know: whoever has news meanwhile wakes us
            core.wake.clear()
            now = yield Now()
            yield from self._expire(now)
            core.pool.retire(now)
            due = {s for s in list(core.pool.live.values()) if s.next_renewal <= now}
            for session in sorted(due, key=Session.deadline):
                yield from self._renew(session)
            touched = [h for h in list(core.holds) if not due.isdisjoint(h.sessions)]
            yield from self._look_after(touched)
            yield from self._read_lines(now)
            yield from self._sweep()
            yield from self._tidy(now)
            now = yield Now()
            core.planned = self._next_event()
            pause = core.planned - now
            if pause > 0 and not core.closed:
                yield Wait(core.wake, min(pause, 3600.0))

    def _next_event(self) -> float:
        core, times = self._core, [float("inf")]
        times += [s.next_renewal for s in list(core.pool.live.values())]
        holds = list(core.holds)
        times += [h.deadline() for h in holds]
        times += [h.look_at for h in holds if h.look_at is not None]
        times += core.remains.times()
        if core.pool.condemned or core.pool.orphans:
            times.append(self._next_sweep)
        return min(times)

    def _expire(self, now: float) -> Flow[None]:
        for hold in list(self._core.holds):
            if now >= hold.deadline():
                yield from self._core.lose(hold, LossReason.DEADLINE)

    def _renew(self, session: Session) -> Flow[None]:
        """One try.  No error is taken for a loss, not even a refusal: the deadline decides."""
        core, asked = self._core, session.terms
        now = yield Now()
        yield from self._expire(now)
        if session.gone:
            return
        try:
            info = yield from core.wire.renew(session.id, self._timeout(rules.patience(asked), now))
        except ConsulLockError:
            now = yield Now()
            pause = _RETRY[0] + (_RETRY[1] - _RETRY[0]) * core.random()
            session.next_renewal = now + min(pause, rules.period(asked))
            return
        if info is None:
            yield from core.lose_session(session)
            return
        session.proved(info.sent)
        session.renewed = max(session.renewed, info.sent)
        session.next_renewal = info.sent + rules.period(asked) * (0.9 + 0.2 * core.random())

    def _timeout(self, most: float, now: float) -> float:
        """Never wait through a deadline: its loss is told at the time, not when an answer comes."""
        ends = [h.deadline() - now for h in list(self._core.holds)]
        return max(0.05, min([most, *ends]))

    def _look_after(self, holds: list[Hold]) -> Flow[None]:
        try:
            for batch in _batches([h for h in holds if h.state is State.HELD]):
                yield from self._verify(batch)
        except ConsulLockError:
            return  # no news is no loss; renewals come first, and the next turn asks again

    def _verify(self, looks: list[Look]) -> Flow[None]:
        """See that they are ours, and whether there is anything else to be learnt."""
        now = yield Now()
        least = min(rules.patience(look.hold.session.terms) for look in looks)
        timeout = self._timeout(least, now)
        outcome = yield from self._ask(looks, timeout)
        first = 0
        for look in looks:
            refusals = outcome.refusals(first, len(look.proof))
            yield from self._judge(look.hold, outcome, refusals, timeout)
            first += len(look.proof)
        for look in looks:
            refused = outcome.refusals(first, len(look.hints))
            if look.hold.state is State.HELD and any("exists" in text for text in refused):
                yield from self._learn(look.hold, timeout)
            first += len(look.hints)

    def _ask(self, looks: list[Look], timeout: float) -> Flow[Outcome]:
        """First the proofs, then the hints."""
        proofs = [operation for look in looks for operation in look.proof]
        hints = [operation for look in looks for operation in look.hints]
        what, rule = "verifying the locks held", key_rule("", "read")
        transact = self._core.wire.transact
        try:
            return (yield from transact(proofs + hints, what, rule, timeout=timeout, urgent=True))
        except PermissionDenied:
            # A token for the locks' keys alone, as `consul lock` needs it, may read no signs.
            return (yield from transact(proofs, what, rule, timeout=timeout, urgent=True))

    def _judge(
        self, hold: Hold, outcome: Outcome, refusals: list[str], timeout: float
    ) -> Flow[None]:
        if refusals:
            reason = yield from hold.lock.refuted(hold, refusals[0], timeout)
        else:
            reason = None
            if outcome.done and hold.lock.disproved(hold, outcome.pairs):
                reason = yield from hold.lock.examine(hold, None, timeout)
        if reason is not None:
            yield from self._core.lose(hold, reason)
        elif not refusals:
            hold.proved(outcome.sent)

    def _read_lines(self, now: float) -> Flow[None]:
        for hold in list(self._core.holds):
            if hold.look_at is not None and hold.look_at <= now:
                hold.look_at = None
                timeout = self._timeout(rules.patience(hold.session.terms), now)
                try:
                    yield from self._learn(hold, timeout)
                except ConsulLockError:
                    return  # the others in the next turn: before them come renewals and deadlines

    def _learn(self, hold: Hold, timeout: float) -> Flow[None]:
        try:
            yield from hold.lock.learn(hold, timeout)
        except PermissionDenied:
            return  # the release does without, too

    def _tidy(self, now: float) -> Flow[None]:
        """Take away what lost holds left; beside us, as renewals do not wait for it."""
        remains = self._core.remains
        for attempt in remains.due(now):
            # Should it not be done by then, it is done again.
            if remains.put_off(attempt, now + _TIDY):
                try:
                    yield Spawn(remains.clear(attempt), "consul-lock-tidy")
                except RuntimeError:
                    return  # no thread is to be had: later

    def _sweep(self) -> Flow[None]:
        pool = self._core.pool
        now = yield Now()
        if (pool.condemned or pool.orphans) and now >= self._next_sweep:
            yield from pool.sweep(now, self._timeout(3.0, now))
            now = yield Now()
            self._next_sweep = now + _SWEEP_PAUSE


def _batches(holds: list[Hold]) -> Iterator[list[Look]]:
    """As many in one request as Consul takes.  Those without hints by themselves, as a hint that
    is refused, which is nothing bad, keeps Consul from showing what it read."""
    looks = [Look(hold, hold.lock.proof(hold), hold.lock.hints(hold)) for hold in holds]
    for hinted in (True, False):
        batch, size = list[Look](), 0
        for look in (look for look in looks if bool(look.hints) is hinted):
            needed = len(look.proof) + len(look.hints)
            if batch and size + needed > TRANSACTION_MOST:
                yield batch
                batch, size = [], 0
            batch.append(look)
            size += needed
        if batch:
            yield batch
