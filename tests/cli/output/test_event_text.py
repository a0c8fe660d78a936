"""An event in a line for people."""

from __future__ import annotations

import click

from consul_lock import Change
from consul_lock_cli.output.event_text import event_line
from tests.cli.output.examples import ESCAPES, NOW, SESSION, foreign_holder, holder, status


def test_a_line_says_when_what_which_lock_and_whose() -> None:
    """In colours, which a pipe does not get."""
    line = event_line(Change("acquired", holder(), status(holder())), NOW)
    assert line != click.unstyle(line)
    clock, *words = click.unstyle(line).split()
    assert clock.endswith("Z")
    assert len(clock) == len("17:00:03Z")
    assert words == ["acquired", "deploy", "web3", "pid", "4242", "(root)"]


def test_of_a_client_that_says_nothing_there_is_its_session() -> None:
    """As everywhere."""
    line = click.unstyle(event_line(Change("lost", foreign_holder(), status()), NOW))
    assert line.split()[1:] == ["lost", "deploy", "session", SESSION]


def test_nothing_that_others_write_moves_the_cursor() -> None:
    """Neither a host nor a user."""
    odd = holder(ESCAPES, user=ESCAPES)
    assert click.unstyle(event_line(Change("held", odd, status(odd)), NOW)).isprintable()
