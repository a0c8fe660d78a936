"""Who a process is, as others see it: it has an answer wherever it runs."""

from __future__ import annotations

import getpass
import os
import socket
import sys

import pytest

from consul_lock import __version__
from consul_lock._drivers.identity import identity


def test_it_says_host_process_user_and_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """And begins the names of sessions with host and process."""
    monkeypatch.setattr(socket, "gethostname", lambda: "web-1")
    monkeypatch.setattr(getpass, "getuser", lambda: "deploy")
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/nightly", "--all"])
    assert identity().about == {
        "host": "web-1",
        "pid": os.getpid(),
        "user": "deploy",
        "command": "nightly",
        "tool": f"consul-lock/{__version__}",
    }
    assert identity().label == f"consul-lock web-1:{os.getpid()}"


@pytest.mark.parametrize("error", [KeyError("uid"), OSError("no entry")], ids=repr)
def test_a_user_without_a_name_has_a_number(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """In a container whose user is in no table; the class of the error depends on Python."""

    def fail() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", fail)
    assert identity().about["user"] == str(os.getuid())


@pytest.mark.parametrize("argv", [[], [""]], ids=repr)
def test_an_interpreter_without_a_program_is_python(
    monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    """As in a prompt, or embedded."""
    monkeypatch.setattr(sys, "argv", argv)
    assert identity().about["command"] == "python"
