"""The cron guard for asyncio.  It decides nothing: a method runs a flow."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, Unpack

from consul_lock._api.cron_options import CronOptions, split
from consul_lock._api.decorated import Kept, awaitable, awaits, decorates, makes_awaitable
from consul_lock._api.listeners import listeners_of
from consul_lock._api.options import require
from consul_lock._async.client import Client, chosen
from consul_lock._async.lock import Lock, check_options
from consul_lock._async.runtime import current_owner, run_while_held
from consul_lock._protocol.cron.claim import SlotClaim
from consul_lock._protocol.cron.decision import CronOutcome
from consul_lock._protocol.cron.guard import CronCore
from consul_lock._protocol.cron.run import CronRun
from consul_lock._protocol.cron.run_lock import RunLock
from consul_lock._protocol.keys import keys_of_name

P = ParamSpec("P")
R = TypeVar("R")


class CronGuard:
    """Runs a job once for each slot, however many hosts have it in their crontab.

    For each name and slot at most one host starts the job, whatever the hosts' clocks show, as long
    as nobody deletes or resets the record; if the host that claimed the slot dies, it is lost,
    unless ``retry_crashed`` is given.

        async with CronGuard("backup", every="1h").claim() as run:
            if run:
                await back_up()

    One of these says what a slot is: ``every`` (seconds, or "10m"), counted from the epoch and
    ``offset``; ``schedule``, a cron expression in ``timezone`` (extra ``cron``); ``slot``, an ID
    that is run once.  ``early`` seconds before a slot begins it counts already (a quarter of a
    slot, 30 s at most), in case a clock was stepped back.  ``splay`` waits up to so long first, so
    that it is not always the fastest clock that wins.  ``max_lateness`` skips a slot that began
    longer ago, ``splay`` and ``standby`` not counted.

    While an earlier run is alive, ``overlap="skip"`` skips, ``"wait"`` waits for ``wait`` seconds
    (None: until the next slot begins) and ``"allow"`` needs no run lock at all.  ``retry_failed``
    and ``retry_crashed`` allow that many further attempts at a slot, by hosts that come late, or
    are on standby for ``standby`` seconds; the latter only once the run lock proves
    the earlier attempt dead, and an end that could not be recorded counts as a crash.

    A record that is further ahead than ``max_skew`` (the length of a slot, 300 s at least) means a
    wrong clock: `ClockSkew`.  ``history`` runs are remembered, and as many IDs.  The other options
    are those of `Lock`, for the run lock, which has the same name.

    Raises `ConfigError` for settings that contradict each other.
    """

    def __init__(
        self,
        name: str,
        *,
        client: Client | None = None,
        **options: Unpack[CronOptions],
    ) -> None:
        asked, self._options = split(options)
        self._client = chosen(client)
        core = self._client._core
        on_event, in_tasks = self._options.get("on_event"), core.reporter.in_tasks
        self._core = CronCore(core, name, asked, listeners_of(on_event, in_tasks=in_tasks))
        self._lock()  # to refuse bad options before anything is run

    def claim(self, at: float | None = None) -> Claiming:
        """For ``async with guard.claim() as run:``; the job is to be run only ``if run``.

        Entering claims the slot of the time ``at`` (seconds since the epoch; now), and looks that
        the run lock is held.  Leaving records how the run has ended and releases that lock; it
        raises `LockLost` if the lock was lost before the end was recorded, which is what the record
        says, too.

        Entering raises `Unavailable` if Consul fails for longer than ``retry_for``, also if what
        became of the claim is not known: then the job is not run.  `Conflict` if the record is
        none, or of a newer version, or the name is used otherwise; `ClockSkew`; `PermissionDenied`;
        `LockLost` if the run lock was lost between the claim and the job, which is not run then.
        """
        return Claiming(self, at)

    async def run(self, fn: Callable[[CronRun[Lock]], Coroutine[Any, Any, R]]) -> R | None:
        """Claim, and call ``fn(run)`` if this host has the slot; returns its result, else None.

        A thread cannot be stopped from outside: there ``fn`` must look at ``run.lock.lost``, or
        call ``run.lock.ensure_held()`` often.  In asyncio ``fn`` is awaited as a task, which is
        cancelled when the lock is lost.
        """
        makes_awaitable(fn, "CronGuard.run")
        claiming, kept = self.claim(), Kept[R]()
        try:
            with kept:
                async with claiming as run:
                    if not run:
                        return None
                    work = awaitable(fn(run), fn, "CronGuard.run")
                    # -- asyncio only
                    if run.lock is not None:
                        work = run_while_held(run.lock.lost, work, run.lock.ensure_held)
                    # -- both
                    return kept(await work)
        except BaseException as error:
            if claiming._open:
                # A signal has struck before the end of the block had begun.
                await claiming.__aexit__(type(error), error, error.__traceback__)
            raise

    def slot(self, at: float) -> str:
        """The slot of a time (seconds since the epoch), as a claim at that time has it.  No I/O."""
        return self._core.plan.rhythm.slot(at).label

    @property
    def name(self) -> str:
        """The name it was made with."""
        return self._core.name

    def _lock(self) -> Lock | None:
        """A new run lock, if there is to be one."""
        keys = keys_of_name(self._core.name)
        if self._core.plan.overlap == "allow":
            return None
        lock = Lock(self._core.name, client=self._client, **self._options)
        lock._core = RunLock(self._client._core, keys, lock._settings)
        return lock


class Claiming:
    """A claim that is made when the block is entered."""

    def __init__(self, guard: CronGuard, at: float | None) -> None:
        self._guard = guard
        self._at = at
        self._claim: SlotClaim | None = None
        self._run: CronRun[Lock] | None = None

    async def __aenter__(self) -> CronRun[Lock]:
        guard, lock = self._guard, self._guard._lock()
        self._run = None
        core: Any = None if lock is None else lock._core
        self._claim, job = guard._core.claim(core, self._at, current_owner())
        # No signal strikes from here on: without its run, nobody could end the block.
        run: CronRun[Lock] = await guard._client._run(job)
        self._run = run
        run.lock = lock if run.outcome is CronOutcome.RUN else None
        return run

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._claim is not None
        assert self._run is not None
        await self._guard._client._run(self._guard._core.leave(self._claim, self._run, error))

    @property
    def _open(self) -> bool:
        """The block was entered, and its end has not begun."""
        return self._claim is not None and self._run is not None and not self._claim.ending


def once_per(
    name: str, *, client: Client | None = None, **options: Unpack[CronOptions]
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R | None]]]:
    """Run the coroutine function once for each slot, on one of all hosts that call it.

    ``options`` are those of `CronGuard`; where it is not run the result is None.  Raises what
    `CronGuard.claim` raises, and `LockLost` after the function if the run lock was lost meanwhile.
    """
    # To refuse what is bad here, and not in the night.
    decorates("once_per", name, options, CronOptions.__annotations__)
    require("client", client, Client)
    check_options(name, split(options)[1])
    where = f"@once_per({name!r})"

    def decorate(
        function: Callable[P, Coroutine[Any, Any, R]],
    ) -> Callable[P, Coroutine[Any, Any, R | None]]:
        awaits(function, where)

        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R | None:
            guard = CronGuard(name, client=client, **options)
            return await guard.run(
                lambda run: awaitable(function(*args, **kwargs), function, where)
            )

        return run

    return decorate
