"""`doctor`: clocks of hosts that run jobs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from tests.cli.command import consul
from tests.cli.doctor.doctor_fixture import doctor
from tests.support.agent import Agent


def _claimed(host: str, seconds: float, **more: Any) -> dict[str, Any]:
    moment = datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()
    return {"v": 1, "claim": "x", "host": host, "claimed_at": moment, **more}


def test_clocks_of_hosts_that_run_jobs_are_compared(own_agent: Agent) -> None:
    """By the order in which Consul got their claims, and by this host's clock; junk is ignored."""

    def write(name: str, value: object) -> None:
        consul(own_agent.address, "PUT", f"/v1/kv/{name}/.cron", json.dumps(value))

    write("junk", ["no record"])
    write("jobs/a", _claimed("web2", -20, history=[_claimed("web1", -80)]))
    item = doctor(own_agent.address).items["cron-clocks"]
    assert (item["verdict"], "(2 records checked)" in item["text"]) == ("ok", True)
    write("jobs/a", _claimed("web2", -90, history=[_claimed("web1", -30)]))
    status_file = doctor(own_agent.address)
    assert status_file.bad() == {"cron-clocks": "warn"}
    text = status_file.items["cron-clocks"]["text"]
    assert text == "jobs/a: the clocks of web1 and web2 are at least 1m00s apart"
    write("jobs/a", _claimed("web2", 7230))
    assert "jobs/a: web2 is 2h00m ahead" in doctor(own_agent.address).items["cron-clocks"]["text"]
