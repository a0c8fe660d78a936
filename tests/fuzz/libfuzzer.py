"""One process of libFuzzer: `python -m tests.fuzz.libfuzzer TARGET OPTIONS...`."""

from __future__ import annotations

import sys


def main() -> None:
    """Instrument the library while it is imported, and hand over."""
    import atheris  # of the extra `fuzz`

    with atheris.instrument_imports(include=["consul_lock"]):
        from tests.fuzz.targets import TARGETS

    name, *options = sys.argv[1:]
    # A merge starts this again, by a shell.
    program = f"{sys.executable} -m tests.fuzz.libfuzzer {name}"
    atheris.Setup([program, *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
