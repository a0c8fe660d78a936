"""Locks seen from outside: keys are interpreted, and a watch is played by hand."""

from __future__ import annotations

import json
from typing import Any

from consul_lock._protocol.consul.models import Pair
from consul_lock._protocol.keys import LOCK_FLAG
from consul_lock._protocol.survey.survey import SurveyCore
from tests.unit.protocol.fake_driver import NAME, FakeDriver

KEY = f"{NAME}/.lock"


def pair(
    key: str, value: Any = b"", flags: int = LOCK_FLAG, session: str = "", at: int = 5
) -> Pair:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Pair(key, text, flags, session, at, at)


def about(host: str, **more: Any) -> dict[str, Any]:
    return {"v": 1, "host": host, "pid": 7, "since": 100.0, **more}


def survey(driver: FakeDriver) -> SurveyCore:
    return SurveyCore(driver.client("survey"))


def survey_of(driver: FakeDriver) -> tuple[SurveyCore, str]:
    """Somebody who looks on, and the session that holds the name."""
    lock = driver.lock()
    driver.acquire(lock)
    assert lock.hold is not None
    return survey(driver), lock.hold.session.id
