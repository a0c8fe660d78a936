"""Make a failing plan as small as possible, for a person to read; and write it as one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.simulation.scenario import Client, Fault, Plan, Trouble
from tests.simulation.weighted_scenario import ACTIVITIES, CrowdPlan

Fails = Callable[[CrowdPlan], bool]

# Runs that a plan is shrunk with, at most: each takes a tenth of a second.
RUNS_MAX = 400


def shrunk(plan: CrowdPlan, fails: Fails, runs: int = RUNS_MAX) -> CrowdPlan:
    """A plan that fails, of which nothing more can be left out or made simpler.

    Larger steps come first: half of the faults, then a quarter, then each; then what is left of
    the clients and the network.  It begins again as long as something was left out.
    """
    left = runs
    while left > 0:
        for smaller in _smaller(plan):
            left -= 1
            if fails(smaller):
                plan = smaller
                break
            if left <= 0:
                break
        else:
            return plan
    return plan


def _smaller(plan: CrowdPlan) -> Iterator[CrowdPlan]:
    if plan.kind == "mixed":
        for more in (each for each in ACTIVITIES if each not in plan.without):
            yield plan._replace(without=(*plan.without, more))
    for each in _simpler(plan.plan):
        yield plan._replace(plan=each)


def _simpler(plan: Plan) -> Iterator[Plan]:
    faults = plan.faults
    size = len(faults)
    while size:
        for first in range(0, len(faults), size):
            yield plan._replace(faults=faults[:first] + faults[first + size :])
        size //= 2
    yield from _with_simpler_clients(plan)
    yield from _with_simpler_network(plan)
    for place, fault in enumerate(faults):
        # The time between it and the next one stays, if anything is left of it.
        for gap in {0, fault.gap // 2} - {fault.gap}:
            yield plan._replace(
                faults=(*faults[:place], fault._replace(gap=gap), *faults[place + 1 :])
            )


def _with_simpler_clients(plan: Plan) -> Iterator[Plan]:
    for place, client in enumerate(plan.clients):
        if len(plan.clients) > 2:
            yield plan._replace(clients=_without(plan.clients, place))
        for simpler in _simpler_client(client):
            clients = (*plan.clients[:place], simpler, *plan.clients[place + 1 :])
            yield plan._replace(clients=clients)


def _with_simpler_network(plan: Plan) -> Iterator[Plan]:
    for name, value in (("rounds", 1), ("delays", (0,)), ("raft", (0.0,)), ("expiry", 2.0)):
        if getattr(plan, name) != value:
            yield plan._replace(**{name: value})
    if len(plan.delays) > 1:
        yield plan._replace(delays=plan.delays[: len(plan.delays) // 2])
    if plan.rounds > 2:
        yield plan._replace(rounds=plan.rounds // 2)


def _without(clients: tuple[Client, ...], place: int) -> tuple[Client, ...]:
    return clients[:place] + clients[place + 1 :]


def _simpler_client(client: Client) -> Iterator[Client]:
    plain = Client(lock_delay=client.lock_delay)
    for name in ("threads", "fair", "watch", "timeouts", "drift", "holds"):
        value = getattr(plain, name)
        if getattr(client, name) != value:
            yield client._replace(**{name: value})
    if len(client.wishes) > 1:
        yield client._replace(wishes=client.wishes[:1])


# -- as text


def line_of(plan: CrowdPlan) -> str:
    """One line of JSON, which `plan_of` reads."""
    kind, inner, limit, without = plan
    written = {
        "kind": kind,
        "limit": limit,
        "without": without,
        **inner._asdict(),
        "clients": [client._asdict() for client in inner.clients],
        "faults": [[f.gap, f.trouble.value, f.who, f.amount] for f in inner.faults],
    }
    return json.dumps(written)


def plan_of(line: str) -> CrowdPlan:
    """The plan of a line; "why" it is kept may stand in it, too."""
    found: dict[str, Any] = json.loads(line)
    found.pop("why", "")
    kind, limit, without = found.pop("kind"), found.pop("limit"), found.pop("without", ())
    clients = tuple(
        Client(**{name: tuple(v) if isinstance(v, list) else v for name, v in each.items()})
        for each in found.pop("clients")
    )
    faults = tuple(
        Fault(gap, Trouble(trouble), who, amount)
        for gap, trouble, who, amount in found.pop("faults")
    )
    rest = {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()}
    return CrowdPlan(kind, Plan(clients=clients, faults=faults, **rest), limit, tuple(without))
