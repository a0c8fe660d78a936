"""A program that waits for its child to begin, like a shell with ``< fifo``."""

from __future__ import annotations

# Until the fifo is opened at its other end, the child waits before its exec, and this process,
# uninterruptible, for that.
BETWEEN_FORK_AND_EXEC = """
import os, sys
print("member", os.getpid(), flush=True)
opens = (os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)
os.posix_spawn("/bin/true", ["true"], {}, file_actions=[opens])
"""
"""Python; its argument is the path of the fifo."""
