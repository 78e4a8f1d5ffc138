"""Pages of the documentation, executed: each block in order, as a reader would who types along.

- A ``console`` block holds ``$ command`` lines and the output below each; ``…`` stands for anything, alone for any lines. All
  commands of a page share one shell. A command that ends in ``# until Ctrl-C`` is interrupted once it has printed that.
- A ``python`` block runs, a ``pycon`` block is a doctest; both share one interpreter a page.
- A block with a title is a file of that path; with the language ``diff``, an edit of that file.
- ``<!-- hidden … -->`` holds what only the tests run: what a colleague does, or a service that stands in for another. It is a
  script of its own, or commands with ``$`` for the page's shell.
- ``json``, ``toml`` and ``yaml`` must parse; ``text`` and its like are only read. Other languages are refused.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from conftest import inv_script
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, RawFencedCodeBlockLexer

ROOT = Path(__file__).parent.parent
READ_ONLY = {"text", "gitignore", "gitattributes", "mermaid", "sql", "json", "toml", "yaml", "dotenv"}
EXECUTED = {"console", "python", "pycon", "diff"}
LIMIT = 60  # seconds for one command
END = "--- end of a command ---"
UNTIL = "# until Ctrl-C"

INTERPRETER = f"""
import doctest, json, sys, traceback
space = {{"__name__": "__page__"}}
runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
for line in sys.stdin:
    language, source, name, number = json.loads(line)
    try:
        if language == "pycon":
            test = doctest.DocTestParser().get_doctest(source.replace("…", "..."), space, name, name, number)
            runner.run(test, clear_globs=False, out=sys.stdout.write)
            space.update(test.globs)
        else:
            exec(compile("\\n" * number + source, name, "exec"), space)
            test = None
        problem = "it prints something else" if language == "pycon" and runner.summarize(verbose=False).failed else ""
        runner = doctest.DocTestRunner(optionflags=runner.optionflags)
    except BaseException:
        problem = traceback.format_exc()
    print()
    print({END!r}, json.dumps(problem), flush=True)
"""


class Process:
    """A child process that is told lines, and whose output is read by lines, with a limit."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self._popen = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout
        for line in self._popen.stdout:
            self._lines.put(line)
        self._lines.put("")

    def tell(self, text: str) -> None:
        assert self._popen.stdin
        self._popen.stdin.write(text)
        self._popen.stdin.flush()

    def line(self, what: str) -> str:
        """The next line; an empty one once the output has ended."""
        try:
            return self._lines.get(timeout=LIMIT)
        except queue.Empty:
            raise AssertionError(f"no end after {LIMIT} s: {what}") from None

    def until_end(self, what: str) -> tuple[str, str]:
        """The output up to the mark of the end, and what stands behind the mark."""
        printed = ""
        while line := self.line(what):
            if line.startswith(END):
                return printed.removesuffix("\n"), line.removeprefix(END)
            printed += line
        raise AssertionError(f"ended by itself: {what}\n{printed}")

    def interrupt(self) -> None:
        self._popen.send_signal(signal.SIGINT)
        self._popen.wait(LIMIT)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        self._reader.join()
        for stream in (self._popen.stdin, self._popen.stdout):
            assert stream
            with contextlib.suppress(BrokenPipeError):
                stream.close()


