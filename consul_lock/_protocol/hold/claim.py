"""What an acquire asks for, as weights: everything here is a semaphore of some limit.

A lock weighs 1 of 1, a slot of a semaphore 1 of its limit, a reader 1 of `ALL`, a writer all of
it.  The one rule, for the queue inside the process as well as for the documents in Consul: what
those before us weigh, and what we weigh, may not exceed the limit.
"""

from __future__ import annotations

from typing import NamedTuple

ALL = 2**31 - 1
"""What a writer weighs, and the limit of what readers and writers share."""


class Claim(NamedTuple):
    """So much of one resource."""

    resource: str
    weight: int = 1
    limit: int = 1
