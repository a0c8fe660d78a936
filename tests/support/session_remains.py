"""Leftovers of a session in Consul: keys that nobody holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LOCK_FLAG = 3304740253564472344
SEMAPHORE_FLAG = 16210313421097356768
READ_WRITE_FLAG = 4377101031871790599

_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def of_a_dead_one(entry: Mapping[str, Any]) -> bool:
    """Whether a key (as Consul describes it) is left of a session that ended: the key of a lock,
    an entry in its queue, a contender, the number of a slot.  The sign of a queue and a document
    are none."""
    if entry.get("Session"):
        return False
    parent, _, last = entry["Key"].rpartition("/")
    if entry["Flags"] == LOCK_FLAG:
        return bool(last != ".queue")
    ours = entry["Flags"] in (SEMAPHORE_FLAG, READ_WRITE_FLAG)
    return ours and (_SESSION.fullmatch(last) is not None or parent.endswith("/.slot"))
