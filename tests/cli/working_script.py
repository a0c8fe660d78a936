"""A shell script that works until it is stopped."""

from __future__ import annotations

# Not for ever: if a test fails, nobody may be left to end it.  But longer than any test waits for
# its end, or one that nobody stops would pass for one that was stopped.
WORK = "i=0; while [ $((i += 1)) -lt 6000 ]; do sleep 0.05; done"


def working(before: str) -> list[str]:
    """Says its pid when it is ready, after what comes ``before`` that, and then works."""
    return ["sh", "-c", f"{before}\necho $$; {WORK}"]
