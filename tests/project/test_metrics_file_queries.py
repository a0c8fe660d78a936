"""promtool judges the queries of docs/monitoring.md for the metrics file by their comments."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.prometheus import debian_program

_PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
_SECTION = _PAGE.read_text().partition("## A metrics file")[2].partition("\n## ")[0]
_QUERIES = re.findall(r"^```promql\n(.*?)^```$", _SECTION, re.MULTILINE | re.DOTALL)
_NAMES = ("failed", "no run", "no success", "silent host")

# Seconds: ends a test that has failed.
_PATIENCE = 120.0


def _series(metric: str, instance: str, values: str) -> dict[str, str]:
    labels = f'{{instance="{instance}",name="backup",kind="cron"}}'
    return {"series": f"consul_lock_last_{metric}{labels}", "values": values}


# A scrape an hour.  Host a succeeds at 1 h and skips at 20 h; host b fails at 10 h, and is gone at
# 45 h.
_SERIES = [
    _series("run_success", "a", "_ 1x80"),
    _series("run_end_timestamp_seconds", "a", "_ 3600x80"),
    _series("run_success_timestamp_seconds", "a", "_ 3600x80"),
    _series("skip_timestamp_seconds", "a", "_x20 72000x60"),
    _series("run_success", "b", "_x10 0x35"),
    _series("run_end_timestamp_seconds", "b", "_x10 36000x35"),
]
_JOB = {"name": "backup"}
_CASES: list[tuple[str, int, list[dict[str, str]]]] = [
    ("failed", 5, []),
    ("failed", 12, [{**_JOB, "instance": "b", "kind": "cron"}]),
    ("no run", 35, []),
    ("no run", 38, [_JOB]),
    ("no run", 50, [_JOB]),
    ("no success", 26, []),
    ("no success", 30, [_JOB]),
    ("silent host", 35, []),
    ("silent host", 40, [{**_JOB, "instance": "b"}]),
    ("silent host", 50, [{**_JOB, "instance": "a"}]),
]


def _judge(folder: Path, queries: list[str]) -> subprocess.CompletedProcess[str]:
    """What promtool makes of them."""
    rules = [
        {"alert": name.title().replace(" ", ""), "expr": query}
        for name, query in zip(_NAMES, queries, strict=True)
    ]
    tests = [
        {
            "alertname": name.title().replace(" ", ""),
            "eval_time": f"{hour}h",
            "exp_alerts": [{"exp_labels": each} for each in labels],
        }
        for name, hour, labels in _CASES
    ]
    # JSON is YAML, too.
    documents = {
        "rules.yml": {"groups": [{"name": "queries", "rules": rules}]},
        "tests.yml": {
            "rule_files": ["rules.yml"],
            "evaluation_interval": "1h",
            "tests": [{"interval": "1h", "input_series": _SERIES, "alert_rule_test": tests}],
        },
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))
    command = [str(debian_program("promtool")), "test", "rules", "tests.yml"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False
    )


def test_each_query_finds_what_its_comment_says(tmp_path: Path) -> None:
    """And nothing before that; a host that is gone hides neither itself nor the others."""
    assert len(_QUERIES) == len(_NAMES)
    result = _judge(tmp_path, _QUERIES)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("number", range(len(_NAMES)))
def test_a_query_that_finds_nothing_is_noticed(tmp_path: Path, number: int) -> None:
    """What judges them does judge, each of them."""
    queries = [*_QUERIES]
    queries[number] = "vector(0) > 1"
    assert _judge(tmp_path, queries).returncode == 1
