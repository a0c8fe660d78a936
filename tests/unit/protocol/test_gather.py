"""Flows side by side: in step, at most so many, each with its own answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock._protocol.flow import Batch, Flow, Now, Request
from consul_lock._protocol.gather import gather


def ask(path: str) -> Request:
    return Request("GET", path, (), None, lambda reply: reply)


def asking(name: str, times: int, got: list[Any]) -> Flow[None]:
    """A flow of so many requests, with what it got."""
    for number in range(times):
        try:
            got.append((yield ask(f"{name}{number}")))
        except ValueError as error:
            got.append(error)


def perform(flow: Flow[None], answer: Callable[[str], Any] = str.upper) -> list[list[str]]:
    """To the end; the paths of each batch."""
    batches, value = list[list[str]](), None
    while True:
        try:
            effect = flow.send(value)
        except StopIteration:
            return batches
        assert isinstance(effect, Batch), "a request was sent by itself"
        paths = [request.path for request in effect.requests]
        batches.append(paths)
        value = tuple(map(answer, paths))


def test_requests_go_out_in_step_and_the_next_flow_begins_when_one_has_ended() -> None:
    """At most two at a time."""
    flows = [asking(name, times, []) for name, times in (("a", 1), ("b", 3), ("c", 1), ("d", 1))]
    assert perform(gather(flows, 2)) == [["a0", "b0"], ["b1", "c0"], ["b2", "d0"]]


def test_each_flow_gets_its_own_answers_and_errors() -> None:
    """An error of one is thrown into that one, which may catch it."""
    a, b, odd = list[Any](), list[Any](), ValueError("odd")
    flows = [asking("a", 2, a), asking("b", 2, b)]
    perform(gather(flows, 9), lambda path: odd if path == "a0" else path.upper())
    assert a == [odd, "A1"]
    assert b == ["B0", "B1"]


def test_flows_that_ask_nothing_send_nothing() -> None:
    """Nor does an empty list of them."""
    assert perform(gather([asking("a", 0, []), asking("b", 0, [])], 1)) == []
    assert perform(gather([], 1)) == []


def test_other_effects_are_performed_one_by_one() -> None:
    """With their results and errors given to the flow that wanted them."""
    seen = list[Any]()

    def looks() -> Flow[None]:
        seen.append((yield Now()))
        try:
            yield Now()
        except OSError as error:
            seen.append(error)
        yield ask("x")

    flow, failure = gather([looks()], 5), OSError("no clock")
    assert next(flow) == Now()
    assert flow.send(7.0) == Now()
    assert isinstance(flow.throw(failure), Batch)
    assert seen == [7.0, failure]


def test_an_error_that_a_flow_does_not_catch_ends_all() -> None:
    """The caller sees it."""
    with pytest.raises(KeyError):
        perform(gather([asking("a", 1, []), asking("b", 5, [])], 2), KeyError)
