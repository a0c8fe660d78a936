"""Random faults over random kinds of locks, on a real cluster, and a check of what came of it.

    python -m tests.torture.torture --seconds 600 --seed 1 --out RESULTS

prints its seed first.  The same seed gives the same plan: the same workers, and the same faults at
the same times.  ``--plan FILE`` plays one that was written down, ``--shrink RUNS`` plays a plan
that failed again and again with parts of it left out, and ``--callers go`` lets `consul lock`
alone work.  The exit code is 0 if all promises were kept, 1 if not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from types import FrameType
from typing import Any

from tests.support.agent import version_of
from tests.support.binary import NONE, find_consul
from tests.torture.checker import check
from tests.torture.faults import Effect, Scene, faults_active, possible, set_clock
from tests.torture.figures import held_during
from tests.torture.history import boottime, read_history
from tests.torture.host import why_no_namespaces
from tests.torture.plan import (
    KILLS,
    KINDS,
    PREFIX,
    TOGETHER,
    Injected,
    Kind,
    Plan,
    Work,
    make_plan,
    needs_network,
)
from tests.torture.report import Report
from tests.torture.shrink import shrink
from tests.torture.stage import CLIENTS, Stage
from tests.torture.workforce import ROOT, Worker, Workforce

_HERE = Path(__file__).resolve().parent


class Run:
    """One plan on one stage.  What it writes is in ``folder``."""

    def __init__(
        self, plan: Plan, folder: Path, binary: Path, root: Path = ROOT, *, namespaces: bool = True
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.binary = binary
        self._root = root
        self._namespaces = namespaces
        self.injected: list[Injected] = []
        self.not_possible: list[str] = []
        """Kinds of faults that this stage does not have, or not with all targets."""
        self.histories: list[Path] = []
        self._log = folder / "faults"
        self._clock = folder / "clock"
        self._workers: list[tuple[Work, Worker]] = []
        self._began = 0.0

    def play(self) -> Report:
        """Play the plan and judge it."""
        set_clock(self._clock, 0)
        self._log.touch()
        environment = _environment(self._clock, self.binary, self._root)
        multiplier = self.plan.raft_multiplier
        stage = Stage(self.binary, raft_multiplier=multiplier, namespaces=self._namespaces)
        with stage, Workforce(self.folder, environment, root=self._root) as force:
            for name in CLIENTS:  # two of them, as each is cut off now and then
                force.observe(PREFIX, stage.agent(name).address, stage.hosts[name].popen)
            for work in self.plan.works:
                self._start(stage, force, work)
            if stage.network is None:
                self.not_possible = sorted({k.name for k in KINDS if _is_missing(k)})
            self._began = time.monotonic()
            self._inject_all(stage, force)
            _wait(self._began + self.plan.seconds - time.monotonic())
            force.finish()
            force.inventory(stage.cluster.client, PREFIX)
            self.histories = force.histories
        return check(self.histories, self._log)

    def _start(self, stage: Stage, force: Workforce, work: Work) -> None:
        host = stage.hosts[work.host]
        worker = force.start(work.job, stage.address(work.host), host.popen)
        self._workers.append((work, worker))

    def _inject_all(self, stage: Stage, force: Workforce) -> None:
        scene = Scene(stage, PREFIX, self._clock)
        scene.stop_worker = self._stop_worker
        scene.kill_worker = lambda chance: self._kill_worker(stage, force, chance)
        for at, together in groupby(self.plan.faults, attrgetter("at")):
            # A plan that is played again may have been made for another stage.
            faults = [fault for fault in together if possible(stage, fault)]
            if not faults:
                continue
            if time.monotonic() - self._began >= self.plan.seconds:
                break  # healing took longer than was planned
            _wait(self._began + at - time.monotonic())
            begun = boottime()
            with faults_active(scene, *faults) as effects:
                _wait(max(fault.seconds for fault in faults))
            _wait(max(effect.settles for effect in effects))
            for fault, effect in zip(faults, effects, strict=True):
                self._note(
                    Injected(fault, effect.target, begun, boottime(), effect.names, effect.pids)
                )
            stage.proxy.reset()

    def _note(self, done: Injected) -> None:
        self.injected.append(done)
        with self._log.open("a") as log:
            log.write(json.dumps(asdict(done)) + "\n")

    def _stop_worker(self, chance: random.Random) -> Effect:
        work, worker = chance.choice(self._workers)
        worker.process.send_signal(signal.SIGSTOP)
        pid = worker.process.pid
        return Effect(_name_of(work), lambda: os.kill(pid, signal.SIGCONT), pids=(pid,))

    def _kill_worker(self, stage: Stage, force: Workforce, chance: random.Random) -> Effect:
        """End one that has no processes of its own, and start another in its place."""
        able = [pair for pair in self._workers if pair[0].job.caller in ("thread", "task")]
        if not able:
            return Effect()
        work, worker = chance.choice(able)
        force.kill(worker)
        self._workers.remove((work, worker))
        self._start(stage, force, work)
        return Effect(_name_of(work), pids=(worker.process.pid,))


def _is_missing(kind: Kind) -> bool:
    return any(needs_network(kind.name, target) for target in kind.targets)


def _name_of(work: Work) -> str:
    return f"{work.job.caller} of {work.job.primitive}"


def _wait(seconds: float) -> None:
    threading.Event().wait(max(0.0, seconds))


def _environment(clock: Path, binary: Path, root: Path) -> dict[str, str]:
    """Of the workers: nothing that says where Consul is, and a calendar clock that can be wrong."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CONSUL_")}
    paths = [
        _HERE.parent / "support" / "stepped_clock",
        root,
        root / "cli",
        os.environ.get("PYTHONPATH", ""),
    ]
    return kept | {
        "CONSUL_BIN": str(binary),
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths if str(path)),
        "STEPPED_CLOCK": str(clock),
    }


