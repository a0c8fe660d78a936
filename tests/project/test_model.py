"""The model of the lock's protocol: SPIN finds no fault in it, and one in each mutant of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.debian import debian_file
from tests.support.effort import scaled

_ROOT = Path(__file__).parents[2]
_MODEL = _ROOT / "docs" / "model" / "lock.pml"

# Seconds: ends a run that has failed.  The whole model takes six seconds of CPU.
_PATIENCE = 600.0

# A part of what the verifier prints of each invariant, by its name in the model.
_ASSERTIONS = {
    "EXCLUSION": r"\(c!=1\)",
    "TOKENS": r">newest\)",
    "CONFIRMED": r"^\( ?!\(owner\)\|\|",
    "ORDER": r"^\(queue\[0\]==",
    "IN_QUEUE": r"waits\[1\]",
    "FORGOTTEN": r"over\[1\]",
}


class Mutant(NamedTuple):
    """A wrong version of the model."""

    story: str
    original: str
    mutated: str
    invariant: str
    """Which one it breaks."""
    scene: int
    """In which of the model's scenes: the others are left out."""


_MUTANTS = [
    Mutant(
        "the deadline ignores the margin",
        "#define DEADLINE (DELAY - MARGIN)",
        "#define DEADLINE DELAY",
        "EXCLUSION",
        2,
    ),
    Mutant(
        "a proof counts from its answer",
        "age[c] = (calm -> OLD : timer[c]);",
        "age[c] = (calm -> OLD : 0);",
        "EXCLUSION",
        2,
    ),
    Mutant(
        "sessions delete their keys when they end",
        "free_key(); delay = DELAY",
        "delete_key(); delay = DELAY",
        "EXCLUSION",
        2,
    ),
    Mutant(
        "the lock-delay is shorter than the deadline",
        "free_key(); delay = DELAY",
        "free_key(); delay = DELAY - 2",
        "EXCLUSION",
        2,
    ),
    Mutant(
        "tokens restart when the key is deleted, as the LockIndex does",
        "{ free_key(); exists = 0 }",
        "{ free_key(); exists = 0; index = 0 }",
        "TOKENS",
        2,
    ),
    Mutant(
        "a confirmation does not check the index",
        "session[c] && as_seen(c) && (!owner || owner == c) && !delay ->",
        "session[c] && (!owner || owner == c) && !delay ->",
        "TOKENS",
        5,
    ),
    Mutant(
        "a hand-over counts without a confirmation",
        "held[c] == unconfirmed && age[c] < COUNTS)",
        "held[c] == unconfirmed)",
        "CONFIRMED",
        3,
    ),
    Mutant(
        "the next waiter does not wait for the confirmation",
        "#define TAKE_OVER 2 ",
        "#define TAKE_OVER 0 ",
        "CONFIRMED",
        3,
    ),
    Mutant(
        "a hand-over does not check that the waiter is still queued",
        "is_there(next[c]) && (!fresh[c]",
        "(!fresh[c]",
        "ORDER",
        6,
    ),
    Mutant(
        "a release does not check that nobody has come to wait",
        "owner == c && (same_sign[c] || !sign) ->",
        "owner == c ->",
        "ORDER",
        6,
    ),
    Mutant(
        "a waiter that was passed over does not find out",
        "owner && queued && first[c] && known[c] != unchanged ->",
        "false ->",
        "IN_QUEUE",
        5,
    ),
    Mutant(
        "a waiter that leaves the queue does not look whether it was handed the lock",
        ":: else -> gives_up = 1; goto looking",
        ":: else -> goto finished",
        "FORGOTTEN",
        6,
    ),
    Mutant(
        "the first waiter does not try again after the lock-delay",
        "timer[c] > 0 -> timer[c] = OLD; goto looking };",
        "false -> timer[c] = OLD; goto looking };",
        "FORGOTTEN",
        3,
    ),
]


class Checker(NamedTuple):
    """The programs that check a model."""

    spin: list[str]
    """Writes a verifier in C."""
    compiler: list[str]
    """Makes a program of that, with options that say what it is to look for."""


def _from_debian(package: str, file: str) -> Path:
    """Where the root of a package's files is: that of the system, or where it is unpacked."""
    return Path(str(debian_file(package, file)).removesuffix(file))


@pytest.fixture(scope="session")
def checker() -> Checker:
    """SPIN, and a compiler that is small enough to be fetched with it: a new machine may have none.
    It compiles thirty times as fast as gcc, which is worth more than a faster verifier."""
    spin = _from_debian("spin", "usr/bin/spin") / "usr/bin/spin"
    tcc = _from_debian("tcc", "usr/bin/tcc")
    libc = _from_debian("libc6-dev", "usr/include/stdio.h")
    linux = _from_debian("linux-libc-dev", "usr/include/linux/errno.h")
    (start,) = (libc / "usr/lib").glob("*/crt1.o")
    lib, triple = start.parent, start.parent.name
    own = tcc / "usr/lib" / triple / "tcc"
    program = [str(tcc / "usr/bin/tcc"), f"-B{own}"]
    headers = [own / "include", *(at / "usr/include" for at in (libc, linux))]
    headers += [at / "usr/include" / triple for at in (libc, linux)]
    objects = [start, lib / "crti.o", "pan.c", f"/lib/{triple}/libc.so.6"]
    objects += [lib / "libc_nonshared.a", own / "libtcc1.a", lib / "crtn.o"]
    return Checker(
        [str(spin), "-a", f"-P{' '.join(program)} -E -xc"],
        [
            *program, "-w", "-DNOREDUCE", "-nostdinc", "-nostdlib",
            *(f"-I{folder}" for folder in headers), "-o", "pan", *map(str, objects),
        ],
    )  # fmt: skip


