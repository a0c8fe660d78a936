"""What the checks share: the settings as the library understands them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consul_lock import ConfigError
from consul_lock_cli.doctor.context import DoctorContext
from consul_lock_cli.spec.connection import Connection

pytestmark = pytest.mark.usefixtures("nothing_is_set")


def _context(**settings: Any) -> DoctorContext:
    return DoctorContext(
        Connection(settings), key="k", ttl=10.0, lock_delay=30.0, kill_after=5.0, poll=0.0
    )


def test_the_settings_are_read_once() -> None:
    """All checks look at the same ones, and the agent is asked with them."""
    context = _context(address="h:1", token="t")
    assert (context.config.origin, context.config.token) == ("http://h:1", "t")
    assert context.config is context.config
    assert context.agent is context.agent
    assert context.agent.config is context.config


def test_a_bad_setting_is_raised_for_every_check_that_needs_it() -> None:
    """Each of them has failed."""
    context = _context(address="h:port")
    for _ in range(2):
        with pytest.raises(ConfigError, match="h:port"):
            _ = context.config


def test_what_the_library_warns_of_becomes_a_remark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A finding is to say it, so it is not printed."""
    file = tmp_path / "token"
    file.write_text("3d6f0e8c\n")
    file.chmod(0o644)
    context = _context(token_file=str(file))
    assert context.config.token == "3d6f0e8c"
    assert [f"can read {file}" in remark for remark in context.remarks] == [True]
    assert capsys.readouterr() == ("", "")
