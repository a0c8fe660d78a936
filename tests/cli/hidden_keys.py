"""A Consul that hides keys from the token and says so, as those from 1.11 on do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.http_messages import Answer
from tests.support.scripted_server import scripted_server, through


@contextmanager
def hiding(address: str, part: str) -> Iterator[str]:
    """The address of one that is the agent at ``address``, without all keys that have ``part`` in
    their names.

    Of a list it says so in a header, of a transaction that only looks in the body: as
    agent/http.go and TxnReadResponse of the sources do.
    """

    def write(status: int, body: bytes, index: str) -> Iterator[bytes]:
        headers = {"X-Consul-Index": index}
        found: Any = json.loads(body) if status == 200 else None
        if isinstance(found, list):
            shown = [each for each in found if part not in each.get("Key", "")]
            if len(shown) < len(found):
                headers["X-Consul-Results-Filtered-By-ACLs"] = "true"
            status, body = (200, json.dumps(shown).encode()) if shown or not found else (404, b"")
        elif isinstance(found, dict) and "Results" in found:
            results = found["Results"] or []
            shown = [each for each in results if part not in each["KV"]["Key"]]
            hidden = len(shown) < len(results)
            body = json.dumps({**found, "Results": shown, "ResultsFilteredByACLs": hidden}).encode()
        yield Answer(status, headers, body).encode()

    with scripted_server(through(address, write)) as server:
        yield server.address
