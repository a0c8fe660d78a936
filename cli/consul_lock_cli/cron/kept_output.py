"""What a command prints, kept until it is known whether anybody wants to see it.

It is a pipe, as any cron daemon has one, and no file: `echo ... >/dev/stderr` and `tee /dev/stderr`
open the thing again, which would cut a file to nothing.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import IO

# Bytes at a time; a pipe of Linux has room for as many.
_PART = 65536

# Bytes that are kept in memory; what is more goes to a file without a name.
_IN_MEMORY = 1 << 20

# A pipe has room for 1 MiB at most, if nobody has enlarged it as root: when the command has ended,
# so much of it is read.  What a daemon that goes on writes after that is not the command's.
_PARTS_LEFT = 16


class KeptOutput:
    """The stdout and stderr of one command, in the order in which they were written.

    ``descriptor`` is for the process of the command, which must be forked before `begin`.
    """

    def __init__(self) -> None:
        self._read, self.descriptor = os.pipe()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._read, False)
        self._thread: threading.Thread | None = None
        self._full: OSError | None = None
        self._file: IO[bytes] | None = None

    def begin(self) -> None:
        """Read from now on, in a thread."""
        import tempfile  # not for a command whose output is not kept

        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - until `close`
        os.close(self.descriptor)
        self._thread = threading.Thread(target=self._keep, name="consul-lock-output", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The command has ended: read what is left of it."""
        if self._thread is not None:
            os.write(self._wake, b".")
            self._thread.join()
            self._thread = None

    def pour(self, write: Callable[[bytes], object]) -> None:
        """Write all of it.  Raises OSError, also if it could not be kept as a whole."""
        assert self._file is not None
        self._file.seek(0)
        while part := self._file.read(_PART):
            write(part)
        if self._full is not None:
            raise self._full

    def close(self) -> None:
        """Forget all of it."""
        if self._file is not None:
            self._file.close()
        for descriptor in (self._read, self._woken, self._wake):
            os.close(descriptor)

    def _keep(self) -> None:
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll()]
            if self._woken in ready:
                break
            if not self._take():
                # Nobody can write to it any more.
                poll.unregister(self._read)
        for _ in range(_PARTS_LEFT):
            if not self._take():
                break

    def _take(self) -> bool:
        """Whether there was something."""
        try:
            part = os.read(self._read, _PART)
        except BlockingIOError:
            return False
        if self._full is None:
            assert self._file is not None
            try:
                self._file.write(part)
            except OSError as error:
                # The command is not to be held up, nor killed by a broken pipe.
                self._full = error
        return bool(part)


def to_stdout(part: bytes) -> None:
    """Write all of this to the stdout of consul-lock, which is the command's."""
    while part:
        part = part[os.write(1, part) :]
