"""Consul's endpoints: what is sent for each, and how often a blocking read is repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol.consul.api import ConsulApi
from consul_lock._protocol.consul.contact import Contact
from consul_lock._protocol.flow import Reply, Request, Sleep
from consul_lock._protocol.session.timing import session_options

_DATACENTER = ("dc", "east")


def api(contact: Contact | None = None) -> ConsulApi:
    return ConsulApi(contact or Contact(), (_DATACENTER,))


def request_of(asked: Any) -> Request:
    """The first request of a flow, or the request itself."""
    found = asked if isinstance(asked, Request) else next(asked)
    assert isinstance(found, Request)
    return found


@pytest.mark.parametrize(
    "ask, method, path, params",
    [
        (lambda api: api.get("a b/ü"), "GET", "kv/a%20b/%C3%BC", {}),
        (lambda api: api.get("k", consistent=True), "GET", "kv/k", {"consistent": "1"}),
        (lambda api: api.get("k", 7, 10.0), "GET", "kv/k", {"index": "7", "wait": "10000ms"}),
        (lambda api: api.get("k", 7, 0.0001), "GET", "kv/k", {"index": "7", "wait": "1ms"}),
        (lambda api: api.get("k", 0, 10.0), "GET", "kv/k", {}),
        (lambda api: api.list_keys("p/"), "GET", "kv/p/", {"recurse": "1"}),
        (lambda api: api.renew("s"), "PUT", "session/renew/s", {}),
        (lambda api: api.proof_of_life("s"), "GET", "session/info/s", {"consistent": "1"}),
        (lambda api: api.destroy("s"), "PUT", "session/destroy/s", {}),
        (lambda api: api.sessions(), "GET", "session/list", {}),
        (lambda api: api.pass_check("service:x", 4.0), "PUT", "agent/check/pass/service%3Ax", {}),
        (lambda api: api.deregister("x", 4.0), "PUT", "agent/service/deregister/x", {}),
        (lambda api: api.ask("/v1/status/leader", str), "GET", "status/leader", {}),
    ],
)
def test_requests_without_a_body(
    ask: Callable[[ConsulApi], Any], method: str, path: str, params: dict[str, str]
) -> None:
    """With the datacenter, whatever it is."""
    sent = request_of(ask(api()))
    assert (sent.method, sent.path, sent.body) == (method, f"/v1/{path}", None)
    assert dict(sent.params) == {**params, **dict([_DATACENTER])}


def test_a_session_is_created_as_it_was_asked_for() -> None:
    """Durations with a unit, and the checks of both kinds."""
    asked = session_options(15, 20.5, ["serfHealth"], ["web"])
    assert json.loads(request_of(api().create_session(asked, "me 1")).body or b"") == {
        "Name": "me 1",
        "TTL": "15s",
        "LockDelay": "20500ms",
        "Behavior": "release",
        "NodeChecks": ["serfHealth"],
        "ServiceChecks": [{"ID": "web"}],
    }


def test_the_service_of_a_heartbeat_is_removed_by_the_agent_after_a_crash() -> None:
    """It begins well."""
    body = json.loads(request_of(api().register("x", 1.5, 4.0)).body or b"")
    assert (body["name"], body["id"]) == ("consul-lock", "x")
    assert body["check"] == {
        "TTL": "1500ms",
        "Status": "passing",
        "DeregisterCriticalServiceAfter": "1m",
    }


@pytest.mark.parametrize(
    "verbs, consistent",
    [
        (["get"], True),
        (["check-session", "get-tree", "check-not-exists"], True),
        (["check-index", "lock"], False),
        (["delete"], False),
    ],
)
def test_a_transaction_that_only_looks_is_not_answered_by_a_deposed_leader(
    verbs: list[str], consistent: bool
) -> None:
    """One that writes goes through Raft in any case."""
    operations = [{"Verb": verb, "Key": "k"} for verb in verbs]
    sent = request_of(api().transaction(operations, "x", "rule"))
    assert (("consistent", "") in sent.params) is consistent
    assert json.loads(sent.body or b"") == [{"KV": operation} for operation in operations]


def test_renewals_do_not_queue_behind_other_requests() -> None:
    """And has a timeout of its own; a read has not."""
    for ask in (ConsulApi.renew, ConsulApi.proof_of_life, ConsulApi.destroy):
        sent = request_of(ask(api(), "s", 2.0))
        assert (sent.urgent, sent.timeout) == (True, 2.0)
    assert not request_of(api().get("k")).urgent


@pytest.mark.parametrize(
    "ask, body",
    [
        (lambda api: api.list_keys("k"), b"[]"),
        (lambda api: api.sessions(), b"[]"),
        (lambda api: api.destroy("s"), b"true"),
        (lambda api: api.pass_check("x", 4.0), b""),
        (lambda api: api.transaction([], "x", "rule"), b'{"Results": null}'),
        (lambda api: api.create_session(session_options(), "x"), b'{"ID": "s"}'),
        (lambda api: api.ask("/v1/x", lambda reply: None), b""),
    ],
)
def test_every_answer_is_a_sign_of_life(ask: Callable[[ConsulApi], Any], body: bytes) -> None:
    """It ends the trouble of all calls of the client."""
    contact = Contact()
    request_of(ask(api(contact))).parse(Reply(200, {}, body, 1.0))
    assert contact.reached


def test_blocking_reads_that_show_nothing_new_pause_and_ask_for_less_time() -> None:
    """Something in front of Consul may cut them off at once; reads of another kind do not pause."""
    consul, unchanged = api(), Reply(404, {"x-consul-index": "7"}, b"", 0.0)

    def read() -> tuple[Sleep | None, Request]:
        flow = consul.get("k", 7, 10.0)
        effect, pause = next(flow), None
        if isinstance(effect, Sleep):
            pause, effect = effect, flow.send(None)
        assert isinstance(effect, Request)
        with pytest.raises(StopIteration):
            flow.send(effect.parse(unchanged))
        return pause, effect

    found = [read() for _ in range(4)]
    assert [pause for pause, _ in found] == [None, None, None, Sleep(0.75, 1.0)]
    assert [request.wait for _, request in found] == [10.0, 10.0, 10.0, 9.0]
    assert dict(found[-1][1].params)["wait"] == "9000ms"
    assert isinstance(next(consul.get("k")), Request)
    assert isinstance(next(consul.list_keys("k", index=7, wait=10.0)), Request)
