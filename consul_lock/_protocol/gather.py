"""Several flows side by side, without threads or tasks: their requests go out in batches."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from consul_lock._protocol.flow import Batch, Flow, Request


def gather(flows: Iterable[Flow[None]], most: int) -> Flow[None]:
    """Run flows to their ends, at most so many at a time.

    In step: each is performed up to its next request, and those of all are sent in one batch.  So
    with answers that take 25 ms, 1,000 releases take no longer than a few of them.  Other effects
    are performed one by one, so this is for flows that seldom pause.  A request may be sent again
    if its connection turns out to have been closed before (see `Batch`), so it has to be one that
    may be done twice.  An error that one of the flows does not catch ends all of them.
    """
    coming, asking = iter(flows), dict[Flow[None], Request]()
    while True:
        for flow in islice(coming, most - len(asking)):
            yield from _up_to_request(flow, None, asking)
        if not asking:
            return
        asked = dict(asking)
        asking.clear()
        answers = yield Batch(tuple(asked.values()))
        for flow, answer in zip(asked, answers, strict=True):
            yield from _up_to_request(flow, answer, asking)


def _up_to_request(flow: Flow[None], value: Any, asking: dict[Flow[None], Request]) -> Flow[None]:
    """Go on with a flow, whose last effect had this result, up to its next request or its end."""
    while True:
        try:
            effect = flow.throw(value) if isinstance(value, Exception) else flow.send(value)
        except StopIteration:
            return
        if isinstance(effect, Request):
            asking[flow] = effect
            return
        try:
            value = yield effect
        except Exception as error:  # noqa: BLE001 - the flow gets every error
            value = error
