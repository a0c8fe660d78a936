"""What flock, `consul lock`, `etcdctl lock` and consul-lock do in the same situations.

python benchmarks/peers.py [--quick] [--only NAME] [--print]

Runs them all and writes the table of docs/cli.md; --quick leaves the slow situations as they
are on the page.  It takes about four minutes, --quick a few seconds.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from peer_situations import SITUATIONS, Situation
from peer_stand import Stand
from peer_tools import TOOLS, Tool

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

_TABLE = re.compile(r"(<!-- peers: begin -->\n).*?(<!-- peers: end -->)", re.DOTALL)

Cells = dict[tuple[str, str], str]
"""What is seen, by situation and tool."""


def watch(tool: Tool, situations: Sequence[Situation]) -> Cells:
    """One tool in these situations, one after the other."""
    if not tool.version():
        return {(situation.title, tool.name): tool.missing for situation in situations}
    found = {}
    with tool.serving():
        for situation in situations:
            with Stand(tool) as stand:
                found[situation.title, tool.name] = situation.watch(stand)
    return found


def watch_all(tools: Sequence[Tool], situations: Sequence[Situation]) -> Cells:
    """All tools at the same time: they mostly wait, and share nothing."""
    found: Cells = {}
    with ThreadPoolExecutor(len(tools)) as threads:
        for cells in threads.map(lambda tool: watch(tool, situations), tools):
            found |= cells
    return found


def versions(tools: Sequence[Tool]) -> list[str]:
    """The head of each column."""
    return [f"{tool.name} {tool.version()}".strip() for tool in tools]


def table(cells: Cells, heads: Sequence[str], names: Sequence[str]) -> str:
    """As Markdown."""
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for situation in SITUATIONS:
        row = [cells.get((situation.title, name), "") for name in names]
        lines.append(f"| {situation.title} | {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def read(page: str, names: Sequence[str]) -> Cells:
    """What the page says now."""
    block = _TABLE.search(page)
    rows = block.group(0).splitlines()[3:-1] if block else []
    found: Cells = {}
    for row in rows:
        # A bar inside a cell is written with a backslash.
        title, *cells = (cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1])
        found |= {(title, name): cell for name, cell in zip(names, cells, strict=True)}
    return found


def written(page: str, new: str) -> str:
    """The page with that table."""
    assert _TABLE.search(page), f"{PAGE} has lost its markers"
    return _TABLE.sub(lambda found: f"{found[1]}{new}{found[2]}", page)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the tools, and write docs/cli.md.")
    parser.add_argument("--quick", action="store_true", help="only what takes no time")
    parser.add_argument("--only", metavar="NAME", help="only this tool, such as 'consul lock'")
    parser.add_argument("--print", action="store_true", help="print it, do not write the page")
    given = parser.parse_args()
    tools = [tool() for tool in TOOLS]
    names = [tool.name for tool in tools]
    page = PAGE.read_text()
    chosen = [tool for tool in tools if given.only in (None, tool.name)]
    situations = [each for each in SITUATIONS if each.quick or not given.quick]
    cells = read(page, names) | watch_all(chosen, situations)
    new = table(cells, versions(tools), names)
    if given.print:
        print(new)
    else:
        PAGE.write_text(written(page, new))


if __name__ == "__main__":
    main()
