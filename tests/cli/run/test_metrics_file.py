"""The metrics file: gauges of the last run on a host, for a node_exporter that reads them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consul_lock_cli.base.console import Console
from consul_lock_cli.base.errors import Misuse
from consul_lock_cli.base.exit_codes import ExitCode
from consul_lock_cli.process.outcome import ProcessResult, StopReason
from consul_lock_cli.run import metrics_file
from consul_lock_cli.run.metrics_file import MetricsFile
from consul_lock_cli.run.status_file import StatusFile
from consul_lock_cli.spec.lock import LockKind
from tests.cli.command import Running, consul, environment
from tests.cli.conftest import Result
from tests.cli.cron_fixture import (
    EIGHT,
    HOUR,
    Job,
    job_fixture,  # noqa: F401 - a fixture, used by its name
)
from tests.cli.in_process import in_process
from tests.support.debian import debian_file
from tests.support.ports import free_port
from tests.support.waiting import eventually

LockedRun = Callable[..., Result]

_ROOT = Path(__file__).parents[3]
_ENDED = ProcessResult(0, lost=False, typed=False, failure=None)
_LABELS = {"name": "backup", "kind": "lock"}

Samples = dict[str, tuple[dict[str, str], float]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the gauges go."""
    return tmp_path / "backup.prom"


def gauges(text: str, beginning: str = "consul_lock_last_") -> Samples:
    """The labels and the value of each gauge, by its name without what all begin with; each has
    its HELP and its TYPE."""
    from prometheus_client.parser import text_string_to_metric_families

    found: Samples = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith(beginning):
            assert (family.type, bool(family.documentation)) == ("gauge", True)
            (sample,) = family.samples
            found[family.name.removeprefix(beginning)] = (dict(sample.labels), sample.value)
    return found


def values(file: Path) -> dict[str, float]:
    """The value of each gauge."""
    return {name: value for name, (_, value) in gauges(file.read_text()).items()}


def end(
    file: Path,
    ended: ProcessResult | None = None,
    code: int = 0,
    console: Console | None = None,
    **known: Any,
) -> None:
    """A run that ends so; without ``ended`` no command was started."""
    status = StatusFile(metrics=MetricsFile(file))
    status.know(**{"key": "backup", "mode": "lock", **known})
    status.begin(console or Console())
    if ended is not None:
        status.ended(ended)
    status.write(code, console or Console())


def skip(file: Path, outcome: str = "taken", code: int = 0, console: Console | None = None) -> None:
    """A slot that is not run on this host."""
    status = StatusFile(metrics=MetricsFile(file))
    status.know(key="backup", mode="lock", outcome=outcome)
    status.begin(console or Console())
    status.skipped(code)
    status.write(code, console or Console())


_LOST = _ENDED._replace(code=9, stopped=StopReason.LOST, lost=True)
_OVERTIME = _ENDED._replace(code=-15, stopped=StopReason.OVERTIME)
_MISSING = _ENDED._replace(code=127, failure=FileNotFoundError(2, "no"))


@pytest.mark.parametrize(
    "ended, code, outcome, success",
    [
        (_ENDED, 0, "exit", 1),
        (_ENDED._replace(code=3), 3, "exit", 0),
        (_ENDED._replace(code=-9), 137, "signal", 0),
        (_LOST, 76, "lost", 0),
        (_OVERTIME, 124, "timeout", 0),
        (_MISSING, 127, "failed", 0),
        (None, 0, "interrupted", 1),  # --hold, at its signal
        (None, 70, "failed", 0),
    ],
)
def test_each_end_of_a_run_has_its_gauges(
    file: Path, ended: ProcessResult | None, code: int, outcome: str, success: int
) -> None:
    """The time of a success is there after a success only, so it is true of this run."""
    before = time.time()
    end(file, ended, code)
    found = gauges(file.read_text())
    assert found["run_outcome"] == ({**_LABELS, "outcome": outcome}, 1)
    assert found["run_exit_code"] == (_LABELS, code)
    assert found["run_success"] == (_LABELS, success)
    assert found["run_lost"] == (_LABELS, int(outcome == "lost"))
    (_, began), (_, over) = found["run_start_timestamp_seconds"], found["run_end_timestamp_seconds"]
    assert before - 0.001 <= began <= over <= time.time() + 0.001
    succeeded = found.get("run_success_timestamp_seconds")
    assert succeeded == ((_LABELS, over) if success else None)
    assert {name for name in found if name.startswith("skip_")} == set()


