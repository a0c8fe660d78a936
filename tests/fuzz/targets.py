"""What is fed with arbitrary bytes: the reader of answers, their parsers, and documents of others.

Each target takes bytes and raises only if the code under test does what it must never do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from consul_lock._drivers.http_reader import Answer, ClosedBeforeAnswer, CutShort, Reader
from consul_lock._protocol.consul.models import (
    Pair,
    base64_text,
    parse_created,
    parse_pair,
    parse_passed,
    parse_proof_of_life,
    parse_read,
    parse_renewal,
    parse_sessions,
)
from consul_lock._protocol.consul.replies import parse_transaction
from consul_lock._protocol.cron.codec import decode_record, encode_record
from consul_lock._protocol.flow import Reply
from consul_lock._protocol.hold.waiter import (
    WaiterEntry,
    handed_over_value,
    parse_queue,
    told_waiters,
)
from consul_lock._protocol.holder import parse_holder
from consul_lock._protocol.keys import CRON_FLAG, LOCK_FLAG
from consul_lock._protocol.survey.break_note import latest_break
from consul_lock._protocol.weighted.document import (
    READ_WRITE,
    SEMAPHORE,
    decode_document,
    encode_document,
)
from consul_lock._protocol.weighted.layout import parse_contender
from consul_lock.errors import Conflict, ConsulLockError

SESSION = "3f1c0b2e-0000-4000-8000-000000000000"

# Answers that one stream of bytes may have; more of them show nothing new.
_ANSWERS_MAX = 8

Read = list[Answer | type[Exception]]


def http(data: bytes) -> None:
    """A stream of answers: the same ones in pieces of any size, and only the reader's errors."""
    size, stream = 1 + (data[0] if data else 0), data[1:]
    if len(stream) <= 4096:
        assert _answers(stream, size) == _answers(stream, 65536)


def _answers(stream: bytes, size: int) -> Read:
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    reader, found = Reader(), Read()
    while len(found) < _ANSWERS_MAX:
        try:
            answer = reader.read(lambda _: pieces.pop(0) if pieces else b"")
        except (CutShort, ClosedBeforeAnswer) as error:
            return [*found, type(error)]
        assert 200 <= answer.status <= 999
        assert len(answer.body) <= len(stream)
        found.append(answer)
        if not answer.keep:
            break
    return found


_STATUSES = (200, 200, 200, 409, 404, 500, 403, 429)
_WRITTEN = (("k", SESSION),)

PARSERS: tuple[Callable[[Reply], Any], ...] = (
    lambda reply: parse_read(reply, "reading", "rule"),
    lambda reply: parse_read(reply, "reading", "rule", "k"),
    lambda reply: parse_transaction(reply, "writing", "rule", parse_pair, 3),
    lambda reply: parse_transaction(reply, "writing", "rule", parse_pair, 3, _WRITTEN),
    parse_sessions,
    lambda reply: parse_renewal(reply, SESSION),
    lambda reply: parse_proof_of_life(reply, SESSION),
    lambda reply: parse_created(reply, "creating"),
    parse_passed,
)


def answers(data: bytes) -> None:
    """Each parser of an answer returns what its type says, or raises an error of the library."""
    which, body = data[0] if data else 0, data[1:]
    index = body[:1].decode("latin-1") if which & 8 else "7"
    reply = Reply(_STATUSES[which & 7], {"x-consul-index": index}, body, 0.0)
    for parse in PARSERS:
        try:
            found = parse(reply)
        except ConsulLockError as error:
            assert error.kind != "unforeseen"  # noqa: PT017 - no test: it is fed by a fuzzer
            assert str(error).isprintable()  # noqa: PT017 - the same
        else:
            _check(found)


def _check(found: Any) -> None:
    for pair in getattr(found, "pairs", ()):
        pair.key.encode()
        assert type(pair.value) is bytes
        assert 0 <= pair.flags < 2**64
        assert min(pair.create_index, pair.modify_index) >= 0
        values(pair.value)


def values(data: bytes) -> None:
    """What is in the value of a key: holders, waiters, documents, cron records, notes."""
    pair = Pair("k/.lock", data, LOCK_FLAG, SESSION, 3, 5)
    holder = parse_holder(SESSION, data, 5)
    json.dumps([str(holder), holder.host, dict(holder.meta), holder.since, holder.pid])
    queue = told_waiters(pair)
    entry = WaiterEntry(SESSION, data.decode("utf-8", "replace"), 3, 5)
    base64_text(handed_over_value(entry, queue, 1.0))
    parse_queue("k/.queue", [pair._replace(key=f"k/.queue/{SESSION}")])
    latest_break([pair])
    for kind in (SEMAPHORE, READ_WRITE):
        parse_contender(kind, pair)
        _document(kind, pair)
    _record(pair)


def _document(kind: Any, pair: Pair) -> None:
    pair = pair._replace(flags=kind.flags, session="")
    try:
        document = decode_document(kind, pair, 2)
    except Conflict:
        return
    written = pair._replace(value=encode_document(kind, document))
    assert decode_document(kind, written, 2) == document


def _record(pair: Pair) -> None:
    pair = pair._replace(flags=CRON_FLAG)
    try:
        record = decode_record(pair, "k")
    except Conflict:
        return
    assert decode_record(pair._replace(value=encode_record(record)), "k") == record


TARGETS: dict[str, Callable[[bytes], None]] = {"http": http, "answers": answers, "values": values}
