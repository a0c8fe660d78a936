"""The steps of a generator of either API, asked for one after the other."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from tests.support.apis import Sync


class Steps:
    """What a method that observes gives, as ``Survey.watch`` or ``Election.observe``."""

    def __init__(self, observer: Sync, method: str, *args: Any, **options: Any) -> None:
        self._actor = observer.actor
        self._steps = self._actor.do(getattr(observer.thing, method), *args, **options)

    def start(self) -> Future[Any]:
        """The next step, which ends with news."""
        step = getattr(self._steps, "__anext__", None) or self._steps.__next__
        return self._actor.start(step)

    def next(self) -> Any:
        """The next step, waited for."""
        return self.start().result(120)

    def ended(self) -> bool:
        """Whether there is no further step."""
        try:
            self.next()
        except (StopIteration, StopAsyncIteration, RuntimeError):
            return True  # a future cannot carry a StopIteration as it is
        return False

    def close(self) -> None:
        """End it."""
        end = getattr(self._steps, "aclose", None) or self._steps.close
        self._actor.do(end)
