"""The alert rules of contrib/prometheus, judged by promtool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from consul_lock_cli.exporter.metrics import METRICS
from tests.support.prometheus import debian_program

_FOLDER = Path(__file__).parents[2] / "contrib" / "prometheus"
_RULES = _FOLDER / "consul-lock.rules.yml"
_TESTS = _FOLDER / "consul-lock.rules.test.yml"

# Seconds: ends a test that has failed.
_PATIENCE = 120.0


def promtool(*arguments: str, at: Path = _FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(debian_program("promtool")), *arguments],
        cwd=at, capture_output=True, text=True, timeout=_PATIENCE, check=False,
    )  # fmt: skip


def names_of_alerts() -> list[str]:
    return re.findall(r"(?m)^ +- alert: (\w+)$", _RULES.read_text())


def test_the_rules_are_valid() -> None:
    """Also for promtool's own linter."""
    result = promtool("check", "rules", "--lint-fatal", _RULES.name)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"{len(names_of_alerts())} rules found" in result.stdout


def test_each_fires_when_it_should_and_not_before() -> None:
    """On the series of the file beside them."""
    result = promtool("test", "rules", _TESTS.name)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout


@pytest.mark.parametrize("name", names_of_alerts())
def test_the_series_make_each_alert_fire(name: str) -> None:
    """One that was never seen to fire may have a wrong name in it."""
    cases = re.split(r"(?m)^ +- alertname: ", _TESTS.read_text())
    mine = [case for case in cases if case.startswith(f"{name}\n")]
    assert any("exp_labels" in case for case in mine), f"add a case to {_TESTS.name}"


def test_a_rule_that_is_broken_is_noticed(tmp_path: Path) -> None:
    """What judges them does judge."""
    text = _RULES.read_text()
    for file, change in ((_RULES, ("> 3600", "> 3_600_000")), (_TESTS, ("", ""))):
        (tmp_path / file.name).write_text(file.read_text().replace(*change))
    assert promtool("check", "rules", _RULES.name, at=tmp_path).returncode == 1
    (tmp_path / _RULES.name).write_text(text.replace("> 20", "> 21"))
    assert promtool("test", "rules", _TESTS.name, at=tmp_path).returncode == 1


def test_the_rules_ask_for_metrics_that_are_there() -> None:
    """A rule with another name would never fire."""
    code = [line for line in _RULES.read_text().splitlines() if "expr:" in line]
    asked = set(re.findall(r"\bconsul_lock_\w+", "\n".join(code)))
    assert asked
    assert asked <= set(METRICS)