def verified(checker: Checker, model: str, folder: Path, *, cycles: bool = False) -> str:
    """What the verifier of a model prints, which walks through all that can happen.

    It looks for broken invariants, or (``cycles``) for runs without an end."""
    (folder / "lock.pml").write_text(model)
    steps = [
        [*checker.spin, "lock.pml"],
        [*checker.compiler, "-DNP" if cycles else "-DSAFETY"],
        ["./pan", "-l" if cycles else "-E", "-m40000", "-w21"],
    ]
    for step in steps:
        done = subprocess.run(
            step, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
        assert done.returncode == 0, f"{step[0]}: {done.stdout}{done.stderr}"
    assert "max search depth too small" not in done.stdout
    return done.stdout


def scenes(model: str) -> list[str]:
    """The lines of the model that are its scenes."""
    found = re.search(
        r"if  /\* the scenes.*?\*/\n(.*?)^        fi;$", model, re.MULTILINE | re.DOTALL
    )
    assert found
    return found[1].splitlines(keepends=True)


def alone(model: str, wanted: Iterable[int]) -> str:
    """The model with some of its scenes only."""
    for number, scene in enumerate(scenes(model), 1):
        if number not in wanted:
            model = model.replace(scene, "")
    return model


def test_each_invariant_protects_a_sentence_of_the_guarantees() -> None:
    """The one that stands above it, word for word."""
    said = " ".join((_ROOT / "docs" / "guarantees.md").read_text().split())
    comments = re.findall(r"^/\*(.*?)\*/$", _MODEL.read_text(), re.MULTILINE | re.DOTALL)
    quoted = re.findall(r'"([^"]+)"', " ".join(" ".join(comments).replace("\n *", " ").split()))
    assert len(quoted) == 5  # the fifth has two invariants
    assert not [sentence for sentence in quoted if sentence not in said]


def test_what_the_model_stands_for_is_there() -> None:
    """Modules and functions that its comments name, so that who renames one meets the model."""
    flows = _ROOT / "consul_lock" / "_protocol"
    comments = re.findall(r"/\*(.*?)\*/", _MODEL.read_text(), re.DOTALL)
    named = re.findall(r"(\w+/\w+\.py), ([\w.]+)", " ".join(comments))
    assert len(named) > 15
    for file, name in named:
        assert re.search(rf"\b{name.rpartition('.')[2]}\b", (flows / file).read_text()), (
            file,
            name,
        )
    code = "".join(path.read_text() for path in (flows / "lock").glob("*.py"))
    private = set(re.findall(r"(?<!\w)_\w+", " ".join(comments))) - {"_protocol"}
    own = {name for _, name in named}
    assert not [name for name in private - own if name not in code]


@pytest.mark.slow
def test_no_run_of_the_model_breaks_an_invariant(checker: Checker, tmp_path: Path) -> None:
    """All of them are looked at: hundreds of thousands of states."""
    said = verified(checker, _MODEL.read_text(), tmp_path)
    assert re.search(r"errors: 0$", said, re.MULTILINE), said
    states = re.search(r"(\d+) states, stored", said)
    assert states
    assert int(states[1]) > 100_000
    assert "Search not completed" not in said


def test_every_run_of_the_model_ends(checker: Checker, tmp_path: Path) -> None:
    """So FORGOTTEN, which looks at the end of a run, looks at every run.

    Of the scene with two clients and a crash; ``make test-long`` looks at all of them."""
    model = _MODEL.read_text()
    wanted = range(1, 1 + (1 if scaled(1) == 1 else len(scenes(model))))
    model = alone(model, wanted)
    said = verified(checker, model, tmp_path, cycles=True)
    assert re.search(r"^\s*non-progress cycles\s+\+", said, re.MULTILINE), said
    assert re.search(r"errors: 0$", said, re.MULTILINE), said
    endless = model.replace("timer[c] > 0 -> timer[c] = OLD; goto looking }", "goto looking }")
    assert endless != model
    assert "non-progress cycle" in verified(checker, endless, tmp_path, cycles=True).splitlines()[0]


@pytest.mark.parametrize("mutant", _MUTANTS, ids=lambda mutant: mutant.story)
def test_a_mutant_breaks_its_invariant(mutant: Mutant, checker: Checker, tmp_path: Path) -> None:
    """A model that finds nothing would find nothing in the protocol, either."""
    model = _MODEL.read_text()
    assert model.count(mutant.original) == 1
    model = alone(model, [mutant.scene])
    said = verified(checker, model.replace(mutant.original, mutant.mutated), tmp_path)
    broken = re.search(r"assertion violated (.*)", said)
    assert broken, said
    assert [name for name, text in _ASSERTIONS.items() if re.search(text, broken[1])] == [
        mutant.invariant
    ]
