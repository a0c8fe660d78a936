"""What the server says: an HTTP answer before it is put on the wire."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Answer(NamedTuple):
    """Status, headers (names in lower case) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _admitted() -> Answer | None:
    return None


class Write(NamedTuple):
    """Work that only a leader can do, checked as far as an agent checks it by itself.

    A leader does it in two steps.  It *admits* the request by what it knows at that time, and
    appends it to the log of Raft; later, when the servers have the entry, it is *applied*.  What
    admission has looked at (lock-delays) may be another thing by then.
    """

    run: Callable[[], Answer]
    """Apply it."""
    admit: Callable[[], Answer | None] = _admitted
    """What the leader refuses before anything is written, without an entry; None: nothing."""
    logged: bool = True
    """It is an entry in the log; else the leader does it alone, at once."""


class Refusal(Exception):
    """The request is answered with an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


class NoEndpoint(Refusal):
    """The request is for no endpoint, so no endpoint has answered it."""


JSON: Mapping[str, str] = {"content-type": "application/json"}
TEXT: Mapping[str, str] = {"content-type": "text/plain; charset=utf-8"}
NOTHING: Mapping[str, str] = {}

TRUE = Answer(200, JSON, b"true")
FALSE = Answer(200, JSON, b"false")


def document(text: str) -> Answer:
    """A JSON answer.  Compact, as agents outside of development mode write it."""
    return Answer(200, JSON, text.encode("utf-8", "surrogateescape"))


def quoted(text: str) -> str:
    """A name in a message, as Go quotes it."""
    return json.dumps(text, ensure_ascii=False)


def refusal(status: int, text: str) -> Refusal:
    """An error in plain text, as Consul words almost all of them."""
    return Refusal(Answer(status, TEXT, text.encode("utf-8", "surrogateescape")))
