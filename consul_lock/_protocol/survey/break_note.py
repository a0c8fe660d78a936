"""Who has broken a hold, and why: what is written of it in Consul, at ``NAME/.break/<session>``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.holder import moment
from consul_lock._protocol.keys import LOCK_FLAG

_FOLDER = "/.break"


@dataclass(frozen=True)
class Break:
    """That somebody took a hold away, by that somebody's own account."""

    session: str
    """The session whose hold it was."""
    at: float
    """Seconds since the epoch, by the clock of the host that did it; 0.0: not known."""
    host: str
    user: str
    reason: str
    """Empty: none was given."""

    def __str__(self) -> str:
        who = f"{self.user}@{self.host}"
        return f"{who}: {self.reason}" if self.reason else who


def break_folder(name: str) -> str:
    """The prefix of all notes of a name."""
    return f"{name}{_FOLDER}"


def break_key(name: str, session: str) -> str:
    """Where the note is of this session's hold."""
    return f"{break_folder(name)}/{session}"


def encode_break(note: Break) -> bytes:
    """The value of that key."""
    about = {"v": 1, "at": round(note.at, 3), "host": note.host, "user": note.user}
    return json.dumps({**about, "reason": note.reason}).encode()


def name_of_break(pair: Pair) -> str | None:
    """The name whose note this is; None: it is no note."""
    parent, _, _ = pair.key.rpartition("/")
    if pair.flags == LOCK_FLAG and pair.session and parent.endswith(_FOLDER):
        return parent.removesuffix(_FOLDER)
    return None


def latest_break(pairs: Iterable[Pair]) -> Break | None:
    """The last of these notes that makes sense; whatever is in them, nothing is raised."""
    for pair in sorted(pairs, key=lambda pair: pair.modify_index, reverse=True):
        try:
            told = json.loads(pair.value)
            texts = [str(told[field]) for field in ("host", "user", "reason")]
            return Break(pair.key.rpartition("/")[2], moment(told["at"]), *texts)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            continue
    return None
