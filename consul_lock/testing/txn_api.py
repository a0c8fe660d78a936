"""``/v1/txn``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Set
from functools import partial

from consul_lock.testing.blocking_queries import Query, Reading
from consul_lock.testing.query_options import check_place, read_options
from consul_lock.testing.radix_tree import LeafWatch
from consul_lock.testing.responses import JSON, Answer, Refusal, Write, document, quoted
from consul_lock.testing.server import Server
from consul_lock.testing.store import Entry
from consul_lock.testing.txn_operations import Op, read_ops

WRITES = {"set", "cas", "lock", "unlock", "delete", "delete-tree", "delete-cas"}

_READ = {**JSON, "x-consul-knownleader": "true", "x-consul-lastcontact": "0"}


class Refused(Exception):
    """An operation cannot be done, so nothing of its transaction is."""


def txn(
    server: Server, method: str, rest: str, params: Mapping[str, str], body: bytes
) -> Query | Write:
    """Carry out several operations, all or none."""
    del method, rest
    ops = read_ops(server, body)
    if any(op.verb in WRITES for op in ops):
        check_place(params, server.release)
        return Write(partial(_write, server, ops), partial(_admit, server, ops))
    options = read_options(params, server.release)
    return Query(partial(_read, server, ops), server.kv_watchers, stale=options.stale)


def _admit(server: Server, ops: list[Op]) -> Answer | None:
    errors = _vet(server, ops)
    return _conflict(errors, "") if errors else None


def _write(server: Server, ops: list[Op]) -> Answer:
    store = server.kv
    index = server.apply()
    store.begin()
    results, errors = _dispatch(server, ops, index)
    if errors:
        store.rollback()
        return _conflict(errors, "")
    server.settle()
    return document(f'{{"Results":[{",".join(results)}],"Errors":null}}')


def _read(server: Server, ops: list[Op]) -> Reading:
    errors = _vet(server, ops)
    refused = bool(errors)
    results: list[str] = []
    if not errors:
        results, errors = _dispatch(server, ops, 0)
    tail = server.release.read_refused if refused else server.release.read_tail
    headers = {**_READ, "x-consul-knownleader": "true" if '"KnownLeader":true' in tail else "false"}
    if errors:
        answer = _conflict(errors, tail)._replace(headers=headers)
    else:
        text = f'{{"Results":[{",".join(results)}],"Errors":null{tail}}}'
        answer = Answer(200, headers, text.encode())
    return Reading(0, answer, lambda: LeafWatch(""))


def _conflict(errors: list[tuple[int, str]], tail: str) -> Answer:
    listed = ",".join(f'{{"OpIndex":{at},"What":{json.dumps(what)}}}' for at, what in errors)
    return Answer(409, JSON, f'{{"Results":null,"Errors":[{listed}]{tail}}}'.encode())


def _vet(server: Server, ops: list[Op]) -> list[tuple[int, str]]:
    """What the leader refuses before anything else is looked at."""
    errors = []
    for at, op in enumerate(ops):
        if not op.key and op.verb != "delete-tree":
            errors.append((at, "Must provide key"))
        elif server.release.verbs_first and op.verb not in _known(server):
            errors.append((at, f"unknown KV operation: {op.verb}"))
        elif op.verb == "lock" and server.in_delay(op.key):
            errors.append((at, f"failed to lock key {quoted(op.key)} due to lock delay"))
    return errors


def _known(server: Server) -> Set[str]:
    return _NEWER_VERBS if server.release.get_or_empty else _OLDER_VERBS


def _dispatch(server: Server, ops: list[Op], index: int) -> tuple[list[str], list[tuple[int, str]]]:
    results: list[str] = []
    errors: list[tuple[int, str]] = []
    for at, op in enumerate(ops):
        try:
            perform = _VERBS.get(op.verb)
            if perform is None or op.verb not in _known(server):
                raise Refused(f"unknown KV verb {quoted(op.verb)}")
            results += perform(server, op, index)
        except Refused as refused:
            errors.append((at, str(refused)))
    return results, errors


def _written(entry: Entry) -> list[str]:
    return [f'{{"KV":{entry.json(with_value=False)}}}']


def _shown(entry: Entry) -> str:
    return f'{{"KV":{entry.json()}}}'


# -- the verbs: each returns its results, or raises Refused


def _set(server: Server, op: Op, index: int) -> list[str]:
    return _written(server.kv.set(op.key, op.value, op.flags, index))


def _cas(server: Server, op: Op, index: int) -> list[str]:
    entry = server.kv.cas(op.key, op.value, op.flags, op.at, index)
    if entry is None:
        raise Refused(f"failed to set key {quoted(op.key)}, index is stale")
    return _written(entry)


def _lock(server: Server, op: Op, index: int) -> list[str]:
    if not op.session:
        raise Refused("missing session")
    try:
        session = server.sessions.get(op.session)
    except Refusal as bad_id:
        raise Refused(bad_id.answer.body.decode()) from bad_id
    if session is None:
        raise Refused(f"invalid session {quoted(op.session)}")
    entry = server.kv.lock(op.key, op.value, op.flags, op.session, index)
    if entry is None:
        raise Refused(f"failed to lock key {quoted(op.key)}, lock is already held")
    return _written(entry)


def _unlock(server: Server, op: Op, index: int) -> list[str]:
    if not op.session:
        raise Refused("missing session")
    entry = server.kv.unlock(op.key, op.value, op.flags, op.session, index)
    if entry is None:
        raise Refused(
            f"failed to unlock key {quoted(op.key)}, lock isn't held, or is held by another session"
        )
    return _written(entry)


def _get(server: Server, op: Op, _index: int) -> list[str]:
    entry = server.kv.entries.get(op.key)
    if entry is None:
        raise Refused(f"key {quoted(op.key)} doesn't exist")
    return [_shown(entry)]


def _get_or_empty(server: Server, op: Op, _index: int) -> list[str]:
    entry = server.kv.entries.get(op.key)
    return [_shown(entry or Entry(op.key, b"", op.flags, op.session, 0, 0))]


def _get_tree(server: Server, op: Op, _index: int) -> list[str]:
    return [_shown(entry) for entry in server.kv.under(op.key)]


def _check_index(server: Server, op: Op, _index: int) -> list[str]:
    entry = server.kv.entries.get(op.key)
    if entry is None:
        raise Refused(f"failed to check index, key {quoted(op.key)} doesn't exist")
    if entry.modify_index != op.at:
        raise Refused(
            f"failed index check for key {quoted(op.key)}, "
            f"current modify index {entry.modify_index} != {op.at}"
        )
    return _written(entry)


def _check_session(server: Server, op: Op, _index: int) -> list[str]:
    entry = server.kv.entries.get(op.key)
    if entry is None:
        raise Refused(f"failed to check session, key {quoted(op.key)} doesn't exist")
    if entry.session != op.session:
        raise Refused(
            f"failed session check for key {quoted(op.key)}, "
            f"current session {quoted(entry.session)} != {quoted(op.session)}"
        )
    return _written(entry)


def _check_not_exists(server: Server, op: Op, _index: int) -> list[str]:
    if op.key in server.kv.entries:
        raise Refused(f"key {quoted(op.key)} exists")
    return []


def _delete(server: Server, op: Op, index: int) -> list[str]:
    server.kv.delete(op.key, index)
    return []


def _delete_tree(server: Server, op: Op, index: int) -> list[str]:
    server.kv.delete_tree(op.key, index)
    return []


def _delete_cas(server: Server, op: Op, index: int) -> list[str]:
    if not server.kv.delete_cas(op.key, op.at, index):
        raise Refused(f"failed to delete key {quoted(op.key)}, index is stale")
    return []


_VERBS: dict[str, Callable[[Server, Op, int], list[str]]] = {
    "set": _set,
    "cas": _cas,
    "lock": _lock,
    "unlock": _unlock,
    "get": _get,
    "get-or-empty": _get_or_empty,
    "get-tree": _get_tree,
    "check-index": _check_index,
    "check-session": _check_session,
    "check-not-exists": _check_not_exists,
    "delete": _delete,
    "delete-tree": _delete_tree,
    "delete-cas": _delete_cas,
}

_NEWER_VERBS = frozenset(_VERBS)
_OLDER_VERBS = _NEWER_VERBS - {"get-or-empty"}
