"""Heartbeats: a service with a TTL check at the local agent, passed while the process lives.

A session bound to such a check dies when the check was not passed for its length: a second or
so after a crash, where its own TTL takes 20.  The check is passed by a flow of its own.  The
keeper could not do it: its renewals go to the servers, which may take 8 s over one during an
election, while the agent answers at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from consul_lock._protocol.consul.api import ConsulApi
from consul_lock._protocol.consul.models import SessionOptions
from consul_lock._protocol.flow import Flow, Now, Signal, Sleep, Spawn, Wait, Warn
from consul_lock.errors import ConsulLockError, Refused, Unavailable

# Times that a check is passed within its length.  After a failure the next try comes twice as
# soon: else the third would come just when the check turns critical.
_BEATS = 3

# Seconds for one answer of the agent: half of the length, so that there is time for another
# try.  Less than the first is no sign of trouble, and more than the second no local agent takes.
_ANSWER_MIN, _ANSWER_MAX = 0.5, 3.0

# Seconds for the servers to learn of a new check: the agent sends it when it gets round to it,
# as a rule within milliseconds.
_NEWS = 5.0

# Seconds between looks whether they have; doubled up to the second one, as each look that comes
# too early is a Raft write.
_LOOK_FIRST, _LOOK_LAST = 0.05, 0.8

# Seconds for which a heart beats on without a session: longer than one takes to be created.
_LINGER = 30.0

# Seconds that closing waits for the flows to end: for the answer they may be waiting for, and
# for that to the removal of their service.
_END_WITHIN = 2 * _ANSWER_MAX + 1.0

# An ID of a service is part of paths and error messages: plain characters, not too many.
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]+")
_ID_MAX = 90


class Heartbeat:
    """One heart: a service and its check."""

    def __init__(
        self, api: ConsulApi, heartbeat: float, service: str, new_signal: Callable[[], Signal]
    ) -> None:
        self._wire = api
        self.heartbeat = heartbeat
        self.service = service
        self.check = f"service:{service}"
        self.beating = False
        """Its flow runs."""
        self.stop = new_signal()
        """Set: the flow is to end, and nobody else may begin to use it."""
        self.ended = new_signal()
        self.needed = 0.0
        """When somebody was last seen to need it (driver's clock)."""

    def bind(self, terms: SessionOptions) -> SessionOptions:
        """The terms of a session that lives no longer than this heart beats."""
        return terms._replace(service_checks=(*terms.service_checks, self.check))

    def create_session(self, terms: SessionOptions, name: str) -> Flow[tuple[str, float]]:
        """As the wire does it, once the servers have heard that this heart beats.

        They may not know of it yet, or take it for dead as this process was paused.
        """
        now = yield Now()
        end, pause = now + _NEWS, _LOOK_FIRST
        while True:
            try:
                return (yield from self._wire.create_session(terms, name))
            except Refused as error:
                refusal = error
            now = yield Now()
            # A check of the user's, or anything else that is wrong, does not change by itself.
            if self.check not in refusal.answer:
                raise refusal
            if now >= end:
                raise Refused(
                    f"{refusal}; the agent at which the check was registered has not sent it to the"
                    f" servers in {_NEWS:g} s: is the address that of one agent (not of several"
                    " behind a load balancer), in the datacenter of the locks?",
                    kind="heartbeat",
                    answer=refusal.answer,
                    # An agent that is cut off from its servers sends it when it is not any more.
                    temporary=True,
                ) from refusal
            yield Sleep(pause, 2 * pause)
            pause = min(2 * pause, _LOOK_LAST)
            yield from self.beat()

    def register(self) -> Flow[None]:
        """Begin, or begin anew, with a check that is passed."""
        yield from self._wire.register(self.service, self.heartbeat, _ANSWER_MAX)

    def beat(self) -> Flow[bool]:
        """Pass the check; False: it did not arrive, and the next beat is the next try."""
        try:
            known = yield from self._wire.pass_check(self.check, self._patience())
            if not known:
                # The agent was restarted, or dropped the check as this process was paused.
                yield from self.register()
        except ConsulLockError:
            return False
        return True

    def _patience(self) -> float:
        return min(max(_ANSWER_MIN, self.heartbeat / 2), _ANSWER_MAX)

    def pause(self, took: float, *, heard: bool) -> float:
        """Seconds until the next beat, if this one took so many."""
        period = self.heartbeat / _BEATS
        # Never none at all: an agent that is slow is not asked without end.
        return max(period / 4, (period if heard else period / 2) - took)

    def remove(self) -> Flow[bool]:
        """Take the service away; False: it is left, and the agent removes it within minutes."""
        try:
            yield from self._wire.deregister(self.service, _ANSWER_MAX)
        except ConsulLockError:
            return False
        return True


class Heartbeats:
    """The hearts of one client: one for each length that its sessions ask for."""

    def __init__(
        self,
        api: ConsulApi,
        mutex: AbstractContextManager[Any],
        new_signal: Callable[[], Signal],
        label: str,
        in_use: Callable[[float], bool],
    ) -> None:
        self._wire = api
        self._mutex = mutex
        self._new_signal = new_signal
        self._label = label
        self._in_use = in_use
        """Whether a living session has a heartbeat of this length."""
        self._made = 0
        self._pulses: list[Heartbeat] = []
        self._closed = False

    def __bool__(self) -> bool:
        """Whether there is a service to take away."""
        return bool(self._pulses)

    def of(self, terms: SessionOptions) -> Flow[Heartbeat | None]:
        """The beating heart for a new session; None if it wants none."""
        if terms.heartbeat is None:
            return None
        now = yield Now()
        pulse = self._find(terms.heartbeat, now)
        if not pulse.beating:
            yield from pulse.register()
            yield from self._start(pulse)
        return pulse

    def _find(self, heartbeat: float, now: float) -> Heartbeat:
        with self._mutex:
            if self._closed:
                raise Unavailable("the client is closed", kind="closed", uncertain=False)
            for pulse in self._pulses:
                if pulse.heartbeat == heartbeat and not pulse.stop.is_set():
                    pulse.needed = now
                    return pulse
            self._made += 1
            service = _FOREIGN.sub("-", f"{self._label}-{self._made}")[-_ID_MAX:]
            pulse = Heartbeat(self._wire, heartbeat, service, self._new_signal)
            pulse.needed = now
            self._pulses.append(pulse)
            return pulse

    def _start(self, pulse: Heartbeat) -> Flow[None]:
        first = False
        try:
            with self._mutex:
                first = not pulse.beating
                pulse.beating = True
            if first:
                pulse.ended.clear()
                yield Spawn(self._live(pulse), "consul-lock-pulse")
        except BaseException:
            if first:
                pulse.beating = False
            raise

    def _live(self, pulse: Heartbeat) -> Flow[None]:
        """Beat until the client is closed, or nobody has needed it for a while."""
        reported = set[str]()
        try:
            while not pulse.stop.is_set():
                began = yield Now()
                unforeseen: Exception | None = None
                try:
                    heard = yield from pulse.beat()
                except Exception as error:  # noqa: BLE001 - nothing that is odd ends a heartbeat
                    heard, unforeseen = False, error
                if unforeseen is not None and repr(unforeseen) not in reported:
                    reported.add(repr(unforeseen))
                    text = "the heartbeat met something unforeseen and goes on"
                    yield Warn(
                        f"{text}: {unforeseen!r}; please report it", "pulse-error", unforeseen
                    )
                now = yield Now()
                if not self._retired(pulse, now):
                    yield Wait(pulse.stop, pulse.pause(now - began, heard=heard))
            yield from self._remove(pulse)
        finally:
            pulse.beating = False
            pulse.ended.set()

    def _retired(self, pulse: Heartbeat, now: float) -> bool:
        with self._mutex:
            if self._in_use(pulse.heartbeat):
                pulse.needed = now
            if now - pulse.needed > _LINGER:
                pulse.stop.set()
        return pulse.stop.is_set()

    def _remove(self, pulse: Heartbeat) -> Flow[bool]:
        removed = yield from pulse.remove()
        with self._mutex:
            if pulse in self._pulses:
                self._pulses.remove(pulse)
        return removed

    def close(self) -> Flow[None]:
        """End all hearts and take their services away.

        Only when the sessions are gone: the end of a check is the end of those bound to it,
        and would impose a lock-delay.  Can be repeated if it was cut off.
        """
        with self._mutex:
            self._closed = True
        for pulse in list(self._pulses):
            pulse.stop.set()
        now = yield Now()
        end = now + _END_WITHIN
        for pulse in list(self._pulses):
            now = yield Now()
            if pulse.beating and now < end:
                yield Wait(pulse.ended, end - now)
            # Cut off before it could, as an ending loop does it.
            if pulse in self._pulses and not (yield from self._remove(pulse)):
                return
