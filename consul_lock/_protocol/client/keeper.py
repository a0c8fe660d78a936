"""The keeper: renews every session of a client and sees that its locks are still its own.

One thread or task a client, whatever the number of locks.  It goes round in turns: renew the
sessions that are due, several at a time; verify the holds of each; and when no renewal
is due, examine holds in doubt, read queues, and let clean-up begin.  Three detectors of
loss meet in `ClientBase.lose`: Consul says that the session is dead; a read shows another session
or no key; the deadline passes, which the `watchdog` sees.  An error is not a loss.

The deadline is built on the verification, not on the renewal: it counts from the sending, as the
answer shows a state at some time after that.  Time line of a leader that was deposed while its
machine was paused, and does not know it yet:

    0 s   the old leader is paused; the others elect a new one
    5 s   the new leader ends the session, and somebody else gets the lock after the lock-delay
    6 s   the old leader goes on, and answers the renewal with 200: it only has to reset a timer
    6 s   the verification is a read with ``?consistent``: the old leader has to ask the others
          first, and learns that it is deposed

So a renewal keeps a session alive if it is alive, and a verification shows that it is.  The only
other proof is a write that needs the session, such as an acquire.  Without a lock-delay the TTL is
the only limit, and only renewals restart it: then the deadline is built on the last renewal that
was followed by a good verification or write.  If the old leader answered that renewal and the new
one the verification, the TTL did not begin anew:

    0 s    a new leader is elected, which restarts the TTL of all sessions
    2.4 s  the old leader, which has not noticed it, answers a renewal
    2.5 s  the new leader answers a verification: the holder believes until 2.4 s + TTL
    20 s   the session ends after twice the TTL, so this is not too long

An old leader would have to go on answering for as long as the TTL to make it too long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, NamedTuple

from consul_lock._protocol.client.base import ClientBase
from consul_lock._protocol.consul.models import key_rule
from consul_lock._protocol.consul.replies import TXN_OPERATIONS_MAX, TxnResult
from consul_lock._protocol.consul.request_limit import is_limit
from consul_lock._protocol.flow import Batch, Flow, Now, Request, Sleep, Spawn, Wait, Warn
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.hold.reports import about, without_frames
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import (
    renew_interval_of,
    renew_timeout,
    renewable_for,
    spread_renew_interval,
    stretched_renewal,
    stretched_verification,
)
from consul_lock.errors import ConsulLockError, PermissionDenied, Unavailable

# Seconds between tries to destroy sessions that could not be destroyed at once.
_SWEEP_PAUSE = 2.0

# Seconds for deleting the leftovers of a lost hold, before it is tried once more.
_TIDY = 30.0

# Seconds before the next try after a renewal that failed, and their spread.
_RETRY = (0.25, 0.5)

# Of the time that is left to renew a session, what is waited after a renewal that was refused by a
# limit of requests, and its spread: those that need it most ask most.
_LEFT = (0.15, 0.25)

# Sessions of one turn under a limit of requests, so that a client with many leaves others room.
_LIMITED_TURN = 8

# Seconds for a verification under a limit of requests: an agent tries a read that is refused again
# for 7 s and more, with pauses that double, and meanwhile no renewal is sent.
_LIMITED_LOOK = 3.0

# Seconds between two turns at most.  In a turn, a call that was cut off and left is undone, if
# its thread has not made another one.
_PAUSE_MAX = 10.0

# Sessions of one turn at most.  With 25 ms a request that is less than half a second, so that
# nobody waits long for the next turn.
_TURN_MAX = 256

# Seconds that a renewal may come before its time to be sent with others: their holds are
# then verified by 64 in one request, and not one by one.
_AHEAD = 0.15

# Seconds that the report of a loss takes at most: after that it was cut off, and is made here.
_LOSS_MAX = 1.0

# Seconds between two reports of the same error that nobody foresaw.
_REPORT = 60.0


class Probe(NamedTuple):
    """What to ask about one hold."""

    hold: Hold
    proof: list[dict[str, Any]]
    hints: list[dict[str, Any]]


class Keeper:
    """The flow behind the keeper thread or task."""

    begun = False

    def __init__(self, core: ClientBase) -> None:
        self._core = core
        core.keeper = self
        self._next_sweep = 0.0
        self._resume_at = 0.0
        """Consul did not answer: renewals go on at this time, with a single one."""
        self._most = _TURN_MAX
        self._limit = core.contact.limit
        self._renewals_from = 0.0
        """Not before this time, as a renewal was refused by a limit of requests."""
        self._refused: dict[Session, None] = {}
        """Those whose last renewal was refused by it."""
        self._failing: dict[Session, None] = {}
        """Those whose last renewal or verification failed."""
        self._failing_since: float | None = None
        """When that was said in the log."""
        self._told: list[Hold] = []
        """Holds of locks that have listeners of their own, which have heard of that."""
        self._refuted: dict[Hold, str] = {}
        """Holds whose proof was refused, with the refusal: find out why."""
        self._suspect: dict[Hold, None] = {}
        """Holds that an answer showed as lost: look again."""
        self._hinted: dict[Hold, None] = {}
        """Holds about which there is something to be learnt."""
        self._follow_at = 0.0
        """Not before this time, as asking about such a hold has failed just now."""
        self._reported: dict[str, float] = {}

    def run(self) -> Flow[None]:
        """Until the client is closed, or there is nothing left to keep."""
        core, self.begun = self._core, True
        with core.mutex:
            if core.keeper is None:
                core.keeper = self  # who had it begin was cut off, and took it for one that has not
        try:
            while not core.closed and core.keeper is self:
                try:
                    yield from self._turn()
                except Exception as error:  # noqa: BLE001 - no odd answer may cost a lock
                    unforeseen = error
                else:
                    continue
                yield from self._report(unforeseen)
                yield Sleep(*_RETRY)
        except BaseException:
            if core.keeper is self:
                core.keeper = None  # the next session starts another one
            raise
        finally:
            self._limit.renewals_wait = False

    def _turn(self) -> Flow[None]:
        core, pool = self._core, self._core.pool
        core.planned = float("inf")  # until it is known: news meanwhile wakes the keeper
        core.wake.clear()
        now = yield Now()
        core.surroundings.catch_up()
        pool.retire(float("inf") if core.dropped else now)
        if now >= self._resume_at:
            due = pool.due(now, self._most, _AHEAD)
            if due:
                yield from self._keep(due)
        self._let_others_go_on()
        yield from self._follow_up()
        yield from self._read_lines()
        yield from core.finish_losses(_LOSS_MAX)
        yield from self._clean()
        now = yield Now()
        core.planned = self._next_event()
        pause = core.planned - now
        if pause > 0 and not self._is_over():
            yield Wait(core.wake, min(pause, _PAUSE_MAX))

    def _is_over(self) -> bool:
        """End if there is nothing to keep; the next session gets a keeper of its own."""
        core = self._core
        with core.mutex:
            if core.keeper is self and core.idle():
                core.keeper = None
        return core.closed or core.keeper is not self

    def _report(self, error: Exception) -> Flow[None]:
        """Log an unforeseen error; the keeper goes on."""
        now = yield Now()
        what = repr(error)
        if now >= self._reported.get(what, 0.0):
            if len(self._reported) > 16:
                self._reported.clear()
            self._reported[what] = now + _REPORT
            text = f"the keeper met something unforeseen and goes on: {what}; please report it"
            yield Warn(text, "keeper-error", error)

    def _next_event(self) -> float:
        core, pool = self._core, self._core.pool
        renewal = max(pool.next_renewal(), self._resume_at)
        times = [renewal, *core.cleanups.times()]
        times += [since + _LOSS_MAX for since in core.losing_since()]
        first = next(iter(list(core.to_look)), None)
        if first is not None and first.look_at is not None and not self._limit.renewals_wait:
            times.append(first.look_at)
        if self._to_follow_up():
            times.append(self._follow_at)
        if pool.to_destroy or pool.orphans:
            times.append(self._next_sweep)
        return min(times)

    # -- renewals and verifications ------------------------------------------------------------

    def _keep(self, sessions: list[Session]) -> Flow[None]:
        """Renew these, and verify what is held with them.

        In one batch: the verification stands on its own, as it shows a state at its sending
        or later.  Waiting for the answers of the renewals first would double the time, and the
        deadline would be no better.
        """
        core, renewed, limited = self._core, sessions, self._limit.known
        holds = dict[Hold, None].fromkeys(hold for s in sessions for hold in list(s.holds))
        if limited:
            now = yield Now()
            renewed = self._allowed(sessions, now)
            holds = {hold: None for hold in holds if self._needs_look(hold.session, renewed, now)}
        looks = list(_batches([hold for hold in holds if hold.state is State.HELD]))
        if limited and not renewed and not looks:
            self._ask_less(sessions, [], [], now)
            return
        renewals = [self._renewal(session) for session in renewed]
        proofs = [self._proving(batch, hints=True) for batch in looks]
        answers = yield Batch((*renewals, *proofs))
        now = yield Now()
        results = list(zip(renewed, answers, strict=False))
        refused = [session for session, answer in results if is_limit(answer)]
        away = not refused and all(isinstance(answer, Unavailable) for answer in answers)
        self._most = 1 if away else _TURN_MAX
        pauses = [self._pause_after(session, answer, now) for session, answer in results]
        self._resume_at = now + max(pauses, default=0.0) if away else 0.0
        for session, answer in results:
            if answer is None:
                yield from core.lose_session(session)
            else:
                yield from self._renewed(session, answer, now)
        yield from self._verified(looks, list(answers[len(renewed) :]))
        if limited or refused or self._limit.known:
            if any(isinstance(answer, Unavailable) for answer in answers[len(renewed) :]):
                # The agent holds a read that the servers refuse until its sender gives up.
                self._limit.refused(now)
            self._ask_less(sessions, results, refused, now)
        yield from self._tell_trouble(sessions)

    # -- under a limit of requests: see `request_limit` ----------------------------------------

    def _allowed(self, sessions: list[Session], now: float) -> list[Session]:
        """Those that are to be renewed now; the others are here for a verification alone."""
        for session in sessions:
            session.renew_at = max(session.renew_at, self._renewals_from)
        return [session for session in sessions if session.renew_at <= now + _AHEAD]

    def _needs_look(self, session: Session, renewed: list[Session], now: float) -> bool:
        """Whether what is held with it is to be verified now; without a lock-delay, each renewal is
        worth nothing without one."""
        if session in renewed and not session.terms.lock_delay:
            return True
        return session.look_at <= now + _AHEAD

    def _ask_less(
        self,
        sessions: list[Session],
        results: list[tuple[Session, Any]],
        refused: list[Session],
        now: float,
    ) -> None:
        """Plan the next renewals and verifications while the servers refuse requests."""
        pool, stretch = self._core.pool, self._limit.stretch(now)
        answers = dict(results)
        for session in sessions:
            spread = 0.9 + 0.2 * self._core.random()
            if isinstance(answers.get(session), Exception):
                session.renew_at = session.next_renewal
            elif session in answers:
                usual = stretched_renewal(session.terms, stretch, held=bool(session.holds))
                session.renew_at = session.last_renewal + spread * usual
            usual = spread * stretched_verification(session.terms, stretch)
            left = self._share_of(session.deadline() - now)
            least = max(left, min(self._retry_pause(), renew_interval_of(session.terms)))
            proven = session.alive if session.terms.lock_delay else session.renewed
            session.look_at = max(proven + usual, now + least)
            if not session.gone:
                look_at = session.look_at if session.holds else float("inf")
                pool.plan(session, max(now, min(session.renew_at, look_at)))
        for session in refused:
            self._refused[session] = None
        for session in answers:
            if session not in refused:
                self._refused.pop(session, None)
        if results:
            self._renewals_from = 0.0
        if refused:
            # What is refused for one session is refused for any: one try for all of them.
            self._most = 1
            nearest = min(session.renew_at for session in refused) - now
            self._renewals_from = now + max(self._retry_pause(), nearest / max(1, len(pool.live)))
        self._most = min(self._most, _LIMITED_TURN)

    def _let_others_go_on(self) -> None:
        """Everything else of this client waits while renewals are refused, and no longer.

        Not for a session that nobody uses: it is as good as a new one.
        """
        for session in list(self._refused):
            if session.gone or not (session.holds or session.borrower is not None):
                del self._refused[session]
        self._limit.renewals_wait = bool(self._refused)

    def _share_of(self, left: float) -> float:
        """Of the time that is left for something, what may pass before the next try."""
        return left * (_LEFT[0] + (_LEFT[1] - _LEFT[0]) * self._core.random())

    def _renewal(self, session: Session) -> Request:
        patience = renew_timeout(session.terms)
        return session.prepared(("renewal",), lambda: self._core.api.renewal(session.id, patience))

    def _renewed(self, session: Session, answer: Any, now: float) -> Flow[None]:
        """No error is taken for a loss, not even a refusal: the deadline decides."""
        pool, asked, random = self._core.pool, session.terms, self._core.random
        if isinstance(answer, Exception):
            session.failure = _noted(answer)
            pool.plan(session, now + self._pause_after(session, answer, now))
            if not isinstance(answer, ConsulLockError):
                yield from self._report(answer)
            return
        session.was_renewed(answer.sent)
        pool.plan(session, answer.sent + spread_renew_interval(asked, random()))
        session.failure = None  # the verification is judged after this

    def _pause_after(self, session: Session, error: Any, now: float) -> float:
        """Seconds until the next try to renew.

        A limit of requests may say how long to pause, and is obeyed as far as the time that is left
        allows several tries more; running against it costs others their renewals.
        """
        pause = min(self._retry_pause(), renew_interval_of(session.terms))
        if not isinstance(error, Unavailable):
            return pause
        left = max(0.0, session.last_renewal + renewable_for(session.terms) - now)
        asked = error.retry_after or 0.0
        if is_limit(error):
            asked = max(asked, self._share_of(left))
        return max(pause, min(asked, left / 4))

    def _retry_pause(self) -> float:
        return _RETRY[0] + (_RETRY[1] - _RETRY[0]) * self._core.random()

    def _verified(self, looks: Sequence[list[Probe]], outcomes: list[Any]) -> Flow[None]:
        """Judge what is held by the outcomes of its proofs."""
        looks = list(looks)
        yield from self._ask_again(looks, outcomes)
        for batch, outcome in zip(looks, outcomes, strict=True):
            if not isinstance(outcome, Exception):
                self._judge(batch, outcome)
                continue
            if not isinstance(outcome, ConsulLockError):
                yield from self._report(outcome)
            for session in (session for look in batch for session in look.hold.sessions):
                session.failure = session.failure or _noted(outcome)

    def _ask_again(self, looks: list[list[Probe]], outcomes: list[Any]) -> Flow[None]:
        """Ask once more about holds whose proof was denied only because of another operation in it.

        One operation that the token may not do keeps Consul from carrying out the others.  A token
        for the locks' keys alone, as `consul lock` needs it, may read no signs; and one that has
        lost its rights on one key must not lose the locks on all the others.
        """
        parts = list[list[Probe]]()
        for place, outcome in enumerate(outcomes):
            if isinstance(outcome, PermissionDenied):
                looks[place], allowed = _by_permission(looks[place], outcome)
                if allowed:
                    parts.append(allowed)
        if parts:
            looks += parts
            outcomes += yield Batch(tuple(self._proving(part, hints=False) for part in parts))

    def _proving(self, batch: list[Probe], *, hints: bool) -> Request:
        """First the proofs, then the hints."""
        operations = [operation for look in batch for operation in look.proof]
        if hints:
            operations += [operation for look in batch for operation in look.hints]
        timeout = min(renew_timeout(look.hold.session.terms) for look in batch)
        return self._core.api.transaction(
            operations,
            "verifying the locks held",
            key_rule("", "read"),
            timeout=min(timeout, _LIMITED_LOOK) if self._limit.known else timeout,
            urgent=True,
        )

    def _judge(self, batch: list[Probe], outcome: TxnResult) -> None:
        """See which are held, and whether there is anything else to be learnt."""
        first = 0
        for hold, proof, _ in batch:
            refusals = outcome.refusals(first, len(proof))
            first += len(proof)
            if refusals:
                self._refuted[hold] = refusals[0]
                continue
            if outcome.done and hold.lock.disproved(hold, outcome.pairs):
                self._suspect[hold] = None
                continue
            hold.mark_alive(outcome.sent)
        for hold, _, hints in batch:
            if any("exists" in text for text in outcome.refusals(first, len(hints))):
                self._hinted[hold] = None
            first += len(hints)

    def _tell_trouble(self, sessions: list[Session]) -> Flow[None]:
        """One warning when renewals or verifications begin to fail, and one when all work again."""
        now = yield Now()
        for session in [*self._failing, *sessions]:
            if session.failure is not None and not session.gone and not _is_normal(session, now):
                self._failing[session] = None
            else:
                self._failing.pop(session, None)
        since, held = self._failing_since, len(self._core.holds)
        error = next((session.failure for session in self._failing), None)
        if error is not None and since is None and held:
            self._failing_since = now
            left = max(0.0, min(session.deadline() for session in self._failing) - now)
            locks = "1 lock is" if held == 1 else f"{held} locks are"
            text = (
                f"renewing sessions fails: {error}; {locks} held, for {left:.0f} s more at least,"
                " and it is tried again until then"
            )
            yield Warn(text, "renewal-failing")
            self._told = [
                hold
                for hold in self._core.holds
                if hold.lock.listeners and any(s in self._failing for s in hold.sessions)
            ]
            told = without_frames(error)
            self._publish("renewal-failing", {"error": told, "locks": held, "left": left})
        elif error is None and since is not None:
            self._failing_since = None
            yield Warn(f"renewing sessions works again, after {now - since:.0f} s", "renewal-works")
            self._publish("renewal-works", {"failing": now - since})
            self._told = []

    def _publish(self, event: str, more: dict[str, Any]) -> None:
        """For those who listen to the client, and those who listen to what is affected alone; the
        log has it already."""
        reporter = self._core.reporter
        reporter.publish(event, {"kind": "client", **more})
        for hold in self._told:
            fields = {**about(hold.lock, hold.attempt, hold), "holder": None, **more}
            reporter.publish(event, fields, hold.lock.listeners)

    # -- what can wait for renewals ------------------------------------------------------------

    def _is_due(self) -> Flow[bool]:
        """Whether renewals are due; they come first."""
        now = yield Now()
        return bool(max(self._core.pool.next_renewal(), self._resume_at) <= now)

    def _follow_up(self) -> Flow[None]:
        """Find out why proofs were refused, and learn what there is to be learnt."""
        now = yield Now()
        if now < self._follow_at:
            return
        while self._to_follow_up():
            try:
                if self._refuted:
                    hold, refusal = self._refuted.popitem()
                    yield from self._find_out(hold, refusal)
                elif self._suspect:
                    yield from self._find_out(self._suspect.popitem()[0], None)
                else:
                    yield from self._learn(self._hinted.popitem()[0])
            except ConsulLockError:
                # No news is no loss, and the next verification finds it again.  The others later:
                # before them come renewals.
                now = yield Now()
                self._follow_at = now + self._retry_pause()
                return
            if (yield from self._is_due()):
                return

    def _to_follow_up(self) -> bool:
        """What is learnt of a queue only saves time later, so it waits if renewals do."""
        hinted = self._hinted and not self._limit.renewals_wait
        return bool(self._refuted or self._suspect or hinted)

    def _find_out(self, hold: Hold, refusal: str | None) -> Flow[None]:
        if hold.state is not State.HELD:
            return
        timeout = renew_timeout(hold.session.terms)
        if refusal is None:
            reason = yield from hold.lock.examine(hold, None, timeout)
        else:
            reason = yield from hold.lock.refuted(hold, refusal, timeout)
        if reason is not None:
            yield from self._core.lose(hold, reason)

    def _read_lines(self) -> Flow[None]:
        if self._limit.renewals_wait:
            return
        for hold in list(self._core.to_look):
            now = yield Now()
            if hold.state is State.HELD and hold.look_at is not None and hold.look_at > now:
                return
            self._core.to_look.pop(hold, None)
            hold.look_at = None
            try:
                yield from self._learn(hold)
            except ConsulLockError:
                return  # the others in the next turn
            if (yield from self._is_due()):
                return

    def _learn(self, hold: Hold) -> Flow[None]:
        if hold.state is not State.HELD:
            return
        try:
            yield from hold.lock.learn(hold, renew_timeout(hold.session.terms))
        except PermissionDenied:
            return  # the release does without, too

    # -- clean-up, which is never done here: it takes as long as it takes ------------------------

    def _clean(self) -> Flow[None]:
        """Start a flow that destroys condemned sessions and deletes the leftovers of lost holds."""
        core = self._core
        now = yield Now()
        cleanups = core.cleanups
        try:
            for attempt in cleanups.due(now):
                # If it is not done by then, it is done again.
                if cleanups.put_off(attempt, now + _TIDY):
                    yield Spawn(cleanups.clear(attempt), "consul-lock-tidy")
            if (core.pool.to_destroy or core.pool.orphans) and now >= self._next_sweep:
                if self._limit.renewals_wait:
                    self._next_sweep = now + _SWEEP_PAUSE
                    return
                self._next_sweep = float("inf")
                yield Spawn(self._sweep(), "consul-lock-sweep")
        except RuntimeError:
            # No thread can be started: later.
            self._next_sweep = now + _SWEEP_PAUSE

    def _sweep(self) -> Flow[None]:
        """Destroy sessions; ends when all are destroyed, or Consul cannot be reached."""
        core, now = self._core, 0.0
        try:
            now = yield Now()
            yield from core.pool.sweep(now)
            now = yield Now()
        finally:
            self._next_sweep = now + max(_SWEEP_PAUSE, self._limit.distance(now))
            core.wake.set()


def _is_normal(session: Session, now: float) -> bool:
    """Whether what failed is no news: under a limit of requests every renewal is refused now and
    then, and there is time for many tries more."""
    until = min(session.last_renewal + renewable_for(session.terms), session.deadline())
    return is_limit(session.failure) and until - now > session.terms.ttl / 2


def _noted(error: Exception) -> ConsulLockError:
    """An error to be remembered: without its traceback, which would keep the frames of a turn."""
    if isinstance(error, ConsulLockError):
        return copy(error)
    return ConsulLockError(f"unforeseen: {error!r}", kind="unforeseen")


def _by_permission(batch: list[Probe], denial: PermissionDenied) -> tuple[list[Probe], list[Probe]]:
    """Those of a batch whose proofs were denied, and those to be asked about without hints."""
    denied, allowed, first = list[Probe](), list[Probe](), 0
    for look in batch:
        places = range(first, first + len(look.proof))
        first = places.stop
        asked = not any(place in places for place in denial.operations)
        (allowed if asked else denied).append(look)
    if not denied and not any(look.hints for look in batch):
        return batch, []  # Consul does not say which, and would answer the same again
    return denied, allowed


def _batches(holds: list[Hold]) -> Iterator[list[Probe]]:
    """As many in one request as Consul takes.  Those without hints by themselves, as a hint that
    is refused, which is nothing bad, keeps Consul from showing what it read."""
    looks = [Probe(hold, hold.lock.proof(hold), hold.lock.hints(hold)) for hold in holds]
    for hinted in (True, False):
        batch, size = list[Probe](), 0
        for look in (look for look in looks if bool(look.hints) is hinted):
            needed = len(look.proof) + len(look.hints)
            if batch and size + needed > TXN_OPERATIONS_MAX:
                yield batch
                batch, size = [], 0
            batch.append(look)
            size += needed
        if batch:
            yield batch
