"""The end of a process, as Python sees it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

_arranged_in = 0
"""The process for which `close_with_child` has done its work."""


def is_at_end(error: RuntimeError) -> bool:
    """Whether no thread could be started because the interpreter ends.  Python has no other word
    for it: ``sys.is_finalizing`` becomes true later."""
    return "shutdown" in str(error)


def close_with_child(close: Callable[[], None]) -> None:
    """In a child of `multiprocessing`: call this when it ends.

    Such a child ends without the functions for the end of a program, if it was forked: it has a
    list of its own for them, which is emptied when it begins.
    """
    global _arranged_in
    process = os.getpid()
    if _arranged_in == process:
        return
    _arranged_in = process
    util = sys.modules.get("multiprocessing.util")
    if util is None or sys.modules["multiprocessing.process"].parent_process() is None:
        return
    # After all that it has itself: other finalizers may still want their locks.
    util.Finalize(None, close, exitpriority=-100)
