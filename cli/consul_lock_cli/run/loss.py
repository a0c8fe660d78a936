"""Why a lock was lost, in words; and who did it, if somebody broke it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from consul_lock.errors import LossReason, Unavailable
from consul_lock_cli.base.clock import in_time
from consul_lock_cli.base.error_table import complaint, failure
from consul_lock_cli.base.text import shown
from consul_lock_cli.output.lock_json import break_item
from consul_lock_cli.run.status_file import StatusFile

if TYPE_CHECKING:
    from consul_lock import Break, Client, ConsulLockError
    from consul_lock_cli.spec.lock import Lockable, LockSpec

AFTERWARDS = "not released: the lock was lost when the end of the run had been recorded"
"""Said of a cron job, for which that is no loss any more."""

# Seconds in which Consul has to say who broke it: it has just reported the loss.
_TIMEOUT = 1.0

_WORDS = {
    LossReason.DEADLINE: "no renewal of session {session} succeeded in time",
    LossReason.REQUEST_LIMIT: "renewals of session {session} were refused by the server's request"
    " limit",
    LossReason.SESSION_INVALID: "session {session} expired, or somebody destroyed it",
    LossReason.KEY_DELETED: "somebody deleted its key",
    LossReason.STOLEN: "another session has its key",
    LossReason.REVOKED: "somebody released it",
}


_OUTAGE = (
    "was the agent or the network down? its log says more; a longer --lock-delay covers a longer"
    " outage"
)
_ELECTION = (
    "'consul operator raft list-peers' shows the servers; a longer --lock-delay covers a longer"
    " election"
)
_LIMITED = failure(Unavailable("", kind="rate-limit")).hint
_PAUSED = (
    "was this process or host suspended? a longer --lock-delay covers a longer pause; the log of"
    " the agent says more"
)
_WRITTEN = "an ACL policy under which no one else can write below {names} prevents that"
_ENDED = (
    "the log of the Consul servers says when it ended; a longer --ttl covers a host or network that"
    " is slow"
)
_CHECKED = "what the agent says of that check says why; without --check only the --ttl counts"
_BROKEN = "'consul-lock status {name}' shows who did it and why, for an hour or two"


def loss_hint(
    reason: LossReason | None,
    error: ConsulLockError | None,
    names: Sequence[str],
    *,
    checks: Sequence[str] = (),
    broken: bool = False,
) -> str:
    """What to do about a loss: by its reason, and by what its last renewal failed with."""
    quoted = [shlex.quote(shown(name)) for name in names]
    if broken:
        return _BROKEN.format(name=quoted[0])
    if reason in (LossReason.KEY_DELETED, LossReason.STOLEN, LossReason.REVOKED):
        return _WRITTEN.format(names=" and ".join(f"{name}/" for name in quoted))
    if reason is LossReason.REQUEST_LIMIT:
        return _LIMITED
    if isinstance(error, Unavailable) and error.kind not in ("proxy", "rate-limit"):
        # The address is right: this lock was acquired there.
        return _ELECTION if error.kind == "no-leader" else _OUTAGE
    if error is not None:
        return failure(error).hint
    if reason is LossReason.SESSION_INVALID:
        return _CHECKED if checks else _ENDED
    return _PAUSED


def error_fields(error: ConsulLockError) -> dict[str, Any]:
    """What a renewal failed with, in the terms of the command line."""
    return {"error": shown(complaint(error), 600), "error_kind": error.kind}


def loss_fields(reason: LossReason, error: ConsulLockError | None) -> dict[str, Any]:
    """Why a lock was lost, and what its last renewal failed with, if it did."""
    return {"reason": reason.value, **({} if error is None else error_fields(error))}


class Cause(NamedTuple):
    """Of a loss."""

    text: str
    about: dict[str, Any]
    """For the log and the status file."""
    hint: str = ""
    """What to do about it."""


class LossReport:
    """Details of the loss of a lock, for reports."""

    def __init__(
        self, client: Client, spec: LockSpec, lock: Lockable, status_file: StatusFile
    ) -> None:
        self._client = client
        self._status_file = status_file
        self._names = spec.keys
        self._checks = (*spec.checks, *spec.service_checks)
        self._lock = lock
        # Afterwards it has none any more.
        self._session = lock.session_id or ""

    def cause(self, seconds: float = _TIMEOUT) -> Cause:
        """Why it was lost, for the status file, too.  Consul is asked for so long at most."""
        cause = self._cause(seconds)
        self._status_file.know(loss=cause.about)
        return cause

    def _cause(self, seconds: float) -> Cause:
        found = self._lock.lost_reason
        # A loss that was not reported yet shows by the deadline that has passed.
        reason = LossReason.DEADLINE if found is None else found
        error = self._lock.renewal_error
        about = loss_fields(reason, error)
        breaks: list[Break] = []
        # After any other loss the session may be alive, so nobody has broken it.
        if reason in (LossReason.SESSION_INVALID, LossReason.KEY_DELETED):
            in_time(lambda: breaks.extend(self._breaks()), min(seconds, _TIMEOUT))
        if not breaks:
            text = _WORDS.get(reason, reason.value).format(session=self._session)
            if reason is LossReason.SESSION_INVALID and self._checks:
                text += f", or its health check {' or '.join(self._checks)} failed"
            if "error" in about:
                text = f"{text} ({about['error']})"
            hint = loss_hint(reason, error, self._names, checks=self._checks)
            return Cause(text, about, hint)
        text = f"session destroyed by 'consul-lock break' of {shown(str(breaks[0]), 600)}"
        hint = loss_hint(reason, error, self._names, broken=True)
        return Cause(text, {**about, "break": break_item(breaks[0])}, hint)

    def _breaks(self) -> list[Break]:
        from consul_lock import Survey

        survey = Survey(self._client)
        notes = (survey.break_of(name, self._session) for name in self._names)
        return [note for note in notes if note is not None]
