"""A client is closed beside calls under way: nothing of it is in anybody's way."""

from __future__ import annotations

from random import Random

import pytest

from tests.faults.closing import FACES, KINDS, closes
from tests.support.agent import Agent
from tests.support.effort import scaled

CLOSES = scaled(15)

pytestmark = pytest.mark.usefixtures("busy_servers_answer")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("face", FACES)
def test_the_next_client_finds_everything_free(agent: Agent, face: str, kind: str) -> None:
    """No lock-delay of a session that was destroyed while it got the lock, and no slot of one
    that was destroyed while it entered."""
    assert closes(agent.address, face, kind, CLOSES, Random(f"{face} {kind}")) == {"free": CLOSES}
