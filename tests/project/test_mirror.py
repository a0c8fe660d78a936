"""The test of a module is found by its name: in the folder that mirrors its package."""

from __future__ import annotations

import ast
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]

# A folder of modules, and where their tests are, the lowest level first.
_MIRRORS = {
    "consul_lock/_protocol": ["tests/unit/protocol"],
    "consul_lock/_config": ["tests/unit/config"],
    "consul_lock/_api": ["tests/unit/api"],
    "consul_lock/_drivers": ["tests/unit/drivers", "tests/drivers"],
    # _blocking is generated from it, and both are tested at once.
    "consul_lock/_async": ["tests/contract"],
    "consul_lock": ["tests/unit"],
    "cli/consul_lock_cli": ["tests/cli"],
}

# The parts of the model: each endpoint is compared with a real agent, by scripts of
# tests/testing_world, which a test of one part alone could not be.
_SEEN_THROUGH_HTTP = "consul_lock/testing"

# Modules without a test file of their name, and what shows them instead.
_ELSEWHERE = {
    "cli/consul_lock_cli/base/errors.py": "two classes; base/test_error_table has their codes",
    "cli/consul_lock_cli/commands/completion.py": "completion/test_answer asks the shells",
    "cli/consul_lock_cli/commands/cron/resume.py": (
        "commands/cron/test_pause: there is nothing to resume without a pause"
    ),
    "cli/consul_lock_cli/commands/holders.py": "commands/test_status, whose table it prints",
    "cli/consul_lock_cli/commands/version.py": "project/test_packaging asks an installed wheel",
    "cli/consul_lock_cli/doctor/finding.py": (
        "values, which every file of doctor/ makes and compares; doctor/test_checks has their order"
    ),
    "cli/consul_lock_cli/entry.py": "test_startup: it is what is run",
    "consul_lock/_async/client.py": (
        "closing and the default client: drivers/test_processes, drivers/test_asyncio, "
        "contract/test_session"
    ),
    "consul_lock/_async/cron_records.py": "contract/test_cron, as a record is of a job",
    "consul_lock/_async/lock.py": (
        "contract/test_acquire, test_release, test_loss and others: a file for each thing it does"
    ),
    "consul_lock/_async/lockable.py": (
        "what all kinds of locks share: most files of contract run over each kind"
    ),
    "consul_lock/_async/runtime.py": (
        "what each API has of its own: drivers/test_asyncio, contract/test_cancel_on_loss"
    ),
    "consul_lock/_drivers/eventlet.py": "drivers/test_greenlets, in a process that is patched",
    "consul_lock/_drivers/fork.py": "drivers/test_processes, which forks",
    "consul_lock/_protocol/client/client.py": (
        "puts the parts of a client together, and has nothing else"
    ),
    "consul_lock/_protocol/lock/lock.py": "puts the parts of a lock together, and has nothing else",
    "consul_lock/_protocol/weighted/engine.py": (
        "puts the parts of a weighted lock together, and has nothing else"
    ),
}

# Modules that have none so far: what they do is shown by files of other names.  This list only
# gets shorter.
_WITHOUT: dict[str, str] = {}


def _holds_logic(path: Path) -> bool:
    nodes = ast.walk(ast.parse(path.read_text()))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in nodes)


def _modules() -> list[str]:
    """Those that hold logic and are written by hand."""
    folders = (_ROOT / "consul_lock", _ROOT / "cli" / "consul_lock_cli")
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    names = {str(path.relative_to(_ROOT)) for path in paths if _holds_logic(path)}
    generated = {name for name in names if name.startswith("consul_lock/_blocking/")}
    return sorted(name for name in names - generated if not name.endswith("__init__.py"))


def _tests(module: str) -> list[Path]:
    """Where the test file of a module may be."""
    base = next(base for base in _MIRRORS if module.startswith(f"{base}/"))
    below = Path(module).relative_to(base)
    name = f"test_{below.stem.strip('_')}.py"
    return [_ROOT / folder / below.parent / name for folder in _MIRRORS[base]]


def _without() -> set[str]:
    return {f"{folder}/{name}.py" for folder, names in _WITHOUT.items() for name in names.split()}


def test_every_module_that_holds_logic_has_a_test_of_its_name() -> None:
    """Otherwise somebody who changes it does not find what shows that it works."""
    missing = {
        module
        for module in _modules()
        if not module.startswith(f"{_SEEN_THROUGH_HTTP}/")
        and not any(path.is_file() for path in _tests(module))
    }
    assert missing - set(_ELSEWHERE) == _without()
    assert set(_ELSEWHERE) <= missing, "an exception that is none any more"