class Session:
    """A shell and an interpreter in a folder, for the blocks of one page."""

    def __init__(
        self, folder: Path, env: Mapping[str, str], words: Mapping[str, str], instead: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder  # the shell's current one
        self._words = words  # what a page says -> what stands in for it here, also in what is printed
        self._instead = instead or {}  # parts of commands -> what stands in for them
        home = folder.parent / "home"
        home.mkdir(exist_ok=True)
        (home / ".gitconfig").write_text(
            "[user]\nname = ada\nemail = ada@example.com\n[init]\ndefaultBranch = main\n[advice]\ndetachedHead = false\n"
        )
        (home / "pip").write_text("#!/bin/sh\n")  # what a page installs is there; .ci/run installs it for real
        (home / "inv").write_text(inv_script())
        for program in ("pip", "inv"):
            (home / program).chmod(0o755)
        self._env = {
            "PATH": f"{home}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "COLUMNS": "80",
            "PYTHONWARNINGS": "ignore",
            **env,
        }
        self._shell = self._open(["bash", "--norc", "--noprofile"])
        self._python: Process | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: object, raised: BaseException | None, traceback: TracebackType | None) -> None:
        for process in filter(None, (self._shell, self._python)):
            process.close()

    def _open(self, command: Sequence[str]) -> Process:
        return Process(command, self.folder, self._env)

    def console(self, source: str) -> str | None:
        """Run the commands of a block; return what is wrong with what one printed."""
        for command, expected in commands_of(source):
            for said, here in (*self._instead.items(), *self._words.items()):
                command = command.replace(said, here)
            printed = self._until(command, expected) if UNTIL in command else self._run(command)
            for said, here in self._words.items():
                printed = printed.replace(here, said)
            if problem := difference(expected, printed):
                return f"$ {command}\n{problem}"
        return None

    def quietly(self, source: str) -> None:
        """Run commands in the page's shell, whatever they print."""
        for command, _ in commands_of(source):
            self._run(command)

    def script(self, source: str) -> str | None:
        """Run commands in a shell of their own; return what they print if they fail."""
        done = subprocess.run(
            ["bash", "-ec", source], cwd=self.folder, env=self._env, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        return f"{done.stdout}{done.stderr}\nexit code {done.returncode}" if done.returncode else None

    def _run(self, command: str) -> str:
        self._shell.tell(f"(exit ${{status:-0}})\n{{ {command}\n}} </dev/null\nstatus=$?; echo; echo '{END}' \"$PWD\"\n")
        printed, folder = self._shell.until_end(command)
        self.folder = Path(folder.strip())
        return printed

    def _until(self, command: str, expected: str) -> str:
        process = self._open(["bash", "--norc", "-c", f"exec {command.partition(UNTIL)[0]}"])
        printed = ""
        try:
            while difference(expected, printed) and (line := process.line(command)):
                printed += line
            process.interrupt()
        finally:
            process.close()
        return printed

    def python(self, language: str, source: str, name: str, line: int) -> str | None:
        """Run a block in the page's interpreter; return what is wrong."""
        if self._python is None:
            self._python = self._open(["inv", "-c", INTERPRETER])  # forked, too
        self._python.tell(f"{json.dumps([language, source, name, line])}\n")
        printed, last = self._python.until_end(source)
        problem = json.loads(last)
        return f"{problem}\n{printed}" if problem else None


def commands_of(source: str) -> list[tuple[str, str]]:
    """The commands of a console block with the output below each; lines that begin with ``> `` belong to their command."""
    found: list[tuple[str, str]] = []
    for line in source.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif line.startswith("> ") and not found[-1][1]:
            found.append((f"{found.pop()[0]}\n{line[2:]}", ""))
        else:
            command, expected = found.pop()
            found.append((command, f"{expected}{line}\n"))
    return found


def difference(expected: str, printed: str) -> str:
    """How output differs from what a page shows; nothing where it fits."""
    wanted, got = ([line.rstrip() for line in text.strip("\n").splitlines()] for text in (expected, printed))
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*?") + r"\n" for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in got)):
        return ""
    return "\n".join(difflib.unified_diff(wanted, got, "the page", "printed", lineterm="", n=50))


def parse(path: Path, session: Session | None) -> Document:
    """A page with its blocks as examples; without a session they can be looked at, not run."""

    def block(example: Example) -> str | None:
        assert session
        language, info, source = (str(example.region.lexemes[key]) for key in ("language", "info", "source"))
        title = re.search(r'title="([^"]+)"', info)
        if title:
            return write(session.folder / title[1], language, source)
        if language == "console":
            return session.console(source)
        if language in ("python", "pycon"):
            return session.python(language, source, str(path), example.line)
        return check(language, source)

    def hidden(example: Example) -> str | None:
        assert session
        source = str(example.region.lexemes["source"])
        return session.quietly(source) if source.startswith("$ ") else session.script(source)

    def parser(document: Document) -> list[Region]:
        blocks = RawFencedCodeBlockLexer(re.compile(r"(?P<language>\w*)(?P<info>[^\n]*)$\n", re.M))
        comments = DirectiveInHTMLCommentLexer("hidden")
        regions = []
        for lexer, evaluate in ((blocks, block), (comments, hidden)):
            for region in lexer(document):
                region.evaluator, region.parsed = evaluate, region.lexemes["source"]
                regions.append(region)
        return regions

    return Sybil([parser]).parse(path)


def write(path: Path, language: str, source: str) -> str | None:
    """Make the file of a block with a title, or edit it."""
    if language != "diff":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return None
    done = subprocess.run(["patch", "-u", "--fuzz=0", str(path)], input=source, capture_output=True, text=True, check=False)
    # An offset is a wrong line number.
    told = [line for line in done.stdout.splitlines() if not line.startswith("patching file ")]
    return "\n".join(told) or None


def check(language: str, source: str) -> str | None:
    """Look whether data can be read."""
    if language == "json":
        json.loads(source)
    elif language == "toml":
        tomllib.loads(source)
    return None if language in READ_ONLY else f"{language!r} blocks are not executed: use one of {sorted(EXECUTED | READ_ONLY)}"


def copy_example(folder: Path) -> None:
    """The repository's own example, as a clone of it is: a git repository with everything committed."""
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "tasks.py", ".env", ".gitignore", "assistants_store.json"):
        shutil.copy(ROOT / name, folder / name)
    git = ["git", "-C", str(folder), "-c", "user.name=ada", "-c", "user.email=ada@example.com"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "The trivia game"]):
        subprocess.run([*git, *arguments], check=True)