@pytest.mark.parametrize("code", [69, 0])
def test_a_start_that_fails_without_consul_is_no_run(file: Path, code: int) -> None:
    """Another host may have run the job well; so it is with --unavailable-exit-code 0, too."""
    end(file, _ENDED._replace(code=3), 3)
    before = {name: each for name, each in values(file).items() if name.startswith("run_")}
    status = StatusFile(metrics=MetricsFile(file))
    status.know(key="backup", mode="lock")
    status.refused(ExitCode.UNAVAILABLE, code)
    status.write(code, Console())
    found = gauges(file.read_text())
    assert found["skip_reason"] == ({**_LABELS, "reason": "unavailable"}, 1)
    assert found["skip_exit_code"] == (_LABELS, code)
    assert before.items() <= values(file).items()


@pytest.mark.parametrize("mode", LockKind)
def test_each_kind_of_lock_has_the_word_that_events_have_for_it(file: Path, mode: LockKind) -> None:
    """Not the way in which it is held: a query for a lock is the same everywhere."""
    end(file, _ENDED, mode=mode)
    kind = gauges(file.read_text())["run_success"][0]["kind"]
    assert kind in {"lock", "semaphore", "read-write", "multilock", "election"}
    assert (kind == "read-write") == (mode in ("shared", "exclusive", "tree"))


def test_what_is_not_known_is_absent(file: Path) -> None:
    """A wait of 0 would be a claim; of a slot that is an ID there is no time."""
    end(file, _ENDED)
    assert not {"run_wait_seconds", "run_hold_seconds", "run_command_seconds"} & set(values(file))
    end(file, _ENDED, waited_s=1.5, held_s=2.25, runtime_s=2.0, slot_epoch=None)
    found = values(file)
    assert (found["run_wait_seconds"], found["run_hold_seconds"]) == (1.5, 2.25)
    assert found["run_command_seconds"] == 2
    assert "run_slot_timestamp_seconds" not in found


def test_a_skip_does_not_hide_how_the_last_run_went(file: Path) -> None:
    """It has gauges of its own, which a later run leaves as they are."""
    end(file, _ENDED._replace(code=3), 3)
    run = gauges(file.read_text())
    skip(file, "taken")
    both = gauges(file.read_text())
    assert {name: both[name] for name in run} == run
    assert both["skip_reason"] == ({**_LABELS, "reason": "taken"}, 1)
    assert both["skip_timestamp_seconds"][1] >= run["run_end_timestamp_seconds"][1]
    end(file, _ENDED)
    after = gauges(file.read_text())
    assert after["run_exit_code"] == (_LABELS, 0)
    assert after["skip_timestamp_seconds"] == both["skip_timestamp_seconds"]
    skip(file, "overlap", 7)
    last = gauges(file.read_text())
    assert last["skip_reason"] == ({**_LABELS, "reason": "overlap"}, 1)
    assert last["skip_exit_code"] == (_LABELS, 7)


def test_a_lock_that_another_process_has_is_a_skip(file: Path) -> None:
    """Of `run -n`, with whatever exit code; there was no run on this host so far."""
    status = StatusFile(metrics=MetricsFile(file))
    status.know(key="backup", mode="lock")
    status.refused(ExitCode.HELD, 75)
    status.write(75, Console())
    found = gauges(file.read_text())
    assert found["skip_reason"] == ({**_LABELS, "reason": "held"}, 1)
    assert found["skip_exit_code"] == (_LABELS, 75)
    assert {name for name in found if name.startswith("run_")} == set()


def test_only_what_this_name_has_written_is_kept(file: Path) -> None:
    """Not gauges of another name, nor what somebody has added, which could spoil the whole file."""
    end(file, _ENDED, key="restore")
    with file.open("a") as old:
        old.write('consul_lock_last_run_lost{name="backup",kind="lock"} spoilt by hand\nmore 1\n')
    skip(file)
    assert {name.partition("_")[0] for name in values(file)} == {"skip"}
    assert "more" not in file.read_text()


