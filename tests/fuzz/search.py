"""A program: search with the coverage-guided fuzzer atheris, and keep what reached something new.

`python -m tests.fuzz.search --minutes 30` gives each target its share of the time.  It begins with
the corpus in `tests/fuzz/corpus`, and puts the smallest inputs that reach all that was reached in
its place.  An input that breaks a target is left in `tests/fuzz/found`, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
CORPUS, FOUND = FOLDER / "corpus", FOLDER / "found"

# Bytes of an input at most: the corpus is in the repository.
_LENGTH = 2048

# The lines of libFuzzer that say what was reached, and what broke.
_TOLD = re.compile(r"INITED|DONE|Done|MERGE-OUTER:.*new|ERROR|Error|exception")


def main() -> int:
    """All targets, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--target", action="append", help="only this one (repeat for more)")
    asked = parser.parse_args()
    from tests.fuzz.targets import TARGETS

    targets = asked.target or list(TARGETS)
    seconds = max(1, round(asked.minutes * 60 / len(targets)))
    return max(_searched(target, seconds) for target in targets)


def _searched(target: str, seconds: int) -> int:
    from tests.fuzz.seeds import seeds

    kept = CORPUS / target
    kept.mkdir(parents=True, exist_ok=True)
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        grown, begun = Path(temporary, "grown"), Path(temporary, "seeds")
        grown.mkdir()
        begun.mkdir()
        for number, seed in enumerate(seeds(target)):
            (begun / str(number)).write_bytes(seed[:_LENGTH])
        code = _run(
            target,
            f"-max_total_time={seconds}",
            f"-artifact_prefix={FOUND}/{target}-",
            str(grown),
            str(kept),
            str(begun),
        )
        merged = Path(temporary, "merged")
        merged.mkdir()
        _run(target, "-merge=1", *map(str, (merged, kept, grown, begun)))
        smallest = sorted(merged.iterdir())
        if smallest:
            shutil.rmtree(kept)
            shutil.copytree(merged, kept)
    size = sum(file.stat().st_size for file in kept.iterdir())
    sys.stdout.write(f"{target}: {len(smallest)} inputs of {size} bytes are kept\n")
    if not any(FOUND.iterdir()):
        FOUND.rmdir()
    return code


def _run(target: str, *options: str) -> int:
    """libFuzzer, which ends its process, so it has one of its own."""
    program = [sys.executable, "-m", "tests.fuzz.libfuzzer", target]
    command = [*program, f"-max_len={_LENGTH}", *options]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    said = [line for line in done.stderr.splitlines() if _TOLD.search(line)]
    sys.stdout.write("".join(f"{target}: {line}\n" for line in said[-8:]))
    sys.stdout.flush()
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
