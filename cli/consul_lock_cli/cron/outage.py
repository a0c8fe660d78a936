"""One message for each host and period about a Consul that cannot be reached.

Cron mails what is printed.  Fifty hosts with a job a minute would send 3,000 mails an hour, all of
which say the same; with --outage-quiet a host says it once in that time, whichever of its jobs is
first.  When that was is in a file, as nothing else outlives a run and is not in Consul.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from pathlib import Path


class OutageNotice:
    """What is said about the Consul at ``place`` at most once in ``period`` seconds, by the jobs of
    this user."""

    def __init__(self, place: str, period: float) -> None:
        self._place = place
        self._period = period

    def due(self) -> bool:
        """Whether it is to be said now; then it counts as said.

        If the file cannot be read or written it is: a message too many is better than none.
        """
        try:
            descriptor = self._opened()
        except OSError:
            return True
        try:
            # Several jobs of this host may start in the same minute.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            now, last = time.time(), _time(os.pread(descriptor, 64, 0))
            # A time that is still to come was written before the clock was set back.
            if last is not None and 0 <= now - last < self._period:
                return False
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{now:.3f}\n".encode(), 0)
        except OSError:
            pass
        finally:
            os.close(descriptor)
        return True

    def _opened(self) -> int:
        import hashlib  # neither is needed while Consul answers
        import tempfile

        folder = Path(tempfile.gettempdir()) / f"consul-lock-{os.geteuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        # In a folder for all users somebody else may have made it.
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError
        name = hashlib.sha256(self._place.encode()).hexdigest()[:16]
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(folder / f"outage-{name}", flags, 0o600)


def _time(text: bytes) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