def test_a_run_that_ends_while_a_slot_is_skipped_is_not_hidden_by_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The skip has read the file when the run ends: the run writes after it."""
    replace, flock, tried = metrics_file.replace_file, fcntl.flock, threading.Event()
    runs: list[threading.Thread] = []

    def noticed(descriptor: int, operation: int) -> None:
        if runs:
            tried.set()
        flock(descriptor, operation)

    def late(*arguments: Any) -> None:
        if not runs:
            runs.append(threading.Thread(target=end, args=(file, _ENDED._replace(code=3), 3)))
            runs[0].start()
            assert tried.wait(60)
        replace(*arguments)

    monkeypatch.setattr(metrics_file, "_TURN", 60.0)
    monkeypatch.setattr(fcntl, "flock", noticed)
    monkeypatch.setattr(metrics_file, "replace_file", late)
    skip(file)
    runs[0].join()
    assert {"run_exit_code", "skip_exit_code"} <= set(values(file))


def test_a_turn_that_never_comes_is_not_waited_for(file: Path) -> None:
    """Everybody who can read the folder could keep a run from its end."""
    descriptor = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    end(file, _ENDED)
    os.close(descriptor)
    assert values(file)["run_success"] == 1


@pytest.mark.parametrize("umask", [0o077, 0o777, 0])
def test_everybody_can_read_it_whatever_the_umask(file: Path, umask: int) -> None:
    """node_exporter runs as a user of its own; nobody else can write it."""
    before = os.umask(umask)
    try:
        end(file, _ENDED)
        skip(file)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o7777 == 0o644
    assert list(file.parent.iterdir()) == [file]


def test_it_is_replaced_as_a_whole_by_a_file_that_node_exporter_does_not_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader has the old one or the new one; half of one would be an error of the scrape."""
    made: list[str] = []
    mkstemp = tempfile.mkstemp

    def noticed(**options: Any) -> tuple[int, str]:
        descriptor, name = mkstemp(**options)
        made.append(name)
        return descriptor, name

    monkeypatch.setattr(tempfile, "mkstemp", noticed)
    end(file, _ENDED)
    with file.open() as old:
        end(file, _ENDED._replace(code=3), 3)
        assert gauges(old.read())["run_exit_code"][1] == 0
    assert values(file)["run_exit_code"] == 3
    assert len(made) == 2
    assert {Path(name).parent for name in made} == {file.parent}
    assert not any(name.endswith(".prom") for name in made)


def test_a_name_is_escaped_and_in_utf_8_whatever_the_locale(file: Path) -> None:
    """node_exporter would refuse the file; a surrogate stands for a byte that was no text."""
    names = 'say "no"\\n', "Zürich", "\udcff", "two\nlocks"
    program = (
        "import sys, json\n"
        "from tests.cli.run.test_metrics_file import *\n"
        "for number, name in enumerate(json.loads(sys.argv[2])):\n"
        "    end(Path(sys.argv[1]) / f'{number}.prom', key=name)\n"
    )
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", program, str(file.parent), json.dumps(names)]
    subprocess.run(command, env=ascii_only, cwd=_ROOT, check=True)
    texts = [(file.parent / f"{number}.prom").read_text("utf-8") for number in range(len(names))]
    labels = [gauges(text)["run_success"][0]["name"] for text in texts]
    assert labels == ['say "no"\\n', "Zürich", "?", "two, locks"]
    assert r'{name="say \"no\"\\n",kind="lock"}' in texts[0]


def test_a_file_that_would_not_be_read_is_misuse(tmp_path: Path) -> None:
    """Before anything starts."""
    file = str(tmp_path / "metrics.txt")
    result = in_process("run", "-k", "k", "--metrics-file", file, "--", "true", env={})
    assert result.returncode == 64
    assert "--metrics-file: " in result.stderr
    assert "does not end in .prom" in result.stderr


