"""The one line of a monitoring plugin, as Nagios, Icinga and all that run their plugins read it.

STATUS - text | 'label'=value[UOM];[warning];[critical];[minimum];[maximum] ...
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from consul_lock_cli.base.text import harmless
from consul_lock_cli.check.state import State, Verdict

# Characters: NRPE passes on 1 KB, and the numbers need some of it.
_TEXT_MAX = 700

# Of one job or lock among many.
_EACH_MAX = 160

# The largest number that is printed without an exponent, which plugins must not have.
_NUMBER_MAX = 1e15


class Metric(NamedTuple):
    """A number for graphs; it is a warning, or critical, if it is more than that."""

    label: str
    value: float | None
    """None: it is not known."""
    unit: str = ""
    """"s" for seconds; empty for a number of things."""
    warning: float | None = None
    critical: float | None = None
    minimum: float | None = 0.0
    maximum: float | None = None


def plugin_line(state: State, text: str, metrics: Iterable[Metric] = ()) -> str:
    """The line.  Whatever others have written into the text, it is one line and has one pipe."""
    numbers = " ".join(map(_metric, metrics))
    line = f"{state.name} - {_cut(one_line(text), _TEXT_MAX)}"
    return f"{line} | {numbers}" if numbers else line


def one_line(text: str) -> str:
    """Text without control characters, line breaks and pipes, behind which numbers are read."""
    return harmless(text).replace("|", r"\x7c")


def summary(verdicts: Sequence[Verdict], things: str) -> str:
    """All that is wrong, the worst first; each once, and as much as fits into a line."""
    if len(verdicts) == 1:
        return f"{verdicts[0].name}: {verdicts[0].text}"
    bad = [verdict for state in (State.CRITICAL, State.WARNING, State.UNKNOWN)
           for verdict in verdicts if verdict.state is state]  # fmt: skip
    if not bad:
        return f"{len(verdicts)} {things}"
    text = f"{len(bad)} of {len(verdicts)} {things}: "
    for at, verdict in enumerate(bad):
        part = _cut(one_line(f"{verdict.name} {verdict.text}"), _EACH_MAX)
        rest = len(bad) - at
        if len(text) + len(part) > _TEXT_MAX - len(f"and {rest} more"):
            return f"{text}and {rest} more"
        text += part if rest == 1 else f"{part}; "
    return text


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _metric(metric: Metric) -> str:
    label = metric.label.replace("'", "''")
    value = "U" if metric.value is None else f"{_number(metric.value)}{metric.unit}"
    limits = (metric.warning, metric.critical, metric.minimum, metric.maximum)
    told = ";".join("" if limit is None else _number(limit) for limit in limits)
    return f"'{label}'={value};{told}".rstrip(";")


def _number(value: float) -> str:
    bounded = max(-_NUMBER_MAX, min(_NUMBER_MAX, value))
    text = f"{bounded:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
