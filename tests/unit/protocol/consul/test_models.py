"""What Consul answers, as records."""

from __future__ import annotations

import json

import pytest

from consul_lock._protocol.flow import Reply, Request
from consul_lock.errors import (
    ConfigError,
)
from tests.unit.protocol.fake_driver import FakeDriver


def test_an_index_that_is_no_number_is_no_answer_of_consul() -> None:
    """Two proxies may each have put one in."""
    driver = FakeDriver()
    found = driver.client().api.get("x")
    request = next(found)
    assert isinstance(request, Request)
    with pytest.raises(ConfigError, match="not that of a Consul agent"):
        request.parse(Reply(200, {"x-consul-index": "1, 1"}, json.dumps([]).encode(), 0.0))
