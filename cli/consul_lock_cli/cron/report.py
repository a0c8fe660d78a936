"""What cron is to mail of a run: one line, and with --chronic what the command has printed."""

from __future__ import annotations

from consul_lock_cli import FIRED_AT
from consul_lock_cli.base.clock import now
from consul_lock_cli.base.console import Console
from consul_lock_cli.base.durations import show_duration
from consul_lock_cli.cron.kept_output import KeptOutput, to_stdout
from consul_lock_cli.process.outcome import ProcessResult
from consul_lock_cli.run.execution import Execution
from consul_lock_cli.spec.cron import short
from consul_lock_cli.spec.process import show_signal

# Seconds in which the reader of stdout has to take what the command has printed: a mailer may be
# slow, and a signal ends it in any case.
_POURING = 86400.0


class RunReport:
    """Of one run; ``when`` is that of --report, ``output`` is kept with --chronic."""

    def __init__(self, title: str, when: str, output: KeptOutput | None, console: Console) -> None:
        self._title = title
        self._when = when
        self._output = output
        self._console = console
        self._begun = 0.0
        self.runtime: float | None = None
        """Seconds; None: it has not run."""

    def begin(self) -> None:
        """The command starts now."""
        self._begun = now()
        if self._output is not None:
            self._output.begin()

    def ran(self) -> None:
        """It has ended."""
        self.runtime = now() - self._begun

    def finish(
        self,
        slot: str,
        epoch: float | None,
        attempt: int,
        ended: ProcessResult,
        code: int,
        act: Execution,
    ) -> None:
        """Report how it went: ``code`` is the exit code of consul-lock, ``attempt`` 0 if there is
        no record of it."""
        if ended.failure is None:  # else it was never run, and that is a line of its own
            self._tell(short(slot, epoch, FIRED_AT), attempt, ended, code)
        if self._output is not None:
            self._output.end()
            if code:
                self._pour(self._output, act)
            self._output.close()

    def _tell(self, slot: str, attempt: int, ended: ProcessResult, code: int) -> None:
        if self._when == "never" or (not code and self._when != "always"):
            return
        runtime = self.runtime or 0.0
        died = f"died of {show_signal(-ended.code)}, " if ended.code < 0 else ""
        which = f", attempt {attempt}" if attempt else ""
        text = (
            f"job {self._title} {'failed' if code else 'succeeded'}: {died}exit code {code:d},"
            f" slot {slot}{which}, run time {show_duration(runtime)}"
        )
        say = self._console.error if code else self._console.note
        say(
            text,
            event="finished",
            code=int(code),
            attempt=attempt or None,
            runtime_s=round(runtime, 3),
        )

    def _pour(self, output: KeptOutput, act: Execution) -> None:
        try:
            if not act.finish(lambda: output.pour(to_stdout), _POURING):
                self._console.warn("--chronic: the output was cut off by a signal")
        except OSError as error:
            self._console.warn(f"--chronic: the output could not be shown: {error.strerror}")
