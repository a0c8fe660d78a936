"""Actions of a proxy on a request."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.http_messages import Answer


class PlainAction(enum.Enum):
    """Actions without settings; exported below under their short names."""

    PASS = "forward it, and the answer"
    DROP_BEFORE = "close the connection, forward nothing"
    DROP_AFTER = "forward it, wait for the answer, close the connection without it"
    HOLD = "keep it until Proxy.release(), then forward it if the client is still there"


@dataclass(frozen=True)
class Delay:
    """Forward it ``seconds`` later; with ``late`` even if the client has gone meanwhile.

    A late write is one that the network kept for longer than the client waited.
    """

    seconds: float
    late: bool = False


PASS, DROP_BEFORE, DROP_AFTER, HOLD = (
    PlainAction.PASS,
    PlainAction.DROP_BEFORE,
    PlainAction.DROP_AFTER,
    PlainAction.HOLD,
)

Action = PlainAction | Delay | Answer
"""An `Answer` is given to the client and nothing is forwarded."""

Rule = Callable[[str, str, bytes, int], Action]
"""``rule(method, path, body, n)``: ``path`` with its query; ``n`` is 1 for the first request of
this method and kind (see `kind_of`), 2 for the second.  Calls do not overlap."""


def kind_of(path: str) -> str:
    """What sort of request it is: "kv", "kv?wait" (a blocking query), "txn", "session/renew"."""
    plain, _, query = path.partition("?")
    parts = plain.strip("/").split("/")[1:]
    kind = parts[0] if parts and parts[0] in ("kv", "txn") else "/".join(parts[:2])
    blocking = any(pair.startswith("index=") for pair in query.split("&"))
    return f"{kind}?wait" if blocking else kind
