"""What Consul answers, as records."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consul_lock._protocol.consul.models import (
    Pair,
    go_duration,
    is_session,
    parse_created,
    parse_pair,
    parse_passed,
    parse_proof_of_life,
    parse_read,
    parse_renewal,
    parse_session,
    parse_sessions,
)
from consul_lock._protocol.consul.replies import NotConsul
from consul_lock._protocol.flow import Reply
from consul_lock.errors import PermissionDenied, Refused, Unavailable

ID = "01234567-89ab-cdef-0123-456789abcdef"
ENTRY = {"Key": "k", "Value": "eA==", "Flags": 3, "CreateIndex": 5, "ModifyIndex": 7}
SESSION = {"ID": ID, "Name": "me", "Node": "n", "TTL": "15s", "LockDelay": 1500000000}


def reply(status: int, body: Any, **headers: str) -> Reply:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): v for name, v in headers.items()}, text, 4.0)


@pytest.mark.parametrize(
    "word, expected",
    [
        (ID, True),
        (ID.upper(), False),
        (ID[:-1], False),
        (f"{ID}0", False),
        ("\N{ARABIC-INDIC DIGIT ZERO}" + ID[1:], False),
    ],
)
def test_the_format_of_session_ids(word: str, expected: bool) -> None:
    """As Consul makes them, in full."""
    assert is_session(word) is expected


@pytest.mark.parametrize(
    "seconds, text", [(15, "15s"), (15.0, "15s"), (0, "0s"), (0.4, "400ms"), (100 / 3, "33333ms")]
)
def test_durations_have_a_unit_and_no_more_digits_than_milliseconds(
    seconds: float, text: str
) -> None:
    """Consul takes a bare number for nanoseconds."""
    assert go_duration(seconds) == text


@pytest.mark.parametrize(
    "more, value, session",
    [({}, b"x", ""), ({"Value": None}, b"", ""), ({"Session": ID}, b"x", ID)],
)
def test_a_key(more: dict[str, Any], value: bytes, session: str) -> None:
    """Without a value, or without a holder, the field is missing or null."""
    assert parse_pair({**ENTRY, **more}) == Pair("k", value, 3, session, 5, 7)


# -- reads of keys


@pytest.mark.parametrize("index, expected", [("7", 7), ("0", 1), ("-3", 1), (None, 1)])
def test_an_index_below_one_is_never_asked_with(index: str | None, expected: int) -> None:
    """The next read would return at once, without end."""
    headers = {} if index is None else {"x_consul_index": index}
    found = parse_read(reply(200, [ENTRY], **headers), "reading", "rule")
    assert (found.raft_index, found.pair) == (expected, parse_pair(ENTRY))


def test_a_key_that_is_not_there_is_no_error_if_consul_says_so() -> None:
    """A 404 without an index is one of something in front of Consul."""
    assert parse_read(reply(404, b"", x_consul_index="9"), "reading", "rule").pair is None
    with pytest.raises(NotConsul):
        parse_read(reply(404, b""), "reading", "rule")


@pytest.mark.parametrize("body", [[], [{**ENTRY, "Key": "other"}], [ENTRY, ENTRY]], ids=len)
def test_a_read_of_one_key_is_answered_with_that_key(body: Any) -> None:
    """A key that is not there is a 404: an empty list would make a hold seem to be lost."""
    with pytest.raises(NotConsul):
        parse_read(reply(200, body), "reading", "rule", "k")
    assert parse_read(reply(200, [ENTRY]), "reading", "rule", "k").pair == parse_pair(ENTRY)


WRONG = [
    ("Key", 5), ("Key", None), ("Key", "\ud800"), ("Flags", "3"), ("Flags", -1), ("Flags", 2**64),
    ("Flags", 1.0), ("Flags", True), ("Session", 5), ("Session", ["x"]), ("Session", "\udfff"),
    ("Value", "!"), ("Value", "eA"), ("Value", 5), ("Value", "eA==\n"), ("Value", "\u00e9"),
    ("CreateIndex", None), ("CreateIndex", -1), ("ModifyIndex", "7"), ("ModifyIndex", 7.5),
    ("ModifyIndex", 2**64), ("ModifyIndex", 10**400), ("ModifyIndex", float("nan")),
    ("LockIndex", "1"), ("LockIndex", -1), ("LockIndex", 2**64), ("LockIndex", True),
]  # fmt: skip


@pytest.mark.parametrize("field, value", WRONG, ids=lambda value: ascii(value)[:20])
def test_a_key_with_a_field_of_another_type_is_not_from_consul(field: str, value: Any) -> None:
    """It is refused where it is read, and not where it is used."""
    with pytest.raises(NotConsul):
        parse_read(reply(200, [{**ENTRY, field: value}]), "reading", "rule")
    assert parse_pair({**ENTRY, "Session": None, "More": []}).session == ""


@pytest.mark.parametrize("body", [b"[{}]", b'[{"Key": "k"}]', b"7", b"no JSON"])
def test_an_answer_that_is_not_a_list_of_keys_is_not_from_consul(body: bytes) -> None:
    """Such as that of a captive portal."""
    with pytest.raises(NotConsul):
        parse_read(reply(200, body), "reading", "rule")


def test_an_index_that_is_no_number_is_no_answer_of_consul() -> None:
    """Two proxies may each have put one in."""
    with pytest.raises(NotConsul, match="not that of a Consul agent"):
        parse_read(reply(200, [], x_consul_index="1, 1"), "reading", "rule")


@pytest.mark.parametrize("said, filtered", [("true", True), ("false", False), (None, False)])
def test_a_list_from_which_the_token_hides_something(said: str | None, filtered: bool) -> None:
    """Nobody has vanished from it."""
    headers = {} if said is None else {"x_consul_results_filtered_by_acls": said}
    assert parse_read(reply(200, [], **headers), "reading", "rule").filtered is filtered


# -- sessions and checks


@pytest.mark.parametrize(
    "more, nodes, services",
    [
        ({}, (), ()),
        ({"Checks": ["serfHealth"]}, ("serfHealth",), ()),
        ({"NodeChecks": ["a"], "Checks": ["b"]}, ("a",), ()),
        ({"NodeChecks": None, "ServiceChecks": [{"ID": "web"}]}, (), ("web",)),
    ],
)
def test_a_session(more: dict[str, Any], nodes: Any, services: Any) -> None:
    """Older servers have one list of checks; the lock-delay is in nanoseconds."""
    found = parse_session({**SESSION, **more}, 4.0)
    assert (found.id, found.name, found.lock_delay, found.ttl) == (ID, "me", 1.5, "15s")
    assert (found.checks, found.service_checks) == (nodes, services)


def test_only_consul_itself_can_say_that_a_session_is_dead() -> None:
    """A 404 of something in front of it proves nothing, and the session goes on."""
    assert parse_renewal(reply(404, f"Session id '{ID}' not found".encode()), ID) is None
    with pytest.raises(NotConsul):
        parse_renewal(reply(404, b"page not found"), ID)
    info = parse_renewal(reply(200, [SESSION]), ID)
    assert info is not None
    assert (info.id, info.sent) == (ID, 4.0)


@pytest.mark.parametrize("body, alive", [([SESSION], 4.0), ([], None), (None, None)])
def test_a_proof_of_life_is_the_time_of_its_sending(body: Any, alive: float | None) -> None:
    """An empty list is no proof."""
    assert parse_proof_of_life(reply(200, body), ID) == alive


@pytest.mark.parametrize(
    "body",
    [
        [{**SESSION, "ID": "other"}],
        [SESSION, SESSION],
        [{}],
        {"a": 1},
        [[]],
        "x",
        1,
        [{"ID": None}],
    ],
    ids=str,
)
def test_what_is_said_of_another_session_proves_nothing(body: Any) -> None:
    """The answer to another request may have been sent twice."""
    with pytest.raises(NotConsul):
        parse_proof_of_life(reply(200, body), ID)
    if body != [SESSION, SESSION]:
        with pytest.raises(NotConsul):
            parse_renewal(reply(200, body), ID)
    with pytest.raises(NotConsul):
        parse_renewal(reply(404, b"Session id 'other' not found"), ID)


def test_a_new_session_has_an_id() -> None:
    """A server that answers without one is not Consul."""
    assert parse_created(reply(200, {"ID": ID}), "creating") == (ID, 4.0)
    for odd in ({}, [], {"ID": None}, {"ID": 5}, {"ID": ""}, {"ID": "../x"}, {"ID": "\ud800"}):
        with pytest.raises(NotConsul):
            parse_created(reply(200, odd), "creating")


@pytest.mark.parametrize(
    "field, value",
    [
        ("LockDelay", 10**400), ("LockDelay", "15s"), ("LockDelay", -1), ("LockDelay", 1e300),
        ("Name", 5), ("TTL", 10), ("Behavior", [1]), ("NodeChecks", [5]), ("NodeChecks", 5),
        ("ServiceChecks", ["x"]), ("ServiceChecks", [{}]), ("ID", ""), ("ID", "a/b"),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_a_session_with_a_field_of_another_type_is_not_from_consul(field: str, value: Any) -> None:
    """Such as a lock-delay that no number of Python's holds."""
    with pytest.raises(NotConsul):
        parse_sessions(reply(200, [{**SESSION, field: value}]))


