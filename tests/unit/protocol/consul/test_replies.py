"""What Consul answers: refusals are read from its words."""

from __future__ import annotations

import pytest

from consul_lock._protocol.consul.replies import NotConsul, TxnResult, check_reply
from consul_lock._protocol.flow import Reply
from consul_lock.errors import Unavailable


def refused(*errors: tuple[int, str]) -> TxnResult:
    return TxnResult(0.0, 0, (), errors)


def test_refusals_are_read_from_consuls_words() -> None:
    """Newer servers put prefixes before them."""
    prefix = "raft apply failed: "
    delayed = refused((1, prefix + 'failed to lock key "k" due to lock delay'))
    assert delayed.delayed
    assert not delayed.done
    assert not refused((0, 'failed to lock key "k", lock is already held')).delayed
    dead = refused((2, prefix + 'invalid session "abc"'))
    assert dead.invalid("abc")
    assert not dead.invalid("def")
    assert dead.says("invalid session", 2)
    assert not dead.says("invalid session", 0)


def test_what_a_proxy_answers_itself_is_said_to_be_of_a_proxy() -> None:
    """A login, and a long request that it did not wait for."""
    with pytest.raises(NotConsul, match="wants a login") as login:
        check_reply(Reply(401, {}, b"Authorization Required", 0.0), "reading 'k'", "a rule")
    assert login.value.settings == ("http_auth",)
    with pytest.raises(Unavailable, match="did not wait for the answer") as late:
        check_reply(Reply(504, {}, b"<html>", 0.0), "reading 'k'", "a rule")
    assert (late.value.status, late.value.kind) == (504, "server-error")


@pytest.mark.parametrize(
    "status, text",
    [
        (429, b"rate limit exceeded, try again later or against a different server"),
        (429, b"Your IP is issuing too many concurrent connections"),
        (503, b"rate limit exceeded for operation that can only be performed by the leader"),
        (500, b"rpc error making call: rate limit exceeded, try again later"),
    ],
)
def test_what_a_limit_of_requests_refuses_was_not_carried_out(status: int, text: bytes) -> None:
    """The servers have not looked at it; its word "leader" is no want of one."""
    with pytest.raises(Unavailable, match="limits the rate of requests") as caught:
        check_reply(Reply(status, {}, text, 0.0), "reading 'k'", "a rule")
    assert (caught.value.kind, caught.value.uncertain) == ("rate-limit", False)


def test_a_503_of_anything_else_leaves_the_outcome_unknown() -> None:
    """A proxy may have lost the answer."""
    with pytest.raises(Unavailable) as caught:
        check_reply(Reply(503, {}, b"no backend", 0.0), "reading 'k'", "a rule")
    assert (caught.value.kind, caught.value.uncertain) == ("server-error", True)
