"""docs/monitoring.md names the metrics, alerts and states that there are."""

from __future__ import annotations

import re
from pathlib import Path

from consul_lock_cli.exporter.metrics import METRICS
from consul_lock_cli.output.selection import STATES

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "monitoring.md").read_text()
_RULES = _ROOT / "contrib" / "prometheus" / "consul-lock.rules.yml"
_DASHBOARD = _ROOT / "contrib" / "grafana" / "consul-lock.json"

_NAME = re.compile(r"\bconsul_lock_[a-z_]+\b")


def section(heading: str) -> str:
    """The text below a heading of the page."""
    _, found, text = _PAGE.partition(f"\n## {heading}\n")
    assert found, heading
    return text.partition("\n## ")[0]


def test_the_table_of_the_page_is_that_of_the_exporter() -> None:
    """Row by row, with labels and meaning."""
    _, _, table = _PAGE.partition("<!-- metrics -->\n")
    table, found, _ = table.partition("<!-- end of metrics -->\n")
    assert found
    rows = [
        f"| `{name}` | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.text} |"
        for name, metric in METRICS.items()
    ]
    assert table.splitlines()[2:] == rows


def test_no_metric_of_the_fleet_is_named_that_is_not_there() -> None:
    """A query with a name that nobody serves finds nothing, and never says so."""
    assert set(_NAME.findall(section("Metrics of the fleet"))) == set(METRICS)
    assert set(_NAME.findall(section("Alerts"))) <= set(METRICS)


def test_the_alerts_of_the_page_are_those_of_the_rules_with_the_same_queries() -> None:
    """In the same order."""
    rows = re.findall(r"(?m)^\| `(ConsulLock\w+)` \| `(.*?)` \| .+ \|$", section("Alerts"))
    rules = re.findall(r"(?m)^ +- alert: (\w+)\n +expr: (.*)$", _RULES.read_text())
    assert len(rules) > 10
    assert rows == rules


def test_the_run_book_has_every_state_that_is_shown() -> None:
    """Those by which `ls` selects, and the one that `cron ls` adds."""
    states = set(re.findall(r"(?m)^\| (\w+) \| ", section("What each state means")))
    assert states - {"state"} == {*STATES, "OVERDUE"}


def test_the_dashboard_asks_for_metrics_that_are_there() -> None:
    """Of all that there are, but for those of no use as a picture."""
    asked = set(_NAME.findall(_DASHBOARD.read_text()))
    assert asked <= set(METRICS)
    assert set(METRICS) - asked == {"consul_lock_cron_clock_wrong"}
