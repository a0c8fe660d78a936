"""What the locks of one client share: sessions, the keeper, the queue inside the process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from consul_lock._protocol.consul.api import ConsulApi
from consul_lock._protocol.consul.contact import Contact
from consul_lock._protocol.consul.models import Pair, SessionOptions, base64_text
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.consul.request_limit import is_limit
from consul_lock._protocol.flow import Batch, Environment, Flow, Identity, Now, Request, Spawn
from consul_lock._protocol.hold.cleanup import PendingCleanup, PendingCleanups
from consul_lock._protocol.hold.hold import Hold, Holds, Loss
from consul_lock._protocol.hold.local_queue import LocalQueues
from consul_lock._protocol.hold.reports import report_lost
from consul_lock._protocol.hold.state import Event, State, advance
from consul_lock._protocol.holder import Meta
from consul_lock._protocol.reporter import Reporter
from consul_lock._protocol.session.pool import SessionPool
from consul_lock._protocol.session.session import Session
from consul_lock._protocol.session.timing import renew_interval_of, validity_of
from consul_lock.errors import ConsulLockError, LossReason, PermissionDenied, Refused, Unavailable

# Keys that were found taken of late, whose next acquire reads before it writes.
_CROWDED_MAX = 1024


class ClientBase(ABC):
    """Everything of a client that is not I/O, but what runs beside its callers."""

    def __init__(
        self,
        surroundings: Environment,
        identity: Identity,
        *,
        query: tuple[tuple[str, str], ...] = (),
        retry_for: float = 30.0,
        connect_timeout: float = 3.0,
        request_timeout: float = 10.0,
        reporter: Reporter | None = None,
        meta: Meta = None,
    ) -> None:
        self.contact = Contact()
        self.api = ConsulApi(self.contact, query)
        self.retry_for = retry_for
        self.connect_timeout = connect_timeout
        self.request_timeout = request_timeout
        self.reporter = Reporter() if reporter is None else reporter
        self.meta = meta
        """What all its locks say of themselves, beside their own."""
        self.holds = Holds()
        self._begin(surroundings, identity)

    def _begin(self, surroundings: Environment, identity: Identity) -> None:
        self.surroundings = surroundings
        self.mutex = surroundings.mutex()
        self.new_signal = surroundings.signal
        self.random = surroundings.random
        self.identity = identity
        self.pool = SessionPool(self.api, self.mutex, self.random, identity.label, self.new_signal)
        self.local_queues = LocalQueues(self.mutex, self.new_signal)
        self.wake = self.new_signal()
        """Set when the keeper has something to do before it planned to."""
        self.planned = float("inf")
        """When the keeper looks next by itself (driver's clock)."""
        self.to_look: dict[Hold, None] = {}
        """Holds whose queue the keeper is to read, soonest first."""
        self.keeper: Any = None
        """The keeper at work, if there is anything to keep."""
        self.dropped = False
        """Nobody can use it any more, though it was not closed."""
        self.closed = False
        """Nothing begins any more."""
        self.cleanups = PendingCleanups(self.wake.set, self.pool.to_destroy)
        self.losing: dict[Hold, Loss] = {}
        """Losses that not everybody has heard of yet."""
        self._crowded: dict[str, None] = {}
        self._signs = 0

    def forked(self, surroundings: Environment, identity: Identity) -> None:
        """In a forked child: nothing is shared with the parent, least of all its locks.

        Locks and signals of the process may have been held by threads that do not exist here,
        so all are made anew.
        """
        for session in self.pool.live.values():
            session.gone = True
        for hold in self.holds:
            hold.forked()
        self.holds = Holds()
        self._begin(surroundings, identity)

    def begin_to_close(self) -> None:
        """Nothing begins any more, and what runs beside the callers sees it at once."""
        self.closed = True
        self.wake.set()

    # -- sessions ------------------------------------------------------------------------

    def borrow(self, terms: SessionOptions, borrower: Any) -> Flow[Session]:
        """A new session, kept alive from now on."""
        session = None
        if not self.closed:
            session = yield from self.pool.borrow(terms, borrower)
        if session is None or self.closed:
            # One that is made while the client closes might be overlooked there.
            if session is not None:
                yield from self.pool.destroy(session)
            raise Unavailable("the client is closed", kind="closed", uncertain=False)
        if self.keeper is None:
            # Not before it has something to do: it would end at once.
            yield from self._start_keeper()
        elif session.next_renewal < self.planned:
            self.wake.set()
        return session

    @abstractmethod
    def new_keeper(self) -> Any:
        """A new keeper, which is in ``keeper`` from now on."""

    def _start_keeper(self) -> Flow[None]:
        try:
            with self.mutex:
                if self.keeper is not None:
                    return
                keeper = self.new_keeper()
            yield Spawn(keeper.run(), "consul-lock-keeper")
        except BaseException:
            # No thread could be started, or this was cut off: the next session tries again.  Should
            # this one begin after all, it sees whether there is another one.
            if self.keeper is not None and not self.keeper.begun:
                self.keeper = None
            raise

    def idle(self) -> bool:
        """Whether there is nothing to keep.  Ask under the mutex."""
        pool = self.pool
        of_sessions = pool.live or pool.to_destroy or pool.orphans or pool.pulses
        of_losses = self.losing or pool.bereft
        kept = of_sessions or self.holds or of_losses or self.cleanups.times()
        return not kept and not self.surroundings.busy()

    def write(
        self, session: Session, request: Request, others: Sequence[Session] = ()
    ) -> Flow[TxnResult]:
        """A transaction that sessions of this client take part in; until it is answered, they are
        in doubt."""
        sessions = (session, *others)
        with self.mutex:
            for each in sessions:
                each.writing += 1
        try:
            outcome: TxnResult = yield request
        except (PermissionDenied, Refused):
            self._answered(sessions)
            raise
        except Unavailable as error:
            for each in sessions:
                each.uncertain = each.uncertain or error.uncertain
            self._answered(sessions)
            raise
        self._answered(sessions)
        for each in sessions:
            if outcome.done:
                each.mark_alive(outcome.sent, outcome.raft_index)
            elif outcome.invalid(each.id):
                yield from self.lose_session(each)
        return outcome

    def _answered(self, sessions: Sequence[Session]) -> None:
        # Not in a ``finally``: a write that is cut off by anything else stays in doubt.
        with self.mutex:
            for session in sessions:
                session.writing -= 1

    def lose_session(self, session: Session) -> Flow[None]:
        """Consul says that the session is dead: everything held with it is lost."""
        self.pool.mark_gone(session)
        yield from self._lose_all_of(session)

    def end(self, session: Session) -> Flow[None]:
        """End a session that a late write could still give a lock to, or take one from.

        Other locks of a shared one are lost, and reported as lost: the price of sharing.
        """
        ended = self.pool.ended(session)
        if not ended:
            self.pool.destroy_later(session)
        # Reported first: destroying waits for Consul, which may be away.
        yield from self._lose_all_of(session)
        if not ended:
            yield from self.pool.destroy(session)

    def _lose_all_of(self, session: Session) -> Flow[None]:
        for hold in list[Hold](session.holds):
            yield from self.lose(hold, LossReason.SESSION_INVALID)
        self.pool.bereft.pop(session, None)

    def clean_up(self, borrower: Any) -> Flow[None]:
        """Destroy a session that was borrowed by a call that was cut off."""
        for session in self.pool.borrowed_by(borrower):
            if not session.shared:
                yield from self.pool.destroy(session)
        if self.pool.orphans:
            now = yield Now()
            yield from self.pool.sweep(now)
        if self.pool.orphans or self.pool.to_destroy:
            if self.keeper is None and not self.closed:
                yield from self._start_keeper()
            self.wake.set()

    # -- holds ---------------------------------------------------------------------------

    def lose(self, hold: Hold, reason: LossReason, event: Event = Event.LOSE) -> Flow[None]:
        """The one way to lose a lock.  The first call sets the reason; later ones are void."""
        cause = hold.renewal_error
        now = yield Now()
        with self.mutex:
            if advance(hold.state, event) is None:
                return
            told_reason = _reason_told(hold, reason, now)
            # Before its state: what is lost has a reason, and is reported, also if this call is cut
            # off.
            hold.reason, hold.cause = told_reason, cause
            self.losing[hold] = loss = Loss(hold, reason, now)
            hold.advance(event)
        yield from self._finish_loss(hold, loss)

    def finish_losses(self, least: float = 0.0) -> Flow[None]:
        """Finish what calls have left that were cut off while they reported a loss: those that have
        been at it for so many seconds.  Not at once beside one that is at it: it would return
        before its losses are reported."""
        now, bereft = (yield Now()), self.pool.bereft
        for session, since in list(bereft.items()):
            age = 0.0 if since is None else now - since
            if age >= least:
                yield from self._lose_all_of(session)
            elif since is None:
                with self.mutex:
                    if session in bereft:
                        bereft[session] = now
        for hold, loss in list(self.losing.items()):
            if now - loss.since >= least:
                yield from self._finish_loss(hold, loss)

    def losing_since(self) -> list[float]:
        """Since when losses are being reported (driver's clock); long ago, if that is not known."""
        losses = [loss.since for loss in list(self.losing.values())]
        ends = list(self.pool.bereft.values())
        return losses + [float("-inf") if since is None else since for since in ends]

    def _finish_loss(self, hold: Hold, loss: Loss) -> Flow[None]:
        """Can be repeated: of all that it does, only what is reported would be done twice."""
        reason = loss.reason
        with self.mutex:
            if hold.state is not State.LOST:
                self.losing.pop(hold, None)  # it was cut off before it had begun
                return
            if hold.lock.leaves_traces:
                # Not at once: the work under it needs time to stop, as after any loss.
                later = loss.since + validity_of(hold.session.terms)
                self.cleanups.leave(hold.attempt, PendingCleanup(later, hold.lock, hold.sessions))
            self.holds.drop(hold)
            if hold.unconfirmed is not None and reason is LossReason.DEADLINE:
                # Its session may hold it still, and the next waiter need not wait for it.  If it is
                # lost before, it is not held any more, or its holder needs the lock-delay to stop.
                hold.session.farewell = hold.lock.farewell(hold.session)
        ended = reason is LossReason.DEADLINE or hold.lock.ends_session
        for session in hold.sessions:
            if ended or not session.shared:
                self.pool.destroy_later(session)
        self.local_queues.leave(hold.attempt)
        hold.lost.set()
        self.wake.set()
        if not loss.reported:
            report_lost(hold, hold.reason or reason, hold.cause, loss.since)
            loss.reported = True
        if loss.told is not None:
            yield loss.told
        for session in hold.sessions if ended else ():
            yield from self._lose_all_of(session)
        self.losing.pop(hold, None)

    def diagnose(
        self, hold: Hold, pair: Pair | None, timeout: float | None = None
    ) -> Flow[LossReason]:
        """Why a key is not held by this session, given what was read of it.

        The end of a session takes its keys with it, so the session is asked about first.
        """
        try:
            for session in hold.sessions:
                if (yield from self.api.renew(session.id, timeout)) is None:
                    return LossReason.SESSION_INVALID
        except ConsulLockError:
            pass  # not known: judge by the key alone
        if pair is None:
            return LossReason.KEY_DELETED
        return LossReason.STOLEN if pair.session else LossReason.REVOKED

    # -- what was learnt of keys -----------------------------------------------------------

    def contended(self, key: str) -> bool:
        """Whether the key was taken the last time it was wanted: then a read before a write saves a
        Raft entry, which a refused transaction costs as well."""
        return key in self._crowded

    def note(self, key: str, *, contended: bool) -> None:
        """Remember whether the key was taken."""
        if not contended:
            self._crowded.pop(key, None)
            return
        if len(self._crowded) >= _CROWDED_MAX:
            self._crowded.pop(next(iter(self._crowded)), None)
        self._crowded[key] = None

    def sign(self, session: Session) -> str:
        """A value for the sign of a queue that was never there before."""
        with self.mutex:
            self._signs += 1
            return base64_text(f"{session.id} {self._signs}".encode())


def _reason_told(hold: Hold, reason: LossReason, now: float) -> LossReason:
    """Why it was lost in truth: a session whose renewals a limit of requests has refused for as
    long as its TTL has expired by that, whatever is found of the key afterwards."""
    late = reason is LossReason.DEADLINE
    for session in hold.sessions:
        if is_limit(session.failure) and (late or now - session.last_renewal >= session.terms.ttl):
            return LossReason.REQUEST_LIMIT
    return reason


def believe(client: ClientBase, session: Session) -> Flow[bool]:
    """Whether a session that Consul shows as the holder's is alive, by a proof of late.

    A process that was paused while it waited must not wake up believing.  A renewal alone, such
    as the keeper's of the time it waited, is no proof.
    """
    asked = session.terms
    now = yield Now()
    known = session.alive if asked.lock_delay else session.renewed
    if now - known > 1.5 * renew_interval_of(asked):
        asking = (client.api.renewal(session.id), client.api.proof_of_life(session.id))
        info, shown = yield Batch(asking)
        for answer in (info, shown):
            if isinstance(answer, Exception):
                raise answer
        if info is None or shown is None:
            yield from client.lose_session(session)
            return False
        session.was_renewed(info.sent)
        session.mark_alive(shown)
    return True
