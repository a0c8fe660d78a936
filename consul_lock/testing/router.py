"""Which endpoint a request is for, and what an agent refuses before it looks any further."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from http.client import responses
from typing import NamedTuple
from urllib.parse import quote, unquote, urlencode

from consul_lock._protocol.flow import Request
from consul_lock.testing.agent_api import about, check_fail, check_pass, check_warn, leader
from consul_lock.testing.blocking_queries import Query
from consul_lock.testing.kv_api import kv
from consul_lock.testing.responses import NOTHING, TEXT, Answer, NoEndpoint, Refusal, Write
from consul_lock.testing.server import Server
from consul_lock.testing.service_api import (
    checks,
    deregister,
    deregister_check,
    register,
    register_check,
    services,
)
from consul_lock.testing.session_api import create, destroy, everything, info, of_node, renew
from consul_lock.testing.txn_api import txn

Work = Answer | Write | Query
"""An answer that is known at once, or something that only a leader can do, or a read."""

Handler = Callable[[Server, str, str, Mapping[str, str], bytes], Work]


class Endpoint(NamedTuple):
    """Who answers, and to which methods."""

    handler: Handler
    methods: tuple[str, ...]


_BAD_REQUEST = Answer(400, TEXT, b"400 Bad Request")
_PUT = ("PUT",)
_GET = ("GET",)
_KV = Endpoint(kv, ("GET", "PUT", "DELETE"))

_EXACT = {
    "/v1/txn": Endpoint(txn, _PUT),
    "/v1/session/create": Endpoint(create, _PUT),
    "/v1/session/list": Endpoint(everything, _GET),
    "/v1/status/leader": Endpoint(leader, _GET),
    "/v1/agent/self": Endpoint(about, _GET),
    "/v1/agent/services": Endpoint(services, _GET),
    "/v1/agent/service/register": Endpoint(register, _PUT),
    "/v1/agent/checks": Endpoint(checks, _GET),
    "/v1/agent/check/register": Endpoint(register_check, _PUT),
}
_FOLDERS = {
    "/v1/session/destroy/": Endpoint(destroy, _PUT),
    "/v1/session/renew/": Endpoint(renew, _PUT),
    "/v1/session/info/": Endpoint(info, _GET),
    "/v1/session/node/": Endpoint(of_node, _GET),
    "/v1/agent/service/deregister/": Endpoint(deregister, _PUT),
    "/v1/agent/check/deregister/": Endpoint(deregister_check, _PUT),
    "/v1/agent/check/pass/": Endpoint(check_pass, _PUT),
    "/v1/agent/check/warn/": Endpoint(check_warn, _PUT),
    "/v1/agent/check/fail/": Endpoint(check_fail, _PUT),
}


def prepare(server: Server, request: Request) -> Work:
    """The work that ``request`` asks for; a Refusal if it is no good."""
    path = request.path
    if "%" in path:
        raw, path = path, _decoded(path)
        if server.release.cleans_decoded:
            raw = path
    else:
        raw = path
    if "//" in raw or "/." in raw:
        _check_clean(server, raw, request)
    if not path.isprintable():
        raise NoEndpoint(Answer(400, NOTHING, b""))
    # Of a parameter given twice, Consul takes the first.
    params = dict(reversed(request.params)) if request.params else {}
    body = request.body or b""
    if path.startswith("/v1/kv/"):
        endpoint, rest = _KV, path[7:]
    else:
        endpoint, rest = _find(server, path, request)
    if request.method not in endpoint.methods:
        _refuse_method(server, request.method, endpoint.methods)
    return endpoint.handler(server, request.method, rest, params, body)


def _find(server: Server, path: str, request: Request) -> tuple[Endpoint, str]:
    if (endpoint := _EXACT.get(path)) is not None:
        return endpoint, ""
    end = path.find("/", 12)  # Behind "/v1/session/" and "/v1/agent/".
    while end > 0:
        if (endpoint := _FOLDERS.get(path[: end + 1])) is not None:
            return endpoint, path[end + 1 :]
        end = path.find("/", end + 1)
    if path + "/" in _FOLDERS or path == "/v1/kv":
        _redirect(server, path + "/", request)
    raise _unknown(server, path)


def _unknown(server: Server, path: str) -> Refusal:
    if not server.release.explains_paths:
        return NoEndpoint(Answer(404, NOTHING, b""))
    known = "not a recognized HTTP API endpoint"
    hint = "if attempting to use the HTTP API, ensure the path starts with '/v1/'"
    text = f"Invalid URL path: {known if '/v1/' in path else hint}\n"
    return NoEndpoint(Answer(404, TEXT, text.encode()))


def _decoded(path: str) -> str:
    for part in path.split("%")[1:]:
        try:
            bytes.fromhex(part[:2])
        except ValueError:
            raise NoEndpoint(_BAD_REQUEST) from None
        if len(part) < 2:
            raise NoEndpoint(_BAD_REQUEST)
    return unquote(path)


def _check_clean(server: Server, path: str, request: Request) -> None:
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/") and clean != "/":
        clean += "/"
    # Go cleans "a/.." to a folder only if the path said so; Consul keeps the last slash too.
    if path.endswith(("/..", "/.")) and clean + "/" == "/v1/kv/":
        clean += "/"
    if clean != path:
        _redirect(server, clean, request)


def _redirect(server: Server, path: str, request: Request) -> None:
    query = "&".join(
        urlencode([(name, value)]) if value else quote(name) for name, value in request.params
    )
    location = quote(path, safe="/!$&'()*+,;=:@~") + (f"?{query}" if query else "")
    headers = {"location": location}
    body = b""
    status = server.release.moved
    if request.method == "GET":
        headers["content-type"] = "text/html; charset=utf-8"
        body = f'<a href="{location}">{responses[status]}</a>.\n\n'.encode()
    raise NoEndpoint(Answer(status, headers, body))


def _refuse_method(server: Server, method: str, methods: tuple[str, ...]) -> None:
    allow = {"allow": ",".join(("OPTIONS", *methods))}
    if method == "OPTIONS":
        raise Refusal(Answer(200, {**server.release.empty, **allow}, b""))
    text = f"method {method} not allowed"
    raise Refusal(Answer(405, {**TEXT, **allow}, text.encode()))
