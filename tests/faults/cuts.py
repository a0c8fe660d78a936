"""Cutting off what a client does, at one point: on the network, or inside the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from random import Random
from typing import Any

from tests.support.actions import DROP_AFTER, DROP_BEFORE, PASS, Action, Delay
from tests.support.proxy import Proxy

REQUEST_TIMEOUT = 2.0
"""Seconds: what the clients here allow for one request.  It passes where a request is late, and not
because a machine is busy."""

LATE = 2.5
"""Seconds by which a late request is late: its client has given up on it."""


class NetworkCut:
    """From the ``at``-th request on, ``length`` requests meet the same fate."""

    def __init__(self, random: Random, most: int) -> None:
        fates: list[Action] = [DROP_BEFORE, DROP_AFTER, Delay(LATE), Delay(LATE, late=True)]
        self.fate = random.choice(fates)
        self.at = random.randint(1, most)
        self.length = random.choice([1, 1, 2, 4])
        self.done = False
        self._came = 0

    def arm(self, proxy: Proxy, client: Any) -> None:
        """Count from now on."""
        proxy.rule = self._rule

    def disarm(self, proxy: Proxy, client: Any) -> None:
        """The network is well again."""
        proxy.rule = None

    def _rule(self, method: str, path: str, body: bytes, n: int) -> Action:
        self._came += 1
        if self.at <= self._came < self.at + self.length:
            self.done = True
            return self.fate
        return PASS

    def __repr__(self) -> str:
        return f"request {self.at} and on, {self.length} in all: {self.fate}"


class Interrupt:
    """Ctrl-C, or the cancelling of the task, at the ``at``-th effect that the caller performs.

    It strikes before the effect, after it (a request was carried out, and the answer is lost), or,
    in a task, ``midway`` seconds after it began.
    """

    def __init__(self, random: Random, most: int) -> None:
        self.at = random.randint(1, most)
        self.after = random.random() < 0.5
        self.midway = random.choice([None, 0.0, 0.0005, 0.002])
        self.done = False
        self._came = 0

    def arm(self, proxy: Proxy, client: Any) -> None:
        """Count from now on."""
        driver = getattr(client, "inner", client)._driver
        perform = driver._perform
        if asyncio.iscoroutinefunction(perform):
            driver._perform = lambda effect: self._in_task(perform, effect)
        else:
            driver._perform = lambda effect: self._in_thread(perform, effect)

    def disarm(self, proxy: Proxy, client: Any) -> None:
        """Leave the client alone."""
        del getattr(client, "inner", client)._driver._perform

    def _strikes(self, who: str) -> bool:
        # Not the keeper, and not the clean-up: signals and cancelling do not reach them.
        if who.startswith("consul-lock") or self.done:
            return False
        self._came += 1
        self.done = self._came == self.at
        return self.done

    def _in_thread(self, perform: Callable[[Any], Any], effect: Any) -> Any:
        strikes = self._strikes(threading.current_thread().name)
        if strikes and not self.after:
            raise KeyboardInterrupt
        result = perform(effect)
        if strikes:
            raise KeyboardInterrupt
        return result

    async def _in_task(self, perform: Callable[[Any], Any], effect: Any) -> Any:
        task = asyncio.current_task()
        assert task is not None
        strikes = self._strikes(task.get_name())
        if strikes and self.midway is not None:
            asyncio.get_running_loop().call_later(self.midway, task.cancel)
        elif strikes and not self.after:
            raise asyncio.CancelledError
        result = await perform(effect)
        if strikes and self.midway is None:
            raise asyncio.CancelledError
        return result

    def __repr__(self) -> str:
        when = "after" if self.after else "before"
        return f"interrupt {when} effect {self.at}, midway {self.midway}"


Cut = NetworkCut | Interrupt
