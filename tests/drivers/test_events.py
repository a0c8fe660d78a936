"""Events in processes that fork, that drop their client, and that end."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from consul_lock._drivers.event_log import write
from consul_lock.testing import World, serve
from tests.drivers import program_events
from tests.drivers.program_events import NAME

HUNG = 120.0


def _run(what: str) -> str:
    """What the program prints; it ends well, without a word on stderr."""
    with serve(World()) as served:
        command = [sys.executable, "-m", program_events.__name__, served.address, what]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=HUNG, check=True)
    assert "Traceback" not in ended.stderr
    return ended.stdout


def test_a_forked_child_hears_of_its_own_locks_alone() -> None:
    """By a thread of its own, which begins with its first event; the parent goes on."""
    seen = json.loads(_run("fork"))
    assert seen["child"] == {
        "heard": [f"{NAME}/child acquired", f"{NAME}/child released"],
        "threads": 1,
    }
    assert seen["parent"] == [f"{NAME}/parent acquired", f"{NAME}/parent released"]


def test_a_client_that_is_dropped_is_collected_and_its_thread_ends() -> None:
    """Also if its listener refers to it."""
    assert json.loads(_run("dropped")) == []


def test_a_listener_that_blocks_does_not_keep_a_program_alive() -> None:
    """It has a second, when the clients are closed at the end of the interpreter."""
    assert _run("end") == "over\n"


def test_structlog_shows_the_fields_as_the_guide_says(capsys: pytest.CaptureFixture[str]) -> None:
    """With its formatter for records of others: one JSON object a line."""
    import structlog  # here, as it is needed for nothing else

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    log = logging.getLogger("consul_lock")
    log.addHandler(handler)
    try:
        write("released", logging.WARNING, {"name": "deploy", "token": 17, "held": 1.0})
    finally:
        log.removeHandler(handler)
    found = json.loads(capsys.readouterr().err)
    assert found["event"] == "released 'deploy', which was held for 1.000 s"
    assert (found["level"], found["consul_lock_event"]) == ("warning", "released")
    assert (found["consul_lock_held"], found["consul_lock_token"]) == (1.0, 17)
