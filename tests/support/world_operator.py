"""What an operator does in the model of Consul: at once, and by hand."""

from __future__ import annotations

from consul_lock._protocol.flow import Request
from consul_lock.testing import World


def operator(world: World, path: str, method: str = "PUT", body: bytes | None = None) -> bytes:
    """Do something at once, by hand; nothing comes of it while there is no leader."""
    target, _, query = path.partition("?")
    params = tuple((n, v) for n, _, v in (p.partition("=") for p in query.split("&") if p))
    if world.leaderless:
        return b""
    # Past what is on its way: whatever was admitted before is applied after it.
    raft, world.raft = world.raft, 0.0
    exchange = world.submit(Request(method, target, params, body, lambda reply: reply))
    world.raft = raft
    return exchange.reply.body if exchange.reply is not None else b""
