"""What Consul answers: refusals are read from its words."""

from __future__ import annotations

from consul_lock._protocol.consul.replies import TxnResult


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
