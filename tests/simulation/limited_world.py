"""Servers that limit the rate of requests, and the client agent in front of them.

As Consul 1.15 and later do it with ``limits { request_limits { mode = "enforcing" } }``: one bucket
of tokens for reads and one for writes, which is a renewal, too; each holds ten seconds' worth.  The
leader refuses a write, and the agent passes that on at once (503).  A read that is refused the
agent sends again by itself, after pauses that double, for seven seconds, before it answers 429; it
goes on with that for a client that listens no longer.
"""

from __future__ import annotations

import json
from random import Random

from consul_lock._protocol.flow import Request
from consul_lock.testing import Exchange, World
from consul_lock.testing.responses import TEXT, Answer, Refusal
from consul_lock.testing.router import prepare

# Seconds that the agent tries a refused read, and the longest first pause (``rpc_hold_timeout``).
_HOLD, _FIRST = 7.0, 7.0 / 16

# Seconds' worth of tokens that a bucket holds.
_BURST = 10

TRY_LATER = Answer(
    503,
    TEXT,
    b"rate limit exceeded for operation that can only be performed by the leader, try again later",
)
TRY_ELSEWHERE = Answer(
    429, TEXT, b"rate limit exceeded, try again later or against a different server"
)


class Bucket:
    """Tokens for requests of one kind: so many more each second."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = self._most = int(rate) * _BURST
        self._filled_at = 0.0
        self.served = 0
        self.refused = 0

    def take(self, now: float) -> bool:
        """Whether a request may be served."""
        tokens = min(self._most, self._tokens + (now - self._filled_at) * self._rate)
        allowed = tokens >= 1.0
        self._tokens, self._filled_at = tokens - allowed, now
        self.served += allowed
        self.refused += not allowed
        return allowed


class LimitedWorld(World):
    """A `World` that serves so many reads and writes a second."""

    def __init__(self, seed: int, reads: float, writes: float) -> None:
        super().__init__(seed)
        self.reads, self.writes = Bucket(reads), Bucket(writes)
        self._jitter = Random(seed)

    def submit(self, request: Request) -> Exchange:
        bucket = self.writes if writes(request) else self.reads
        if bucket.take(self.now):
            return super().submit(request)
        exchange = Exchange(self, request, self.now)
        if bucket is self.writes:
            exchange._answer(TRY_LATER)
        else:
            self._try_again(exchange, 0.0, _FIRST)
        return exchange

    def _try_again(self, exchange: Exchange, last: float, most: float) -> None:
        """Send a refused read again, after a pause longer than the last."""
        pause = self._jitter.uniform(last, most)

        def again() -> None:
            if self.reads.take(self.now):
                self._carry_out(exchange)
            elif self.now - exchange.sent > _HOLD:
                exchange._answer(TRY_ELSEWHERE)
            else:
                self._try_again(exchange, pause, 2 * most)

        self._server.time.at(self.now + pause, again)

    def _carry_out(self, exchange: Exchange) -> None:
        try:
            work = prepare(self._server, exchange.request)
        except Refusal as error:
            exchange._answer(error.answer)
            return
        self._perform(exchange, work)


def writes(request: Request) -> bool:
    """Whether Consul counts it as a write: a renewal is one, a transaction that looks is none."""
    if request.path != "/v1/txn":
        return request.method != "GET"
    verbs = [operation["KV"]["Verb"] for operation in json.loads(request.body or b"[]")]
    return not all(verb.startswith(("check", "get")) for verb in verbs)
