"""A client of the library inside the simulation, and what its threads do with it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.close import close_client
from consul_lock._protocol.flow import Flow, Identity, Job, Sleep, Wait
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import Conflict, ConsulLockError
from tests.simulation.flow_process import Cancelled, Process
from tests.simulation.history import History
from tests.simulation.scenario import TIMEOUTS, Client
from tests.simulation.simulator import Host, Simulator, Violation

if TYPE_CHECKING:
    from consul_lock._protocol.hold.hold import Hold
    from consul_lock._protocol.session.session import Session

# Seconds that a caller waits for the clean-up after its own exception, as the drivers do.
_CLEAN_UP = 5.0


class Wish(NamedTuple):
    """What a thread wants to have for a while."""

    lock: Lockable
    n: int = 1
    weights: Mapping[str, int] = {}
    """How much of each of these resources it then has, for checks of several at once."""
    first: Callable[[Any], Job] | None = None
    """Done before it is acquired, for this owner."""
    ask: Callable[[Any], Job] | None = None
    """Asked while it is held, by this owner."""
    then: Callable[[Any], Job] | None = None
    """Done while it is held, by this owner; afterwards it has less:"""
    less: Mapping[str, int] = {}
    inner: Wish | None = None
    """Wanted too while this is held, by the same thread."""
    patience: float | None = None
    """How long to wait for that; None: for as long as it takes."""
    refused: Callable[[Conflict], bool] = lambda error: False
    """Whether a conflict was to be expected."""
    campaign: Callable[[float | None, Any], Job] | None = None
    """How to get it within so many seconds, for this owner, if it is an election."""


Wishes = Callable[["Thread", int], Wish]
"""What a thread wants in its so-many-th turn."""


class Contender(Host):
    """One client with its keeper, and the threads that use it."""

    tries = 3
    """Once all is well again."""

    passing_by = False
    """It wants something in bad weather only, and does not come again."""

    def __init__(
        self,
        simulator: Simulator,
        number: int,
        asked: Client,
        granted: Callable[[Thread, Hold], None],
    ) -> None:
        super().__init__(simulator, number, asked.drift)
        self.asked = asked
        self.closed = False
        self.granted = granted
        self.reduced: Callable[[Thread, Hold], None] = lambda thread, hold: None
        """Called with each hold that has less now than it was granted."""
        self.core = ClientCore(self, Identity({"host": f"h{number}", "pid": number}, f"c{number}"))
        self.settings = Settings(
            terms.session_options(lock_delay=asked.lock_delay),
            fair=asked.fair,
            watch=asked.watch,
            on_lost=self._lost,
        )
        self.threads: list[Thread] = []

    def begin(self, wishes: Callable[[Contender], Wishes], rounds: int) -> None:
        """Let its threads want something, so many times each."""
        wish = wishes(self)
        for place in range(self.asked.threads):
            self.threads.append(Thread(self, wish, place, rounds))
        for thread in self.threads:
            thread.begin()

    def _lost(self, reason: Any) -> None:
        self.simulator.counts[f"lost: {reason.value}"] += 1

    @property
    def done(self) -> bool:
        if not self.crashed:
            for thread in self.threads:
                if not thread.done:
                    return False
        return True

    def sessions(self) -> list[str]:
        """Ids of the sessions that the client knows of."""
        return [*self.core.pool.live, *self.core.pool.to_destroy]

    def idle_sessions(self) -> list[Session]:
        """Sessions that wait in the pool for somebody to use them."""
        return [session for idle in self.core.pool._idle.values() for session in idle]

    def close(self) -> None:
        """Give everything back."""
        self.closed = True
        for thread in self.threads:
            thread.weather.set()
        self.start(close_client(self.core), f"close {self.number}", lambda *_: self._shut())

    def _shut(self) -> None:
        # As drivers do: no connection is left, and none is made any more.
        self.reset_connections(ghosts=True)
        self.cut_off_until = float("inf")


class Thread:
    """Wants something a few times, holds it for a moment each time."""

    def __init__(self, host: Contender, wishes: Wishes, place: int, rounds: int) -> None:
        self.host = host
        self.wishes = wishes
        self.place = place
        self.rounds = rounds
        self.job: Process | None = None
        self.done = False
        self.wants = False
        """It is acquiring, and willing to wait for as long as it takes."""
        self.weights: Mapping[str, int] = {}
        """What it has of which resource, when it has what it asks for just now."""
        self.has: dict[Hold, Mapping[str, int]] = {}
        """The same of what it was granted."""
        self.rested = False
        """It has had its turns, and waits for good weather."""
        self.weather = host.signal()
        """Set when all is well again: from now on it must be served."""

    def begin(self) -> None:
        self._script = self._life()
        self._go_on(None, None)

    @property
    def history(self) -> History:
        """Where its calls are written down."""
        return self.host.simulator.history

    def weights_of(self, hold: Hold) -> Mapping[str, int]:
        """What it has of which resource by this hold."""
        return self.has.get(hold, self.weights)

    def cancel(self, *, quietly: bool) -> None:
        """Cut off what it is doing with the lock, if it is doing anything."""
        if self.job is not None and self.job in self.host.processes:
            self.host.simulator.counts["cancelled"] += 1
            self.job.cancel(quietly=quietly)

    # -- what it does

    def _life(self) -> Generator[Any, Any, None]:
        random, timeouts = self.host.simulator.random, self.host.asked.timeouts
        for turn in range(self.rounds):
            yield Sleep(0.0, random.choice((0.0, 0.1, 2.0)))
            if self.weather.is_set() or self.host.closed:
                break
            yield from self._try_once(turn, TIMEOUTS[timeouts[turn % len(timeouts)]])
        self.rested = True
        if self.host.passing_by:
            self.done = True
            return
        while not self.weather.is_set() and not self.host.closed:
            yield Wait(self.weather, None)
        for turn in range(self.host.tries):
            if self.host.closed or (yield from self._try_once(self.rounds + turn, None)):
                break
        else:
            raise Violation(f"contender {self.host.number} was refused in good weather")
        self.done = True

    def _try_once(self, turn: int, timeout: float | None) -> Generator[Any, Any, bool]:
        wish = self.wishes(self, turn)
        if wish.first is not None:
            if (yield from self._do("first", partial(wish.first, self))):
                self.history.resized(self)
            wish = self.wishes(self, turn)
        called = self._call_of(wish)
        had = yield from self._acquire(wish, timeout)
        if had:
            yield from self._hold(wish, called)
        self.has.clear()
        return had

    def _call_of(self, wish: Wish) -> tuple[int, frozenset[int]]:
        """The place of a call of acquire, and the limit of its semaphore then."""
        return self.history.place(), _limits_of(wish)

    def _hold(self, wish: Wish, called: tuple[int, frozenset[int]]) -> Generator[Any, Any, None]:
        """Have it for a while, and perhaps more beside it, or less of it."""
        hold = wish.lock.current(self)
        assert hold is not None
        self.has[hold] = wish.weights
        limits = called[1] | _limits_of(wish)
        self.history.granted(called[0], self.host, hold, wish.weights, limits)
        self.host.granted(self, hold)
        yield self._moment()
        if wish.ask is not None:
            if (yield from self._do("ask", partial(wish.ask, self))):
                self.host.simulator.counts["answered"] += 1
            yield self._moment()
        if wish.inner is not None:
            yield from self._have_too(wish.inner._replace(refused=wish.refused))
        if wish.then is not None:
            # Others may come in as soon as Consul has the request, so from now on it has less.
            self.has[hold] = wish.less
            self.history.reduces(hold, wish.less)
            if (yield from self._do("then", partial(wish.then, self))):
                self.history.reduced(hold)
                self.host.reduced(self, hold)
            yield self._moment()
        self.history.releases(hold)
        if (yield from self._do("release", partial(wish.lock.release, self))):
            self.history.released(hold)
            self.host.simulator.counts["released"] += 1

    def _have_too(self, wish: Wish) -> Generator[Any, Any, None]:
        called = self._call_of(wish)
        if (yield from self._acquire(wish, wish.patience)):
            self.host.simulator.counts["granted beside another"] += 1
            yield from self._hold(wish, called)

    def _moment(self) -> Sleep:
        if (seconds := self.host.asked.holds) is not None:
            return Sleep(seconds, seconds)
        return Sleep(0.0, self.host.simulator.random.choice((0.0, 0.05, 1.0, 6.0)))

    def _acquire(self, wish: Wish, timeout: float | None) -> Generator[Any, Any, bool]:
        counts = self.host.simulator.counts
        self.wants, self.weights = timeout is None, wish.weights
        try:
            if wish.campaign is not None:
                yield wish.campaign(timeout, self)
                had = True
            else:
                had = yield wish.lock.acquire(timeout != 0, timeout or None, self, wish.n)
        except (ConsulLockError, Cancelled) as error:
            counts[f"acquire: {type(error).__name__}"] += 1
            counts[f"error: {getattr(error, 'kind', 'cancelled')}"] += 1
            if isinstance(error, Conflict) and not wish.refused(error):
                raise Violation(f"a conflict with whom? {error}") from error
            return False
        finally:
            self.wants = False
        if not had:
            counts["gave up"] += 1
        return bool(had)

    def _do(self, what: str, job: Callable[[], Job]) -> Generator[Any, Any, bool]:
        """False: it has failed, which may happen to anybody."""
        try:
            yield job()
        except (ConsulLockError, Cancelled) as error:
            self.host.simulator.counts[f"{what}: {type(error).__name__}"] += 1
            self.host.simulator.counts[f"error: {getattr(error, 'kind', 'cancelled')}"] += 1
            return False
        return True

    # -- how a driver runs it

    def _go_on(self, value: Any, error: BaseException | None) -> None:
        if self.host.simulator.trace is not None:
            who = f"[{self.host.number}.{self.place}]"
            self.host.simulator.tell(who, "goes on:", value, repr(error))
        try:
            step = self._script.send(value) if error is None else self._script.throw(error)
        except StopIteration:
            return
        if isinstance(step, Job):
            self._run(step)
        else:
            self.host.start(_pause(step), f"thread {self.host.number}", self._go_on)

    def _run(self, job: Job) -> None:
        def ended(value: Any, error: BaseException | None) -> None:
            self.job = None
            if error is None or job.undo is None:
                self._go_on(value, error)
            else:
                self._clean_up(job.undo(), error)

        name = f"job of {self.host.number}"
        self.job = Process(self.host, job.flow, name, ended, is_call=job.undo is not None)
        self.host.processes[self.job] = None
        # At once: a call that is cut off before its first step has not been made.
        self.job.begin()

    def _clean_up(self, undo: Flow[None], error: BaseException) -> None:
        """Go on when it is done, or when it has taken too long."""
        told = False

        def tell() -> None:
            nonlocal told
            if not told:
                told = True
                self._go_on(None, error)

        def undone(_value: Any, problem: BaseException | None) -> None:
            if problem is not None and not self.host.closed:
                raise Violation(f"the clean-up of {self.host.number} failed") from problem
            tell()

        self.host.start(undo, f"undo of {self.host.number}", undone, is_call=True)
        self.host.after(_CLEAN_UP, tell)


def _limits_of(wish: Wish) -> frozenset[int]:
    limit = getattr(wish.lock, "limit", None)
    return frozenset() if limit is None else frozenset({limit})


def _pause(effect: Any) -> Flow[None]:
    yield effect
