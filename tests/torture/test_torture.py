"""The short form of `make torture`, and proof that it would find a broken project.

A seed that fails is played again with `python -m tests.torture.torture` and the options that are
printed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.support.effort import scaled
from tests.torture.history import Fault as Logged
from tests.torture.history import read_faults
from tests.torture.host import why_no_namespaces
from tests.torture.plan import PREFIX, Fault, Injected, Plan, Work
from tests.torture.torture import play
from tests.torture.workforce import ROOT
from tests.torture.workload import Job

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.cluster]

# Seconds of faults.  With the start and the end, which may wait for sessions to expire, it takes 90
# at least.
_SECONDS = scaled(85)

# Seconds: ends a torture that hangs, and nothing else.
_PATIENCE = 1_500.0 + 10 * _SECONDS


def test_promises_are_kept_under_faults(consul_binary: Path, tmp_path: Path) -> None:
    """Each time with another seed, unless TORTURE_SEED says which.  Without root there are fewer
    kinds of faults, which must not be where CI=true."""
    missing = why_no_namespaces()
    assert missing is None or os.environ.get("CI") != "true", missing
    seed = os.environ.get("TORTURE_SEED") or str(random.SystemRandom().getrandbits(32))
    options = [f"--seconds={_SECONDS}", f"--seed={seed}", "--longest=6", "--groups=3"]
    argv = [sys.executable, "-m", "tests.torture.torture", *options, "--raft-multiplier=1"]
    done = subprocess.run(
        [*argv, f"--out={tmp_path}"],
        cwd=ROOT, env={**os.environ, "CONSUL_BIN": str(consul_binary)},
        capture_output=True, text=True, timeout=_PATIENCE, check=False,
    )  # fmt: skip
    assert done.stdout.startswith(f"seed {seed}: "), done.stderr
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}{done.stderr}"
    (result,) = (json.loads(path.read_text()) for path in tmp_path.glob("*.json"))
    assert result["plan"]["seed"] == int(seed)
    assert missing is not None or result["not_possible"] == []
    assert len(result["injected"]) >= 2
    kinds = result["report"]["kinds"]
    works = Plan.from_json(result["plan"]).works
    assert set(kinds) == {work.job.kind for work in works}
    assert all(kind["holders"] > 0 for kind in kinds.values())


_BROKEN = (
    "consul_lock/_protocol/session/session.py",
    "        return proof + self._lasts\n",
    "        return proof + self._lasts + 3600.0\n",
)
"""A file, what is in it, and what stands there instead: a deadline that is far too long."""


def test_a_broken_library_is_found(namespaces: None, consul_binary: Path, tmp_path: Path) -> None:
    """The client agent of a holder is cut off for longer than its session lives: somebody else
    gets the lock, and the holder goes on.  Of another lock, whose wrappers are killed together with
    their guardians, nothing is promised, and that is listed apart."""
    root = tmp_path / "root"
    shutil.copytree(ROOT / "consul_lock", root / "consul_lock")
    shutil.copytree(ROOT / "cli", root / "cli")
    (root / "tests").symlink_to(ROOT / "tests")
    file, before, after = _BROKEN
    text = (root / file).read_text()
    assert text.count(before) == 1
    (root / file).write_text(text.replace(before, after))
    jobs = [
        Work(
            f"client-{number}",
            Job("thread", "lock", f"{PREFIX}lock", seed=number, lock_delay=3.0, holds=(600.0,)),
        )
        for number in (1, 2)
    ]
    abandoned = Job(
        "command", "lock", f"{PREFIX}abandoned", lock_delay=3.0, kills=1.0, deeds=("both",)
    )
    jobs += [Work("client-2", abandoned)]
    # Whichever of them holds, one of the two faults hits it, while the other one can be served.
    faults = tuple(
        Fault(5.0 + 32.0 * place, "partition", f"client-{place + 1}", 30.0) for place in range(2)
    )
    plan = Plan(1, 70.0, 1, tuple(jobs), faults)
    report = play(plan, consul_binary, root=root)
    assert "overlap" in report.rules()
    assert report.kinds["lock"].overlaps["library"] > 0
    assert not [each for each in report.findings if f"{PREFIX}abandoned" in each.text]
    assert [each for each in report.not_promised if f"{PREFIX}abandoned" in each.text]


def test_the_log_of_faults_is_what_the_checker_reads(tmp_path: Path) -> None:
    """Kind, times, names and processes."""
    done = Injected(Fault(1.0, "key deleted", "", 2.0), "a", 10.0, 12.0, ("a",), (7,))
    log = tmp_path / "faults"
    log.write_text(json.dumps(asdict(done)) + "\n")
    assert read_faults(log) == [Logged("key deleted", 10.0, 12.0, ("a",), (7,))]
