"""The keeper: renews every session of a client and sees that its locks are still its own.

One thread or task a client, whatever the number of locks.  Three detectors of loss meet in
`ClientCore.lose`: Consul says that the session is dead; a read shows another session or no
key; the deadline passes without a renewal.  An error is not a loss.
"""

from __future__ import annotations

from consul_lock._protocol import line as lines
from consul_lock._protocol import terms as rules
from consul_lock._protocol.answer import Outcome
from consul_lock._protocol.client import ClientCore
from consul_lock._protocol.flow import Flow, Now, Wait
from consul_lock._protocol.hold import Hold
from consul_lock._protocol.records import Pair, key_rule
from consul_lock._protocol.session import Session
from consul_lock._protocol.state import State
from consul_lock.errors import ConsulLockError, LossReason, PermissionDenied

# Keys looked after in one request: two operations each, and Consul takes 64 up to 1.13.
_HOLDS_AT_ONCE = 32

# Seconds between tries to clean up what could not be destroyed at once.
_SWEEP_PAUSE = 2.0

# Seconds before the next try after a renewal that failed, and their spread.
_RETRY = (0.25, 0.5)


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
            due = [s for s in list(core.pool.live.values()) if s.next_renewal <= now]
            for session in sorted(due, key=Session.deadline):
                yield from self._renew(session)
            yield from self._look_after([h for h in list(core.holds) if h.session in due])
            yield from self._read_lines(now)
            yield from self._sweep()
            now = yield Now()
            core.planned = self._next_event()
            pause = core.planned - now
            if pause > 0 and not core.closed:
                yield Wait(core.wake, min(pause, 3600.0))

    def _next_event(self) -> float:
        core, times = self._core, [float("inf")]
        times += [s.next_renewal for s in list(core.pool.live.values())]
        holds = list(core.holds)
        times += [h.session.deadline() for h in holds]
        times += [h.look_at for h in holds if h.look_at is not None]
        if core.pool.condemned or core.pool.orphans:
            times.append(self._next_sweep)
        return min(times)

    def _expire(self, now: float) -> Flow[None]:
        for hold in list(self._core.holds):
            if now >= hold.session.deadline():
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
        ends = [h.session.deadline() - now for h in list(self._core.holds)]
        return max(0.05, min([most, *ends]))

    def _look_after(self, holds: list[Hold]) -> Flow[None]:
        holds = [h for h in holds if h.state is State.HELD]
        try:
            for start in range(0, len(holds), _HOLDS_AT_ONCE):
                yield from self._verify(holds[start : start + _HOLDS_AT_ONCE])
        except ConsulLockError:
            return  # no news is no loss; renewals come first, and the next turn asks again

    def _verify(self, holds: list[Hold]) -> Flow[None]:
        """See that the keys are ours, and whether anybody waits for them."""
        now = yield Now()
        timeout = self._timeout(min(rules.patience(h.session.terms) for h in holds), now)
        outcome = yield from self._ask(holds, timeout)
        for place, hold in enumerate(holds):
            yield from self._judge(hold, outcome, place, timeout)
        for place, hold in enumerate(holds, len(holds)):
            if hold.state is State.HELD and not hold.crowded and outcome.says("exists", place):
                yield from self._read_line_if_we_may(hold, timeout)

    def _ask(self, holds: list[Hold], timeout: float) -> Flow[Outcome]:
        """First an operation for each key, then one for each sign of a line."""
        keys = [{"Verb": "check-session", "Key": h.key, "Session": h.session.id} for h in holds]
        signs = [{"Verb": "check-not-exists", "Key": h.base} for h in holds]
        what, rule = "verifying the locks held", key_rule("", "read")
        transact = self._core.wire.transact
        try:
            return (yield from transact(keys + signs, what, rule, timeout=timeout, urgent=True))
        except PermissionDenied:
            # A token for the locks' keys alone, as `consul lock` needs it, may read no signs.
            return (yield from transact(keys, what, rule, timeout=timeout, urgent=True))

    def _judge(self, hold: Hold, outcome: Outcome, place: int, timeout: float) -> Flow[None]:
        refusal = next((text for op, text in outcome.errors if op == place), None)
        if refusal is None:
            hold.session.proved(outcome.sent)
            return
        reason = yield from self._core.diagnose(hold, _seen(hold, refusal), timeout)
        yield from self._core.lose(hold, reason)

    def _read_lines(self, now: float) -> Flow[None]:
        for hold in list(self._core.holds):
            if hold.look_at is not None and hold.look_at <= now:
                hold.look_at = None
                timeout = self._timeout(rules.patience(hold.session.terms), now)
                try:
                    yield from self._read_line_if_we_may(hold, timeout)
                except ConsulLockError:
                    return  # the others in the next turn: before them come renewals and deadlines

    def _read_line_if_we_may(self, hold: Hold, timeout: float) -> Flow[None]:
        try:
            yield from self._read_line(hold, timeout)
        except PermissionDenied:
            return  # the release does without, too

    def _read_line(self, hold: Hold, timeout: float) -> Flow[None]:
        """Read the line while holding, so that the release itself needs one request only."""
        found = yield from self._core.wire.tree(hold.base, timeout)
        line = lines.read(hold.base, found.pairs).behind(hold.session.id)
        if hold.state is State.HELD:
            hold.line, hold.crowded = line, hold.crowded or bool(line.sign)

    def _sweep(self) -> Flow[None]:
        pool = self._core.pool
        now = yield Now()
        if (pool.condemned or pool.orphans) and now >= self._next_sweep:
            yield from pool.sweep(now, self._timeout(3.0, now))
            now = yield Now()
            self._next_sweep = now + _SWEEP_PAUSE


def _seen(hold: Hold, refusal: str) -> Pair | None:
    """The key as the text of a refused ``check-session`` describes it."""
    if "doesn't exist" in refusal:
        return None
    other = "" if 'current session ""' in refusal else "another"
    return Pair(hold.key, b"", 0, other, 0, 0)
