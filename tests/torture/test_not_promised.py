"""What README says is not promised is really not so, and what helps then does."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from consul_lock import Client, Lock
from tests.cli.command import environment
from tests.support.actions import HOLD
from tests.support.agent import Agent
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.real


def test_a_restored_snapshot_lets_a_second_holder_in(own_agent: Agent, fresh_name: str) -> None:
    """Consul forgets the lock with all that was written since, and there is no lock-delay.  The
    first holder, which hears nothing of it, believes until its deadline.  Its token is lower."""
    saved = own_agent.request("GET", "/v1/snapshot").body
    with (
        Proxy(own_agent.address) as proxy,
        Client(proxy.address) as cut,
        Client(own_agent.address) as other,
    ):
        # As long as Consul allows: it still believes when the other one has acquired.
        first = Lock(fresh_name, client=cut, ttl=60.0, lock_delay=60.0)
        second = Lock(fresh_name, client=other)
        assert first.acquire()
        assert not second.acquire(timeout=0)
        proxy.rule = lambda *request: HOLD
        assert own_agent.request("PUT", "/v1/snapshot", saved).status == 200
        eventually(lambda: second.acquire(timeout=0), message="the second one has it, too")
        assert first.held
        assert second.held
        assert first.token is not None
        assert second.token is not None
        assert first.token < second.token
        proxy.rule = None
        proxy.release()
        assert first.lost.wait(180), "then it learns of it"
        assert second.held
        second.release()


# Holds the lock, looks, and writes its token, if it may, to a file that others have written
# meanwhile: what happens between the look and the write is up to the test.
_PAUSED = """
import sys
from pathlib import Path
from consul_lock import Lock
file, checks = Path(sys.argv[2]), sys.argv[3] == "checks"
lock = Lock(sys.argv[1], ttl=60.0, lock_delay=5.0)
lock.acquire()
assert lock.held
print("looked", flush=True)
sys.stdin.readline()
if not checks or lock.token > int(file.read_text() or 0):
    file.write_text(str(lock.token))
print(lock.held, flush=True)
"""


@pytest.mark.parametrize("checks", ["blind", "checks"])
def test_a_paused_process_writes_when_another_has_the_lock(
    own_agent: Agent, fresh_name: str, tmp_path: Path, checks: str
) -> None:
    """It is stopped between its look and its write, for longer than its session lives.  Without a
    check of the token, its write overwrites that of the next holder; with one, it is refused."""
    file = tmp_path / "written"
    file.touch()
    argv = [sys.executable, "-c", _PAUSED, fresh_name, str(file), checks]
    with subprocess.Popen(
        argv, env=environment(own_agent.address), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as paused, Client(own_agent.address) as client:  # fmt: skip
        assert paused.stdin is not None
        assert paused.stdout is not None
        assert paused.stdout.readline() == "looked\n"
        (session,) = own_agent.sessions_of(paused.pid)
        paused.send_signal(signal.SIGSTOP)
        own_agent.request("PUT", f"/v1/session/destroy/{session}")
        with Lock(fresh_name, client=client) as lock:
            assert lock.token is not None
            file.write_text(str(lock.token))
            paused.send_signal(signal.SIGCONT)
            paused.stdin.write("\n")
            paused.stdin.flush()
            assert paused.stdout.readline() == "False\n", "it knows, once it looks again"
            assert lock.held
            overwritten = int(file.read_text()) < lock.token
        paused.stdin.close()
    assert overwritten is (checks == "blind")
