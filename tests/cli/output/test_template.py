"""--format: a template reaches the fields of an item, and nothing of Python."""

from __future__ import annotations

from typing import Any

import pytest

from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.output.cron_json import LISTED
from consul_lock_cli.output.lock_json import STATUS
from consul_lock_cli.output.template import Template
from tests.cli.output.examples import ESCAPES


@pytest.mark.parametrize(
    "template",
    ["{nonsense}", "{holder.nonsense}", "{", "{}", "{0}", "{name.upper}", "{name.__class__}",
     "{holder.__class__}", "{holder.host.x}", "{holder[0]}", "{limit:d}",
     "{name!r}", "{name:>{limit}}", "{name:99999999999}", "{last_break.x}"],
)  # fmt: skip
def test_a_bad_template_is_misuse(template: str) -> None:
    """Seen before anything is asked."""
    with pytest.raises(Misuse, match=r"^--format: "):
        Template(template, STATUS)


def test_an_unknown_field_is_answered_with_those_that_there_are() -> None:
    """Those of the parts, too; `holder` only where there are holders."""
    with pytest.raises(Misuse, match="no field") as caught:
        Template("{nonsense}", LISTED)
    hint = caught.value.hint
    assert hint.startswith("fields: name, key, kind, ")
    for part in (" holder; ", "holder.session, .host, ", "cron.name, ", "last_break.session, "):
        assert part in hint
    with pytest.raises(Misuse) as caught:
        Template("{holder.host}", ("name",))
    assert caught.value.hint == "fields: name"


@pytest.mark.parametrize(
    "value, text",
    [
        (None, ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (2.5, "2.5"),
        ("ü", "ü"),
        (ESCAPES, r"web\x1b[2J\r\n\x9b1;1H\u202e3"),
        ([], ""),
        (["a", 1], "a,1"),
        ([{"a": None}], '[{"a": null}]'),
        ({"a": ESCAPES[:4]}, r'{"a": "web\u001b"}'),
        ("x" * 5000, "x" * 4093 + "..."),
    ],
)
def test_a_value_is_text_without_escape_sequences(value: Any, text: str) -> None:
    """Objects and lists of them are JSON; what is not known is empty."""
    assert Template("{value}", ("value",)).line({"value": value}) == text


def test_paths_lead_to_parts_and_to_names_of_free_choice() -> None:
    """Where names are free they are those of the item; numbers are text like all others."""
    template = Template("{holder.meta.__class__}|{holder.meta.a.b}|{limit:.1}|{name:>3}", STATUS)
    holder = {"meta": {"a.b": "x"}}
    assert template.line({"name": "n", "limit": 42, "holders": [holder]}) == "|x|4|  n"
    assert template.line({"name": "n"}) == "|||  n"
    cron = Template("{cron.paused.by} {cron.exit} {{}}", LISTED)
    assert cron.line({"cron": {"paused": {"by": "ann"}, "exit": 0}}) == "ann 0 {}"
    assert cron.line({"cron": {"paused": None, "exit": None}}) == "  {}"
    assert cron.line({"cron": None}) == "  {}"


def test_the_first_of_several_holders_is_the_holder() -> None:
    """And none of none."""
    template = Template("{holder.host:<5}|", STATUS)
    assert template.line({"holders": [{"host": "a"}, {"host": "b"}]}) == "a    |"
    assert template.line({"holders": []}) == "     |"
