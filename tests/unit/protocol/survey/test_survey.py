"""Questions about what is held, and their arguments, played by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consul_lock.errors import ConfigError, Unavailable
from tests.unit.protocol.fake_driver import NAME, FakeDriver
from tests.unit.protocol.survey.survey_driver import survey, survey_of


@pytest.mark.parametrize("prefix", ["/", "/a", "a//", "a/../b", "a\n", 7])
def test_a_bad_prefix_is_refused(prefix: Any) -> None:
    """An HTTP server would make another one of it."""
    with pytest.raises(ConfigError):
        survey(FakeDriver()).below(prefix)


@pytest.mark.parametrize("session", ["", "../kv/a", "a b", "x" * 36])
def test_only_an_id_is_destroyed(session: str) -> None:
    """It becomes a part of a path."""
    with pytest.raises(ConfigError):
        survey(FakeDriver()).destroy(session)


@pytest.mark.parametrize("question", ["below", "status", "sessions", "destroy", "break_hold"])
def test_a_question_is_asked_again_for_a_while(question: str) -> None:
    """Each question is asked again until ``retry_for`` seconds are over, and then no more."""
    driver = FakeDriver()
    core, session = survey_of(driver)
    ask: Callable[[], Any] = {
        "below": lambda: core.below(""),
        "status": lambda: core.status(NAME),
        "sessions": lambda: core.sessions([session]),
        "destroy": lambda: core.destroy(session),
        "break_hold": lambda: core.break_hold(NAME, session, ""),
    }[question]
    driver.failures.extend([Unavailable("no leader")] * 3)
    driver.run(ask())
    begun = driver.world.now
    driver.failures.extend([Unavailable("no leader")] * 1000)
    with pytest.raises(Unavailable):
        driver.run(ask())
    assert 30 <= driver.world.now - begun < 31
