"""The API for threads, made from the one for asyncio.

    python -m scripts.unasync            writes consul_lock/_blocking (`make generate`)
    python -m scripts.unasync --check    only says which of its files are not what it would write

``consul_lock/_async`` is written by hand; each of its files becomes one of the same name in
``_blocking``, but for `HAND_WRITTEN`, which exists on each side.  In a source file

    # -- asyncio only
    ...
    # -- both

encloses what threads do not have, and ``# asyncio only`` behind a line is the same for that line.
The rest becomes code for threads by the tables below: names, types, and the words of docstrings.
Nothing is guessed: a word of asyncio that is left in a docstring, a comment or a message and that
no rule allows is an error, and so is a rule that is not needed any more.

No formatter is called, so the result does not depend on the version of one.  Line breaks are those
of the source, with three exceptions, as shorter lines must look as if somebody had written them
(tracebacks show them, and ``ruff format --check`` reads them like all other files): what is in
brackets goes on one line if it fits there and has no trailing comma, imports are sorted anew, and a
paragraph of a docstring in which words were exchanged is filled anew.  Should another version of
ruff want it otherwise, break the line in the source another way.
"""

from __future__ import annotations

import ast
import difflib
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SOURCE, TARGET = Path("consul_lock/_async"), Path("consul_lock/_blocking")

HAND_WRITTEN = "runtime.py"

BEGIN, END, LINE = "# -- asyncio only", "# -- both", "# asyncio only"

WIDTH = 100

# Names in code, imports included.
NAMES = {
    "AsyncGenerator": "Generator",
    "LossOptions": "Options",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "_async": "_blocking",
    "awaitable": "finished",
    "awaits": "blocks",
    "makes_awaitable": "blocks",
}

# Names of modules' own; the import of the module goes along.
DOTTED = {("asyncio", "Event"): ("threading", "Event")}

# Types: what stands for them in threads, of their last argument or their first one.
TYPES: dict[str, Callable[[list[str]], str]] = {
    "AsyncGenerator": lambda given: f"Generator[{given[0]}, None, None]",
    "Awaitable": lambda given: given[0],
    "Coroutine": lambda given: given[-1],
}

# Words of docstrings, comments and messages, and what threads' users read in their place.  A space
# stands for any white space.  They are applied in this order.
WORDS = {
    " With ``cancel_on_loss=True`` the task in an ``async with`` block is cancelled when the lock"
    " is lost, and the block raises `LockLost`, as `asyncio.timeout` does at its time; without it"
    " the block runs to its end first.": "",
    "for asyncio": "for threads",
    "``async with": "``with",
    "'async with'": "'with'",
    "async with CronGuard": "with CronGuard",
    "await back_up()": "back_up()",
    "coroutine function": "function",
    "``await lost.wait()`` waits": "``lost.wait(timeout)`` waits",
    "in other tasks": "in other threads",
    "shared by tasks": "shared by threads",
    "several tasks": "several threads",
    "the calling task": "the calling thread",
    "a cancelled task included": "Ctrl-C included",
    "when its loop ends as `asyncio.run` ends it": "when the interpreter ends",
    "until its loop ends": "until the program ends",
    "on the loop; an ``async`` one runs as a task": "on a thread of its own",
}

# What says something about asyncio in both APIs.
ALLOWED = [
    "In asyncio ``fn`` is awaited as a task, which is cancelled when the",
    "a thread, or in asyncio to a task",
    "a thread or task that its owner has started",
]

_FORBIDDEN = re.compile(
    r"\b(?:a?sync\w*|await\w*|coroutines?|(?:event )?loops?|tasks?|cancel\w*)\b", re.IGNORECASE
)
_FORBIDDEN_NAMES = {"async", "asyncio", "await"}


