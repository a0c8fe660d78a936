"""A check of the clocks of all hosts that run jobs, by what those have written down."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import quote

from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.base.text import shown
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.doctor.finding import Finding, ok, skip, warn

_RECORD = "/.cron"

# Records that are read: enough to see a clock that is wrong, and soon done.
_RECORDS_MAX = 50

# Seconds since the epoch: more is no time of a run.
_EVER = 1e11

# Seconds that nobody is asked to explain: clocks that are kept right differ by less.
_OFF = 2.0


class _Claim(NamedTuple):
    """One run of a job: by whom, and when by that host's clock."""

    host: str
    at: float


def cron_clocks(context: DoctorContext) -> Finding:
    """No claim is in the future, or earlier than the one that it came after.

    Consul knows the order of a record's claims, and the hosts' clocks have dated them.
    """
    answer = context.agent.ask("GET", "/v1/kv/", keys="")
    records = answer.read(_records) if answer.status == 200 else []
    if not records:
        return skip("there are no records of cron jobs, or the token may not see them")
    for name in records:
        fault = _fault(list(_claims(_read(context, name))))
        if fault:
            return warn(
                f"{shown(name.removesuffix(_RECORD))}: {fault}",
                "'timedatectl' on these hosts shows which clock is wrong",
            )
    return ok(f"the clocks of all hosts that ran jobs agree ({len(records)} records checked)")


def _records(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(_RECORD)][:_RECORDS_MAX]


def _fault(claims: list[_Claim]) -> str:
    for earlier, later in pairwise(claims):
        if earlier.at - later.at > _OFF:
            apart = show_duration(earlier.at - later.at)
            return (
                f"the clocks of {shown(earlier.host)} and {shown(later.host)} are at least"
                f" {apart} apart"
            )
    for claim in claims:
        if claim.at - time.time() > _OFF:
            ahead = show_duration(claim.at - time.time())
            return f"{shown(claim.host)} is {ahead} ahead of this host"
    return ""


def _read(context: DoctorContext, name: str) -> dict[str, Any]:
    answer = context.agent.ask("GET", f"/v1/kv/{quote(name)}")
    try:
        found = json.loads(base64.b64decode(answer.json()[0]["Value"] or ""))
    except (ValueError, LookupError, TypeError, RecursionError, binascii.Error):
        # `cron run` refuses it when its time comes; it has nothing for this check.
        return {}
    return found if isinstance(found, dict) else {}


def _claims(record: dict[str, Any]) -> Iterator[_Claim]:
    """From the oldest that is known to the last one."""
    history = record.get("history")
    known = history if isinstance(history, list) else []
    # An extra run is outside of the slots, and of their order.
    runs = [run for run in known if isinstance(run, dict) and run.get("slot", 0) is not None]
    for run in [*runs, record]:
        at = _seconds(run.get("claimed_at"))
        if at is not None:
            yield _Claim(str(run.get("host")), at)


def _seconds(written: Any) -> float | None:
    """Since the epoch, from a number or a text of RFC 3339; None for what is no time."""
    try:
        if isinstance(written, int | float):
            return float(written) if abs(written) < _EVER else None
        return datetime.fromisoformat(written).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
