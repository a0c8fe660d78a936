"""Scripts about the agent: methods, unknown paths, services with TTL checks."""

from __future__ import annotations

from tests.fake.talk import Said, Talk


def wrong_methods_are_refused(say: Talk) -> None:
    """405 with the right ones."""
    say("POST", "a", "x")
    say("GET", "/v1/session/create")
    say("PUT", "/v1/session/list")
    say("GET", "/v1/session/destroy/x")
    say("PUT", "/v1/status/leader")
    say("GET", "/v1/agent/service/register")
    say("GET", "/v1/agent/service/deregister/x")
    say("GET", "/v1/agent/check/pass/x")
    say("OPTIONS", "a")


def unknown_paths_are_not_found(say: Talk) -> None:
    """Without a body."""
    for path in ("/v1/nothing", "/v1/kvx", "/v1/txn/x", "/v1", "/v1/session/create/x"):
        say("GET", path)
        say("PUT", path)


def services_with_bad_checks_are_refused(say: Talk) -> None:
    """What a registration must have."""
    for body in (
        '{"ID":"x"}',
        '{"Name":"bad","Check":{"TTL":"abc"}}',
        '{"Name":"bad","Check":{"Status":"passing"}}',
        '{"Name":"bad","Check":{"TTL":"5s","Status":"bogus"}}',
        "",
    ):
        say("PUT", "/v1/agent/service/register", body)
    say("PUT", "/v1/agent/check/pass/nope")
    say("PUT", "/v1/agent/check/pass/serfHealth")
    say("PUT", "/v1/agent/service/deregister/")
    say("PUT", "/v1/agent/service/deregister/nope")


def _created(said: Said) -> bool:
    return said.status == 200


def a_heartbeat_that_stops_kills_the_session(say: Talk) -> None:
    """A session bound to a TTL check lives as long as it is passed, and its key is closed."""
    name = f"svc-{say.prefix}"
    check = {"TTL": "1s", "DeregisterCriticalServiceAfter": "1m"}
    say("PUT", "/v1/agent/service/register", {"Name": name, "Check": check})
    bound = {"NodeChecks": [], "ServiceChecks": [{"ID": f"service:{name}"}], "LockDelay": "9s"}
    say.until(_refused, "PUT", "/v1/session/create", bound)
    say("PUT", f"/v1/agent/check/pass/service:{name}?note=alive")
    say.until(_created, "PUT", "/v1/session/create", bound)
    session = say.line.ask("GET", "/v1/session/list", None).json[0]["ID"]
    say.line.ask("PUT", f"/v1/kv/{say.prefix}/a?acquire={session}", b"1")
    took = say.until(_now_empty, "GET", "/v1/session/list")
    say.log.append(("within the TTL of the check", took < 10))
    other = say.line.ask("PUT", "/v1/session/create", b'{"NodeChecks":[]}').json["ID"]
    said = say.line.ask("PUT", f"/v1/kv/{say.prefix}/a?acquire={other}", b"2")
    say.log.append(("closed", said.json))
    say("PUT", f"/v1/agent/service/deregister/{name}")


def deregistering_a_service_kills_its_sessions(say: Talk) -> None:
    """Its checks are gone; several of them are numbered."""
    name = f"two-{say.prefix}"
    checks = [{"TTL": "30s", "Status": "passing"}, {"TTL": "20s", "Status": "passing"}]
    say("PUT", "/v1/agent/service/register", {"Name": name, "Checks": checks})
    bound = {"NodeChecks": [], "ServiceChecks": [{"ID": f"service:{name}:2"}]}
    say.until(_created, "PUT", "/v1/session/create", bound)
    say("PUT", f"/v1/agent/service/deregister/{name}")
    say.until(_now_empty, "GET", "/v1/session/list")
    said = say("PUT", "/v1/session/create", bound)
    say.log.append(("names the check", f"service:{name}:2" in said.body.decode()))


def _refused(said: Said) -> bool:
    return said.body.endswith(b"critical state")


def _now_empty(said: Said) -> bool:
    return bool(said.json == [])


SCRIPTS = [
    wrong_methods_are_refused,
    unknown_paths_are_not_found,
    services_with_bad_checks_are_refused,
]

UNINDEXED = [
    a_heartbeat_that_stops_kills_the_session,
    deregistering_a_service_kills_its_sessions,
]
"""An agent writes its services and checks to the catalog when it gets round to it, so the Raft
indexes around them say nothing."""
