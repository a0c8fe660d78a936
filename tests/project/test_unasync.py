"""The rules by which the API for threads is made from the one for asyncio."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from textwrap import dedent

import pytest

from scripts import unasync
from scripts.unasync import Unclear, convert


def converted(source: str) -> str:
    return convert(dedent(source).lstrip("\n"))


def test_only_the_runtime_is_written_by_hand_on_each_side() -> None:
    """All others have a source, and say so in their first line."""
    root = unasync.ROOT
    sources = {path.name for path in (root / unasync.SOURCE).glob("*.py")}
    assert {path.name for path in (root / unasync.TARGET).glob("*.py")} == sources
    for name in sources - {unasync.HAND_WRITTEN}:
        first = (root / unasync.TARGET / name).read_text().splitlines()[0]
        expected = f"generated from {unasync.SOURCE / name}, by scripts/unasync.py; do not edit"
        assert first == f"# {expected}"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of both APIs, to be spoilt."""
    for folder in (unasync.SOURCE, unasync.TARGET):
        shutil.copytree(unasync.ROOT / folder, tmp_path / folder)
    return tmp_path


def test_check_fails_on_a_stale_file_and_shows_what_differs(copy: Path) -> None:
    """An edit of a generated file is found, and is gone after the next generation."""
    path = copy / unasync.TARGET / "lock.py"
    fresh = path.read_text()
    path.write_text(fresh.replace("tree: bool = False", "tree: bool = True"))
    with pytest.raises(SystemExit, match=r"(?s)-.*tree: bool = True.*\+.*= False.*make generate"):
        unasync.main(["--check"], copy)
    unasync.main([], copy)
    assert path.read_text() == fresh


def test_check_fails_on_a_changed_source(copy: Path) -> None:
    """Which is how it usually comes."""
    path = copy / unasync.SOURCE / "lock.py"
    path.write_text(path.read_text().replace("fair: bool = False", "fair: bool = True"))
    with pytest.raises(SystemExit, match="make generate"):
        unasync.main(["--check"], copy)


def test_check_fails_on_files_without_a_source_and_sources_without_a_file(copy: Path) -> None:
    """Both are put right by the next generation."""
    (copy / unasync.TARGET / "lock.py").unlink()
    (copy / unasync.TARGET / "gone.py").write_text("X = 1\n")
    with pytest.raises(SystemExit) as error:
        unasync.main(["--check"], copy)
    assert "_blocking/lock.py" in str(error.value)
    assert "-X = 1" in str(error.value)
    unasync.main([], copy)
    assert not (copy / unasync.TARGET / "gone.py").exists()
    unasync.main(["--check"], copy)