@pytest.mark.parametrize("path", ["gone/metrics.prom", "folder.prom"])
def test_a_file_that_cannot_be_written_does_not_keep_the_command_from_its_run(
    locked_run: LockedRun, tmp_path: Path, path: str
) -> None:
    """A crontab for all hosts has it, and one of them has no node_exporter."""
    (tmp_path / "folder.prom").mkdir()
    result = locked_run("--metrics-file", str(tmp_path / path), "--", "echo", "ran")
    assert (result.returncode, result.stdout) == (0, "ran\n")
    assert "warning: the metrics could not be written: " in result.stderr


def test_a_name_that_does_not_end_in_prom_has_a_hint() -> None:
    """The file would be written, and never be read."""
    with pytest.raises(Misuse, match=r"does not end in \.prom") as refused:
        MetricsFile(Path("/tmp/metrics"))
    assert refused.value.hint == "node_exporter's textfile collector reads no other file"


def test_metrics_that_cannot_be_written_do_not_end_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning is enough: the folder has vanished, or something else stands at the name."""
    end(tmp_path / "gone" / "backup.prom", _ENDED)
    fifo = tmp_path / "fifo.prom"
    os.mkfifo(fifo)
    end(fifo, _ENDED)
    assert fifo.is_fifo()
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("consul-lock: warning: the metrics could not be written: ")
    assert second.endswith(f"not a regular file: '{fifo}'")


def test_a_run_that_cannot_be_read_is_not_overwritten_by_a_skip(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """But a run is worth more than a skip."""
    end(file, _ENDED._replace(code=3), 3)

    def unreadable(*_: object) -> str:
        raise PermissionError(13, "denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", unreadable)
        skip(file)
        assert "the metrics could not be written: " in capsys.readouterr().err
    assert values(file)["run_exit_code"] == 3
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", unreadable)
        end(file, _ENDED)
    assert values(file)["run_exit_code"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user")
def test_a_link_that_another_user_has_put_there_is_not_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder such as /tmp."""
    victim, folder = tmp_path / "victim.prom", tmp_path / "tmp"
    victim.write_text("precious")
    folder.mkdir()
    folder.chmod(0o1777)
    link = folder / "backup.prom"
    link.symlink_to(victim)
    os.chown(link, 65534, 65534, follow_symlinks=False)
    end(link, _ENDED)
    said = capsys.readouterr().err
    assert "the metrics could not be written: " in said
    assert "another user's link in a folder that everybody can write" in said
    assert victim.read_text() == "precious"


def test_a_run_writes_how_long_it_waited_and_held(locked_run: LockedRun, file: Path) -> None:
    """And ends with the exit code of the command."""
    result = locked_run("--metrics-file", str(file), "--min-hold", "200ms", "--", "sh", "-c",
                        "exit 3")  # fmt: skip
    assert (result.returncode, result.stderr) == (3, "")
    found = values(file)
    assert (found["run_exit_code"], found["run_acquired"], found["run_success"]) == (3, 1, 0)
    assert found["run_wait_seconds"] >= 0
    assert found["run_hold_seconds"] >= 0.2
    assert found["run_hold_seconds"] > found["run_command_seconds"]


