"""`doctor`: settings that are wrong, and times that contradict each other."""

from __future__ import annotations

from pathlib import Path

from tests.cli.doctor.doctor_fixture import doctor
from tests.support.agent import Agent


def test_times_that_leave_no_time_to_stop(agent: Agent) -> None:
    """78, and no trial with them."""
    status_file = doctor(agent.address, "--kill-after", "60s", "--lock-delay", "15s")
    assert (status_file.code, status_file.bad()) == (78, {"timing": "fail"})
    assert status_file.items["trial"]["verdict"] == "skip"
    assert doctor(agent.address, "--lock-delay", "0", "--ttl", "30s").bad() == {"timing": "warn"}


def test_a_broken_file_is_a_finding_and_not_the_end(agent: Agent, tmp_path: Path) -> None:
    """The first that fails; all else is looked at, if where Consul is stands elsewhere."""
    broken = tmp_path / "broken.toml"
    broken.write_text("[defaults]\nttl = \n")
    status_file = doctor(agent.address, "--config", str(broken))
    assert (status_file.code, status_file.bad()) == (78, {"sources": "fail"})
    assert f"{broken}: Invalid value (at line 2" in status_file.items["sources"]["text"]
    assert status_file.items["trial"]["verdict"] == "ok"
    assert status_file.stderr.startswith(f"consul-lock: sources: {broken}: ")
    status_file = doctor(None, "--config", str(broken))
    assert (status_file.code, status_file.bad()) == (78, {"sources": "fail", "settings": "fail"})
    assert "the address of Consul may be in the file" in status_file.items["settings"]["text"]
    assert status_file.items["open-files"]["verdict"] in ("ok", "warn")
    assert status_file.items["connect"]["verdict"] == "skip"


def test_every_wrong_value_is_reported_at_once(agent: Agent, tmp_path: Path) -> None:
    """Of files and variables; those of Consul itself are the library's to judge."""
    file = tmp_path / "config.toml"
    file.write_text('[defaults]\nttl = "soon"\nkill-after = 3\n')
    status_file = doctor(agent.address, "--config", str(file), CONSULLOCK_RETRY_FOR="never")
    assert (status_file.code, status_file.bad()) == (78, {"sources": "fail"})
    text = status_file.items["sources"]["text"]
    assert f'{file}: [defaults] ttl: bad duration "soon"' in text
    assert 'CONSULLOCK_RETRY_FOR: bad duration "never"' in text
    status_file = doctor(agent.address, CONSUL_HTTP_SSL_VERIFY="perhaps")
    assert (status_file.code, status_file.bad()) == (78, {"settings": "fail"})
    status_file = doctor("https://h", "--no-ssl", "--http-addr", "https://h")
    assert (status_file.code, status_file.bad()) == (78, {"settings": "fail"})
    assert "--http-addr says https, and there is --no-ssl" in status_file.items["settings"]["text"]


def test_files_that_others_can_read_or_change(agent: Agent, tmp_path: Path) -> None:
    """The token file, and the configuration with a token in it."""
    token, config = tmp_path / "token", tmp_path / "consul-lock" / "config.toml"
    config.parent.mkdir()
    token.write_text("3d6f0e8c\n")
    config.write_text('[consul]\ntoken = "3d6f0e8c"\n')
    token.chmod(0o644)
    config.chmod(0o666)
    surroundings = {"XDG_CONFIG_HOME": str(tmp_path), "CONSUL_HTTP_TOKEN_FILE": str(token)}
    items = doctor(agent.address, "--long-poll", "0", **surroundings).items
    assert "every user" in items["settings"]["text"]
    assert f"others can change {config}" in items["config-files"]["text"]
    token.chmod(0o600)
    config.chmod(0o644)
    status_file = doctor(agent.address, "--long-poll", "0", **surroundings)
    assert status_file.bad() == {"config-files": "warn"}
    assert f"others can read the secret in {config}" in status_file.items["config-files"]["text"]
    config.chmod(0o600)
    items = doctor(agent.address, "--long-poll", "0", **surroundings).items
    assert items["config-files"]["verdict"] == "ok"
    assert "from CONSUL_HTTP_ADDR" in items["settings"]["text"]
    assert "from CONSUL_HTTP_TOKEN_FILE" in items["settings"]["text"]
