"""What runs have reached: the features that guide a search, and those that it has never seen.

A feature is a word for a small piece of what happened: what was asked for and what came of it, in
which state of the client; one such step after another; an error that a caller got; a transition
of a hold; an event of the invariants, and how often it came, by powers of two.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import consul_lock
from consul_lock._protocol.consul.models import ReadResult
from consul_lock._protocol.consul.replies import TxnResult
from consul_lock._protocol.cron.decision import CronOutcome
from consul_lock._protocol.flow import Request
from consul_lock._protocol.hold import hold as hold_module
from consul_lock._protocol.hold.state import TRANSITIONS, Event, State, advance
from consul_lock._protocol.lock import acquire as lock_acquire
from consul_lock._protocol.lock import queue as lock_queue
from consul_lock._protocol.lock.decision import LockState, decide
from consul_lock.errors import LossReason
from tests.simulation.network_message import Fate
from tests.simulation.scenario import Trouble
from tests.simulation.simulator import Host, Simulator

_NAMED = re.compile(r"\"[^\"]*\"|'[^']*'|[0-9a-f]{8}-[0-9a-f-]{27}|\d+(?:\.\d+)?")

# The operations of a transaction: its values are base64.
_VERB = re.compile(r'"Verb": ?"([^"]*)"')

# The part of the library that the simulation runs.
_FLOWS = (
    "client",
    "consul",
    "cron",
    "election",
    "hold",
    "lock",
    "multilock",
    "primitive",
    "session",
    "weighted",
)

# What a transaction is refused for, by Consul's words, where flows decide by it.
REFUSALS = (
    "is already held",
    "due to lock delay",
    "lock isn't held",
    "doesn't exist",
    "exists",
    "index is stale",
    "current modify index",
    "current session",
    "invalid session",
)


class Coverage:
    """The features of one run, or of many."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._last: dict[Host, str] = {}
        self._steps: set[tuple[str, str, str]] = set()
        """Steps that were noted, each with the state of the client and the step before."""

    def watch(self, simulator: Simulator) -> None:
        """See what comes of each request."""
        simulator.coverage = self._answered

    def _answered(self, host: Host, request: Request, answer: object) -> None:
        step = f"{asked(request)} -> {outcome(answer)}"
        before, self._last[host] = self._last.get(host, ""), step
        state = _state(host)
        if (step, state, before) in self._steps:
            return
        self._steps.add((step, state, before))
        self.seen.add(f"step: {step}")
        self.seen.add(f"in state: {state}: {step}")
        self.seen.add(f"after: {before}: {step}")
        self.seen.update(f"refusal: {text}" for text in REFUSALS if text in step)

    def note_counts(self, counts: Counter[str]) -> None:
        """What happened in a run, and about how often."""
        for what, number in counts.items():
            if number:
                self.seen.add(f"count: {what}")
                self.seen.add(f"often: {what}: {number.bit_length()}")

    @contextmanager
    def observing(self) -> Iterator[None]:
        """See the transitions of holds, and what reads of locks mean."""

        def seen_advance(state: State, event: Event) -> State | None:
            then = advance(state, event)
            if then is not None:
                self.seen.add(f"hold: {state.value} + {event.value}")
            return then

        def seen_decide(*args: Any, **chosen: Any) -> LockState:
            verdict = decide(*args, **chosen)
            self.seen.add(f"lock: {verdict.name.lower()}")
            return verdict

        with (
            patch.object(hold_module, "advance", seen_advance),
            patch.object(lock_acquire, "decide", seen_decide),
            patch.object(lock_queue, "decide", seen_decide),
        ):
            yield


def asked(request: Request) -> str:
    """What kind of request it is."""
    if request.path == "/v1/txn":
        return _transaction(tuple(_VERB.findall((request.body or b"").decode())))
    return _plain(request.method, request.path, request.params)


@lru_cache(10_000)
def _transaction(verbs: tuple[str, ...]) -> str:
    # How many dead waiters are deleted, or holders checked, makes no other request of it.
    short = [verb for place, verb in enumerate(verbs) if verbs[place - 1 : place] != (verb,)]
    return f"txn {' '.join(short)}"


@lru_cache(10_000)
def _plain(method: str, path: str, params: tuple[tuple[str, str], ...]) -> str:
    # Endpoints of one word are those of keys, and what comes after that is the key.
    endpoint, _, rest = path.removeprefix("/v1/").partition("/")
    what = f"session/{rest.partition('/')[0]}" if endpoint == "session" else endpoint
    names = sorted({name for name, _ in params} & {"consistent", "index", "recurse", "cas"})
    return " ".join([method, what, *names])


def outcome(answer: object) -> str:
    """What came of it: an error's kind, a refusal without its names, or a sort of value."""
    if isinstance(answer, BaseException):
        kind = getattr(answer, "kind", "")
        uncertain = " uncertain" if getattr(answer, "uncertain", False) else ""
        return f"{type(answer).__name__} {kind}{uncertain}"
    if isinstance(answer, TxnResult):
        return "done" if answer.done else _NAMED.sub("_", str(answer.reasons))
    if isinstance(answer, ReadResult):
        held = sum(1 for pair in answer.pairs if pair.session)
        return f"{min(len(answer.pairs), 3)} keys, {min(held, 2)} with a session"
    return repr(answer) if isinstance(answer, bool) or answer is None else type(answer).__name__


def _state(host: Host) -> str:
    """How things stand with a client, roughly."""
    core = getattr(host, "core", None)
    holds = min(len(core.holds), 2) if core is not None else 0
    words = f"{holds} holds"
    for process in host.processes:
        if process.name.startswith("undo"):
            words += " undoing"
            break
    if host.hung_up:
        words += " closing"
    return words + " cut off" if host.simulator.now < host.cut_off_until else words


def known_features() -> set[str]:
    """What a search should reach some time: tests or other runs have to prove what it cannot."""
    return {
        *(f"refusal: {text}" for text in REFUSALS),
        *(f"hold: {state.value} + {event.value}" for state, event in TRANSITIONS),
        *(f"lock: {state.name.lower()}" for state in LockState),
        *(f"count: lost: {reason.value}" for reason in LossReason),
        *(f"count: cron: {outcome.value}" for outcome in CronOutcome),
        *(f"count: {what}" for what in ("starts", "proclaimed", "leaders observed")),
        *(f"count: trouble: {trouble.value}" for trouble in Trouble),
        *(f"count: {fate.value}" for fate in Fate if fate is not Fate.WELL),
        *(f"count: error: {kind}" for kind in error_kinds()),
    }


@cache
def error_kinds() -> frozenset[str]:
    """The kinds of errors that the flows of locks raise, by their sources."""
    folder = Path(str(consul_lock.__file__)).parent / "_protocol"
    return frozenset(
        keyword.value.value
        for part in _FLOWS
        for file in sorted((folder / part).glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "kind" and isinstance(keyword.value, ast.Constant)
    )


def never_reached(seen: Iterable[str]) -> list[str]:
    """The known features that are not among these."""
    return sorted(known_features() - set(seen))