def test_a_rule_that_is_not_needed_any_more_is_an_error(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the tables are not longer than what they are for."""
    monkeypatch.setitem(unasync.WORDS, "the event loop of yesterday", "nothing")
    with pytest.raises(SystemExit, match="the event loop of yesterday"):
        unasync.main(["--check"], copy)


def test_the_command_line_shows_it_by_its_exit_code(copy: Path) -> None:
    """0 for what is fresh; what is unknown is refused."""
    command = [sys.executable, "-m", "scripts.unasync"]
    ran = subprocess.run([*command, "--check"], cwd=unasync.ROOT, check=False)
    assert ran.returncode == 0
    ran = subprocess.run(
        [*command, "--chekc"], cwd=unasync.ROOT, check=False, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert "--check" in ran.stderr


# -- code ------------------------------------------------------------------------------------------


def test_async_and_await_go_and_special_methods_are_renamed() -> None:
    """Also in `async with` and `async for`, and in the middle of an expression."""
    assert converted("""
        class Client:
            async def __aenter__(self) -> Client:
                async with self._place(), self.other:
                    async for each in self:
                        print(1 + await each, (await each).id)
                return self

            async def __aexit__(self) -> None:
                await self.close()
    """) == dedent("""
        class Client:
            def __enter__(self) -> Client:
                with self._place(), self.other:
                    for each in self:
                        print(1 + each, (each).id)
                return self

            def __exit__(self) -> None:
                self.close()
    """).lstrip("\n")


def test_words_that_only_begin_like_a_keyword_stay() -> None:
    """Tokens are renamed, not letters."""
    assert converted("asynchronous_ = awaiting = {'_async_': 1}\n") == (
        "asynchronous_ = awaiting = {'_async_': 1}\n"
    )


def test_types_that_are_awaited_are_unwrapped() -> None:
    """Those of arguments and results, one inside another, and the imports with them."""
    assert converted("""
        from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
        from typing import Any

        def run(
            fn: Callable[[Any], Coroutine[Any, Any, Awaitable[R]]], work: Awaitable[dict[str, R]]
        ) -> AsyncGenerator[Coroutine[Any, Any, R] | None, None]: ...
    """) == dedent("""
        from collections.abc import Callable, Generator
        from typing import Any

        def run(fn: Callable[[Any], R], work: dict[str, R]) -> Generator[R | None, None, None]: ...
    """).lstrip("\n")


def test_imports_are_sorted_anew_and_unused_ones_go() -> None:
    """By module, and in a module constants before classes before functions."""
    assert converted("""
        from __future__ import annotations

        import asyncio
        import warnings
        from collections.abc import Coroutine
        from typing import Any, Self

        from consul_lock._api.decorated import LIMIT, Kept, awaits
        from consul_lock._async.lock import Lock
        from consul_lock._async.runtime import Cancellation, LossOptions, current_owner
        from consul_lock._drivers.clock import clock

        def work(x: Coroutine[Any, Any, Lock], on: LossOptions) -> asyncio.Event:
            # -- asyncio only
            Cancellation(warnings)
            # -- both
            awaits(Kept, LIMIT, clock, current_owner)
    """) == dedent("""
        from __future__ import annotations

        import threading

        from consul_lock._api.decorated import LIMIT, Kept, blocks
        from consul_lock._blocking.lock import Lock
        from consul_lock._blocking.runtime import Options, current_owner
        from consul_lock._drivers.clock import clock

        def work(x: Lock, on: Options) -> threading.Event:
            blocks(Kept, LIMIT, clock, current_owner)
    """).lstrip("\n")


def test_imports_that_are_too_long_stand_one_on_a_line() -> None:
    """As ruff would have them."""
    names = [f"a_function_with_a_long_name_{number}" for number in range(4)]
    calls = "\n".join(f"{name}()" for name in names)
    made = convert(f"from consul_lock._async.client import ({', '.join(names)})\n\n{calls}\n")
    assert made.startswith("from consul_lock._blocking.client import (\n    a_function")
    assert made.count("\n    a_function") == len(names)


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\n\nprint(asyncio.sleep)\n",
        "import asyncio as aio\n",
        "import os  # why\n",
        "import os\n\nX = 1\nimport re\n",
    ],
)
def test_code_that_no_rule_covers_is_refused(source: str) -> None:
    """Rather than to generate something that is wrong."""
    with pytest.raises(Unclear):
        convert(source)


def test_brackets_that_are_short_enough_go_on_one_line() -> None:
    """Outer brackets first; trailing commas, comments and strings side by side keep lines."""
    long = "a" * 29
    assert converted(f"""
        async def work(
            {long}: int, {long}_b: int, c: int
        ) -> bool:
            return await call(
                {long}, [
                    1, 2
                ]
            )

        def stays(
            a: int,
        ) -> None:
            call(
                1  # one
            )
            call(
                "one"
                "two"
            )
            call(
                {long}, {long}, {long}
            )
    """) == dedent(f"""
        def work({long}: int, {long}_b: int, c: int) -> bool:
            return call({long}, [1, 2])

        def stays(
            a: int,
        ) -> None:
            call(
                1  # one
            )
            call(
                "one"
                "two"
            )
            call(
                {long}, {long}, {long}
            )
    """).lstrip("\n")


def test_a_line_that_gets_too_long_is_refused() -> None:
    """It is to be broken in the source."""
    with pytest.raises(Unclear, match="longer than 100"):
        convert(f"async def a() -> asyncio.Event: {'x' * 80}\n")


# -- markers ---------------------------------------------------------------------------------------


def test_code_between_markers_or_before_one_is_dropped() -> None:
    """Methods, statements, parameters; the blank lines around them are those of the rest."""
    assert converted("""
        class A:
            x: int
            # -- asyncio only
            y: int
            # -- both

            def f(
                self,
                a: int,
                b: int,  # asyncio only
            ) -> None:
                b = await a  # asyncio only
                return a

            # -- asyncio only
            def g(self) -> None:
                asyncio.run()

            # -- both

            def h(self) -> None: ...

            # -- asyncio only
            def i(self) -> None: ...
            # -- both


        X = 1
    """) == dedent("""
        class A:
            x: int

            def f(
                self,
                a: int,
            ) -> None:
                return a

            def h(self) -> None: ...


        X = 1
    """).lstrip("\n")


@pytest.mark.parametrize(
    "source",
    [
        "# -- asyncio only\nx = 1\n",
        "x = 1\n# -- both\n",
        "# -- asyncio only\nx = 1\n# -- asyncio only\n# -- both\n",
    ],
)
def test_markers_without_a_partner_are_refused(source: str) -> None:
    """Otherwise the rest of a file would be dropped in silence."""
    with pytest.raises(Unclear, match="-- both"):
        convert(source)


def test_a_source_that_is_invalid_without_its_markers_is_refused() -> None:
    """Such as a star that no parameter follows any more."""
    with pytest.raises(Unclear, match="no Python"):
        convert("def f(*, a: int  # asyncio only\n) -> None: ...\n".replace("a:", "\n    a:"))


# -- words -----------------------------------------------------------------------------------------


def test_words_of_docstrings_are_exchanged_across_lines_and_the_paragraph_is_filled() -> None:
    """Other paragraphs and examples keep their lines."""
    assert converted('''
        def f() -> None:
            """Shared.

            It may be held by several
            tasks at once.  Each has a hold
            of its own, see ``x or y``.

            This
            stays.

                async with CronGuard() as run:
                    await back_up()
            """
    ''') == dedent('''
        def f() -> None:
            """Shared.

            It may be held by several threads at once.  Each has a hold of its own, see ``x or y``.

            This
            stays.

                with CronGuard() as run:
                    back_up()
            """
    ''').lstrip("\n")


def test_a_filled_paragraph_is_as_wide_as_the_project_and_keeps_code_together() -> None:
    """100 characters, no line break inside double backquotes, and two spaces after a sentence."""
    begin = "w" * 60
    rest = "and more of it until the line is as full as can be, no later.  It ends:"
    assert converted(f'''
        class A:
            """For several tasks: {begin} ``async with lock(timeout=5)`` {rest}
            here.
            There."""
    ''') == (
        "class A:\n"
        f'    """For several threads: {begin}\n'
        f"    ``with lock(timeout=5)`` {rest}\n"
        '    here.  There."""\n'
    )


def test_words_of_comments_and_messages_are_exchanged() -> None:
    """They are read, too."""
    assert converted("""
        # For several tasks.
        x = "use 'async with'"
    """) == ("# For several threads.\nx = \"use 'with'\"\n")


@pytest.mark.parametrize(
    "source",
    [
        '"""It is awaited."""\n',
        '"""A task of its own."""\n',
        '"""One for each event loop."""\n',
        '"""Cancelled by it."""\n',
        'x = 1\n"""A coroutine."""\n',
        "x = 1  # not in this task\n",
        'x = "the loop has ended"\n',
        'x = f"the loop of {x} has ended"\n',
    ],
)
def test_a_word_of_asyncio_that_no_rule_allows_is_refused(source: str) -> None:
    """In docstrings, comments and messages, with its line and what it needs."""
    with pytest.raises(Unclear, match=r"line \d: the word .* needs a rule"):
        convert(source)


def test_a_phrase_that_is_said_in_both_is_allowed_and_counted() -> None:
    """Such as a sentence that compares the two."""
    used = Counter[str]()
    phrase = unasync.ALLOWED[0]
    text = f'"""{phrase}\nlock is lost."""\n'
    assert convert(text, used) == text
    assert used[phrase] == 1