def play(
    plan: Plan,
    binary: Path,
    out: Path | None = None,
    root: Path = ROOT,
    keep: bool = False,
    *,
    namespaces: bool = True,
) -> Report:
    """Play a plan, and write the result to ``out``; with ``keep`` the histories, too, as always
    if promises were broken.

    ``root`` has the packages that the workers import.  Without ``namespaces`` hosts share the
    loopback, and so they do where there is no root.
    """
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder = Path(name)
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        run = Run(plan, folder, binary, root, namespaces=namespaces)
        try:
            report = run.play()
        except BaseException:
            if out is not None:  # what is known so far
                shutil.copytree(folder, out / f"unfinished-{plan.seed}", dirs_exist_ok=True)
            raise
        if run.not_possible:
            _say(f"not possible here: {', '.join(run.not_possible)}")
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            result = {
                "started": started,
                "consul": version_of(binary),
                "plan": plan.to_json(),
                "injected": [asdict(each) for each in run.injected],
                "held_during": held_during(read_history(run.histories), run.injected),
                "not_possible": run.not_possible,
                "report": json.loads(report.to_json()),
            }
            stem = f"{version_of(binary)}-{plan.seed}"
            (out / f"{stem}.json").write_text(json.dumps(result, indent=1) + "\n")
            if keep or not report.ok:
                shutil.copytree(folder, out / stem, dirs_exist_ok=True)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Play."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.torture")
    parser.add_argument("--seconds", type=float, default=600.0, help="of workload and faults")
    parser.add_argument("--seed", type=int, help="of the plan; random by default")
    parser.add_argument("--kinds", nargs="+", default=[], help="of faults; all by default")
    parser.add_argument("--callers", nargs="+", default=[], help="thread task command cron go")
    parser.add_argument("--groups", type=int, default=4, help="of workers that compete")
    parser.add_argument("--longest", type=float, default=float("inf"), help="seconds of a fault")
    parser.add_argument(
        "--loopback", action="store_true", help="no networks of hosts, as without root"
    )
    parser.add_argument("--alone", action="store_true", help="no two faults at a time")
    parser.add_argument(
        "--no-exemptions", action="store_true",
        help="no retries of cron jobs, and no wrapper that is killed together with its guardian",
    )  # fmt: skip
    parser.add_argument(
        "--kills", type=float, default=KILLS, help="share of wrappers that something is done to"
    )
    parser.add_argument("--raft-multiplier", type=int, help="1 to 10; 1 or 5 by default")
    parser.add_argument("--plan", type=Path, help="play the plan of this file")
    parser.add_argument("--shrink", type=int, default=0, help="runs to shrink a plan that fails")
    parser.add_argument("--out", type=Path, help="where results are written")
    parser.add_argument("--keep", action="store_true", help="histories of runs without findings")
    chosen = parser.parse_args(arguments)
    binary = find_consul()
    if binary is None:
        sys.exit(NONE)
    if chosen.plan is not None:
        data: Mapping[str, Any] = json.loads(chosen.plan.read_text())
        plan = Plan.from_json(data.get("plan", data))
    else:
        seed = random.SystemRandom().getrandbits(32) if chosen.seed is None else chosen.seed
        plan = make_plan(
            seed, chosen.seconds, kinds=chosen.kinds, callers=chosen.callers,
            groups=chosen.groups, longest=chosen.longest, raft_multiplier=chosen.raft_multiplier,
            together=0.0 if chosen.alone else TOGETHER, kills=chosen.kills,
            exemptions=not chosen.no_exemptions,
            network=not chosen.loopback and why_no_namespaces() is None,
        )  # fmt: skip
    _say(f"seed {plan.seed}: {len(plan.works)} workers, {len(plan.faults)} faults")
    report = play(plan, binary, chosen.out, keep=chosen.keep, namespaces=not chosen.loopback)
    _say(str(report))
    if not report.ok and chosen.shrink:
        smaller = shrink(
            plan,
            lambda part: not play(part, binary, namespaces=not chosen.loopback).ok,
            chosen.shrink,
        )
        _say("fails as well:\n" + json.dumps(smaller.to_json()))
    return 0 if report.ok else 1


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # so that the agents are stopped and not left behind


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main())
