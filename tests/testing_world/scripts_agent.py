"""Scripts about the agent: methods, unknown paths, services with TTL checks."""

from __future__ import annotations

from tests.testing_world.transcript import Said, Talk


def wrong_methods_are_refused(say: Talk) -> None:
    """405 with the right ones."""
    say("POST", "a", "x")
    say("GET", "/v1/session/create")
    say("PUT", "/v1/session/list")
    say("GET", "/v1/session/destroy/x")
    say("PUT", "/v1/status/leader")
    say("GET", "/v1/agent/service/register")
    say("GET", "/v1/agent/service/deregister/x")
    say("PUT", "/v1/agent/services")
    say("PUT", "/v1/agent/checks")
    say("GET", "/v1/agent/check/register")
    for verb in ("pass", "warn", "fail", "deregister"):
        say("GET", f"/v1/agent/check/{verb}/x")
    say("OPTIONS", "a")


def unknown_paths_are_not_found(say: Talk) -> None:
    """Without a body."""
    for path in ("/v1/nothing", "/v1/kvx", "/v1/txn/x", "/v1", "/v1/session/create/x"):
        say("GET", path)
        say("PUT", path)


def services_with_bad_checks_are_refused(say: Talk) -> None:
    """The required fields of a registration."""
    for body in (
        '{"ID":"x"}',
        '{"Name":"bad","Check":{"TTL":"abc"}}',
        '{"Name":"bad","Check":{"Status":"passing"}}',
        '{"Name":"bad","Check":{"TTL":"5s","Status":"bogus"}}',
        "",
    ):
        say("PUT", "/v1/agent/service/register", body)
    for verb in ("pass", "warn", "fail"):
        say("PUT", f"/v1/agent/check/{verb}/nope")
        say("PUT", f"/v1/agent/check/{verb}/serfHealth")
    say("PUT", "/v1/agent/service/deregister/")
    say("PUT", "/v1/agent/service/deregister/nope")


def checks_that_are_no_good_are_refused(say: Talk) -> None:
    """Those that are of no service, and those of one that is not there."""
    for body in (
        '{"ID":"x"}',
        '{"Name":"bad"}',
        '{"Name":"bad","TTL":"abc"}',
        '{"Name":"bad","TTL":"5s","Status":"bogus"}',
        '{"Name":"bad","TTL":"5s","ServiceID":"nope"}',
        "",
    ):
        say("PUT", "/v1/agent/check/register", body)
    say("PUT", "/v1/agent/check/deregister/nope")
    say("PUT", "/v1/agent/check/deregister/")


def _shown(say: Talk, *kinds: str) -> None:
    """What the agent has of this script: a real one may have more."""
    for kind in kinds or ("services", "checks"):
        said = say.line.ask("GET", f"/v1/agent/{kind}", None)
        say.log.append((kind, {k: v for k, v in said.json.items() if say.prefix in k}))


def services_and_checks_are_shown(say: Talk) -> None:
    """With their names, numbers, and what was said last."""
    name = f"svc-{say.prefix}"
    say("PUT", "/v1/agent/service/register", {"Name": name, "Check": {"TTL": "50s"}})
    two = [{"TTL": "50s", "Status": "warning"}, {"TTL": "50s", "Name": "mine", "Notes": "n"}]
    say("PUT", "/v1/agent/service/register", {"Name": "two", "ID": f"2-{name}", "Checks": two})
    node = {"Name": "disk", "ID": f"disk-{name}", "TTL": "50s", "Notes": "big"}
    say("PUT", "/v1/agent/check/register", node)
    of_two = {"Name": f"third-{name}", "TTL": "50s", "ServiceID": f"2-{name}"}
    say("PUT", "/v1/agent/check/register", of_two)
    _shown(say)
    for verb, note in (("fail", "?note=full"), ("warn", "?note=nearly"), ("pass", "")):
        say("PUT", f"/v1/agent/check/{verb}/disk-{name}{note}")
        _shown(say, "checks")
    say("PUT", f"/v1/agent/check/deregister/disk-{name}")
    say("PUT", f"/v1/agent/service/deregister/2-{name}")
    _shown(say)
    say("PUT", f"/v1/agent/service/deregister/{name}")
    _shown(say)


def registering_again_keeps_what_is_known(say: Talk) -> None:
    """The status and what was said stay, and so do checks that are not named again."""
    name = f"svc-{say.prefix}"

    def register(check: dict[str, str]) -> None:
        say("PUT", "/v1/agent/service/register", {"Name": name, "Check": check})
        _shown(say, "checks")

    register({"TTL": "50s", "Status": "passing"})
    register({"TTL": "50s", "Status": "critical"})
    say("PUT", f"/v1/agent/check/fail/service:{name}?note=bad")
    register({"TTL": "50s", "Status": "passing"})
    say("PUT", "/v1/agent/service/register", {"Name": name})
    _shown(say, "checks")
    say("PUT", f"/v1/agent/service/deregister/{name}")


def registering_again_gives_the_whole_time_again(say: Talk) -> None:
    """A check is not critical when its first time would have been over; then it says why."""
    name = f"svc-{say.prefix}"
    check = {"TTL": "3s", "Status": "passing"}
    say("PUT", "/v1/agent/service/register", {"Name": name, "Check": check})
    say("PUT", f"/v1/agent/check/pass/service:{name}?note=alive")
    begun = say.line.now()
    while say.line.now() < begun + 1.5:
        say.line.pause()
    say("PUT", "/v1/agent/service/register", {"Name": name, "Check": check})

    def expired(said: Said) -> bool:
        return bool(said.json[f"service:{name}"]["Status"] == "critical")

    while not expired(say.line.ask("GET", "/v1/agent/checks", None)):
        say.line.pause()
    say.log.append(("from the second time on", say.line.now() - begun > 4.0))
    _shown(say, "checks")
    say("PUT", f"/v1/agent/service/deregister/{name}")


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
    _shown(say)
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


def a_check_that_is_failed_kills_the_sessions_bound_to_it(say: Talk) -> None:
    """One of the node, by its id; a warning kills nothing."""
    check = f"disk-{say.prefix}"
    asked = {"Name": check, "TTL": "50s", "Status": "passing"}
    say("PUT", "/v1/agent/check/register", asked)
    bound = {"NodeChecks": [check], "LockDelay": "9s"}
    say.until(_created, "PUT", "/v1/session/create", bound)
    say("PUT", f"/v1/agent/check/warn/{check}")
    say.log.append(("alive", len(say.line.ask("GET", "/v1/session/list", None).json)))
    say("PUT", f"/v1/agent/check/fail/{check}")
    say.until(_now_empty, "GET", "/v1/session/list")
    say.until(_refused, "PUT", "/v1/session/create", bound)
    say("PUT", f"/v1/agent/check/deregister/{check}")


def _refused(said: Said) -> bool:
    return said.body.endswith(b"critical state")


def _now_empty(said: Said) -> bool:
    return bool(said.json == [])


SCRIPTS = [
    wrong_methods_are_refused,
    unknown_paths_are_not_found,
    services_with_bad_checks_are_refused,
    checks_that_are_no_good_are_refused,
]

UNINDEXED = [
    services_and_checks_are_shown,
    registering_again_keeps_what_is_known,
    registering_again_gives_the_whole_time_again,
    a_heartbeat_that_stops_kills_the_session,
    deregistering_a_service_kills_its_sessions,
    a_check_that_is_failed_kills_the_sessions_bound_to_it,
]
"""An agent writes its services and checks to the catalog when it gets round to it, so the Raft
indexes around them say nothing."""
