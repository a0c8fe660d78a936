"""The records of the log: sentences for people, fields for programs."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from consul_lock import Holder, LossReason, Unavailable
from consul_lock._drivers.event_log import fields, sentence, write

_HOLDER = Holder("1234", "web3", 4242, "root", meta={"traceparent": "00-1"})
_ABOUT: dict[str, Any] = {
    "name": "deploy",
    "kind": "lock",
    "key": "deploy/.lock",
    "session": "5678",
    "token": 17,
    "holder": None,
    "attempt": 3,
    "meta": {"traceparent": "00-2"},
}
_SLOT = {**_ABOUT, "slot": "2026-11-29T17:00:00Z", "epoch": 1.0}
_AWAY = Unavailable("connection refused", uncertain=False)

_SENTENCES = [
    ("waiting", {}, "waiting for 'deploy'"),
    (
        "waiting",
        {"holder": _HOLDER, "waited": 1.04},
        "waiting for 'deploy' for 1.040 s, held by web3 pid 4242 (root)",
    ),
    (
        "acquired",
        {"waited": 0.0021, "handed_over": False},
        "acquired 'deploy' after 0.002 s, fencing token 17",
    ),
    (
        "acquired",
        {"waited": 41.23, "handed_over": True, "holder": _HOLDER},
        "acquired 'deploy' after 41.2 s, fencing token 17, handed over by web3 pid 4242 (root)",
    ),
    (
        "elected",
        {"waited": 1.0, "handed_over": True},
        "elected to lead 'deploy' after 1.000 s, fencing token 17, handed over",
    ),
    ("released", {"held": 12.0}, "released 'deploy', which was held for 12.0 s"),
    ("resigned", {"held": 2.0}, "resigned from 'deploy' after 2.000 s"),
    ("handed-over", {"holder": _HOLDER}, "handed 'deploy' over to web3 pid 4242 (root)"),
    (
        "gave-up",
        {"waited": 5.0, "why": "timeout", "error": None, "holder": _HOLDER},
        "gave up 'deploy' after 5.000 s, held by web3 pid 4242 (root)",
    ),
    (
        "gave-up",
        {"waited": 5.0, "why": "error", "error": _AWAY},
        "gave up 'deploy' after 5.000 s: connection refused",
    ),
    (
        "gave-up",
        {"waited": 5.0, "why": "cut-off", "error": None},
        "gave up 'deploy' after 5.000 s: the call was cut off",
    ),
    (
        "lost",
        {"held": 30.0, "reason": LossReason.DEADLINE, "error": _AWAY},
        (
            "'deploy' was lost after 30.0 s (deadline; its renewals failed: connection refused):"
            " somebody else may hold it by now"
        ),
    ),
    (
        "retrying",
        {"pause": 0.2, "failing": 1.0, "error": _AWAY},
        "a request for 'deploy' failed, and is tried again within 0.200 s: connection refused",
    ),
    (
        "taken",
        {"host": "web2", **_SLOT},
        "slot 2026-11-29T17:00:00Z of 'deploy' was taken by web2",
    ),
    (
        "skipped",
        {"why": "late", **_SLOT},
        "slot 2026-11-29T17:00:00Z of 'deploy' is skipped (late)",
    ),
    (
        "started",
        {"run": 2, **_SLOT},
        "slot 2026-11-29T17:00:00Z of 'deploy' is run by this host, try 2",
    ),
    (
        "ended",
        {"runtime": 12.0, "state": "failed", "exit": 3, **_SLOT},
        "slot 2026-11-29T17:00:00Z of 'deploy' ended after 12.0 s: failed with exit code 3",
    ),
    (
        "missed",
        {"slots": 1, **_SLOT},
        "slot 2026-11-29T17:00:00Z of 'deploy' was missed: no host has run it",
    ),
    (
        "missed",
        {"slots": 6, **_SLOT},
        "6 slots of 'deploy' were missed, from 2026-11-29T17:00:00Z on: no host has run them",
    ),
    ("of another version", {}, "of another version"),
]


@pytest.mark.parametrize("event, more, text", _SENTENCES, ids=[text for *_, text in _SENTENCES])
def test_each_event_is_a_sentence(event: str, more: dict[str, Any], text: str) -> None:
    """With what matters to people, and no more."""
    assert sentence(event, {**_ABOUT, **more}) == text


def test_fields_are_plain_and_have_a_prefix() -> None:
    """``name`` alone is an attribute of every record; objects are words or numbers there."""
    found = fields(
        "lost",
        {**_ABOUT, "reason": LossReason.STOLEN, "error": _AWAY, "held": 1.23456, "holder": _HOLDER},
    )
    assert found == {
        "consul_lock_event": "lost",
        "consul_lock_name": "deploy",
        "consul_lock_kind": "lock",
        "consul_lock_key": "deploy/.lock",
        "consul_lock_session": "5678",
        "consul_lock_token": 17,
        "consul_lock_holder": "web3 pid 4242 (root)",
        "consul_lock_attempt": 3,
        "consul_lock_reason": "stolen",
        "consul_lock_error": "connection refused",
        "consul_lock_held": 1.235,
    }


def test_a_record_is_written_if_the_log_has_its_level(caplog: pytest.LogCaptureFixture) -> None:
    """To the logger of the library, with the sentence and the fields."""
    with caplog.at_level(logging.INFO, "consul_lock"):
        write("waiting", logging.DEBUG, _ABOUT)
        write("released", logging.INFO, {**_ABOUT, "held": 1.0})
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("consul_lock", "INFO")
    assert record.getMessage() == "released 'deploy', which was held for 1.000 s"
    assert record.__dict__["consul_lock_token"] == 17
    assert record.name != record.__dict__["consul_lock_name"]
