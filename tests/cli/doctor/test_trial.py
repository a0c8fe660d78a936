"""`doctor`: a lock is tried, and nothing of it is left."""

from __future__ import annotations

from tests.cli.command import Running, environment
from tests.support.agent import Agent
from tests.support.waiting import eventually


def test_an_interrupted_trial_leaves_no_key(agent: Agent, fresh_name: str) -> None:
    """Ctrl-C in the long poll: a death by INT, and the session is gone."""
    arguments = ["doctor", "--key", fresh_name, "--long-poll", "30s"]
    with Running(arguments, environment(agent.address)) as running:
        eventually(lambda: agent.keys(fresh_name))
        while not running.line().startswith("OK    trial"):
            pass
        eventually(lambda: agent.keys(fresh_name))
        running.send(2)
        assert running.wait() == -2
    assert agent.keys(fresh_name) == []
