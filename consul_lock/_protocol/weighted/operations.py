"""The operations that change documents and contender keys, as parts of transactions."""

from __future__ import annotations

import json
from typing import Any

from consul_lock._protocol.consul.models import encode
from consul_lock._protocol.weighted import snapshot as places
from consul_lock._protocol.weighted.attempt import Bid
from consul_lock._protocol.weighted.document import Document
from consul_lock._protocol.weighted.document import encode as written
from consul_lock._protocol.weighted.layout import Contender, Spot
from consul_lock._protocol.weighted.snapshot import Place


def contend_operation(spot: Spot, session: str, value: str) -> dict[str, Any]:
    """Make, or write anew, a contender key."""
    return {
        "Verb": "lock",
        "Key": spot.contender_key(session),
        "Session": session,
        "Flags": spot.kind.flags,
        "Value": value,
    }


def touch(spot: Spot, contender: Contender, since: float) -> list[dict[str, Any]]:
    """Show a contender, and whoever watches it, that it was let in.

    Refused if it is not the one that was read: it may have left, and have come back with the
    same session for something else.
    """
    try:
        about = json.loads(contender.about)
    except ValueError:
        about = {}
    value = encode(json.dumps({**about, "in": True, "since": round(since, 3)}).encode())
    return [
        {
            "Verb": "check-index",
            "Key": spot.contender_key(contender.session),
            "Index": contender.modify_index,
        },
        contend_operation(spot, contender.session, value),
    ]


def admit(document: Document, bid: Bid, spot: Spot) -> Document:
    """The document with our sessions in it."""
    return places.enter(document, bid.ids(), spot.weight)


def change(spot: Spot, place: Place, document: Document) -> dict[str, Any]:
    """Write a document, if it still is as it was read."""
    return {
        "Verb": "cas",
        "Key": spot.document_key,
        "Index": place.document.modify_index,
        "Flags": spot.kind.flags,
        "Value": encode(written(spot.kind, document)),
    }


def forget(key: str, index: int) -> dict[str, Any]:
    """Delete a key, if it still is as it was read."""
    return {"Verb": "delete-cas", "Key": key, "Index": index}


def remove(spot: Spot, place: Place) -> list[dict[str, Any]]:
    """Delete a document; refused unless it is as it was read.

    That needs a check of its own: to delete what is not there is no failure to Consul.
    """
    where = {"Key": spot.document_key, "Index": place.document.modify_index}
    return [{"Verb": "check-index", **where}, {"Verb": "delete-cas", **where}]
