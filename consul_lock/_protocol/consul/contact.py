"""What a client knows of whether Consul answers: one clock of trouble for all of its calls.

Every answer to every request passes through `Contact.heard`, be it of a caller, the keeper or
a watch.  So a renewal that succeeds ends a trouble for all, and threads that fail together fail
at the same time, instead of one after the other, each after its own ``retry_for``.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, TypeVar

from consul_lock._protocol.consul.replies import NotConsul
from consul_lock._protocol.consul.request_limit import RequestLimit, is_limit
from consul_lock._protocol.flow import Reply
from consul_lock.errors import ConfigError, ConsulLockError, Unavailable

T = TypeVar("T")


class Contact:
    """How Consul has answered one client of late."""

    def __init__(self) -> None:
        self.reached = False
        """Consul has answered at least once: the address is right."""
        self.trouble: float | None = None
        """The sending (driver's clock) of the first request without a good answer since the last
        good one; None: there was none."""
        self.told = False
        """It was said in the log that this trouble lasts."""
        self.retrying = False
        """A call has begun to try something again, since the last good answer."""
        self.error: Unavailable | None = None
        """What came of the last request that had no good answer."""
        self.limit = RequestLimit()
        self._good = float("-inf")

    def heard(self, parse: Callable[[Reply], T]) -> Callable[[Reply], T]:
        """The same parser, which also notes what the answer says of Consul.

        An answer that no agent gives (a login page, a redirect, a 404 of a proxy) means a wrong
        address if nothing else was ever seen there, which no patience mends.  Once Consul has
        answered at that address it is something in front of Consul that fails for a while, as a
        502 says in other words: an outage, of which nobody knows what became of the request.
        """

        def parsed(reply: Reply) -> T:
            try:
                result = parse(reply)
            except NotConsul as error:
                about: dict[str, Any] = {"problem": error.problem, "hint": error.hint}
                if not self.reached:
                    about["settings"] = error.settings
                    raise ConfigError(str(error), kind="not-consul", **about) from error
                raise Unavailable(
                    str(error), kind="proxy", uncertain=True, status=reply.status, **about
                ) from error
            except Unavailable as error:
                if is_limit(error):
                    self.limit.refused(reply.sent)
                raise
            except ConsulLockError:
                self.well(reply.sent)  # a refusal is an answer, too
                raise
            self.well(reply.sent)
            return result

        return parsed

    def well(self, sent: float) -> None:
        """A request that was sent at this time was answered well."""
        self.reached, self.trouble, self.told, self.error = True, None, False, None
        self.retrying = False
        if sent > self._good:
            self._good = sent

    def failed(self, sent: float, error: Unavailable) -> None:
        """A request that was sent at this time has had no good answer."""
        self.error = copy(error)  # without its traceback, which would keep the call's frames
        if self.trouble is None:
            # Others may have been answered well since it was sent.
            self.trouble = max(sent, self._good)

    def again(self) -> Unavailable:
        """The last error, for a call that has sent nothing itself."""
        error = self.error
        if error is None:
            return Unavailable("Consul did not answer", kind="no-answer", uncertain=False)
        return Unavailable(
            str(error),
            problem=error.problem,
            hint=error.hint,
            kind=error.kind,
            uncertain=False,
            status=error.status,
        )