def test_a_run_that_is_killed_leaves_the_gauges_of_the_run_before(
    locked_run: LockedRun, start: Callable[..., Running], file: Path
) -> None:
    """They are as true as before, and get older: that is what to alert on."""
    locked_run("--metrics-file", str(file), "--", "true")
    before = file.read_text()
    running = start("--metrics-file", str(file), "--", "sh", "-c", "echo ready; exec sleep 600")
    assert running.line() == "ready"
    assert file.read_text() == before
    running.send(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert file.read_text() == before


def test_a_term_of_a_leader_that_was_lost_is_a_run(address: str, key: str, file: Path) -> None:
    """While it campaigns again its file says so, and how the next term ended replaces that."""
    work = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    quick = ("--ttl", "10s", "--lock-delay", "5s", "--kill-after", "1s")
    options = ["leader", "--key", key, *quick, "--metrics-file", str(file), "--", "sh", "-c", work]
    with Running(options, environment(address)) as leader:
        assert leader.line() == "ready"
        assert not file.exists()
        (entry,) = consul(address, "GET", f"/v1/kv/{key}/.lock")
        assert consul(address, "PUT", f"/v1/session/destroy/{entry['Session']}")
        assert leader.line() == "ready"
        found = gauges(file.read_text())
        assert found["run_outcome"][0] == {"name": key, "kind": "election", "outcome": "lost"}
        assert (found["run_lost"][1], found["run_exit_code"][1]) == (1, 76)
        leader.send(signal.SIGTERM)
        assert leader.wait() == 0
    assert values(file)["run_lost"] == 0
    assert values(file)["run_success"] == 1


def test_a_cron_slot_that_another_host_has_run_keeps_this_hosts_last_run(
    job: Job, file: Path
) -> None:
    """The kind is cron; the slot of the run is that of the run."""
    metrics = ("--every", "1h", "--metrics-file", str(file))
    job.fire(*metrics, "--", "sh", "-c", "exit 3", at=EIGHT + 1)
    job.fire("--every", "1h", "--", "true", at=EIGHT + HOUR + 1)
    job.fire(*metrics, "--", "true", at=EIGHT + HOUR + 2)
    found, labels = gauges(file.read_text()), {"name": job.name, "kind": "cron"}
    assert found["run_exit_code"] == (labels, 3)
    assert found["run_slot_timestamp_seconds"] == (labels, EIGHT)
    assert found["skip_reason"] == ({**labels, "reason": "taken"}, 1)
    assert found["skip_exit_code"] == (labels, 0)


# -- the real reader --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node_exporter() -> Path:
    """Debian's node_exporter, installed or fetched."""
    return debian_file("prometheus-node-exporter", "usr/bin/prometheus-node-exporter")


@pytest.fixture
def scraped(node_exporter: Path) -> Iterator[tuple[Path, Callable[[], str]]]:
    """A folder that node_exporter reads, as another user where that can be, and what it says."""
    with tempfile.TemporaryDirectory(prefix="textfile-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        # The user of Debian's package cannot read what is below root's home.
        program = shutil.copy(node_exporter, folder / "node_exporter")
        (folder / "metrics").mkdir(mode=0o755)
        port = free_port()
        process = subprocess.Popen(
            [
                program,
                "--collector.disable-defaults",
                "--collector.textfile",
                f"--collector.textfile.directory={folder}/metrics",
                "--web.disable-exporter-metrics",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stderr=subprocess.PIPE,
            text=True,
            user=65534 if os.geteuid() == 0 else None,
        )

        def scrape() -> str:
            assert process.poll() is None, process.stderr and process.stderr.read()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as page:
                    return str(page.read().decode())
            except urllib.error.URLError as error:
                if not isinstance(error.reason, ConnectionError):
                    raise
                return ""

        try:
            yield folder / "metrics", scrape
        finally:
            process.terminate()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def test_a_node_exporter_shows_what_runs_have_written(
    scraped: tuple[Path, Callable[[], str]], locked_run: LockedRun, key: str
) -> None:
    """One that failed under a umask of 077, one with an odd name, and one that was skipped, each in
    a file of its own; and a temporary file that a killed one has left is not read."""
    from prometheus_client.parser import text_string_to_metric_families

    folder, scrape = scraped
    file = folder / "failed.prom"
    before = os.umask(0o077)
    try:
        locked_run("--metrics-file", str(file), "--", "sh", "-c", "exit 3")
        end(folder / "odd.prom", _ENDED, key='say "no"\\n to Zürich')
        skip(folder / "skipped.prom")
    finally:
        os.umask(before)
    (folder / ".odd.prom.8ddq0x1k").write_text("half of a gau")
    text = eventually(scrape)
    assert "node_textfile_scrape_error 0" in text
    codes = {
        sample.labels["name"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "consul_lock_last_run_exit_code"
    }
    assert codes == {key: 3, 'say "no"\\n to Zürich': 0}
    skipped = 'consul_lock_last_skip_reason{kind="lock",name="backup",reason="taken"} 1'
    assert skipped in text
    assert f'node_textfile_mtime_seconds{{file="{file}"}}' in text
    helps = [line for line in text.splitlines() if line.startswith("# HELP consul_lock_last_")]
    assert len(helps) > 10
    assert not any("Metric read from" in line for line in helps)
    (folder / "broken.prom").write_text("half of a gau")
    assert "node_textfile_scrape_error 1" in scrape()
