"""Consul's endpoints as typed flows: the only module that uses the code of python-consul2.

python-consul2 builds the requests.  Its transports are not used: its endpoint objects are given a
client that *returns* the request instead of sending it.
They are made without their `consul.Consul`, whose constructor reads the environment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from consul_lock._protocol.consul import python_consul2
from consul_lock._protocol.consul.contact import Contact
from consul_lock._protocol.consul.models import (
    SERVICE,
    SERVICE_RULE,
    SESSION_RULE,
    ReadResult,
    SessionInfo,
    SessionOptions,
    go_duration,
    key_rule,
    parse_created,
    parse_pair,
    parse_passed,
    parse_proof_of_life,
    parse_read,
    parse_renewal,
    parse_sessions,
)
from consul_lock._protocol.consul.poll_rate import PollRate
from consul_lock._protocol.consul.replies import TxnResult, check_reply, parse_transaction
from consul_lock._protocol.flow import Flow, Reply, Request, Sleep

# The operations whose key the answer to a transaction shows.
_SHOWN = frozenset(("set", "cas", "lock", "check-session", "check-index", "get"))
# Those whose session it then shows as its holder.
_OF_SESSION = frozenset(("lock", "check-session"))


class _Describe:
    """A transport that does not transport: it returns the request, with its decoder."""

    def __init__(self, query: tuple[tuple[str, str], ...]) -> None:
        self._query = query

    def _request(self, method: str, callback: Any, path: str, params: Any, data: Any) -> Request:
        body = data.encode() if isinstance(data, str) else data
        asked = tuple((key, str(value)) for key, value in params or ())
        return Request(method, quote(path), (*asked, *self._query), body or None, callback)

    def get(self, callback: Any, path: str, params: Any = None, headers: Any = None) -> Request:
        return self._request("GET", callback, path, params, None)

    def put(
        self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None
    ) -> Request:
        return self._request("PUT", callback, path, params, data)

    def delete(
        self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None
    ) -> Request:
        return self._request("DELETE", callback, path, params, data)

    def post(
        self, callback: Any, path: str, params: Any = None, data: Any = "", headers: Any = None
    ) -> Request:
        return self._request("POST", callback, path, params, data)


class _Endpoints:
    """What python-consul2's endpoint objects want of their `consul.Consul`."""

    token = None
    dc = None
    consistency = "default"

    def __init__(self, query: tuple[tuple[str, str], ...]) -> None:
        self.http = _Describe(query)


