"""Python warnings that point at the line that called the library."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

_PACKAGE = __package__


def warn_caller(text: str, category: type[Warning], *, source: object = None) -> None:
    """Warn, at the innermost line that is not of this library.

    A fixed ``stacklevel`` would be wrong in one API or the other, and again with each function
    that is put in between: frames of a driver, a flow, a context manager, a decorator.
    """
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and _is_of_library(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level, source=source)


def _is_of_library(module: str) -> bool:
    return module == _PACKAGE or module.startswith(f"{_PACKAGE}.")
