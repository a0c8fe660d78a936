"""Performs flows one after the other against a World: for tests that are played by hand."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from consul_lock._protocol import keys as names
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.flow import (
    Batch,
    Call,
    Flow,
    Identity,
    Job,
    Now,
    Reply,
    Request,
    Sleep,
    Spawn,
    Wait,
    Wall,
    Warn,
)
from consul_lock._protocol.hold.hold import Hold
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._protocol.primitive.primitive import Primitive, Settings
from consul_lock._protocol.session import timing as terms
from consul_lock.errors import ConsulLockError, Unavailable
from consul_lock.testing import World

NAME = "jobs/nightly"

# A number of effects that no test reaches: run to the end.
NEVER = 10_000


def verbs(request: Request) -> list[str]:
    """The operations of a transaction; none if it is none."""
    if request.path != "/v1/txn":
        return []
    return [operation["KV"]["Verb"] for operation in json.loads(request.body or b"[]")]


def waits(request: Request) -> bool:
    """Whether it is a blocking read."""
    return request.wait > 0


def hold_of(lock: Primitive) -> Hold:
    """What it holds, or held last."""
    assert lock.hold is not None
    return lock.hold


class Signal:
    """Something to wait for, where nobody waits at the same time."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set


class FakeDriver:
    """A driver without any concurrency: what a flow waits for is done before, or by a hook."""

    def __init__(self) -> None:
        self.world = World(seed=3)
        self.sent: list[Request] = []
        self.spawned: list[Flow[Any]] = []
        self.warnings: list[Warn] = []
        self.failures: deque[Exception | None] = deque()
        """What happens to the next requests: an error instead of being sent; None: nothing."""
        self.frozen_for = 0.0
        """So many seconds each request takes to time out; 0: Consul answers."""
        self.answers_left = NEVER
        """After so many answers Consul gives none any more: requests end by their timeouts."""
        self.instead: Callable[[Request], tuple[int, bytes] | None] = lambda request: None
        """Status and body of what something in front of Consul answers; None: it lets it pass."""
        self.warned: list[str] = []
        self.slow_by = 0.0
        """So many seconds each answer takes."""
        self._beside = False
        self.calls_under_way: Callable[[], bool] = lambda: False
        """What the closing of a client learns of them."""
        self.when_blocked: Callable[[], object] = lambda: None
        """Called when a blocking read finds nothing new, once."""

    # -- what a ClientCore wants of its surroundings

    def mutex(self) -> Any:
        return nullcontext()

    def signal(self) -> Signal:
        return Signal()

    def random(self) -> float:
        return 0.5

    def catch_up(self) -> None:
        """Nothing is ever left: a flow is cut off by its test."""

    def hang_up(self) -> None:
        """Nobody waits beside the flow that closes."""

    def busy(self) -> bool:
        return self.calls_under_way()

    # -- performing

    def client(self, label: str = "a", **options: Any) -> ClientCore:
        return ClientCore(self, Identity({"host": label, "pid": 1}, label), **options)

    def lock(self, client: ClientCore | None = None, name: str = NAME, **settings: Any) -> LockCore:
        asked = Settings(terms.session_options(), **settings)
        return LockCore(client or self.client(), names.keys_of_name(name), asked)

    def acquire(self, lock: LockCore, timeout: float | None = None, owner: str = "me") -> Any:
        return self.run(lock.acquire(timeout != 0, timeout or None, owner))

    def release(self, lock: LockCore, owner: str = "me") -> None:
        self.run(lock.release(owner))

    def run(self, job: Job | Flow[Any]) -> Any:
        """A flow to its end.  Its undo is not run, as no test here means an accident."""
        flow = job.flow if isinstance(job, Job) else job
        return self.drive(flow, NEVER)[1]

    def run_from(self, flow: Flow[Any], error: Exception) -> Any:
        """An effect of the flow has failed: go on to its end."""
        return self.run_after(flow, flow.throw(error))

    def run_failed(self, flow: Flow[Any], batch: Batch, error: Exception) -> Any:
        """Every request of a batch has failed: go on to the end of the flow."""
        return self.run_after(flow, flow.send((error,) * len(batch.requests)))

    def run_after(self, flow: Flow[Any], effect: Any) -> Any:
        """From an effect that the flow has just yielded, to its end."""
        return self._drive(flow, lambda effect: False, effect)[1]

    def drive(self, flow: Flow[Any], stop: int, *, clocks: bool = False) -> tuple[Any, Any]:
        """Perform so many effects.  Returns the next one, or None and the result.

        Looks at the clock count only if ``clocks`` says so.
        """
        performed = iter(range(stop))

        def enough(effect: Any) -> bool:
            return (clocks or not isinstance(effect, Now)) and next(performed, None) is None

        return self._drive(flow, enough)

    def until(
        self, flow: Flow[Any], wanted: Callable[[Request], bool], *, after: Any = None
    ) -> Any:
        """Perform effects, from the one ``after`` which it stopped, up to a request that is
        wanted, or a batch with one.  It is not sent yet."""

        def found(effect: Any) -> bool:
            if isinstance(effect, Batch):
                return any(map(wanted, effect.requests))
            return isinstance(effect, Request) and wanted(effect)

        effect, _ = self._drive(flow, found, after)
        assert isinstance(effect, Request | Batch), "it has ended before"
        return effect

    def queue_up(self, lock: Lockable) -> tuple[Flow[Any], Request]:
        """Enter the queue, up to the first blocking read, which is not sent yet."""
        flow = lock.acquire(True, None, "me").flow
        return flow, self.until(flow, waits)

    def go_on(self, flow: Flow[Any], effect: Any) -> Any:
        """Perform an effect, and return the next one that is not only a look at the clock."""
        return self.next_of(flow, self.perform(effect))

    def next_of(self, flow: Flow[Any], result: Any) -> Any:
        """What follows on an effect that had this result, if it is not only a look at the clock."""
        effect = flow.send(result)
        while isinstance(effect, Now):
            effect = flow.send(self.perform(effect))
        return effect

    def _drive(
        self, flow: Flow[Any], enough: Callable[[Any], bool], begin: Any = None
    ) -> tuple[Any, Any]:
        step: Callable[[Any], Any] = flow.send
        value: Any = None if begin is None else self.perform(begin)
        for _ in range(NEVER):
            try:
                effect = step(value)
            except StopIteration as end:
                return None, end.value
            if enough(effect):
                return effect, None
            try:
                step, value = flow.send, self.perform(effect)
            except Exception as error:  # noqa: BLE001 - the flow gets every error
                step, value = flow.throw, error
        raise AssertionError("the flow does not end")

    def perform(self, effect: Any) -> Any:
        """Do what an effect says."""
        match effect:
            case Request():
                return self._send(effect)
            case Batch(requests):
                return self._side_by_side(requests)
            case Now():
                return self.world.now
            case Wall():
                return 1_600_000_000.0 + self.world.now
            case Sleep(low, high):
                self.world.advance((low + high) / 2)
            case Wait():
                return self._wait(effect)
            case _:
                self._perform_rare(effect)
        return None

    def _perform_rare(self, effect: Any) -> None:
        match effect:
            case Spawn(flow, _):
                self.spawned.append(flow)
            case Call(function, args):
                function(*args)
            case Warn():
                self.warned.append(effect.text)
                self.warnings.append(effect)

    def _wait(self, wait: Wait) -> bool:
        done = wait.signal.is_set()
        assert done or wait.timeout is not None, "it waits for ever"
        if not done:
            self.world.advance(wait.timeout or 0.0)
        return wait.signal.is_set()

    def _side_by_side(self, requests: tuple[Request, ...]) -> tuple[Any, ...]:
        """All of them take the time of one."""
        results = [self._result(request) for request in requests[:1]]
        self._beside = True
        try:
            return (*results, *map(self._result, requests[1:]))
        finally:
            self._beside = False

    def _takes(self, seconds: float) -> None:
        if not self._beside:
            self.world.advance(seconds)

    def _result(self, request: Request) -> Any:
        try:
            return self._send(request)
        except Exception as error:  # noqa: BLE001 - a batch returns what its parts end in
            return error

    def _send(self, request: Request) -> Any:
        self.sent.append(request)
        if self.failures and (failure := self.failures.popleft()) is not None:
            raise failure
        if self.frozen_for:
            self._takes(self.frozen_for)
            raise Unavailable("no answer came")
        if self.answers_left <= 0:
            timeout = 10.0 if request.timeout is None else request.timeout
            self._takes(timeout + request.wait * 17 / 16)
            raise Unavailable("no answer came")
        self.answers_left -= 1
        if (said := self.instead(request)) is not None:
            return request.parse(Reply(said[0], {}, said[1], self.world.now))
        self._takes(self.slow_by)
        exchange = self.world.submit(request)
        if exchange.reply is None:
            hook, self.when_blocked = self.when_blocked, lambda: None
            hook()
        while exchange.reply is None:
            due = self.world.next_event()
            assert due is not None
            self.world.advance_to(due)
        return request.parse(exchange.reply)

    # -- what there is in the world

    def requests(self) -> list[str]:
        """What was sent since the last time, in short."""
        said = [f"{r.method} {r.path.removeprefix('/v1/')}" for r in self.sent]
        self.sent.clear()
        return [s.rpartition("/")[0] if "session/" in s and "-" in s else s for s in said]

    def held(self) -> dict[str, str]:
        """Each key, and the session that holds it."""
        return {key: entry.session for key, entry in self.world._server.kv.entries.items()}

    def sessions(self) -> set[str]:
        """All sessions there are."""
        return {session.id for session in self.world._server.sessions.all()}


def took(driver: FakeDriver, job: Job) -> tuple[float, Any]:
    """How many seconds it took, and its result, or the class of its error."""
    begun = driver.world.now
    try:
        result: Any = driver.run(job)
    except ConsulLockError as error:
        result = type(error)
    return driver.world.now - begun, result
