"""Reports are added up and written down."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.torture.report import Finding, Kind, Report, merged_files


def _report(seconds: float) -> Report:
    kind = Kind(2, 3, 1, Counter(go=1), {"kill": seconds}, [seconds])
    finding = Finding("overlap", "x and y", 1.0, ("kill",))
    return Report(
        findings=[finding], go=[finding], kinds={"lock": kind}, faults=Counter(kill=1), reads=5,
        exit_codes=Counter({"run 0": 2}),
    )  # fmt: skip


def test_reports_of_files_are_added_up(tmp_path: Path) -> None:
    """Counts are sums, times without a holder the longest."""
    paths = [tmp_path / "one", tmp_path / "two"]
    for path, seconds in zip(paths, (2.0, 7.0), strict=True):
        path.write_text(_report(seconds).to_json())
    whole = merged_files(paths)
    assert whole.kinds["lock"] == Kind(4, 6, 2, Counter(go=2), {"kill": 7.0}, [2.0, 7.0])
    assert (len(whole.findings), len(whole.go), whole.reads) == (2, 2, 10)
    assert (whole.faults, whole.exit_codes) == ({"kill": 2}, {"run 0": 4})
    assert not whole.ok


def test_a_report_says_what_was_found() -> None:
    """In words, with each kind on a line."""
    text = str(_report(2.0))
    assert "lock: 2 holders, 1 overlaps" in text
    assert "FOUND: overlap: x and y" in text