class Unclear(Exception):
    """Something that no rule covers: it needs one, or other words in the source."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")


class Edit(NamedTuple):
    """What to write in place of a part of a text, by offsets."""

    start: int
    end: int
    text: str


def convert(source: str, used: Counter[str] | None = None) -> str:
    """The code for threads; ``used`` counts which rules for words were needed."""
    counted = Counter[str]() if used is None else used
    text = _cut(source)
    text = _unwrapped(text)
    text = _renamed(text, counted)
    text = _with_imports(text)
    text = _documented(text, counted)
    text = _joined(text)
    _check(text, counted)
    return text


# -- what threads do not have ----------------------------------------------------------------------


def _cut(source: str) -> str:
    """Without what stands between the markers, and without lines that have one behind them."""
    kept, begun = list[str](), 0
    for number, line in enumerate(source.splitlines(), 1):
        mark = line.strip()
        if mark == BEGIN:
            if begun:
                raise Unclear(number, f"{BEGIN!r} again, without {END!r} after line {begun}")
            begun = number
        elif mark == END:
            if not begun:
                raise Unclear(number, f"{END!r} without {BEGIN!r}")
            begun = 0
        elif not begun and not line.endswith(f"  {LINE}"):
            kept.append(line)
    if begun:
        raise Unclear(begun, f"{BEGIN!r} without {END!r}")
    text = re.sub(r"\n{4,}", "\n\n\n", "\n".join(kept))
    text = re.sub(r"\n{3,}(?= )", "\n\n", text).rstrip("\n") + "\n"
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise Unclear(
            error.lineno or 0, f"without {BEGIN!r} it is no Python: {error.msg}"
        ) from None
    return text


# -- code ------------------------------------------------------------------------------------------


def _unwrapped(text: str) -> str:
    """With the types that are awaited replaced by what awaiting them gives."""
    while True:
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Subscript)
                and isinstance(node.value, ast.Name)
                and node.value.id in TYPES
            ):
                inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                given = [ast.get_source_segment(text, each) or "" for each in inner]
                text = _edited(text, [_edit_of(text, node, TYPES[node.value.id](given))])
                break
        else:
            return text


def _renamed(text: str, used: Counter[str]) -> str:
    """Without ``async`` and ``await``, with the names and plain strings of threads."""
    edits, tokens, starts = list[Edit](), list(_tokens(text)), _starts(text)
    docs = {(node.lineno, node.col_offset) for node in _docs(text)}

    def edit(first: tokenize.TokenInfo, end: tuple[int, int], new: str) -> None:
        edits.append(Edit(_at(starts, first.start), _at(starts, end), new))

    for here, token in enumerate(tokens):
        names = tuple(each.string for each in tokens[here : here + 3] if each.string != ".")
        if token.string in ("async", "await") and token.type == tokenize.NAME:
            edit(token, tokens[here + 1].start, "")
        elif token.type == tokenize.NAME and names[:2] in DOTTED:
            edit(token, tokens[here + 2].end, ".".join(DOTTED[names[0], names[1]]))
        elif token.type == tokenize.NAME and token.string in NAMES:
            edit(token, token.end, NAMES[token.string])
        elif token.type == tokenize.COMMENT or (
            # Not in f-strings, which are other tokens from Python 3.12 on.
            token.type == tokenize.STRING and token.start not in docs and token.string[0] in "\"'"
        ):
            edit(token, token.end, _reworded(token.string, used))
    return _edited(text, edits)


def _with_imports(text: str) -> str:
    """With the imports that are needed, sorted as ruff sorts them."""
    tree = ast.parse(text)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if not imports:
        return text
    first, last = imports[0].lineno, imports[-1].end_lineno or 0
    if any(first <= node.lineno <= last for node in tree.body if node not in imports):
        raise Unclear(last, "imports that do not stand together")
    lines = text.splitlines(keepends=True)
    header = "".join(lines[first - 1 : last])
    if "#" in header or " as " in header:
        raise Unclear(first, "a comment or an 'as' among the imports")
    needed = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    plain = {alias.name for node in imports for alias in node.names if isinstance(node, ast.Import)}
    plain = {name for name in plain if name.partition(".")[0] in needed}
    plain |= {module for module, _ in DOTTED.values() if module in needed}
    named = dict[str, set[str]]()
    for node in imports:
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            future = node.module == "__future__"
            named.setdefault(node.module or "", set()).update(names if future else names & needed)
    block = "\n".join(filter(None, (_group(plain, named, floor) for floor in range(3))))
    return "".join(lines[: first - 1]) + block + "".join(lines[last:])


def _group(plain: set[str], named: dict[str, set[str]], floor: int) -> str:
    """The imports of a block: of the future, of the standard library, of consul_lock."""

    def floor_of(module: str) -> int:
        return 0 if module == "__future__" else 2 if module.startswith("consul_lock") else 1

    lines = [f"import {module}" for module in sorted(plain) if floor_of(module) == floor]
    for module in sorted(named):
        names = sorted(named[module], key=lambda name: (_sort_of(name), name.lower()))
        if names and floor_of(module) == floor:
            line = f"from {module} import {', '.join(names)}"
            if len(line) > WIDTH:
                line = "\n    ".join([f"from {module} import (", *(f"{n}," for n in names)]) + "\n)"
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _sort_of(name: str) -> int:
    """Constants, classes, functions."""
    return 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2


# -- words -----------------------------------------------------------------------------------------


def _reworded(text: str, used: Counter[str]) -> str:
    for words, instead in WORDS.items():
        text, times = re.subn(_pattern(words), instead, text)
        used[words] += times
    return text


def _pattern(words: str) -> str:
    return r"\s+".join(map(re.escape, words.split(" ")))


def _documented(text: str, used: Counter[str]) -> str:
    """With the words of threads in the docstrings."""
    edits = list[Edit]()
    for node in _docs(text):
        said = ast.get_source_segment(text, node) or ""
        edits.append(_edit_of(text, node, _doc(said, node.col_offset, used)))
    return _edited(text, edits)


def _doc(said: str, indent: int, used: Counter[str]) -> str:
    closing = f'\n{" " * indent}"""'
    end = closing if said.endswith(closing) else ""
    paragraphs = said.removesuffix(closing).split("\n\n")
    for here, paragraph in enumerate(paragraphs):
        new = _reworded(paragraph, used)
        # What is indented further, such as an example, keeps its lines.
        shown = here > 0 and all(
            line.startswith(" " * (indent + 1)) for line in paragraph.splitlines()
        )
        if new != paragraph:
            paragraphs[here] = new if shown else _filled(new, indent)
    return "\n\n".join(paragraphs) + end


