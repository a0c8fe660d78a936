"""A real Prometheus, of Debian's package: a server for a test, and promtool."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.support.debian import debian_file
from tests.support.ports import free_port
from tests.support.waiting import eventually

# Seconds: ends a test that has failed.
_PATIENCE = 60.0

# Scraped and judged as often as it can be: a test waits for that.
_CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: ["{rules}"]
scrape_configs:
  - job_name: consul-lock
    static_configs:
      - targets: ["{target}"]
"""


def debian_program(name: str) -> Path:
    """`prometheus` or `promtool`: installed, or fetched; ends the test where neither can be."""
    return debian_file("prometheus", f"usr/bin/{name}")


class Prometheus:
    """A server that scrapes one exporter and judges by these rules, until the end of the block."""

    def __init__(self, program: Path, folder: Path, target: str, rules: Path) -> None:
        self._folder = folder
        self.address = f"http://127.0.0.1:{free_port()}"
        config = folder / "prometheus.yml"
        config.write_text(_CONFIG.format(rules=rules, target=target))
        self._log = folder / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(program),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address={self.address.removeprefix('http://')}",
                    "--log.level=warn",
                ],
                # One thread for its Go: it has nothing to do.
                env={"PATH": os.environ["PATH"], "GOMAXPROCS": "1"},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        eventually(self._ready, _PATIENCE, message="Prometheus is ready")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        finally:
            self._process.kill()

    def _ready(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"Prometheus has ended: {self._log.read_text()}", pytrace=False)
        try:
            with urllib.request.urlopen(f"{self.address}/-/ready", timeout=_PATIENCE) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression comes to now.  Raises AssertionError for one that is none."""
        return list(self._get("query", query=expression)["result"])

    def alerts(self) -> dict[tuple[str, str], str]:
        """The severity of each that fires, by its name and that of the lock or job."""
        labels = [alert["labels"] for alert in self._get("alerts")["alerts"]]
        return {(each["alertname"], each.get("name", "")): each["severity"] for each in labels}

    def rules(self) -> list[dict[str, Any]]:
        """Each rule with its health and last evaluation."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **query: str) -> dict[str, Any]:
        address = f"{self.address}/api/v1/{what}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(address, timeout=_PATIENCE) as answer:
                document = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error
        assert document["status"] == "success", document
        found: dict[str, Any] = document["data"]
        return found
