"""``/v1/session/``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial

from consul_lock.testing.blocking_queries import Query, Reading
from consul_lock.testing.kv_api import read_headers
from consul_lock.testing.query_options import check_place, read_options
from consul_lock.testing.radix_tree import LeafWatch, NodeWatch, PrefixWatch, Watch
from consul_lock.testing.responses import JSON, TRUE, Answer, Write, document, refusal
from consul_lock.testing.server import Server
from consul_lock.testing.sessions import Session, read_session, validate_session


def create(server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes) -> Write:
    """Create a session.  It belongs to this agent's node unless the body names another one."""
    del method, rest
    check_place(params, server.release)
    session = read_session(body, server.node, server.release.alias)

    def admit() -> Answer | None:
        validate_session(session, server.session_ttl_min)
        return None

    def run() -> Answer:
        server.create_session(session)
        return document(f'{{"ID":{json.dumps(session.id)}}}')

    return Write(run, admit)


def destroy(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Write:
    """Invalidate a session; true also for one that does not exist."""
    del method, body
    check_place(params, server.release)
    _check_id(rest)

    def run() -> Answer:
        server.destroy_session(rest)
        return TRUE

    return Write(run)


def renew(server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes) -> Write:
    """Give a session its whole time again.  Writes nothing, but needs the leader."""
    del method, body
    read_options(params, server.release)
    _check_id(rest)

    def run() -> Answer:
        session = server.sessions.get(rest)
        if session is None:
            raise refusal(404, f"Session id '{rest}' not found")
        server.start_timer(session)
        return document(f"[{session.json()}]")

    return Write(run, logged=False)


def info(server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes) -> Query:
    """One session in a list, or an empty list."""
    del method, body
    _check_id(rest)
    return _query(server, params, partial(_info, server, rest))


def _info(server: Server, session_id: str) -> Reading:
    table = server.sessions
    key = table.key(session_id)
    session = table.get(session_id)
    whole = server.release.any_session_id
    if session is not None:
        return _reading(server, [session], lambda: LeafWatch(key))
    found = _reading(server, [], lambda: NodeWatch.on(table.tree, key, whole=whole))
    return found._replace(missing=True)


def everything(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Query:
    """All sessions."""
    del method, rest, body
    return _query(server, params, lambda: _all(server, server.node))


def of_node(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Query:
    """All sessions of a node."""
    del method, body
    if not rest:
        raise refusal(400, "Missing node name")
    return _query(server, params, lambda: _all(server, rest))


def _all(server: Server, node: str) -> Reading:
    known = node.lower() == server.node.lower()
    return _reading(server, server.sessions.all() if known else [], lambda: PrefixWatch(""))


def _query(server: Server, params: Mapping[str, str], read: Callable[[], Reading]) -> Query:
    options = read_options(params, server.release)
    return Query(read, server.session_watchers, options.above, options.wait, options.stale)


def _reading(server: Server, sessions: list[Session], watch: Callable[[], Watch]) -> Reading:
    index = server.sessions.index or 1
    body = f"[{','.join(session.json() for session in sessions)}]".encode()
    return Reading(index, Answer(200, read_headers(server, index, JSON), body), watch)


def _check_id(rest: str) -> None:
    if not rest:
        raise refusal(400, "Missing session")
