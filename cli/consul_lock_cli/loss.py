"""Why a lock was lost, in words; and who did it, if somebody broke it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from consul_lock_cli.completion import in_time
from consul_lock_cli.documents import break_item
from consul_lock_cli.names import shown

if TYPE_CHECKING:
    from consul_lock import Break, Client
    from consul_lock_cli.what import Lockable, What

# Seconds in which Consul has to say who broke it: it was just there to tell us of the loss.
_PATIENCE = 1.0


class Cause(NamedTuple):
    """Of a loss."""

    text: str
    about: dict[str, Any]
    """For the log."""


class Loss:
    """What can be told of the loss of a lock that we have, once it comes to that."""

    def __init__(self, client: Client, what: What, lock: Lockable) -> None:
        self._client = client
        self._names = what.keys
        self._lock = lock
        # Afterwards it has none any more.
        self._session = lock.session_id or ""

    def cause(self, seconds: float = _PATIENCE) -> Cause:
        """Why it was lost.  Consul is asked for so long at most."""
        reason = self._lock.lost_reason
        if reason is None:
            why = "no renewal succeeded for too long"
            return Cause(why, {"reason": why})
        found: list[Break] = []
        if reason.value in ("session-invalid", "key-deleted"):  # else the session may be alive
            in_time(lambda: found.extend(self._breaks()), min(seconds, _PATIENCE))
        about = {"reason": reason.value}
        if not found:
            return Cause(reason.value, about)
        text = f"session destroyed by 'consul-lock break' of {shown(str(found[0]), 600)}"
        return Cause(text, {**about, "break": break_item(found[0])})

    def _breaks(self) -> list[Break]:
        from consul_lock import Survey

        survey = Survey(self._client)
        notes = (survey.break_of(name, self._session) for name in self._names)
        return [note for note in notes if note is not None]
