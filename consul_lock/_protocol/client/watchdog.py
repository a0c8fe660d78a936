"""The watchdog: reports a loss at its deadline, whatever else hangs.

The keeper sends requests, and a request can hang: in name resolution, behind an answer that
trickles, in a frozen agent.  A holder has to stop all the same when its deadline has passed,
as from then on somebody else may hold the lock.  So deadlines have a thread or task of their
own, which does nothing that could take time: its flow yields `Now`, `Wait`, `Call`, `Spawn` and
`Warn` alone, never a `Request`.  Time line of a holder whose name server goes away, with the
defaults:

    0.0 s   a verification is sent, and answered well: the deadline is at 28.5 s
    3.3 s   the keeper renews, and hangs in the name resolution until 38 s
    28.5 s  the watchdog sets `lost` and calls `on_lost`
    30.0 s  somebody else may acquire

It also lets confirmations of what was handed over begin in time, each in a thread or task of its
own: short holds, which are most, end before that.

It begins with the first hold of a client and ends when there has been none for a while, so that
a client which acquires again and again starts no thread each time.
"""

from __future__ import annotations

from consul_lock._protocol.client.base import ClientBase
from consul_lock._protocol.client.confirm import settle
from consul_lock._protocol.flow import Flow, Now, Spawn, Wait, Warn
from consul_lock._protocol.hold.hold import Hold
from consul_lock.errors import LossReason

# Seconds that it stays when nothing is held any more.
_LINGER = 10.0

# Seconds between looks at the clock: the timers of an operating system stand still while the
# machine sleeps, and the clock of deadlines does not.
_LOOK = 2.0

NAME = "consul-lock-watchdog"


class Watchdog:
    """The flow behind the watchdog's thread or task, and who starts it."""

    def __init__(self, core: ClientBase) -> None:
        self._core = core
        self.wake = core.new_signal()
        """Set when there is something to do before it planned to."""
        self._planned = float("inf")
        self._running = False

    def mind(self, hold: Hold, deadline: float) -> Flow[None]:
        """From now on the loss of this hold, which is one of the client's, is reported in time."""
        if not self._running:
            yield from self._start()
        elif deadline < self._planned or _due(hold) < self._planned:
            self.wake.set()

    def _start(self) -> Flow[None]:
        first = False
        try:
            with self._core.mutex:
                first = not self._running
                self._running = True
            if first:
                yield Spawn(self.run(), NAME)
        except BaseException:
            # No thread could be started, or this was cut off: the caller's acquire is undone.
            if first:
                self._running = False
            raise

    def run(self) -> Flow[None]:
        """Until nothing has been held for a while, or the client is closed and holds nothing."""
        try:
            held = yield Now()
            while True:
                self._planned = float("inf")  # until it is known: new holds wake it meanwhile
                self.wake.clear()
                yield from self._tell_losses()
                yield from self._let_confirm()
                now = yield Now()
                if self._core.holds:
                    held = now
                if self._is_over(now - held):
                    return
                with self._core.mutex:
                    holds = self._core.holds
                    event = min(holds.next_deadline(), holds.next_confirmation())
                self._planned = min(event, now + _LOOK)
                yield Wait(self.wake, max(0.0, self._planned - now))
        except BaseException:
            self._running = False
            raise

    def _tell_losses(self) -> Flow[None]:
        core = self._core
        now = yield Now()
        with core.mutex:
            late = core.holds.late(now)
        for hold in late:
            try:
                yield from core.lose(hold, LossReason.DEADLINE)
            except Exception as error:  # noqa: BLE001 - the others are notified all the same
                failure = error
            else:
                continue
            yield Warn(f"reporting the loss of {hold.key!r} failed", "watchdog-error", failure)

    def _let_confirm(self) -> Flow[None]:
        core = self._core
        now = yield Now()
        with core.mutex:
            due = core.holds.to_confirm(now)
        for hold in due:
            try:
                yield Spawn(settle(core, hold), "consul-lock-confirm")
            except RuntimeError as error:  # no thread can be started
                failure = error
            else:
                continue
            yield Warn(f"{hold.key!r} cannot be confirmed", "watchdog-error", failure)

    def _is_over(self, idle: float) -> bool:
        """Whether to end.  Decided under the mutex under which holds are added: a hold that is
        added while it runs is sure to be watched."""
        core = self._core
        with core.mutex:
            over = not core.holds and (core.closed or idle >= _LINGER)
            if over:
                self._running = False
        return over


def _due(hold: Hold) -> float:
    return hold.unconfirmed.due if hold.unconfirmed else float("inf")
