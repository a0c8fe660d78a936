"""What a token needs for a command: named as a whole when the first request is denied."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def naming_rule(rule: str) -> Iterator[None]:
    """``rule`` is all that a command needs, which an error of permission in this block names: one
    that named the denied request's own would be followed by the next."""
    from consul_lock.errors import PermissionDenied

    try:
        yield
    except PermissionDenied as error:
        if error.kind == "denied":
            error.rule = rule
        raise
