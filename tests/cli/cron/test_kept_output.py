"""What a command prints, kept until somebody wants it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from consul_lock_cli.cron import kept_output
from consul_lock_cli.cron.kept_output import KeptOutput, to_stdout
from tests.support.waiting import eventually


@pytest.fixture
def kept() -> Iterator[KeptOutput]:
    """Nothing writes to it yet; its descriptors end with the test."""
    made = KeptOutput()
    yield made
    made.end()
    made.close()


def _started(kept: KeptOutput, script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", script], stdout=kept.descriptor, stderr=kept.descriptor
    )


def _poured(kept: KeptOutput) -> bytes:
    parts: list[bytes] = []
    kept.pour(parts.append)
    return b"".join(parts)


def test_both_streams_are_kept_in_the_order_in_which_they_were_written(kept: KeptOutput) -> None:
    """Also by one who opens his stderr anew, which would cut a file to nothing."""
    process = _started(kept, "echo one; echo two >&2; echo three | tee /dev/stderr; echo four")
    kept.begin()
    assert process.wait() == 0
    kept.end()
    assert _poured(kept) == b"one\ntwo\nthree\nthree\nfour\n"


def test_more_than_a_pipe_and_memory_hold_is_kept(
    kept: KeptOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is not held up, however much it prints."""
    monkeypatch.setattr(kept_output, "_IN_MEMORY", 1000)
    process = _started(kept, "head -c 3000000 /dev/zero")
    kept.begin()
    assert process.wait() == 0
    kept.end()
    assert _poured(kept) == bytes(3_000_000)


def test_a_daemon_that_goes_on_writing_does_not_keep_the_end_waiting(
    kept: KeptOutput, tmp_path: Path
) -> None:
    """What the command wrote before its end is there all the same."""
    written = tmp_path / "written"
    daemon = _started(kept, f"echo mine; : >{written}; while :; do echo daemon; done")
    try:
        kept.begin()
        eventually(written.exists)
        kept.end()
        assert _poured(kept).startswith(b"mine\n")
        assert daemon.poll() is None
    finally:
        daemon.kill()
        daemon.wait()


def test_a_full_disk_does_not_hold_up_the_command_and_is_said(kept: KeptOutput) -> None:
    """What was kept until then is shown."""

    class Full:
        def __init__(self) -> None:
            self.kept = b""

        def write(self, part: bytes) -> None:
            if self.kept:
                raise OSError(28, "No space left on device")
            self.kept += part

        def close(self) -> None:
            pass

        def seek(self, place: int) -> None:
            pass

        def read(self, most: int) -> bytes:
            part, self.kept = self.kept, b""
            return part

    process = _started(kept, "head -c 1000000 /dev/zero")
    kept.begin()
    assert kept._file is not None
    kept._file.close()
    kept._file = Full()  # type: ignore[assignment] # as much of a file as is needed
    assert process.wait() == 0
    kept.end()
    parts: list[bytes] = []
    with pytest.raises(OSError, match="No space left"):
        kept.pour(parts.append)
    assert parts
    assert set(b"".join(parts)) == {0}


def test_without_a_command_nothing_is_kept(kept: KeptOutput) -> None:
    """The slot was somebody else's."""
    kept.end()
    os.close(kept.descriptor)


def test_all_of_it_is_written_to_stdout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although each write may take a part only."""
    written = b""

    def write(descriptor: int, part: bytes) -> int:
        nonlocal written
        assert descriptor == 1
        written += bytes(part[:2])
        return len(part[:2])

    monkeypatch.setattr(os, "write", write)
    to_stdout(b"five!")
    assert written == b"five!"
