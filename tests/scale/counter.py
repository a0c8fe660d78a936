"""Counts what goes to Consul, where both faces send it."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from consul_lock._drivers.loop_transport import LoopTransport
from consul_lock._drivers.thread_transport import ThreadTransport
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.flow import Request


class Requests:
    """How many requests of which kind were sent, and which of them came to nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._mutex = threading.Lock()
        self.kinds: Counter[str] = Counter()
        self.failures: list[str] = []
        self.refused: list[str] = []
        """Why transactions were refused: each is an entry in Raft's log, too."""
        self._wrap_threads(monkeypatch)
        self._wrap_tasks(monkeypatch)

    def _wrap_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        send = ThreadTransport._exchange

        def counted(transport: ThreadTransport, request: Request, *times: Any) -> Any:
            self._count(request)
            try:
                answer = send(transport, request, *times)
            except Exception as error:
                self._failed(error)
                raise
            return self._answered(answer)

        monkeypatch.setattr(ThreadTransport, "_exchange", counted)

    def _wrap_tasks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        send = LoopTransport.exchange

        async def counted(transport: LoopTransport, request: Request, *times: Any) -> Any:
            self._count(request)
            try:
                answer = await send(transport, request, *times)
            except Exception as error:
                self._failed(error)
                raise
            return self._answered(answer)

        monkeypatch.setattr(LoopTransport, "exchange", counted)

    def _count(self, request: Request) -> None:
        with self._mutex:
            self.kinds[_kind(request)] += 1

    def _answered(self, answer: Any) -> Any:
        if isinstance(answer, TxnResult) and not answer.done:
            with self._mutex:
                self.refused.append(answer.reasons)
        return answer

    def _failed(self, error: Exception) -> None:
        with self._mutex:
            self.failures.append(repr(error))

    def of_locking(self) -> int:
        """All but what keeps sessions alive, which depends on time and not on hand-overs."""
        with self._mutex:
            return sum(count for kind, count in self.kinds.items() if kind != "keeping")

    def clear(self) -> None:
        """Begin anew."""
        with self._mutex:
            self.kinds.clear()
            self.refused.clear()


def _kind(request: Request) -> str:
    if request.urgent:
        return "keeping"
    if request.wait:
        return "watch"
    return "read" if request.method == "GET" else request.path.removeprefix("/v1/")
