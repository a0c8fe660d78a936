"""docs/monitoring.md names the metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path

from consul_lock_cli.exporter.metrics import METRICS

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "monitoring.md").read_text()

_NAME = re.compile(r"\bconsul_lock_[a-z_]+\b")


def sections(heading: str) -> str:
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
    names = set(_NAME.findall(sections("Metrics of the fleet")))
    assert names - {"consul_lock_cli"} == set(METRICS)
