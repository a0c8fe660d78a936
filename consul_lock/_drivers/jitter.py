"""Random numbers of the library's own: for pauses, for renewals, for unique names.

The functions of the `random` module share one generator, which belongs to the program.  A program
that seeds it expects to draw the same numbers in each run, so the library takes none of them, and
does not seed it.  Nor may that seed decide here: hosts that all call ``random.seed(0)`` would pause
for the same time after each refusal, and meet again at the next try.  The operating system's
numbers need no seed, also not in a forked child.
"""

from __future__ import annotations

from random import SystemRandom

_system = SystemRandom()

fraction = _system.random
"""At least 0, and below 1."""

between = _system.uniform
"""``between(low, high)``: any number from ``low`` to ``high``."""
