"""`consul-lock cron show`: all that is known of one job."""

from __future__ import annotations

import re

from tests.cli.finished_cron_jobs import (
    Jobs,
    jobs_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.inspect_fixture import ask, items
from tests.cli.output.json_page import FIELDS


def test_show_has_it_all(jobs: Jobs, address: str) -> None:
    """Its host, the lock, the clock, the pause; lines without content are left out."""
    jobs.run("job", ago=1)
    slot = jobs.run("job")
    name = jobs.name("job")
    result = ask(address, "cron", "show", name)
    assert (result.returncode, result.stderr) == (0, "")
    (item,) = items(ask(address, "cron", "show", name, "--json"))
    assert set(item) == FIELDS["cron"]
    for part in (
        rf"^{name}: done \(every 1h\)\n",
        rf"slot +{slot[:10]} {slot[11:16]}Z, attempt 1\n",
        rf"run by +{item['host']} pid {item['pid']}\n",
        r"result +done exit 0 in \S+s, \S+s ago\n",
        rf"run lock +session {item['session']}, token {item['token']}\n",
        rf"claim +{item['claim']}\n",
        r"clock +claimed \S+ (after|before) the slot began, by its own clock\n",
        r"next slot .*Z, begins in ",
        r"earlier +1 done; ",
    ):
        assert re.search(part, result.stdout), part
    assert not re.search("paused|overlaps|changed", result.stdout)
    jobs.records.pause(name, reason="deploy")
    paused = ask(address, "cron", "show", name).stdout
    assert re.search(r"paused +\S+s ago by \S+@\S+: deploy\n", paused)
    assert re.search(r"changed +\S+ \S+Z, \S+s ago: paused by \S+@", paused)
    assert "next slot" not in paused
