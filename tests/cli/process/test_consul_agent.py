"""A private agent: which program it is, when it is ready, and that nothing of it is left."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from consul_lock_cli.process import consul_agent
from consul_lock_cli.process.consul_agent import AgentFailed, ConsulAgent, find_consul
from consul_lock_cli.process.signals import Signals
from tests.cli.command import alive

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

_NO_SIGNALS = Signals(frozenset(), frozenset())

# Knows its node from the second question on; ignores TERM, if it is to be stubborn.
_AGENT = """#!{python}
import http.server, json, os, signal, sys

if sys.argv[1:] == ["version"]:
    sys.exit(print("Consul v{version}"))

class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        Handler.asked += 1
        body = json.dumps([{{"ID": node_id}}] if Handler.asked > 1 else []).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Asked", str(Handler.asked))
        self.end_headers()
        self.wfile.write(body)

if {stubborn}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("address", os.environ.get("CONSUL_HTTP_ADDR"), flush=True)
port = next(a for a in sys.argv if a.startswith("-http-port=")).partition("=")[2]
node_id = next(a for a in sys.argv if a.startswith("-node-id=")).partition("=")[2]
http.server.HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""


def _program(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where its data would be."""
    made = tmp_path / "tmp"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "nowhere")
    return made


def test_the_program_is_that_of_the_variable_or_on_path_or_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this order; none is no error, but a variable that names none is."""
    monkeypatch.delenv("CONSUL_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert find_consul() is None
    script = "#!/bin/sh\n"
    cached = _program(tmp_path / "cache/consul-lock/consul-1.8.7/consul", script)
    assert find_consul() == cached
    on_path = _program(tmp_path / "bin/consul", script)
    assert find_consul() == on_path
    asked = _program(tmp_path / "mine", script)
    monkeypatch.setenv("CONSUL_BIN", asked)
    assert find_consul() == asked
    monkeypatch.setenv("CONSUL_BIN", "/no/such")
    with pytest.raises(AgentFailed, match="CONSUL_BIN=/no/such is no program"):
        find_consul()


@pytest.mark.parametrize("stubborn", [False, True])
def test_it_is_ready_when_it_knows_its_node_and_ends_with_the_block(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, stubborn: bool
) -> None:
    """Without a node there are no sessions; one that ignores TERM is killed."""
    monkeypatch.setattr("consul_lock_cli.process.consul_agent._STOP", 0.2 if stubborn else 30.0)
    text = _AGENT.format(python=sys.executable, stubborn=stubborn, version="1.8.7")
    with ConsulAgent(_program(tmp_path / "consul", text), _NO_SIGNALS) as agent:
        assert agent.alive()
        assert agent.address.startswith("http://127.0.0.1:")
        assert agent.log().startswith("address None")
        pid = agent._child.pid
        assert list(folder.iterdir())
    assert not alive(pid)
    assert not agent.alive()
    assert agent._child.tree.gone()  # or it was waited for in vain
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "version, switched_off",
    [("1.8.7", False), ("1.13.9", False), ("1.14.0", True), ("1.21.4-x+ent", True), ("2.0", True)],
)
def test_the_second_grpc_port_is_switched_off_where_there_is_one(
    tmp_path: Path, version: str, switched_off: bool
) -> None:
    """It is always 8503, so a second agent would not start; older ones refuse the setting."""
    text = _AGENT.format(python=sys.executable, stubborn=False, version=version)
    text = text.replace('print("address"', "print(sys.argv", 1)
    with ConsulAgent(_program(tmp_path / "consul", text), _NO_SIGNALS) as agent:
        ports = "ports { grpc = -1, grpc_tls = -1 }" if switched_off else "ports { grpc = -1 }"
        assert f"'-hcl={ports}'" in agent.log()


def test_other_ports_are_tried_if_one_was_taken_meanwhile(tmp_path: Path, folder: Path) -> None:
    """Another agent may have been faster; what is wrong otherwise is not tried again."""
    text = _AGENT.format(python=sys.executable, stubborn=False, version="1.21.4")
    seen = tmp_path / "seen"
    first = f"""
seen = {str(seen)!r}
with open(seen, "a") as file:
    print(*sys.argv, file=file)
if len(open(seen).readlines()) == 1:
    sys.exit("listen tcp 127.0.0.1:1: bind: address already in use")
print("address"
"""
    text = text.replace('print("address"', first.strip("\n"), 1)
    with ConsulAgent(_program(tmp_path / "consul", text), _NO_SIGNALS) as agent:
        one, other = seen.read_text().splitlines()
        assert one != other
        assert agent.address.rpartition(":")[2] in other
    assert list(folder.iterdir()) == []
    seen.write_text("")
    _program(tmp_path / "consul", text.replace("already in use", "not available"))
    with (
        pytest.raises(AgentFailed, match="not available"),
        ConsulAgent(str(tmp_path / "consul"), _NO_SIGNALS),
    ):
        pytest.fail("it is ready")
    assert len(seen.read_text().splitlines()) == 1


def test_the_answer_of_another_agent_at_its_port_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes the port before it, and that it has not noticed yet, is not used."""
    text = _AGENT.format(python=sys.executable, stubborn=False, version="1.21.4")
    late = """
from urllib.request import urlopen
asked = lambda: int(urlopen("http://127.0.0.1:{port}").headers["X-Asked"])
port = next(a for a in sys.argv if a.startswith("-http-port=")).partition("=")[2]
if port == "{port}":
    last = asked()
    while (now := asked()) == last + 1:  # until consul-lock has asked the other one, too
        last = now
    sys.exit("listen tcp 127.0.0.1:{port}: bind: address already in use")
print("address"
"""
    with ConsulAgent(_program(tmp_path / "first", text), _NO_SIGNALS) as first:
        port = int(first.address.rpartition(":")[2])
        real, taken = consul_agent._free_ports, [port]

        def ports_of_which_one_was_taken(count: int) -> list[int]:
            first_of_all = [taken.pop()] if taken else []
            return [*first_of_all, *real(count)][:count]

        monkeypatch.setattr(consul_agent, "_free_ports", ports_of_which_one_was_taken)
        text = text.replace('print("address"', late.format(port=port).strip("\n"), 1)
        with ConsulAgent(_program(tmp_path / "consul", text), _NO_SIGNALS) as agent:
            assert agent.address != first.address
            assert agent.alive()


def test_a_program_that_is_no_consul_is_reported_with_the_end_of_its_output(
    tmp_path: Path, folder: Path
) -> None:
    """And nothing of it is left."""
    long = "x" * 3000
    program = _program(tmp_path / "consul", f"#!/bin/sh\necho {long}; echo what is -dev? >&2\n")
    with pytest.raises(AgentFailed) as caught, ConsulAgent(program, _NO_SIGNALS):
        pytest.fail("it is ready")
    first, *_, last = str(caught.value).splitlines()
    assert first == f"{program} agent did not start:"
    assert last == "what is -dev?"
    assert len(str(caught.value)) < 2200
    assert list(folder.iterdir()) == []


def test_an_exception_in_the_block_ends_it_too(tmp_path: Path, folder: Path) -> None:
    """Such as that of a signal."""
    text = _AGENT.format(python=sys.executable, stubborn=False, version="1.8.7")
    agent = ConsulAgent(_program(tmp_path / "consul", text), _NO_SIGNALS)
    with pytest.raises(KeyError), agent:
        raise KeyError
    assert not agent.alive()
    assert list(folder.iterdir()) == []
