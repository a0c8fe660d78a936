"""Breaking a hold: its session is destroyed, once it is written who does so, and why.

The note cannot be in what is broken.  The next holder writes over the value of a lock, the
document of a semaphore is Go's byte for byte, and no transaction ends a session.  So it is a key
beside them, held by a session of its own that nobody renews: Consul takes both away.  It is the
only session with behaviour ``delete``: nobody ever waits for its key.
"""

from __future__ import annotations

from consul_lock._protocol.client.client import ClientCore
from consul_lock._protocol.client.retry import retry
from consul_lock._protocol.consul.models import SessionOptions, base64_text, key_rule
from consul_lock._protocol.flow import Flow, Job, Wall
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.survey.break_note import Break, break_key, encode_break
from consul_lock._protocol.survey.sessions import session_id
from consul_lock.errors import ConfigError, PermissionDenied, Refused
from consul_lock.limits import REASON_MAX

# Seconds, and Consul may take twice as long: the reason why a job died can be found later that
# day, and nothing stays for ever.
_KEPT = 3600.0


class BreakOperation:
    """One hold that is to be broken."""

    def __init__(self, client: ClientCore, name: str, session: str, reason: str) -> None:
        if len(reason) > REASON_MAX:
            raise ConfigError(
                f"reason={reason!r} must be a string of at most {REASON_MAX} characters",
                kind="value",
                settings=("reason",),
            )
        self._client = client
        self._name = name
        self._session = session_id(session)
        self._reason = reason
        self._keeper = ""
        """The session that holds the note."""

    def job(self) -> Job[Break | None]:
        """Break it: what was recorded, or None if the token may not write there."""
        return Job(self._break(), self._forget)

    def _break(self) -> Flow[Break | None]:
        api, about = self._client.api, self._client.identity.about
        now = yield Wall()
        host, user = (str(about.get(part, "")) for part in ("host", "user"))
        made = Break(self._session, now, host, user, self._reason)
        try:
            noted = yield from self._write(made)
        except (PermissionDenied, Refused):
            noted = False
        if not noted:
            yield from self._forget()
        yield from retry(self._client, lambda: api.destroy(self._session))
        return made if noted else None

    def _write(self, made: Break) -> Flow[bool]:
        """Whether this client wrote the note: another that breaks the same hold may be quicker."""
        api, key = self._client.api, break_key(self._name, self._session)
        label = f"{self._client.identity.label} broke {self._name}"
        terms = SessionOptions(_KEPT, 0.0, (), (), None, behavior="delete")
        self._keeper, _ = yield from retry(self._client, lambda: api.create_session(terms, label))
        operation = {
            "Verb": "lock", "Key": key, "Flags": LOCK_FLAG, "Session": self._keeper,
            "Value": base64_text(encode_break(made)),
        }  # fmt: skip
        outcome = yield from retry(
            self._client, lambda: api.transact([operation], f"noting {key!r}", key_rule(key))
        )
        return bool(outcome.done)

    def _forget(self) -> Flow[None]:
        """Take the note away: nothing was broken, or nothing could be noted."""
        if self._keeper:
            yield from self._client.api.destroy(self._keeper)
            self._keeper = ""
