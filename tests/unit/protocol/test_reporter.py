"""The reporter of a client to which nobody listens."""

from __future__ import annotations

from consul_lock._protocol.reporter import DEBUG, INFO, WARNING, Reporter


def test_nobody_listens_and_nothing_is_logged() -> None:
    """So a flow makes no report at all; one that is made all the same is dropped."""
    reporter = Reporter()
    assert not reporter.listens
    assert not any(reporter.logs(level) for level in (DEBUG, INFO, WARNING))
    assert reporter.report("acquired", INFO, {}) is None
    assert reporter.record("waiting", INFO, {}) is None
    assert reporter.publish("renewal-failing", {}) is None


def test_the_levels_are_those_of_the_log() -> None:
    """A flow may not import `logging`, so the numbers stand there once more."""
    import logging

    assert (DEBUG, INFO, WARNING) == (logging.DEBUG, logging.INFO, logging.WARNING)
