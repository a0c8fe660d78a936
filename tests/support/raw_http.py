"""One HTTP exchange without any of the code under test."""

from __future__ import annotations

import http.client
import json
from typing import Any

from tests.support.http_messages import Answer


def exchange(
    host: str,
    port: int,
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = None,
    timeout: float = 60.0,
) -> Answer:
    """Send one request on a connection of its own; raises OSError if there is no answer."""
    headers = {"X-Consul-Token": token} if token else {}
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body=_encoded(body), headers=headers)
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} {path}: {error!r}") from error
    finally:
        connection.close()


def _encoded(body: Any) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body).encode()
