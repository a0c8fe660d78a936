"""The election: a lock whose holder leads, with a value that everybody can watch.

The words are those of etcd: campaign, proclaim, resign, observe.  The value travels in the JSON
of the lock's key, and of the queue entry before that, so that a candidate that is handed the lead
publishes its value from the first moment.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from consul_lock._protocol.arguments import waiting_time
from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import until_let_go
from consul_lock._protocol.consul.error_budget import ErrorBudget
from consul_lock._protocol.consul.models import base64_text
from consul_lock._protocol.consul.operations import check_session, lock_operation
from consul_lock._protocol.election.observer import Leader, Observer, leader_in
from consul_lock._protocol.flow import Flow, Job, Now
from consul_lock._protocol.hold.hold import Attempt, Hold
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.holder import OwnerInfo, parse_holder
from consul_lock._protocol.keys import LockKeys
from consul_lock._protocol.lock.lock import LockCore
from consul_lock._protocol.primitive.primitive import Settings
from consul_lock.errors import AlreadyHeld, ConfigError, Conflict, LockLost, NotHeld

# Tries to proclaim: others may write the key between the read and the write, but hardly again
# and again, as nobody should.
_TRIES = 10


class Written(NamedTuple):
    """The lock's key as this client has written it last."""

    hold: Hold
    modify_index: int
    since: float
    """Since when the hold leads, as it says itself."""


class ElectionCore(LockCore):
    """A lock that is always watched, with a value."""

    kind = "election"
    event_acquired, event_released = "elected", "resigned"

    def __init__(self, client: ClientCore, keys: LockKeys, settings: Settings) -> None:
        if not settings.watch:
            raise ConfigError(
                "watch=False: an election is always watched",
                hint="leave it out",
                kind="value",
                settings=("watch",),
            )
        super().__init__(client, keys, settings)
        self.about = self._saying("", self.about)
        self._written: Written | None = None

    def _saying(self, value: str, about: OwnerInfo) -> OwnerInfo:
        """A description of this process, with this value.  Raises `ConfigError`."""
        if not isinstance(value, str):
            raise ConfigError(f"value={value!r} is not a string", kind="value", settings=("value",))
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ConfigError(
                f"value={value!r} is not valid text: {error.reason}",
                kind="value",
                settings=("value",),
            ) from error
        return about.valued(value)

    # -- campaigning ---------------------------------------------------------------------------

    def campaign(self, value: str, timeout: float | None, owner: Any) -> Job[None]:
        """Lead, with this value, or raise `LockTimeout`."""
        wait = waiting_time(True, timeout)
        attempt = self.attempt(owner, wait != 0)
        attempt.about = self._saying(value, attempt.about)
        job = self.acquiring(attempt, wait)
        return Job(self._campaign(self.had(job, timeout)), job.undo, job.limit)

    def patience_of(self, attempt: Attempt, wait: float | None) -> ErrorBudget:
        """A candidate without a limit goes on for ever, once Consul has answered: what it is to do
        is wanted whenever Consul, or a health check of its own, comes back."""
        if not attempt.blocking or wait is not None:
            return super().patience_of(attempt, wait)
        return ErrorBudget(self.client, endless=lambda: True, name=self.name)

    def _campaign(self, entering: Flow[None]) -> Flow[None]:
        now = yield Now()
        if self.hold is not None and self.hold.counts(now):
            raise AlreadyHeld(
                problem=f"this object leads {self.name!r} already",
                hint="resign first, or proclaim a new value; a second candidate is an object of its"
                " own",
                kind="leading",
                key=self.key,
            )
        yield from entering

    # -- leading -------------------------------------------------------------------------------

    def proclaim(self, value: str, now: float, owner: Any) -> Job[None]:
        """Change the value.  Errors of the server are retried while it leads."""
        self._saying(value, self.about)  # to refuse a bad one before all else
        hold = self.ensure(now, owner)
        about = self._saying(value, hold.attempt.about)
        proclaiming = until_let_go(
            self.client, hold, lambda: self._proclaim(hold, about), patient=True
        )
        return Job(proclaiming)

    def _proclaim(self, hold: Hold, about: OwnerInfo) -> Flow[None]:
        """Write the value, over the very one that is there: an earlier write, whose outcome is
        unknown, must not take effect after this."""
        for _ in range(_TRIES):
            there = yield from self._what_is_there(hold)
            self._written = None  # until there is an answer
            operations = [
                check_session(self.key, hold.session.id),
                {"Verb": "check-index", "Key": self.key, "Index": there.modify_index},
                lock_operation(
                    self.key, hold.session.id, base64_text(about.value(there.since, hold.token))
                ),
            ]
            request = self.client.api.transaction(
                operations, f"proclaiming in {self.key!r}", self.rule
            )
            outcome = yield from self.client.write(hold.session, request)
            if outcome.done:
                self._written = there._replace(modify_index=outcome.raft_index)
                return
        raise Conflict(
            f"{self.key!r} is written by others all the time", kind="overwritten", key=self.key
        )

    def _what_is_there(self, hold: Hold) -> Flow[Written]:
        """The key as it is known, or as it is read.  Raises `LockLost` if it is not held."""
        if self._written is not None and self._written.hold is hold:
            return self._written
        found = yield from self.client.api.get(self.key, consistent=True)
        reason = yield from self.examine(hold, found, None)
        if reason is not None:
            yield from self.client.lose(hold, reason)
            raise self._ended(hold)
        pair = found.pair
        assert pair is not None
        return Written(hold, pair.modify_index, parse_holder(pair.session, pair.value).since)

    def _ended(self, hold: Hold) -> LockLost | NotHeld:
        if hold.state is State.LOST:
            return self.lost_error(hold)
        return NotHeld(f"{self.name!r} was resigned meanwhile", kind="released", key=self.key)

    def conclude(self, owner: Any) -> Job[bool]:
        """Resign after a term of office.  The result is False if it was lost before."""
        resigning = self.release_own(owner)
        return Job(self._conclude(resigning.flow, owner), resigning.undo)

    def _conclude(self, resigning: Flow[None], owner: Any) -> Flow[bool]:
        try:
            yield from resigning
        except LockLost:
            return False
        except NotHeld:
            # It was ended by the work itself, which knows if it was lost.
            hold = self.owners.last(owner)
            return hold is None or hold.state is not State.LOST
        return True

    def abandon(self, owner: Any, error: BaseException) -> Job[None]:
        """Resign after a term of office that this exception has ended."""
        return self.after(error, self.release_own(owner))

    def lost_by(self, error: BaseException) -> bool:
        """Whether the error means that this candidate does not lead any more, and nothing else."""
        return isinstance(error, LockLost) and error.key == self.key

    # -- watching ------------------------------------------------------------------------------

    def leader(self) -> Job[Leader | None]:
        """Who leads, according to Consul; None: nobody."""
        return Job(self._leader())

    def _leader(self) -> Flow[Leader | None]:
        found = yield from self.client.api.get(self.key)
        return leader_in(found.pair)

    def observer(self) -> Observer:
        """Somebody who sees one leader after the other."""
        return Observer(self.client, self.key)
