"""Why a lock was lost, in words; and who did it, if somebody broke it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from consul_lock_cli.base.names import shown
from consul_lock_cli.completion.answer import in_time
from consul_lock_cli.output.lock_json import break_item

if TYPE_CHECKING:
    from consul_lock import Break, Client
    from consul_lock_cli.spec.lock import Lockable, What

# Seconds in which Consul has to say who broke it: it was just there to tell us of the loss.
_PATIENCE = 1.0

_LATE = "deadline"

# By the values of the library's `LossReason`, as importing that costs a start its time.
_WORDS = {
    _LATE: "no renewal of session {session} succeeded in time",
    "session-invalid": "session {session} expired, or somebody destroyed it",
    "key-deleted": "somebody deleted its key",
    "stolen": "another session has its key",
    "revoked": "somebody released it",
}


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
        self._checks = (*what.checks, *what.service_checks)
        self._lock = lock
        # Afterwards it has none any more.
        self._session = lock.session_id or ""

    def cause(self, seconds: float = _PATIENCE) -> Cause:
        """Why it was lost.  Consul is asked for so long at most."""
        found = self._lock.lost_reason
        # What has not been told yet is seen by the time that is over.
        reason = _LATE if found is None else found.value
        about = {"reason": reason}
        breaks: list[Break] = []
        if reason in ("session-invalid", "key-deleted"):  # else the session may be alive
            in_time(lambda: breaks.extend(self._breaks()), min(seconds, _PATIENCE))
        if not breaks:
            text = _WORDS.get(reason, reason).format(session=self._session)
            if reason == "session-invalid" and self._checks:
                text += f", or its health check {' or '.join(self._checks)} failed"
            if (error := self._lock.renewal_error) is not None:
                text, about = f"{text} ({error})", {**about, "error": str(error)}
            return Cause(text, about)
        text = f"session destroyed by 'consul-lock break' of {shown(str(breaks[0]), 600)}"
        return Cause(text, {**about, "break": break_item(breaks[0])})

    def _breaks(self) -> list[Break]:
        from consul_lock import Survey

        survey = Survey(self._client)
        notes = (survey.break_of(name, self._session) for name in self._names)
        return [note for note in notes if note is not None]