def _filled(paragraph: str, indent: int) -> str:
    """In lines of the whole width.  What is in double backquotes stays in one, and there are two
    spaces after a sentence."""
    lines = [" " * indent]
    for found in re.finditer(r"((?:``[^`]*``|\S)+)(\s*)", paragraph):
        word, space = found.groups()
        if lines[-1].strip() and len(lines[-1] + word) > WIDTH:
            lines.append(" " * indent)
        ended = "\n" in space and word.endswith((".", "?", "!"))
        lines[-1] += word + ("  " if ended or space == "  " else " ")
    filled = "\n".join(line.rstrip() for line in lines)
    return filled.lstrip() if paragraph.startswith('"') else filled


# -- lines -----------------------------------------------------------------------------------------


def _joined(text: str) -> str:
    """With what is in brackets on one line where it fits there."""
    while (edit := next(_joins(text), None)) is not None:
        text = _edited(text, [edit])
    return text


def _joins(text: str) -> Iterator[Edit]:
    """What can be joined, outer brackets first."""
    tokens, lines, starts = list(_tokens(text)), text.splitlines(), _starts(text)
    for opening, closing in sorted(_brackets(tokens)):
        inside = tokens[opening : closing + 1]
        first, last = inside[0].start[0], inside[-1].end[0]
        if first == last or _stays(inside):
            continue
        joined = lines[first - 1]
        for line in lines[first:last]:
            piece = line.strip()
            tight = joined[-1] in "([{" or piece[0] in ")]}."
            joined += piece if tight else f" {piece}"
        if len(joined) <= WIDTH:
            yield Edit(starts[first - 1], starts[last - 1] + len(lines[last - 1]), joined)


def _brackets(tokens: list[tokenize.TokenInfo]) -> Iterator[tuple[int, int]]:
    open_ = list[int]()
    for here, token in enumerate(tokens):
        if token.type == tokenize.OP and token.string in "([{":
            open_.append(here)
        elif token.type == tokenize.OP and token.string in ")]}":
            yield open_.pop(), here


def _stays(inside: list[tokenize.TokenInfo]) -> bool:
    """Whether brackets stay on several lines: for a comment, a trailing comma, or strings that
    stand one after the other."""
    solid = [token for token in inside if token.type not in (tokenize.NL, tokenize.NEWLINE)]
    for before, after in pairwise(solid):
        apart = before.end[0] != after.start[0]
        trailing = before.string == "," and after.string in (")", "]", "}")
        strings = before.type == after.type == tokenize.STRING
        if apart and (trailing or strings):
            return True
    return any(token.type == tokenize.COMMENT or token.start[0] != token.end[0] for token in solid)