class ConsulApi:
    """The requests of one client.  ``query`` goes with each: datacenter, namespace, partition.

    ``contact`` hears of every answer.
    """

    def __init__(self, contact: Contact, query: tuple[tuple[str, str], ...] = ()) -> None:
        self._heard = contact.heard
        base = python_consul2.base()
        endpoints = _Endpoints(query)
        self._kv = base.Consul.KV(endpoints)
        self._session = base.Consul.Session(endpoints)
        self._txn = base.Consul.Txn(endpoints)
        self._service = base.Consul.Agent.Service(endpoints)
        self._check = base.Consul.Agent.Check(endpoints)
        self._http = endpoints.http
        self._floor = PollRate()

    def ask(self, path: str, parse: Callable[[Reply], Any]) -> Request:
        """To read whatever else there is to be read."""
        request: Request = self._http.get(self._heard(parse), path)
        return request

    # -- keys ----------------------------------------------------------------------------

    def get(
        self,
        key: str,
        index: int = 0,
        wait: float = 0.0,
        *,
        consistent: bool = False,
        timeout: float | None = None,
    ) -> Flow[ReadResult]:
        """Read one key; with ``index`` and ``wait``, once it has changed or the wait is over."""
        return self._read(key, index, wait, consistent, recurse=False, timeout=timeout)

    def list_keys(
        self,
        prefix: str,
        timeout: float | None = None,
        *,
        index: int = 0,
        wait: float = 0.0,
        consistent: bool = False,
    ) -> Flow[ReadResult]:
        """Read all keys that begin with a prefix, as one moment's picture."""
        return self._read(prefix, index, wait, consistent, recurse=True, timeout=timeout)

    def _read(
        self,
        key: str,
        index: int,
        wait: float,
        consistent: bool,
        *,
        recurse: bool,
        timeout: float | None = None,
    ) -> Flow[ReadResult]:
        blocking = bool(index and wait)
        pause = min(self._floor.pause(key, recurse), wait) if blocking else 0.0
        if pause > 0:
            yield Sleep(pause * 0.75, pause)
            wait = max(0.001, wait - pause)
        request = self._kv.get(
            key,
            index=index or None,
            wait=f"{max(1, round(wait * 1000))}ms",
            recurse=recurse,
            consistency="consistent" if consistent else "default",
        )
        doing, needs, only = f"reading {key!r}", key_rule(key, "read"), None if recurse else key
        found: ReadResult = yield request._replace(
            parse=self._heard(lambda reply: parse_read(reply, doing, needs, only)),
            timeout=timeout,
            wait=wait if index else 0.0,
        )
        if blocking:
            self._floor.saw(key, recurse, index, found)
        return found

    def transaction(
        self,
        operations: Sequence[dict[str, Any]],
        doing: str,
        rule: str,
        *,
        timeout: float | None = None,
        urgent: bool = False,
    ) -> Request:
        """To carry out all operations or none, in one Raft write (none, if they only look)."""
        request = self._txn.put([{"KV": operation} for operation in operations])
        params = request.params
        if all(op["Verb"].startswith(("check", "get")) for op in operations):
            # Served as a read: ask for one that a deposed leader cannot answer.
            params = (*params, ("consistent", ""))
        shown = tuple(
            (op["Key"], op.get("Session") if op["Verb"] in _OF_SESSION else None)
            for op in operations
            if op["Verb"] in _SHOWN
        )
        count = len(operations)
        transaction: Request = request._replace(
            params=params,
            parse=self._heard(
                lambda reply: parse_transaction(reply, doing, rule, parse_pair, count, shown)
            ),
            timeout=timeout,
            urgent=urgent,
        )
        return transaction

    def transact(
        self,
        operations: Sequence[dict[str, Any]],
        doing: str,
        rule: str,
        *,
        timeout: float | None = None,
        urgent: bool = False,
    ) -> Flow[TxnResult]:
        """Carry out a transaction."""
        outcome: TxnResult = yield self.transaction(
            operations, doing, rule, timeout=timeout, urgent=urgent
        )
        return outcome

    # -- sessions ------------------------------------------------------------------------

    def create_session(self, terms: SessionOptions, name: str) -> Flow[tuple[str, float]]:
        """Create a session; its id, and the time before sending.

        Built here, as python-consul2 knows neither ``NodeChecks`` nor ``ServiceChecks``.
        """
        body = {
            "Name": name,
            "TTL": go_duration(terms.ttl),
            "LockDelay": go_duration(terms.lock_delay),
            "Behavior": terms.behavior,
            "NodeChecks": list(terms.checks),
            "ServiceChecks": [{"ID": check} for check in terms.service_checks],
        }
        created: tuple[str, float] = yield self._http.put(
            self._heard(lambda reply: parse_created(reply, "creating a session")),
            "/v1/session/create",
            data=json.dumps(body),
        )
        return created

    def renew(self, session: str, timeout: float | None = None) -> Flow[SessionInfo | None]:
        """Renew a session.  None: Consul says for certain that it is dead.

        Any other answer is no proof that it lives: a leader that was deposed without knowing it
        yet gives it, too.
        """
        info: SessionInfo | None = yield self.renewal(session, timeout)
        return info

    def renewal(self, session: str, timeout: float | None = None) -> Request:
        """The request of `renew`."""
        request: Request = self._session.renew(session)
        parse = self._heard(lambda reply: parse_renewal(reply, session))
        return request._replace(parse=parse, timeout=timeout, urgent=True)

    def proof_of_life(self, session: str, timeout: float | None = None) -> Request:
        """A read of a session that no deposed leader can answer: its sending if it shows that the
        session lives.  None: it is dead."""
        request: Request = self._session.info(session, consistency="consistent")
        parse = self._heard(lambda reply: parse_proof_of_life(reply, session))
        return request._replace(parse=parse, timeout=timeout, urgent=True)

    def destroy(self, session: str, timeout: float | None = None) -> Flow[None]:
        """Destroy a session.  Destroying one that is dead already is no error."""
        yield self.destruction(session, timeout)

    def destruction(self, session: str, timeout: float | None = None) -> Request:
        """The request of `destroy`."""
        request: Request = self._session.destroy(session)
        doing = f"destroying session {session}"
        return request._replace(
            parse=self._heard(lambda reply: check_reply(reply, doing, SESSION_RULE)),
            timeout=timeout,
            urgent=True,
        )

    def sessions(self, timeout: float | None = None) -> Flow[tuple[SessionInfo, ...]]:
        """All sessions of the datacenter that the token may see."""
        request = self._session.list()
        sessions: tuple[SessionInfo, ...] = yield request._replace(
            parse=self._heard(parse_sessions), timeout=timeout, urgent=True
        )
        return sessions

    # -- the local agent -----------------------------------------------------------------

    def register(self, service: str, heartbeat: float, timeout: float) -> Flow[None]:
        """Register a service that is healthy as long as its check is passed in time.

        Once more does no harm.  After a crash the agent removes it; in less than a minute no
        agent does.
        """
        check = {"TTL": go_duration(heartbeat), "Status": "passing"}
        check["DeregisterCriticalServiceAfter"] = "1m"
        request = self._service.register(SERVICE, service_id=service, check=check)
        yield self._of_agent(request, "registering the service of a heartbeat", timeout)

    def pass_check(self, check: str, timeout: float) -> Flow[bool]:
        """Pass a check.  False: the agent knows of none."""
        request = self._check.ttl_pass(check)
        known: bool = yield request._replace(
            parse=self._heard(parse_passed), timeout=timeout, urgent=True
        )
        return known

    def deregister(self, service: str, timeout: float) -> Flow[None]:
        """Remove a service with its check: the sessions that are bound to it die."""
        request = self._service.deregister(service)
        yield self._of_agent(request, "removing the service of a heartbeat", timeout)

    def _of_agent(self, request: Request, doing: str, timeout: float) -> Request:
        return request._replace(
            parse=self._heard(lambda reply: check_reply(reply, doing, SERVICE_RULE)),
            timeout=timeout,
            urgent=True,
        )
