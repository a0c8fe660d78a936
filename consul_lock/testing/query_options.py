"""What the query string says about reading: consistency, and how long to block."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from consul_lock.testing.durations import SECOND, parse_duration
from consul_lock.testing.release import Release
from consul_lock.testing.responses import refusal

WAIT_DEFAULT = 300.0
WAIT_MAX = 600.0
UINT64 = (1 << 64) - 1

_DIGITS = re.compile(r"[0-9]+")
_KNOWN = {"index", "wait", "stale", "consistent", "cached", "dc", "ns"}


class Options(NamedTuple):
    """How to read."""

    above: int = 0
    """Answer only above this index; 0: at once."""
    wait: float = WAIT_DEFAULT
    """Seconds to wait for that."""
    stale: bool = False


PLAIN = Options()


def read_uint(text: str) -> int:
    """An unsigned 64-bit number; ValueError with the words of Go's ``strconv.ParseUint``."""
    if not _DIGITS.fullmatch(text):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) > UINT64:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def read_options(params: Mapping[str, str], release: Release) -> Options:
    """The options among ``params``; a Refusal if they are wrong or do not go together."""
    if not params or _KNOWN.isdisjoint(params):
        return PLAIN
    index = 0
    wait = WAIT_DEFAULT
    if params.get("wait"):
        try:
            asked = parse_duration(params["wait"]) / SECOND
        except ValueError as error:
            raise refusal(400, "Invalid wait time") from error
        wait = min(asked, WAIT_MAX) if asked > 0 else WAIT_DEFAULT
    if params.get("index"):
        try:
            index = read_uint(params["index"])
        except ValueError as error:
            raise refusal(400, "Invalid index") from error
    for loose in ("stale", "cached"):
        if loose in params and "consistent" in params:
            text = f"Cannot specify ?{loose} with ?consistent, conflicting semantics."
            raise refusal(400, text)
    check_place(params, release)
    return Options(index, wait, "stale" in params)


def check_place(params: Mapping[str, str], release: Release) -> None:
    """Refuse other datacenters than the only one, and namespaces, which cost money."""
    if params.get("ns"):
        text = 'Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'
        raise refusal(400, release.bad_request + text)
    if params.get("dc", "dc1") not in ("", "dc1"):
        raise refusal(500, "No path to datacenter")
