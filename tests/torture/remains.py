"""What is left after a run, what its processes used, and how they ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.torture.history import Record

DOCUMENTED = {0, 64, 65, 69, 71, 73, 75, 76, 77, 78, 124, 126, 127}
"""Exit codes of consul-lock that its help names, but for 70, which is a bug."""

TRACEBACK = "Traceback (most recent call last)"

GROWTH = {"descriptors": 6, "threads": 4, "rss": 12 * 2**20}
"""By how much a long-lived process may grow from the second quarter of its life to the last."""

_ENOUGH = 12
"""Looks at a process from which on its growth is judged."""


def left(records: Iterable[Record]) -> list[str]:
    """What nobody has taken away.  That nobody has looked is a finding, too."""
    looks = [record for record in records if record.what == "left"]
    if not looks:
        return ["nobody has looked what is left"]
    found = looks[-1].fields
    return [
        f"{what} left: {', '.join(map(str, found[what]))}"
        for what in ("keys", "sessions", "services", "processes")
        if found[what]
    ]


def growth(records: Iterable[Record]) -> Iterator[str]:
    """Long-lived processes that use more and more.

    The least of a quarter is compared with the least of another, as what is in use comes and goes.
    """
    gauges: defaultdict[tuple[int, int], list[Mapping[str, Any]]] = defaultdict(list)
    living: dict[tuple[int, int], str] = {}
    for record in records:
        if record.what == "process" and record.fields.get("long_lived"):
            living[record.process] = record.fields["role"]
        if record.what == "gauge":
            gauges[record.process].append(record.fields)
    for process, role in living.items():
        taken = gauges[process]
        if len(taken) < _ENOUGH:
            continue
        quarter = len(taken) // 4
        for what, most in GROWTH.items():
            early = min(gauge[what] for gauge in taken[quarter : 2 * quarter])
            late = min(gauge[what] for gauge in taken[-quarter:])
            if late - early > most:
                yield f"{role} {process[0]}: {what} grew from {early} to {late}"


def exits(
    records: Iterable[Record], signalled: Mapping[int, set[int]]
) -> Iterator[tuple[str, str]]:
    """Processes that ended otherwise than they should, with the rule that is broken.

    ``signalled``: by pid, what a process may have died of.  A command's code is its own.
    """
    for record in records:
        if record.what != "exits":
            continue
        fields = record.fields
        who = f"{fields['role']} {fields['child']}"
        if TRACEBACK in fields["stderr"]:
            yield "traceback", f"{who}: {fields['stderr'][-2000:]}"
        code = fields["code"]
        signals = {*fields["signals"], *signalled.get(fields["child"], ())}
        allowed = {*fields["own"], *_codes(signals)}
        if fields["role"] == "worker":
            allowed.add(0)
        elif fields["role"] != "go":
            allowed |= DOCUMENTED
        else:
            continue  # it says 0 to nearly everything, and nothing is promised for it
        if code not in allowed:
            yield "exit-code", f"{who} ended with {code}: {fields['stderr'][-500:]}"


def _codes(signals: Iterable[int]) -> Iterator[int]:
    for number in signals:
        yield from (-number, 128 + number)
