"""The programs of the guardian, run by themselves: whom they signal, and whom never."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import consul_lock_cli
from consul_lock_cli.base.clock import now
from consul_lock_cli.process.group import start_of
from consul_lock_cli.process.guardian_takeover import hundredths
from tests.cli.command import PATIENCE, environment

_SCRIPT = str(Path(consul_lock_cli.__file__).parent / "process/guardian.sh")
_TAKEOVER = [sys.executable, "-m", "consul_lock_cli.process.guardian_takeover"]
_LONG_AGO = "1"

# Who acts: guardian.sh by itself, or Python.
_ACTORS: dict[str, Callable[..., list[str]]] = {
    "shell": lambda *facts: ["sh", _SCRIPT, *facts, "/no/such/python"],
    "python": lambda *facts: [*_TAKEOVER, *facts],
}


@pytest.fixture(params=_ACTORS)
def act(request: pytest.FixtureRequest) -> Callable[..., None]:
    """``act(pid, kind, start, said)``: the guardian of that command hears it, and then the end."""

    def to_its_end(pid: int, kind: str, start: str, said: str) -> None:
        nobody = subprocess.Popen("true")
        nobody.wait()
        command = _ACTORS[request.param](str(pid), kind, start, "15", "0", str(nobody.pid))
        subprocess.run(
            command, input=said.encode(), env=environment(), timeout=PATIENCE, check=True
        )

    return to_its_end


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """The leader of a group, whose name makes its start hard to find in /proc."""
    program = (
        "import time; open('/proc/self/comm', 'w').write('a) S 1\\n2'); print(flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], process_group=0, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.parametrize("kind", ["group", "alone"])
@pytest.mark.parametrize("told", [True, False])
def test_a_new_process_with_the_pid_is_left_alone(
    act: Callable[..., None], bystander: subprocess.Popen[bytes], kind: str, told: bool
) -> None:
    """Pids are used again.  The same command with its own start is killed."""
    said = f"{hundredths(now())}\n" if told else ""
    start = start_of(bystander.pid)
    assert start is not None
    act(bystander.pid, kind, _LONG_AGO, said)
    act(bystander.pid, kind, start, f"{said}goodbye\n")
    assert bystander.poll() is None
    # A zombie would be waited for.
    reaping = threading.Thread(target=bystander.wait)
    reaping.start()
    act(bystander.pid, kind, start, said)
    reaping.join(PATIENCE)
    assert bystander.returncode is not None
