"""``/v1/kv/``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlencode

from consul_lock.testing.blocking_queries import Query, Reading
from consul_lock.testing.query_options import Options, read_options, read_uint
from consul_lock.testing.radix_tree import LeafWatch, NodeWatch, PrefixWatch, Watch
from consul_lock.testing.responses import FALSE, JSON, TRUE, Answer, Refusal, Write, quoted, refusal
from consul_lock.testing.server import Server
from consul_lock.testing.sessions import Session
from consul_lock.testing.store import Entry

VALUE_MAX = 512 * 1024

_READ = {"x-consul-knownleader": "true", "x-consul-lastcontact": "0"}
_RAW = {
    "content-type": "text/plain",
    "content-security-policy": "sandbox",
    "x-content-type-options": "nosniff",
}


def kv(
    server: Server, method: str, key: str, params: Mapping[str, str], body: bytes
) -> Query | Write:
    """Read, write or delete a key or a tree of keys."""
    options = read_options(params, server.release)
    if key and (problem := server.release.name_refused(key)):
        raise refusal(500, problem)
    if method == "GET":
        return _read(server, key, params, options)
    if method == "PUT":
        return _put(server, key, params, body)
    return _delete(server, key, params)


def read_headers(server: Server, index: int, more: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer to a read."""
    headers = {**more, "x-consul-index": str(index or 1), **_READ}
    if server.release.default_headers:
        headers["x-consul-query-backend"] = "blocking-query"
    return headers


# -- GET


def _read(server: Server, key: str, params: Mapping[str, str], options: Options) -> Query:
    read: Callable[[], Reading]
    if "keys" in params:
        separator = params.get("separator", params.get("seperator", ""))
        read = partial(_list, server, key, partial(_keys, key, separator))
    elif "recurse" in params:
        read = partial(_list, server, key, _documents)
    else:
        _check_key(key)
        read = partial(_get, server, key, "raw" in params)
    return Query(read, server.kv_watchers, options.above, options.wait, options.stale)


def _get(server: Server, key: str, raw: bool) -> Reading:
    entry = server.kv.entries.get(key)
    if entry is None:
        index = server.kv.index or 1
        answer = Answer(404, read_headers(server, index, {}), b"")
        return Reading(
            index, answer, lambda: NodeWatch.on(server.kv.tree, key, whole=True), missing=True
        )
    index = entry.modify_index
    if raw:
        answer = Answer(200, read_headers(server, index, _RAW), entry.value)
    else:
        answer = Answer(200, read_headers(server, index, JSON), f"[{entry.json()}]".encode())
    return Reading(index, answer, lambda: LeafWatch(key))


def _list(server: Server, prefix: str, write: Callable[[list[Entry]], bytes | None]) -> Reading:
    store = server.kv
    entries = store.under(prefix)
    if prefix:
        newest = max((entry.modify_index for entry in entries), default=0)
        own = max(newest, store.graves.newest(prefix))
    else:
        own = store.index
    # Only a prefix that nothing is known about answers with the index of the whole table.
    index = own or store.index or 1
    body = write(entries)
    if body is None:
        answer = Answer(404, read_headers(server, index, {}), b"")
    else:
        answer = Answer(200, read_headers(server, index, JSON), body)

    def watch() -> Watch:
        known = own or not prefix
        return PrefixWatch(prefix) if known else NodeWatch.on(store.tree, prefix, whole=False)

    return Reading(index, answer, watch)


def _documents(entries: list[Entry]) -> bytes | None:
    if not entries:
        return None
    return f"[{','.join([entry.json() for entry in entries])}]".encode()


def _keys(prefix: str, separator: str, entries: list[Entry]) -> bytes | None:
    if not entries and prefix:
        return None
    keys: dict[str, None] = {}
    for entry in entries:
        rest = entry.key[len(prefix) :]
        at = rest.find(separator) if separator else -1
        folder = prefix + rest[: at + len(separator)]
        keys[folder if at >= 0 else entry.key] = None
    return json.dumps(list(keys), separators=(",", ":")).encode()