@pytest.mark.parametrize(
    "status, body, outcome",
    [
        (200, b"", True),
        (404, b'Unknown check ID "x"', False),
        (500, b'CheckID "x" does not have associated TTL', False),
        (500, b"No cluster leader", Unavailable),
        (403, b"Permission denied", PermissionDenied),
        (400, b"Unknown check", Refused),
    ],
)
def test_a_check_that_the_agent_does_not_know_is_an_answer(
    status: int, body: bytes, outcome: Any
) -> None:
    """By its words and its status; all else is an error."""
    if isinstance(outcome, bool):
        assert parse_passed(reply(status, body)) is outcome
    else:
        with pytest.raises(outcome):
            parse_passed(reply(status, body))


def test_a_list_of_which_all_is_hidden_is_one_that_hides_keys() -> None:
    """Consul answers as if there were none, and says so in a header."""
    headers = {"x-consul-index": "7", "x-consul-results-filtered-by-acls": "true"}
    hidden = parse_read(Reply(404, headers, b"", 0.0), "reading", "a rule")
    assert (hidden.pairs, hidden.filtered, hidden.raft_index) == ((), True, 7)
    none = parse_read(Reply(404, {"x-consul-index": "7"}, b"", 0.0), "reading", "a rule")
    assert not none.filtered
