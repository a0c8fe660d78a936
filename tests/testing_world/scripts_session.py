"""Scripts about sessions."""

from __future__ import annotations

from typing import Any

from tests.testing_world.transcript import Talk

UNKNOWN = "6fcb0e4d-0000-0000-0000-000000000000"


def a_session_is_created_shown_and_destroyed(say: Talk) -> None:
    """Defaults and all fields; destroying twice is fine."""
    plain = say("PUT", "/v1/session/create").json["ID"]
    full = say(
        "PUT",
        "/v1/session/create",
        {"TTL": "15s", "LockDelay": "3s", "Behavior": "delete", "Name": "n", "NodeChecks": []},
    ).json["ID"]
    for session in (plain, full):
        say("GET", f"/v1/session/info/{session}")
    say("GET", "/v1/session/node/unknown")
    say("PUT", f"/v1/session/destroy/{plain}")
    say("GET", f"/v1/session/info/{plain}")
    say("GET", "/v1/session/list")
    say("PUT", f"/v1/session/destroy/{plain}")
    say("GET", f"/v1/session/info/{plain}")


def names_in_the_body_ignore_case(say: Talk) -> None:
    """As Go's JSON decoder does; unknown ones and null are ignored."""
    for body in (
        {"ttl": "10s", "lockdelay": "1s", "NODECHECKS": [], "behavior": "delete", "naMe": "x"},
        {"Bogus": 1},
        {"ID": UNKNOWN},
        {"TTL": None, "LockDelay": None, "Name": None},
    ):
        session = say("PUT", "/v1/session/create", body).json["ID"]
        say("GET", f"/v1/session/info/{session}")
    say("PUT", "/v1/session/create", "null")


def a_ttl_is_a_text_with_a_unit_in_range(say: Talk) -> None:
    """10 s to 24 h, or nothing."""
    for ttl in ("15", "1d", "5s", "9.9s", "25h", "-10s", "abc", "1h1", ".s", "10s5", "1s1s"):
        say("PUT", "/v1/session/create", {"TTL": ttl})
    for body in ('{"TTL":15}', '{"Name":5}', '{"NodeChecks":"x"}', "[1]"):
        say("PUT", "/v1/session/create", body)
    for ttl in ("10s", "", "0", "0s", "1m30s", "24h", "10500ms", "1.5m", "0h"):
        session = say("PUT", "/v1/session/create", {"TTL": ttl}).json["ID"]
        say("GET", f"/v1/session/info/{session}")


def a_lock_delay_may_be_a_number_and_that_is_a_trap(say: Talk) -> None:
    """Below 1000 seconds, above nanoseconds; above 60 s shown but not enforced."""
    for delay in ("1s", "0s", "90s", "1m", "500ns", "-5s", 15, 15000, 15.5, 0, 999, 1000):
        session = say("PUT", "/v1/session/create", {"LockDelay": delay}).json["ID"]
        say("GET", f"/v1/session/info/{session}")
    say("PUT", "/v1/session/create", {"LockDelay": "abc"})
    say("PUT", "/v1/session/create", {"LockDelay": "15"})


def checks_must_exist(say: Talk) -> None:
    """Old and new fields; a refused session uses up a Raft index."""
    refused: list[dict[str, Any]] = [
        {"NodeChecks": ["nope"]},
        {"Checks": ["nope"]},
        {"ServiceChecks": [{"ID": "nope"}]},
        {"Node": "elsewhere"},
        {"Behavior": "bogus"},
    ]
    for body in refused:
        say("PUT", "/v1/session/create", body)
    accepted: list[dict[str, Any]] = [
        {"NodeChecks": ["serfHealth"]},
        {"NodeChecks": None},
        {"Checks": []},
        {"Checks": None},
        {"Checks": ["serfHealth"], "NodeChecks": []},
        {"Checks": ["serfHealth", "serfHealth"]},
        {"ServiceChecks": []},
        {"NodeChecks": ["serfHealth", "serfHealth"]},
    ]
    for body in accepted:
        session = say("PUT", "/v1/session/create", body).json["ID"]
        say("GET", f"/v1/session/info/{session}")


def renewing(say: Talk) -> None:
    """A renewal shows the session and writes nothing."""
    session = say.session(TTL="10s")
    say("PUT", f"/v1/session/renew/{session}")
    say("PUT", "a", "x")
    say("GET", "a")
    forever = say.session()
    say("PUT", f"/v1/session/renew/{forever}")
    say("PUT", f"/v1/session/destroy/{session}")
    say("PUT", f"/v1/session/renew/{session}")
    say("PUT", f"/v1/session/renew/{UNKNOWN}")
    say("GET", f"/v1/session/renew/{UNKNOWN}")


def ids_that_are_no_uuid_are_refused(say: Talk) -> None:
    """The texts of the database's index."""
    for wrong in ("abc", "ZZcb0e4d-0000-0000-0000-000000000000", UNKNOWN + "0", UNKNOWN.upper()):
        say("PUT", f"/v1/session/renew/{wrong}")
        say("PUT", f"/v1/session/destroy/{wrong}")
        say("PUT", f"a?acquire={wrong}", "x")
        say("GET", f"/v1/session/info/{wrong}", loose=True)
    for path in ("renew/", "destroy/"):
        say("PUT", f"/v1/session/{path}")
    for path in ("info/", "node/"):
        say("GET", f"/v1/session/{path}")


SCRIPTS = [
    a_session_is_created_shown_and_destroyed,
    names_in_the_body_ignore_case,
    a_ttl_is_a_text_with_a_unit_in_range,
    a_lock_delay_may_be_a_number_and_that_is_a_trap,
    checks_must_exist,
    renewing,
    ids_that_are_no_uuid_are_refused,
]