# -- PUT


def _put(server: Server, key: str, params: Mapping[str, str], body: bytes) -> Write:
    _check_key(key)
    flags = 0
    if params:
        _check_conflict(server, params, "cas", "acquire", "release")
        flags = _number(params, "flags")
    if len(body) > VALUE_MAX:
        raise too_large(server, len(body), "kv_max_value_size")
    if "cas" in params:
        expected = _number(params, "cas")
        return Write(partial(_cas, server, key, body, flags, expected))
    if "acquire" in params:
        apply = partial(_acquire, server, key, body, flags, params["acquire"])
        return Write(apply, lambda: FALSE if server.in_delay(key) else None)
    if "release" in params:
        return Write(partial(_release, server, key, body, flags, params["release"]))
    return Write(partial(_set, server, key, body, flags))


def _set(server: Server, key: str, body: bytes, flags: int) -> Answer:
    server.kv.set(key, body, flags, server.apply())
    server.settle()
    return TRUE


def _cas(server: Server, key: str, body: bytes, flags: int, expected: int) -> Answer:
    written = server.kv.cas(key, body, flags, expected, server.apply())
    server.settle()
    return FALSE if written is None else TRUE


def _acquire(server: Server, key: str, body: bytes, flags: int, session: str) -> Answer:
    index = server.apply()
    if not session:
        raise _write_refused(server, "missing session")
    if _session(server, session) is None:
        raise _write_refused(server, f"invalid session {quoted(session)}")
    written = server.kv.lock(key, body, flags, session, index)
    server.settle()
    return FALSE if written is None else TRUE


def _release(server: Server, key: str, body: bytes, flags: int, session: str) -> Answer:
    index = server.apply()
    if not session:
        raise _write_refused(server, "missing session")
    written = server.kv.unlock(key, body, flags, session, index)
    server.settle()
    return FALSE if written is None else TRUE


# -- DELETE


def _delete(server: Server, key: str, params: Mapping[str, str]) -> Write:
    _check_conflict(server, params, "recurse", "cas")
    if "recurse" in params:
        return Write(partial(_delete_tree, server, key))
    _check_key(key)
    if "cas" in params:
        return Write(partial(_delete_cas, server, key, _number(params, "cas")))
    return Write(partial(_delete_key, server, key))


def _delete_key(server: Server, key: str) -> Answer:
    server.kv.delete(key, server.apply())
    server.settle()
    return TRUE


def _delete_cas(server: Server, key: str, expected: int) -> Answer:
    deleted = server.kv.delete_cas(key, expected, server.apply())
    server.settle()
    return TRUE if deleted else FALSE


def _delete_tree(server: Server, prefix: str) -> Answer:
    server.kv.delete_tree(prefix, server.apply())
    server.settle()
    return TRUE


# -- what is wrong with a request


def _session(server: Server, session_id: str) -> Session | None:
    try:
        return server.sessions.get(session_id)
    except Refusal as bad_id:
        raise _write_refused(server, bad_id.answer.body.decode()) from bad_id


def _write_refused(server: Server, why: str) -> Refusal:
    return refusal(500, server.release.write_refused + why)


def _check_key(key: str) -> None:
    if not key:
        raise refusal(400, "Missing key name")


def _check_conflict(server: Server, params: Mapping[str, str], *exclusive: str) -> None:
    if sum(name in params for name in exclusive) > 1:
        text = f"Conflicting flags: {urlencode(sorted(params.items()))}"
        raise refusal(400, text + server.release.conflict_end)


def _number(params: Mapping[str, str], name: str) -> int:
    if name not in params:
        return 0
    try:
        return read_uint(params[name])
    except ValueError as error:
        raise refusal(500, str(error)) from error


def too_large(server: Server, size: int, option: str) -> Exception:
    """The refusal of a body that is larger than the ``option`` of an agent allows."""
    return refusal(
        413,
        f"Request body({size} bytes) too large, max size: {VALUE_MAX} bytes. "
        f"See {server.release.manual}#{option}.",
    )
