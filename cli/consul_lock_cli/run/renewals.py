"""What is printed while renewals fail: a warning when they begin to, and one when they work again.

The library warns of both in its log, in terms of sessions.  Here the same warnings name the lock,
and say when the command will be stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consul_lock_cli.base.clock import now
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.run.loss import error_fields
from consul_lock_cli.spec.process import ProcessPolicy, show_signal

if TYPE_CHECKING:
    from consul_lock_cli.spec.lock import Lockable

FAILING = "renewal-failing"
WORKS = "renewal-works"


class RenewalReport:
    """Of one lock, called ``title``.  ``policy`` says what becomes of the command at a loss; None:
    there is no command."""

    def __init__(
        self, lock: Lockable, title: str, policy: ProcessPolicy | None, console: Console
    ) -> None:
        self._lock = lock
        self._title = title
        self._policy = policy
        self._console = console
        self._since = now()

    def begin(self) -> None:
        """From now on the warnings of the library are printed in these words."""
        self._console.takers.update({FAILING: self.failing, WORKS: self.works})

    def failing(self, text: str) -> None:
        """Renewals fail.  ``text`` is that of the library."""
        self._since = now()
        error = self._lock.renewal_error
        if error is None:
            # It has been renewed since, or the session that fails is another one.
            self._console.warn(text, event=FAILING)
            return
        left = self._left()
        about = error_fields(error)
        self._console.warn(
            f"cannot renew {self._title}: {about['error']}; {self._then()} in"
            f" {show_duration(float(int(left)))} if no renewal succeeds before",
            event=FAILING,
            **about,
            left_s=round(left, 3),
        )

    def works(self, text: str) -> None:
        """Renewals work again."""
        after = show_duration(now() - self._since)
        self._console.warn(f"renewing {self._title} works again, after {after}", event=WORKS)

    def _left(self) -> float:
        """Seconds until something is done about it."""
        left = self._lock.remaining()
        return max(0.0, left if self._policy is None else left - self._policy.needed(left))

    def _then(self) -> str:
        policy = self._policy
        if policy is not None and policy.on_lost.stops:
            return "the command will be stopped"
        if policy is not None and policy.on_lost.signum is not None:
            return f"the command will be sent {show_signal(policy.on_lost.signum)}"
        return "it counts as lost"
