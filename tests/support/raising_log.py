"""A log whose handler raises, as some do: `logging` catches that for its own handlers alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Raising(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("the disk is full")


@contextmanager
def raising_log() -> Iterator[None]:
    """At the level DEBUG, for what is done in the block."""
    log, handler = logging.getLogger("consul_lock"), _Raising()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)
