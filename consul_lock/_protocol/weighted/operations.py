"""The operations that change documents and contender keys, as parts of transactions."""

from __future__ import annotations

import json
from typing import Any

from consul_lock._protocol.consul.models import base64_text
from consul_lock._protocol.holder import read_object
from consul_lock._protocol.weighted.attempt import WeightedAttempt
from consul_lock._protocol.weighted.document import Document
from consul_lock._protocol.weighted.document import encode_document as written
from consul_lock._protocol.weighted.layout import Contender, Target
from consul_lock._protocol.weighted.snapshot import Snapshot, add_holders


def contend_operation(target: Target, session: str, value: str) -> dict[str, Any]:
    """Make, or write anew, a contender key."""
    return {
        "Verb": "lock",
        "Key": target.contender_key(session),
        "Session": session,
        "Flags": target.kind.flags,
        "Value": value,
    }


def touch(target: Target, contender: Contender, since: float) -> list[dict[str, Any]]:
    """Show a contender, and the waiter that watches it, that it was admitted.

    Refused if it is not the one that was read: it may have left, and have come back with the
    same session for something else.
    """
    about = read_object(contender.about)
    value = base64_text(json.dumps({**about, "in": True, "since": round(since, 3)}).encode())
    return [
        {
            "Verb": "check-index",
            "Key": target.contender_key(contender.session),
            "Index": contender.modify_index,
        },
        contend_operation(target, contender.session, value),
    ]


def admit(document: Document, attempt: WeightedAttempt, target: Target) -> Document:
    """The document with the attempt's sessions in it."""
    return add_holders(document, attempt.ids(), target.weight)


def write_document(target: Target, snapshot: Snapshot, document: Document) -> dict[str, Any]:
    """Write a document, if it still is as it was read."""
    return {
        "Verb": "cas",
        "Key": target.document_key,
        "Index": snapshot.document.modify_index,
        "Flags": target.kind.flags,
        "Value": base64_text(written(target.kind, document)),
    }


def delete_if_unchanged(key: str, index: int) -> dict[str, Any]:
    """Delete a key, if it still is as it was read."""
    return {"Verb": "delete-cas", "Key": key, "Index": index}


def delete_document(target: Target, snapshot: Snapshot) -> list[dict[str, Any]]:
    """Delete a document; refused unless it is as it was read.

    That needs a check of its own: to delete what is not there is no failure to Consul.
    """
    where = {"Key": target.document_key, "Index": snapshot.document.modify_index}
    return [{"Verb": "check-index", **where}, {"Verb": "delete-cas", **where}]
