"""The operations of a transaction, as a client sends them."""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from typing import Any, NamedTuple

from consul_lock.testing.kv_api import VALUE_MAX, too_large
from consul_lock.testing.query_options import UINT64
from consul_lock.testing.responses import quoted, refusal
from consul_lock.testing.server import Server
from consul_lock.testing.sessions import kind


class Op(NamedTuple):
    """One operation on a key."""

    verb: str
    key: str
    value: bytes
    flags: int
    at: int
    """The modify index that it expects."""
    session: str


_FIELDS = {
    "verb": ("Verb", "api.KVOp"),
    "key": ("Key", "string"),
    "value": ("Value", "string"),
    "flags": ("Flags", "uint64"),
    "index": ("Index", "uint64"),
    "session": ("Session", "string"),
    "namespace": ("Namespace", "string"),
}
_EXACT = {field for field, _ in _FIELDS.values()}
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


def read_ops(server: Server, body: bytes) -> list[Op]:
    """The operations of a request body; a Refusal (400 or 413) if it cannot be read."""
    if len(body) > VALUE_MAX:
        raise too_large(server, len(body), "txn_max_req_len")
    try:
        ops = [_read_op(kv) for kv in _documents(body, server.release.operations_max)]
    except json.JSONDecodeError as error:
        cause = "EOF" if not body.strip() else f"invalid character at offset {error.pos}"
        raise refusal(400, f"Failed to parse body: {cause}") from error
    except ValueError as error:
        raise refusal(400, f"Failed to parse body: {error}") from error
    for op in ops:
        if len(op.value) > VALUE_MAX:
            text = f"Value for key {quoted(op.key)} is too large"
            raise refusal(413, f"{text} ({len(op.value)} > {VALUE_MAX} bytes)")
    return ops


def _documents(body: bytes, maximum: int) -> list[dict[str, Any]]:
    asked = json.loads(body)
    if asked is None:
        return []
    if not isinstance(asked, list):
        raise ValueError(f"json: cannot unmarshal {kind(asked)} into Go value of type api.TxnOps")
    if len(asked) > maximum:
        text = f"Transaction contains too many operations ({len(asked)} > {maximum})"
        raise refusal(413, text)
    documents = []
    for item in asked:
        document = item.get("KV") if isinstance(item, dict) else None
        if document is None and item:
            document = _folded_kv(item)
        if document is not None:
            documents.append(document)
    return documents


def _folded_kv(item: Any) -> Any:
    if not isinstance(item, dict):
        raise ValueError(f"json: cannot unmarshal {kind(item)} into Go value of type api.TxnOp")
    for name, document in item.items():
        if name.lower() == "kv":
            return document
        if name.lower() not in ("node", "service", "check"):
            raise ValueError(f"json: unknown field {quoted(name)}")
        raise ValueError(f"transactions on {name} are not part of the model")
    return None


def _read_op(document: Any) -> Op:
    if not isinstance(document, dict):
        raise ValueError(
            f"json: cannot unmarshal {kind(document)} into Go struct field TxnOp.KV "
            "of type api.KVTxnOp"
        )
    get = (document if _EXACT.issuperset(document) else _folded(document)).get
    verb, key, value = get("Verb") or "", get("Key") or "", get("Value") or ""
    flags, index, session = get("Flags") or 0, get("Index") or 0, get("Session") or ""
    if not (
        type(verb) is type(key) is type(value) is type(session) is str
        and type(flags) is type(index) is int
        and 0 <= flags <= UINT64
        and 0 <= index <= UINT64
    ):
        raise ValueError(_mismatch(document))
    return Op(verb, key, _decoded(value) if value else b"", flags, index, session)


def _folded(document: dict[str, Any]) -> dict[str, Any]:
    folded = {}
    for name, value in document.items():
        if name.lower() not in _FIELDS:
            raise ValueError(f"json: unknown field {quoted(name)}")
        folded[_FIELDS[name.lower()][0]] = value
    return folded


def _mismatch(document: dict[str, Any]) -> str:
    for name, value in document.items():
        field, wanted = _FIELDS[name.lower()]
        found = f"number {value}" if wanted == "uint64" and kind(value) == "number" else kind(value)
        fits = kind(value) in ("null", "string")
        if wanted == "uint64":
            fits = value is None or (type(value) is int and 0 <= value <= UINT64)
        if not fits:
            into = f"Go struct field KVTxnOp.KV.{field} of type {wanted}"
            return f"json: cannot unmarshal {found} into {into}"
    return "json: cannot unmarshal"


def _decoded(value: str) -> bytes:
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        wrong = _NOT_BASE64.search(value)
        # Go names the wrong character, or the beginning of the group of four that is cut off.
        at = wrong.start() if wrong else len(value) // 4 * 4
        raise ValueError(f"illegal base64 data at input byte {at}") from error
