"""The arrows of ARCHITECTURE.md point down: read from the source itself."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_LIBRARY = sorted((_ROOT / "consul_lock").rglob("*.py"))
_LIGHT = [_ROOT / "consul_lock" / f"{name}.py" for name in ("errors", "limits", "names")]
_COMMAND = sorted((_ROOT / "cli").rglob("*.py"))
_TESTS = sorted((_ROOT / "tests").rglob("*.py"))
_OTHERS = [p for f in ("examples", "benchmarks") for p in sorted((_ROOT / f).rglob("*.py"))]

# A flow does no I/O, reads no clock, draws no number, starts no thread.
_IMPURE = {
    "aiohttp", "asyncio", "concurrent", "http", "logging", "multiprocessing", "os", "random",
    "requests", "secrets", "select", "selectors", "socket", "ssl", "subprocess", "threading",
    "time", "urllib3", "uuid",
}  # fmt: skip

# What the command line may know of the library.
_PUBLIC = {
    "consul_lock", "consul_lock.aio", "consul_lock.errors", "consul_lock.limits",
    "consul_lock.names", "consul_lock.testing",
}  # fmt: skip
# Nor part of the API: the words for true and false are one table, and `doctor` names the place of
# python-consul2.
_SHARED = {
    "consul_lock._config.environment.BOOLEANS",
    "consul_lock._protocol.consul.python_consul2.base",
}

# From the lowest level up.  A module imports only from its own level and from lower ones.
_LEVELS = [
    {"errors", "limits", "names", "_version", "_warnings"},
    {"_protocol", "_config", "events"},
    {"config", "testing"},
    {"_drivers"},
    {"_api"},
    {"_async", "_blocking"},
    {"aio", "", "otel", "prometheus"},
]

# The same below _protocol, and stricter: one imports nothing of its own level, either.
_PROTOCOL_LEVELS = [
    {"flow"},
    {"arguments", "gather", "keys", "reporter"},
    {"consul"},
    {"holder", "session"},
    {"hold"},
    {"client"},
    {"primitive"},
    {"lock", "weighted"},
    {"election", "multilock", "cron"},
    {"survey"},
]

# Two colours that never meet.
_THREADS = ["_blocking", "_drivers.thread_event", "_drivers.thread_transport", "_drivers.threads"]
_ASYNCIO = [
    "_async", "_drivers.asyncio", "_drivers.loop_connection", "_drivers.loop_transport",
]  # fmt: skip


def _module(path: Path) -> str:
    """The dotted name of a file of the library or the command."""
    base = _ROOT / "cli" if _ROOT / "cli" in path.parents else _ROOT
    parts = path.relative_to(base).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """Everything imported anywhere in the file: modules, and ``module.name`` for names."""
    return tuple(_each_import(path))


def _each_import(path: Path) -> Iterator[str]:
    package = _module(path) if path.name == "__init__.py" else _module(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = ".".join([*above, *([node.module] if node.module else [])])
            source = start if node.level else node.module or ""
            yield from (f"{source}.{alias.name}" for alias in node.names)


def _part(name: str) -> str:
    """The part of the library that an import reaches: "_protocol", "errors", "" for the root."""
    first = name.split(".")[1] if "." in name else ""
    folder = _ROOT / "consul_lock"
    return first if (folder / first).is_dir() or (folder / f"{first}.py").exists() else ""


def _level(part: str) -> int:
    return next(at for at, parts in enumerate(_LEVELS) if part in parts)


def _shown(path: Path) -> str:
    return str(path.relative_to(_ROOT))


def _is_protocol(path: Path) -> bool:
    return _ROOT / "consul_lock" / "_protocol" in path.parents


_FLOWS = [path for path in _LIBRARY if _is_protocol(path)]


def _ours(path: Path) -> set[str]:
    """The parts of the library that a file imports."""
    return {_part(name) for name in _imports(path) if _root(name) == "consul_lock"}


def _roots(path: Path) -> set[str]:
    return {_root(name) for name in _imports(path)}


def _root(name: str) -> str:
    return name.split(".", 1)[0]


def _offenders(paths: list[Path], wrong: Callable[[Path], Iterable[str]]) -> dict[str, list[str]]:
    found = {_shown(path): sorted(wrong(path)) for path in paths}
    return {path: names for path, names in found.items() if names}


def test_a_flow_imports_nothing_that_acts() -> None:
    """No sockets, threads, clocks, chance or logging under _protocol."""
    assert _FLOWS
    assert not _offenders(_FLOWS, lambda path: _roots(path) & _IMPURE)


def test_a_flow_knows_only_flows_and_errors() -> None:
    """It is at the bottom; limits and names are pure."""
    allowed = {"_protocol", "_warnings", "errors", "limits", "names"}
    assert not _offenders(_FLOWS, lambda path: _ours(path) - allowed)


def test_nothing_draws_from_the_generator_of_the_program() -> None:
    """The functions of `random` share it: a seed of the program must not decide about pauses, and
    the library must not change what the program draws."""

    def drawn(path: Path) -> set[str]:
        own = {"random.SystemRandom", "random.Random"}
        return {name for name in _imports(path) if _root(name) == "random"} - own

    assert not _offenders([*_LIBRARY, *_COMMAND], drawn)


def test_python_consul2_is_known_in_one_place() -> None:
    """So that another way of building requests is a change to few files."""
    loader = "consul_lock._protocol.consul.python_consul2"
    users = [path for path in [*_LIBRARY, *_COMMAND] if "consul" in _roots(path)]
    assert [_module(path) for path in users] == [loader]  # for type checkers only
    users = [
        path
        for path in [*_LIBRARY, *_COMMAND]
        if any(name == loader or name.startswith(f"{loader}.") for name in _imports(path))
    ]
    assert {_module(path) for path in users} == {
        "consul_lock._protocol.consul.api",
        "consul_lock.config",  # refuses a client of py-consul
        "consul_lock_cli.doctor.host",  # says where it is
    }


def test_arrows_in_the_library_point_down() -> None:
    """Public names, the two APIs, drivers, flows, errors: no import from a higher level."""

    def upward(path: Path) -> set[str]:
        own = _level(_part(_module(path)))
        return {part or "consul_lock" for part in _ours(path) if _level(part) > own}

    assert not _offenders(_LIBRARY, upward)
    assert not _offenders(_LIBRARY, lambda path: _roots(path) & {"consul_lock_cli", "click"})


def test_arrows_between_flows_point_down() -> None:
    """From what an operator asks down to what a flow is."""
    levels = {part: at for at, parts in enumerate(_PROTOCOL_LEVELS) for part in parts}
    known = {path.stem for path in (_ROOT / "consul_lock" / "_protocol").iterdir()}
    assert set(levels) == known - {"__init__", "__pycache__"}

    def upward(path: Path) -> set[str]:
        names = [_module(path), *_imports(path)]
        own, *others = [n.split(".")[2] for n in names if n.startswith("consul_lock._protocol.")]
        return {part for part in others if part != own and levels[part] >= levels[own]}

    assert not _offenders([path for path in _FLOWS if path.name != "__init__.py"], upward)


def _below(names: Iterable[str], rooms: list[str]) -> set[str]:
    """Which of these modules are one of the rooms of the library, or in one."""
    dotted = tuple(f"consul_lock.{room}." for room in rooms)
    return {name for name in names if f"{name}.".startswith(dotted)}


def test_threads_and_asyncio_do_not_know_each_other() -> None:
    """So that importing one does not load the other."""
    threads = [path for path in _LIBRARY if _below([_module(path)], _THREADS)]
    tasks = [path for path in _LIBRARY if _below([_module(path)], _ASYNCIO)]
    assert len(threads) > len(_THREADS)
    assert len(tasks) > len(_ASYNCIO)
    assert not _offenders(threads, lambda path: _below(_imports(path), _ASYNCIO))
    assert not _offenders(threads, lambda path: _roots(path) & {"asyncio", "aiohttp"})
    assert not _offenders(tasks, lambda path: _below(_imports(path), _THREADS))


def test_errors_limits_and_names_import_nothing_of_the_library() -> None:
    """The command line uses them at each start, before it loads the rest."""
    assert not _offenders(_LIGHT, lambda path: _roots(path) - {"__future__", "enum", "typing"})


def test_the_command_uses_public_names_only() -> None:
    """A user of the library can do everything that it can do."""

    def private(path: Path) -> Iterator[str]:
        for name in _imports(path):
            module, _, last = name.rpartition(".")
            public = name in _PUBLIC or (module in _PUBLIC and not last.startswith("_"))
            known = public or last == "__version__" or name in _SHARED
            if _root(name) == "consul_lock" and not known:
                yield name

    assert not _offenders(_COMMAND, private)


# Rooms of the command; each imports only from those with smaller numbers, and from itself.
_COMMAND_LEVELS = {
    "": 0, "base": 1, "settings": 2, "spec": 3, "completion": 4, "process": 4,
    "doctor": 5, "options": 5, "output": 5, "group": 5, "main": 6, "entry": 7, "__main__": 8,
    "check": 6, "exporter": 6, "run": 6, "cron": 7, "commands": 7, "commands.cron": 8,
}  # fmt: skip
_PROCESS = "consul_lock_cli.process."


def _room(name: str) -> str:
    """The room of a module of the command, or of a name in it."""
    parts = name.split(".")[1:]
    inner = ".".join(parts[:2])
    return inner if inner in _COMMAND_LEVELS else parts[0] if parts else ""


def test_arrows_in_the_command_point_down() -> None:
    """From the commands to what nothing is below; only `commands.cron` knows `cron` beside it."""

    def upward(path: Path) -> Iterator[str]:
        mine = _room(_module(path))
        for name in _imports(path):
            if _root(name) != "consul_lock_cli":
                continue
            theirs = _room(name) if _room(name) in _COMMAND_LEVELS else ""
            if theirs != mine and _COMMAND_LEVELS[theirs] >= _COMMAND_LEVELS[mine]:
                yield name

    assert {_room(_module(path)) for path in _COMMAND} <= set(_COMMAND_LEVELS)
    assert not _offenders(_COMMAND, upward)


def _all_imported(start: str, arrows: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    left = {start}
    while left:
        seen |= left
        left = {other for name in left for other in arrows[name]} - seen
    return seen


def test_what_runs_processes_needs_no_click_and_no_library() -> None:
    """The command is forked before the library is loaded, which has threads."""
    modules = _modules(_ROOT / "cli")
    arrows = _arrows(modules)
    for name in modules:
        if name.startswith(_PROCESS):
            reached = [modules[each] for each in _all_imported(name, arrows)]
            assert not _offenders(reached, lambda path: _roots(path) & {"click", "consul_lock"})


def _modules(folder: Path) -> dict[str, Path]:
    """Every module below a folder that holds packages, by its dotted name."""
    return {_module(path): path for path in (_LIBRARY if folder == _ROOT else _COMMAND)}


def _arrows(modules: dict[str, Path]) -> dict[str, set[str]]:
    """What each module imports of these, late and for types as well.

    That to import ``a.b.c`` also runs ``a`` and ``a.b`` is no arrow: nothing of these is used.
    """

    def reached(name: str) -> str:
        while name and name not in modules:
            name = name.rpartition(".")[0]
        return name

    found = {name: {reached(each) for each in _imports(path)} for name, path in modules.items()}
    return {name: arrows - {"", name} for name, arrows in found.items()}


def _rooms(modules: dict[str, Path]) -> dict[str, dict[str, set[str]]]:
    """For each package: its modules and packages, and the arrows between them.

    A circle of modules shows as a circle in the innermost package that holds all of it, and one
    of packages in the package that they are in.  ``__init__`` is a module beside the others.
    """
    whole = {
        name: f"{name}.__init__" if path.name == "__init__.py" else name
        for name, path in modules.items()
    }
    rooms: dict[str, dict[str, set[str]]] = {}
    for start, ends in _arrows(modules).items():
        for end in ends:
            one, other = whole[start].split("."), whole[end].split(".")
            common = 0
            while one[common] == other[common]:
                common += 1
            room = rooms.setdefault(".".join(one[:common]), {})
            room.setdefault(one[common], set()).add(other[common])
    return rooms


def _circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """The groups in which each can be reached from each other one."""

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            fresh = arrows.get(ahead.pop(), set()) - seen
            seen |= fresh
            ahead.extend(fresh)
        return seen

    reach = {name: reachable(name) for name in arrows}
    groups = [{other for other in reach[name] if name in reach.get(other, ())} for name in reach]
    return [group for at, group in enumerate(groups) if group and group not in groups[:at]]


def test_no_import_goes_round_in_a_circle() -> None:
    """Neither between modules nor between packages; late imports and those for types count."""
    found: dict[str, list[str]] = {}
    for folder in (_ROOT, _ROOT / "cli"):
        for package, arrows in _rooms(_modules(folder)).items():
            if circles := _circles(arrows):
                found[package] = sorted(" ".join(sorted(circle)) for circle in circles)
    assert found == {}


def test_the_search_for_circles_finds_them() -> None:
    """Of two, of three, and of packages whose modules are in none."""
    assert _circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert _circles({"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"c"}}) == [
        {"a", "b"},
        {"c", "d"},
    ]
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]


_IGNORES = re.compile(r"#\s*(?:type:\s*ignore|noqa|pragma:)", re.IGNORECASE)
_WITH_REASON = re.compile(
    r"# (?:type: ignore\[[\w, -]+\] # \S"
    r"|noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)* - \S"
    r"|pragma: no (?:cover|branch) - \S)"
)
# `asyncio.sleep(0)` only lets others run.
_NAP = re.compile(r"time\.sleep\(|asyncio\.sleep\((?!0[,)])")


def _comments(path: Path) -> Iterator[tokenize.TokenInfo]:
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT:
                yield token


def test_every_ignore_says_what_and_why() -> None:
    """``# type: ignore[code] # reason``, ``# noqa: CODE - reason``."""

    def bare(path: Path) -> Iterator[str]:
        if not _IGNORES.search(path.read_text()):
            return  # to split all files into tokens takes seconds
        for comment in _comments(path):
            for found in _IGNORES.finditer(comment.string):
                if not _WITH_REASON.match(comment.string, found.start()):
                    yield f"line {comment.start[0]}: {comment.string}"

    assert not _offenders([*_LIBRARY, *_COMMAND, *_TESTS, *_OTHERS], bare)


def test_every_test_says_what_it_shows() -> None:
    """In a docstring, because a name alone seldom says why."""

    def silent(path: Path) -> Iterator[str]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_") and not ast.get_docstring(node):
                yield node.name

    assert not _offenders(_TESTS, silent)


_SLEEPERS = {"waiting.py", "pace.py"}


def test_tests_wait_for_a_condition_instead_of_sleeping() -> None:
    """Only tests/support/waiting.py sleeps, between two looks at a condition; and workers of
    tests/torture do, whose work is to come and go (pace.py)."""

    def naps(path: Path) -> Iterator[str]:
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "sleep(" in text else ():
            if isinstance(node, ast.Call) and _NAP.match(ast.unparse(node)):
                yield f"line {node.lineno}: {ast.unparse(node)}"

    assert not _offenders([path for path in _TESTS if path.name not in _SLEEPERS], naps)
