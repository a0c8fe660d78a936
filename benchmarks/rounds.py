"""Interleaved rounds, medians and ratios.

Every contender has its turn in every round, and the order rotates, so what else the machine
does meanwhile hits all alike.  A ratio is the median of the rounds' ratios: two figures that
were taken within a second of each other.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Figures = dict[str, list[float]]


def options(about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rounds", type=int, default=10, help="rounds (default: %(default)s)")
    parser.add_argument("--asyncio", action="store_true", help="measure the asyncio Lock too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    return parser


def interleave(contenders: Mapping[str, Callable[[], float]], rounds: int) -> Figures:
    """The figure of every contender in every round; a first, unmeasured round warms up."""
    names = list(contenders)
    figures: Figures = {name: [] for name in names}
    for number in range(rounds + 1):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            figure = contenders[name]()
            if number:
                figures[name].append(figure)
    return figures


def ratio(figures: Figures, name: str, other: str) -> float:
    pairs = zip(figures[name], figures[other], strict=True)
    return statistics.median(mine / its for mine, its in pairs)


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = [heads, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    for row in table:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join(cells).rstrip())


def print_ratios(ratios: Mapping[str, tuple[float, str]]) -> None:
    """One line: what is compared, the ratio, and what is aimed at."""
    said = (f"{what} = {value:.2f} (aim: {aim})" for what, (value, aim) in ratios.items())
    print("ratios: " + "; ".join(said))


def write(file: Path | None, results: Mapping[str, Any]) -> None:
    if file is not None:
        machine = {"python": platform.python_version(), "machine": platform.machine()}
        file.write_text(json.dumps({**machine, **results}, indent=2) + "\n")
