"""`doctor` and answers that no agent gives, or that others have a part in: it says what is wrong,
obeys nothing, and comes to an end."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from consul_lock.testing import World
from consul_lock_cli.doctor.checks import CHECKS
from tests.cli.command import environment
from tests.cli.hostile_scene import HOSTILE, harmful
from tests.cli.in_process import in_process
from tests.faults.foreign_values import ODD, VALUES
from tests.support.effort import some
from tests.support.hostile_answers import ALTERED, REFUSALS, forward, once, wire
from tests.support.http_messages import Answer, Message
from tests.support.scripted_server import Script, scripted_server

_ANSWERS: dict[str, Any] = {
    "agent/self": {
        "Config": {"Version": f"1.21.4{HOSTILE}", "NodeName": HOSTILE, "Datacenter": HOSTILE}
    },
    "status/leader": HOSTILE,
    "acl/token/self": {
        "AccessorID": HOSTILE,
        "Policies": [{"Name": HOSTILE}],
        "ExpirationTime": "2999-01-01T00:00:00Z",
    },
    "health/node": [{"CheckID": HOSTILE, "Status": "critical"}, {"CheckID": "serfHealth"}],
}

# Of the requests of one run.
_REQUESTS = 22


def _examine(address: str, *more: str) -> tuple[int, str, str]:
    words = ["doctor", "--long-poll", "50ms", "--retry-for", "0", *more]
    env = environment(address, CONSUL_HTTP_TOKEN="t", XDG_CONFIG_HOME="/no/such/folder")
    done = in_process(*words, env=env)
    return done.returncode, done.stdout, done.stderr


def _well_ended(outcome: tuple[int, str, str], where: object) -> None:
    """With one of its exit codes, none of which is that of a bug, and all of its checks."""
    code, said, errors = outcome
    assert code in (0, 69, 77, 78), (where, said, errors)
    assert harmful(said + errors) == [], (where, said, errors)
    assert "Traceback" not in errors, (where, errors)
    assert all(f" {check.name} " in said for check in CHECKS), (where, said)


def _with(answers: dict[str, Any]) -> Script:
    """Consul, but for the documents at these places."""
    world = World()

    def script(message: Message) -> Answer | Iterator[bytes]:
        place = next((place for place in answers if f"/v1/{place}" in message.path), None)
        if place is None:
            return iter([wire(*forward(world, message))])
        return Answer(200, {"x-consul-index": "7"}, json.dumps(answers[place]).encode())

    return script


def test_what_a_server_says_is_shown_and_not_obeyed() -> None:
    """Its version, its names, its leader, its checks, the names of policies: each on its line."""
    with scripted_server(_with(_ANSWERS)) as server:
        _, said, errors = _examine(server.address)
        assert harmful(said + errors) == []
        shown = {line.split()[1]: line for line in said.splitlines() if "web\\x1b[2J" in line}
        assert {"agent", "token", "leader", "node-health"} <= shown.keys(), said
        said = _examine(server.address, "--json")[1]
        assert harmful(json.loads(said)["items"][13]["text"]) == []


def test_an_answer_of_another_form_is_not_a_bug_of_consul_lock() -> None:
    """Any document at the place of each, and anything in the place of each of its fields."""
    documents = [
        (place, document) for place, whole in _ANSWERS.items() for document in (*ODD, *_odd(whole))
    ]
    for place, document in some(documents, 12, "doctor"):
        with scripted_server(_with({place: document})) as server:
            _well_ended(_examine(server.address), (place, document))


def _odd(whole: Any) -> Iterator[Any]:
    if isinstance(whole, dict):
        for name, value in whole.items():
            yield from ({**whole, name: odd} for odd in (*ODD, *_odd(value)))
    elif isinstance(whole, list):
        yield from ([odd] for odd in (*ODD, *_odd(whole[0])))


def test_no_answer_to_one_of_its_requests_ends_it_otherwise() -> None:
    """Those that no agent gives."""
    for case, at in some(
        itertools.product([*REFUSALS, *ALTERED], range(_REQUESTS)), 145, "doctor's requests"
    ):
        with scripted_server(once(World(), at, case)) as server:
            _well_ended(_examine(server.address), f"{case} to request {at}")


def test_whatever_the_record_of_a_job_is_it_is_no_failure() -> None:
    """Times that are none, and documents that are none: others wrote them."""
    times = (*ODD, 10**400, float("inf"), float("nan"), "0001-01-01T00:00:00", "9999-12-31")
    values = [
        *VALUES.values(),
        *(json.dumps({"host": "a", "claimed_at": at, "history": [{"slot": 1, "claimed_at": 7}]})
          .encode() for at in times),
    ]  # fmt: skip
    world = World()
    for number, value in enumerate(values):
        message = Message(f"PUT /v1/kv/jobs/{number}/.cron HTTP/1.1", {}, value[:300_000], b"")
        assert forward(world, message).status == 200
    with scripted_server(once(world, -1, "")) as server:
        code, said, errors = _examine(server.address)
        _well_ended((code, said, errors), "records")
    (line,) = (line for line in said.splitlines() if " cron-clocks " in line)
    assert not line.startswith("FAIL")


def _trickle(message: Message) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nX-Long: "
    while True:
        threading.Event().wait(0.1)
        yield b"x"


def _interim(message: Message) -> Iterator[bytes]:
    while True:
        threading.Event().wait(0.1)
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 100


@pytest.mark.parametrize("script", [_trickle, _interim], ids=["trickle", "interim answers"])
def test_an_answer_that_never_ends_ends_with_the_time_of_its_request(
    script: Callable[[Message], Iterator[bytes]],
) -> None:
    """A server that sends something all the time is as silent as one that sends nothing."""
    with scripted_server(script) as server:
        code, _, errors = _examine(server.address, "--request-timeout", "1s")
    assert code == 69
    assert "gave no answer within 1s" in errors