# -- whether it is right ---------------------------------------------------------------------------


def _check(text: str, used: Counter[str]) -> None:
    tree = compile(text, "generated", "exec", ast.PyCF_ONLY_AST)
    for token in _tokens(text):
        line = token.start[0]
        if token.type == tokenize.NAME and token.string in _FORBIDDEN_NAMES:
            raise Unclear(line, f"{token.string!r} is left")
        if token.type == tokenize.COMMENT:
            _check_words(line, token.string, used)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            _check_words(node.lineno, node.value, used)
    for number, written in enumerate(text.splitlines(), 1):
        # The reason behind an ignore may be as long as it takes, as ruff has it.
        if len(re.sub(r"  # (?:type: ignore|noqa).*", "", written)) > WIDTH:
            raise Unclear(number, f"longer than {WIDTH} characters: {written.strip()!r}")


def _check_words(line: int, text: str, used: Counter[str]) -> None:
    for words in ALLOWED:
        text, times = re.subn(_pattern(words), "", text)
        used[words] += times
    if (found := _FORBIDDEN.search(text)) is not None:
        around = " ".join(text[max(0, found.start() - 60) : found.end() + 60].split())
        raise Unclear(
            line,
            f"the word {found[0]!r} is left in {around!r}; it needs a rule in WORDS, or a phrase in"
            " ALLOWED",
        )


# -- positions -------------------------------------------------------------------------------------


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    return tokenize.generate_tokens(io.StringIO(text).readline)


def _docs(text: str) -> list[ast.Constant]:
    """Strings that are statements: docstrings, those of attributes included."""
    return [
        node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]


def _starts(text: str) -> list[int]:
    """The offset of each line."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _at(starts: list[int], place: tuple[int, int]) -> int:
    return starts[place[0] - 1] + place[1]


def _line(text: str, node: ast.expr) -> bytes:
    return text.splitlines()[node.lineno - 1].encode()


def _edit_of(text: str, node: ast.expr, new: str) -> Edit:
    """A node is known by its line and the bytes before it there."""
    start = _starts(text)[node.lineno - 1]
    start += len(_line(text, node)[: node.col_offset].decode())
    return Edit(start, start + len(ast.get_source_segment(text, node) or ""), new)


def _edited(text: str, edits: Iterable[Edit]) -> str:
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


# -- files -----------------------------------------------------------------------------------------


def generate(root: Path) -> dict[Path, str]:
    """The files of the API for threads, by their paths below a folder."""
    made, used = dict[Path, str](), Counter[str]()
    for path in sorted((root / SOURCE).glob("*.py")):
        if path.name == HAND_WRITTEN:
            continue
        try:
            text = convert(path.read_text(), used)
        except Unclear as error:
            raise SystemExit(f"{SOURCE / path.name}, {error}") from error
        origin = f"# generated from {SOURCE / path.name}, by scripts/unasync.py; do not edit\n"
        made[TARGET / path.name] = origin + text
    unused = [words for words in (*WORDS, *ALLOWED) if not used[words]]
    if unused:
        raise SystemExit(f"{Path(__file__).name}: not needed any more: {unused}")
    return made


def stale(root: Path, made: dict[Path, str]) -> list[str]:
    """What is not as it would be written, as differences."""
    there = {TARGET / path.name for path in (root / TARGET).glob("*.py")} - {TARGET / HAND_WRITTEN}
    found = list[str]()
    for path in sorted(there | made.keys()):
        old = (root / path).read_text().splitlines() if path in there else []
        new = made.get(path, "").splitlines()
        if old != new:
            found += difflib.unified_diff(old, new, str(path), f"{path} as generated", lineterm="")
    return found


def main(arguments: list[str], root: Path = ROOT) -> None:
    """Write the files, or only check them."""
    made = generate(root)
    differences = stale(root, made)
    if arguments == ["--check"]:
        if differences:
            raise SystemExit("\n".join([*differences, "", "run 'make generate'"]))
        return
    if arguments:
        raise SystemExit(__doc__)
    for path in (root / TARGET).glob("*.py"):
        if path.name != HAND_WRITTEN and TARGET / path.name not in made:
            path.unlink()
    for path, text in made.items():
        (root / path).write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
