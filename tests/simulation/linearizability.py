"""A second judge of a run: is there an order of all its operations that one lock would allow?

A history is linearizable if each operation can be given one moment between its call and its return
such that, one after the other, they are what a sequential lock allows.  That lock is `after`, and
it knows nothing of sessions, queues, documents and deadlines.  The search for the order is that of
Wing and Gong, with Lowe's memory of what was tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from tests.simulation.history import Action, Operation

# States that are looked at before the search gives up: a history that is in order needs a few for
# each operation.
STATES_MAX = 50_000


class NotLinearizable(AssertionError):
    """No order of the operations is one that a sequential lock allows."""


class Undecided(Exception):
    """There are too many orders to try."""


Weights = frozenset[tuple[str, int]]


class State(NamedTuple):
    """The sequential lock, semaphore, read/write lock or tree."""

    held: frozenset[tuple[int, Weights]]
    limit: int
    tokens: frozenset[tuple[str, int, int]]
    """By resource and weight, the highest fencing token that was given."""


def after(state: State, operation: Operation, widest: int) -> Iterator[State]:
    """The states in which the lock may be after an operation; none: it is not allowed now.

    ``widest`` is the highest limit that there ever was: who does not fit beside somebody under that
    has to have a higher fencing token.
    """
    held, limit, tokens = state
    weights = frozenset(operation.weights.items())
    mine = frozenset(each for each in held if each[0] == operation.hold)
    if operation.action is Action.RESIZE:
        assert operation.limit is not None
        yield State(held, operation.limit, tokens)
    elif operation.action is Action.ACQUIRE:
        used = Counter[str]()
        for _, parts in held:
            used.update(dict(parts))
        # Who finds a semaphore empty brings its limit along.
        for most in {limit} if held else {limit, *operation.brings}:
            fits = all(used[name] + weight <= most for name, weight in weights)
            if fits and _token_grows(tokens, weights, operation.token, widest):
                now = frozenset((name, weight, operation.token) for name, weight in weights)
                yield State(held | {(operation.hold, weights)}, most, _highest(tokens | now))
    elif mine:
        less = {(operation.hold, weights)} if operation.action is Action.REDUCE else set()
        yield State((held - mine) | less, limit, tokens)


def _token_grows(
    tokens: Collection[tuple[str, int, int]], weights: Weights, token: int, widest: int
) -> bool:
    return all(
        token > other
        for name, weight in weights
        for known, beside, other in tokens
        if known == name and weight + beside > widest
    )


def _highest(tokens: Collection[tuple[str, int, int]]) -> frozenset[tuple[str, int, int]]:
    highest: dict[tuple[str, int], int] = {}
    for name, weight, token in tokens:
        highest[name, weight] = max(token, highest.get((name, weight), 0))
    return frozenset((name, weight, token) for (name, weight), token in highest.items())


def concerning(operations: Sequence[Operation], names: Collection[str]) -> list[Operation]:
    """The operations of a history on these resources."""
    holds = {o.hold for o in operations if o.action is Action.ACQUIRE and names & o.weights.keys()}
    return [
        o
        for o in operations
        if o.hold in holds or (o.action is Action.RESIZE and names & o.weights.keys())
    ]


def check_linearizable(operations: Sequence[Operation], limit: int) -> int:
    """Raise `NotLinearizable` if a history is not; ``limit`` is that of each resource at first.

    Returns how many states were looked at.
    """
    # By their return, so that the first order that is tried is mostly a right one.
    order = sorted(operations, key=lambda o: (o.returned or float("inf"), o.called))
    limits = [limit for o in order for limit in (o.limit, *o.brings) if limit is not None]
    widest = max(limit, *limits) if limits else limit
    must = sum(1 << place for place, o in enumerate(order) if o.returned is not None)
    start = (0, State(frozenset(), limit, frozenset()))
    stack, tried, furthest = [start], {start}, 0
    while stack:
        done, state = stack.pop()
        if done & must == must:
            return len(tried)
        if len(tried) > STATES_MAX:
            raise Undecided(f"{len(tried)} states of {len(order)} operations")
        furthest = max(furthest, done.bit_count())
        following = []
        for place in _may_be_next(order, done):
            for then in after(state, order[place], widest):
                config = (done | 1 << place, then)
                if config not in tried:
                    tried.add(config)
                    following.append(config)
        stack += reversed(following)
    raise NotLinearizable(
        f"of {len(order)} operations no more than {furthest} can be put in order:\n"
        + "\n".join(map(str, sorted(order, key=lambda o: o.called)))
    )


def _may_be_next(order: Sequence[Operation], done: int) -> Iterator[int]:
    """Places of those that were called before any other one that is left has returned."""
    first: float | None = None
    for place, operation in enumerate(order):
        if done >> place & 1:
            continue
        if first is None:
            first = operation.returned or float("inf")
        if operation.called < first:
            yield place
