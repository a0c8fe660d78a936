"""The world that a client talks to: a server, and what goes wrong on the way to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import RLock

from consul_lock._protocol.flow import Reply, Request
from consul_lock.testing.agent_api import set_check
from consul_lock.testing.blocking_queries import Query
from consul_lock.testing.release import NEWEST, RELEASES
from consul_lock.testing.responses import TEXT, Answer, NoEndpoint, Refusal, Write
from consul_lock.testing.router import Work, prepare
from consul_lock.testing.server import Server

HOLD = 7.0
"""Seconds that an agent keeps a request for want of a leader."""

_NO_LEADER = Answer(500, TEXT, b"No cluster leader")
_BROKEN = Answer(500, TEXT, b"rpc error making call: EOF")
_LOST = Answer(500, TEXT, b"rpc error making call: leadership lost while committing log")


class Exchange:
    """A request on its way.  ``reply`` is None until it is answered."""

    __slots__ = ("_withdraw", "_world", "applied", "done", "reply", "request", "sent")

    def __init__(self, world: World, request: Request, sent: float) -> None:
        self._world = world
        self.request = request
        self.sent = sent
        self.reply: Reply | None = None
        self.done: Callable[[], object] | None = None
        """Called when the answer is there, if it was not there at once."""
        self.applied: Callable[[], object] | None = None
        """Called when a write was carried out later than it was admitted, whether anybody listens
        or not."""
        self._withdraw: Callable[[], None] | None = None

    def cancel(self) -> None:
        """Listen no longer: a read that waits is given up.

        A write that waits for a leader is not: the agent may still carry it out, for as long
        as it would have held it.  Nobody hears of the outcome.
        """
        with self._world._lock:
            withdraw, self._withdraw, self.done = self._withdraw, None, None
            if withdraw is not None:
                withdraw()

    def _answer(self, answer: Answer, *, endpoint: bool = True) -> None:
        self._withdraw = None
        headers = answer.headers
        if endpoint and (more := self._world._headers):
            headers = {**headers, **more}
        self.reply = Reply(answer.status, headers, answer.body, self.sent)
        if self.done is not None:
            self.done()


class World:
    """A Consul with one node, in virtual time.

    Nothing happens by itself: `submit` answers at once, or leaves the exchange open until
    `advance` comes to the time of the answer or another request causes it.  The same seed and
    the same calls give the same answers, session ids included.  Threads may share it.

    ``seed`` decides about session ids and the jitter of blocking queries.  ``session_ttl_min``
    is the shortest TTL in seconds that a session may have; Consul's own default is 10.
    ``node`` is the name of the node that sessions belong to.  ``consul`` is the release: "1.8" or
    "1.21", or "1.21.5" or "1.22", which are as 1.21 but for the names that keys may not have.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        session_ttl_min: float = 10.0,
        node: str = "node-1",
        consul: str = NEWEST,
    ) -> None:
        if consul not in RELEASES:
            raise ValueError(f"consul must be one of {', '.join(RELEASES)}, not {consul!r}")
        release = RELEASES[consul]
        self._server = Server(seed, session_ttl_min, node, release)
        self._headers = {"x-consul-default-acl-policy": "allow"} if release.default_headers else {}
        self._lock = RLock()
        self._faults: list[Answer] = []
        self._held: dict[Exchange, Work] = {}

    @property
    def consul(self) -> str:
        """The release that it has the rules of."""
        return self._server.release.name

    # -- time

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning of the world."""
        return self._server.time.now

    def advance(self, seconds: float) -> None:
        """Advance the clock and run every timer that is due."""
        with self._lock:
            self._server.time.advance_to(self.now + seconds)

    def advance_to(self, when: float) -> None:
        """Advance the clock to ``when``, and run every timer that is due; nothing if it is over."""
        with self._lock:
            self._server.time.advance_to(when)

    def next_event(self) -> float | None:
        """When the next thing will happen by itself, None if nothing will.

        That is the end of a blocking query, of a session, of a lock-delay, of the patience
        with a missing leader, the lapse of a TTL check, or the removal of tombstones.
        """
        with self._lock:
            return self._server.time.next()

    # -- requests

    def submit(self, request: Request) -> Exchange:
        """Send a request.  ``reply.sent`` is the virtual time of now."""
        with self._lock:
            exchange = Exchange(self, request, self.now)
            if self._faults:
                exchange._answer(self._faults.pop(0), endpoint=False)
                return exchange
            try:
                work = prepare(self._server, request)
            except Refusal as error:
                exchange._answer(error.answer, endpoint=not isinstance(error, NoEndpoint))
                return exchange
            if self._server.leaderless and not isinstance(work, Answer):
                self._hold(exchange, work)
            else:
                self._perform(exchange, work)
            return exchange

    def _perform(self, exchange: Exchange, work: Work) -> None:
        try:
            if isinstance(work, Write):
                self._write(exchange, work)
            elif isinstance(work, Query):
                exchange._withdraw = self._server.ask(work, exchange._answer)
            else:
                exchange._answer(work)
        except Refusal as error:
            exchange._answer(error.answer)

    def _write(self, exchange: Exchange, work: Write) -> None:
        refused = work.admit()
        if refused is not None:
            exchange._answer(refused)
        elif not work.logged:
            exchange._answer(work.run())
        else:
            late = False

            def apply() -> None:
                try:
                    answer = work.run()
                except Refusal as error:
                    answer = error.answer
                if late and exchange.applied is not None:
                    exchange.applied()
                if exchange.reply is None:
                    exchange._answer(answer)

            self._server.append(apply, lambda: exchange._answer(_LOST))
            late = True

    # -- leaders

    @property
    def raft(self) -> float | Callable[[], float]:
        """Seconds from the admission of a write by the leader to its application, or a function
        that says so of each; 0.0: both at once, past writes that are on their way.

        A write is admitted by the lock-delays that the leader knows of then; it takes effect
        later, when a session may have ended that was alive before.
        """
        return self._server.raft

    @raft.setter
    def raft(self, value: float | Callable[[], float]) -> None:
        self._server.raft = value

    @property
    def leaderless(self) -> bool:
        """Whether there is no leader.  Then no session expires, and everything but stale reads
        is held for `HOLD` seconds and answered with 500 ``No cluster leader``.

        Setting it to False is an election.
        """
        return self._server.leaderless

    @leaderless.setter
    def leaderless(self, value: bool) -> None:
        with self._lock:
            if value:
                self._server.step_down()
            elif self._server.leaderless:
                self.elect()

    def elect(self, *, behind: float = 0.0, catching_up: float = 0.0) -> None:
        """There is a new leader: the time of every session starts again, blocking queries are
        answered with 500 once, and requests that were held are carried out.  Of writes that were
        on their way nobody hears what became of them.

        A leader admits requests before it has applied all entries of the one before it.  So for
        ``catching_up`` seconds it does not know of the lock-delays of sessions that ended in the
        last ``behind`` seconds.
        """
        with self._lock:
            self._server.drop_queries(_BROKEN)
            self._server.elect(behind, catching_up)
            held, self._held = self._held, {}
            for exchange, work in held.items():
                self._perform(exchange, work)

    def _hold(self, exchange: Exchange, work: Work) -> None:
        if isinstance(work, Query) and work.stale:
            self._perform(exchange, work)
            return
        self._held[exchange] = work
        event = self._server.time.at(self.now + HOLD, lambda: self._give_up(exchange))
        if isinstance(work, Query):

            def withdraw() -> None:
                event.cancel()
                self._held.pop(exchange, None)

            exchange._withdraw = withdraw

    def _give_up(self, exchange: Exchange) -> None:
        if self._held.pop(exchange, None) is not None:
            exchange._answer(_NO_LEADER)

    # -- what else can go wrong

    def fault(
        self, n: int, status: int = 500, body: bytes = b"", headers: Mapping[str, str] = TEXT
    ) -> None:
        """The next ``n`` requests get this answer, and are not carried out."""
        with self._lock:
            self._faults += [Answer(status, headers, body)] * n

    @property
    def expiry_factor(self) -> float | Callable[[str], float]:
        """How many TTLs a session lives without renewal: 2.0, like a real server, or anything
        from 1.0 on, which is all that Consul promises.  Or a function that is given the id of
        the session.  It counts for timers started afterwards."""
        return self._server.expiry_factor

    @expiry_factor.setter
    def expiry_factor(self, value: float | Callable[[str], float]) -> None:
        if isinstance(value, int | float) and not 1.0 <= value <= 2.0:
            raise ValueError(f"expiry_factor must be between 1.0 and 2.0, not {value}")
        self._server.expiry_factor = value

    @property
    def checks(self) -> Mapping[str, str]:
        """The status of each health check of the node, by its id."""
        return self._server.checks.status

    def set_check(self, check: str, status: str) -> None:
        """Give a health check a status: passing, warning, or critical, which kills the sessions
        bound to it.  A check that does not exist is registered."""
        with self._lock:
            set_check(self._server, check, status)

    def leave_node(self) -> None:
        """The node leaves (and is back at once): all its sessions die, whatever they are bound
        to.  So it is if an agent is stopped in good order."""
        with self._lock:
            self._server.invalidate_bound(None)
