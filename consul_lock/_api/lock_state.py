"""What a lock object answers about its state without waiting: the same in both APIs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from consul_lock._drivers.clock import clock
from consul_lock._protocol.hold.state import State
from consul_lock._protocol.primitive.lockable import Lockable
from consul_lock._warnings import warn_caller
from consul_lock.errors import ConsulLockError, LossReason


class LockState(ABC):
    """The part of a lock that answers at once."""

    _core: Lockable

    @staticmethod
    @abstractmethod
    def _me() -> Any:
        """The thread or task that asks: a weak reference to it."""

    @property
    def name(self) -> str:
        """The name it was made with."""
        return self._core.name

    @property
    def key(self) -> str:
        """The key in Consul that is the lock."""
        return self._core.key

    @property
    def held(self) -> bool:
        """Whether it is held, as far as anybody can know without asking Consul.

        True only until the hold deadline: the sending of the last good verification, which
        follows each renewal, plus the lock-delay (Consul lets nobody in sooner), less a margin of
        max(0.2 s, 5 %).  Once past it, never again.  No I/O.
        """
        hold = self._core.current(self._me())
        return hold is not None and hold.counts(clock())

    @property
    def token(self) -> int | None:
        """The fencing token: higher for each later holder of any lock in the datacenter.

        The ModifyIndex of the write that granted the lock.  None before the first acquire; it
        keeps its value after the end, to see what was written with it.
        """
        hold = self._core.current(self._me())
        return hold.token if hold else None

    @property
    def session_id(self) -> str | None:
        """Id of the Consul session that holds it; None if it is not held."""
        hold = self._core.current(self._me())
        return hold.session.id if hold and hold.state is State.HELD else None

    def remaining(self) -> float:
        """Seconds until it no longer counts as held if no more renewals succeed; 0.0 if not held.

        Renewals move this away again and again: a job does not have to be shorter.
        """
        hold = self._core.current(self._me())
        return hold.remaining(clock()) if hold else 0.0

    @property
    def lost_reason(self) -> LossReason | None:
        """Why it was lost; None if it was not."""
        hold = self._core.current(self._me())
        if hold is None:
            return None
        if hold.state is State.HELD and not hold.counts(clock()):
            return LossReason.DEADLINE
        return hold.reason

    @property
    def renewal_error(self) -> ConsulLockError | None:
        """What the last renewal of its session ended in, if it failed (after a loss: if they failed
        when it was lost); None if renewals work.  Errors are no loss: they are tried again until
        the deadline, and warned of in the log."""
        hold = self._core.current(self._me())
        return hold.renewal_error if hold else None

    def ensure_held(self) -> None:
        """Raise `LockLost` if it was lost, `NotHeld` if it is not held.  No I/O."""
        self._core.ensure(clock(), self._me())

    def __bool__(self) -> bool:
        raise TypeError("a lock is neither true nor false: use .held, or the result of acquire()")

    def __repr__(self) -> str:
        hold = self._core.current(self._me())
        state = hold.state.value if hold else "never held"
        return f"<{type(self).__module__}.{type(self).__name__} {self.name!r}: {state}>"

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None and core.owners.oldest() is not None:
            warn_caller(
                f"the lock {core.name!r} was dropped while it is held; it stays held until the"
                " client is closed: release it, or use 'with'",
                ResourceWarning,
                source=self,
            )
