"""The pictures in ``docs/pictures``: ``inv pictures`` makes them of what commands really print, in a copy of the example."""

from __future__ import annotations

import contextlib
import html
import io
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from invoke_assistants.emulator.api import EmbeddedAPI
from invoke_assistants.emulator.http_server import Server

ROOT = Path(__file__).parent.parent
FOLDER = Path(__file__).with_name("pictures")
EXAMPLE = ("app", "tasks.py", "pyproject.toml", ".env", "assistants_store.json")
WIDTH, HEIGHT = 80, 24  # of the terminal
_PROMPT = "\x1b[32m$\x1b[0m \x1b[1m"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PIECES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r?\n|\r|[^\x1b\r\n]+")
_CUT_OFF = re.compile(r"\x1b(?:\[[0-9;?]*)?\Z")  # an escape sequence whose end has not come yet
KEPT = ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT", "TMPDIR")  # variables that the commands see

THEME = TerminalTheme(
    (24, 26, 31),
    (220, 223, 228),
    [
        (24, 26, 31), (240, 113, 120), (152, 195, 121), (229, 192, 123), (97, 175, 239), (198, 120, 221), (86, 182, 194),
        (220, 223, 228),
    ],
)  # fmt: skip
# As rich's own, without the fonts that it fetches from elsewhere: each text has its length, so any monospaced font fits.
TEMPLATE = """\
<svg class="terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<!-- made by "inv pictures" with rich RICH -->
<style>
.{unique_id}-matrix {{
font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
font-size: {char_height}px; line-height: {line_height}px; white-space: pre;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
""".replace("RICH", version("rich"))


def copy_example(folder: Path) -> None:
    """Copy the repository's example project, without what belongs to one machine."""
    for name in EXAMPLE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)


def _settled(shown: str) -> str:
    """What stays on a terminal: rich takes a line back by clearing it, or by going up to it and clearing it."""
    lines, at = [""], 0
    for piece in _PIECES.findall(_CUT_OFF.sub("", shown)):
        if piece.endswith("\n"):
            at += 1
            lines += [""] * (at == len(lines))
        elif piece == "\x1b[1A":
            at -= 1
        elif piece == "\x1b[2K":
            lines[at] = ""
        elif piece != "\r" and not piece.startswith("\x1b[?"):  # the latter hides and shows the cursor
            lines[at] += piece
    return "\n".join(lines)


class Process(Protocol):
    """A command that was started."""

    def wait(self) -> int:
        """Wait for its end."""
        ...


Start = Callable[[list[int], Sequence[str], Path, dict[str, str]], Process]  # stdin to stderr, arguments, folder, environment


def start(streams: list[int], arguments: Sequence[str], folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start ``inv ARGUMENTS`` in a folder."""
    stdin, stdout, stderr = streams
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", *arguments], cwd=folder, env=environment, stdin=stdin, stdout=stdout, stderr=stderr
    )


class Project:
    """A copy of the example, and a terminal to type commands in."""

    def __init__(self, folder: Path, start: Start) -> None:
        copy_example(folder)
        self.folder = folder
        self._start = start
        self.environment = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}

    def edit(self, path: str, *edits: tuple[str, str]) -> None:
        """Replace texts in a file of the project; each must be there."""
        file = self.folder / path
        text = file.read_text()
        for before, after in edits:
            if before not in text:
                raise ValueError(f"{path} has no {before!r}: bring docs/pictures.py up to date")
            text = text.replace(before, after)
        file.write_text(text)

    def type(self, command: str) -> str:
        """Run a command, and return what is on the screen at its end."""
        *_, screen = self._screens(command)
        return screen

    def type_until(self, text: str, command: str, then: Callable[[], None]) -> str:
        """Run a command, and return what is on the screen when it first holds ``text``; ``then`` lets the command go on."""
        found: str | None = None
        for screen in self._screens(command):
            if found is None and text in _ANSI.sub("", screen):
                found = screen
                then()
        if found is None:
            raise ValueError(f"{command} never showed {text!r}")
        return found

    def _screens(self, command: str) -> Iterator[str]:
        """What is on the terminal of a command, its line above, after each piece that it prints."""
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"HOME": str(self.folder), **self.environment}
        outside, inside = pty.openpty()
        termios.tcsetwinsize(inside, (HEIGHT, WIDTH))
        with Path(os.devnull).open() as nothing:
            process = self._start([nothing.fileno(), inside, inside], shlex.split(command)[1:], self.folder, environment)
        os.close(inside)
        shown = b""
        with io.FileIO(outside) as terminal, contextlib.suppress(OSError):  # EIO is the end of a terminal
            while piece := terminal.read(65536):
                shown += piece
                yield f"{_PROMPT}{command}\x1b[0m\n{_settled(shown.decode(errors='ignore'))}"
        process.wait()


class Halting(EmbeddedAPI):
    """An Agents API that answers some updates and keeps the others waiting."""

    def __init__(self, path: Path, answered: int) -> None:
        super().__init__(path)
        self.going_on = threading.Event()
        self._turns = threading.Semaphore(answered)

    def handle(self, method: str, path: str, *more: Any, **others: Any) -> Any:
        """Answer a request, an update perhaps not at once."""
        if method == "POST" and "/agents/" in path and not self._turns.acquire(blocking=False):
            self.going_on.wait(60)
        return super().handle(method, path, *more, **others)


def plan(project: Project) -> str:
    """A plan after edits of the output model and of the instructions."""
    project.edit(
        "app/trivia/models.py",
        ("    answer: str", '    hint: str = Field(description="A few words that help.")\n    answer: str'),
    )
    project.edit("app/trivia/prompts.py", ("multiple choice trivia game.", "multiple choice trivia game that gets harder."))
    return project.type("inv asst.plan --only create_trivia_game")


def breaking(project: Project) -> str:
    """A deploy that is refused, since the app that runs could not read what the new schema allows."""
    project.type("inv asst.create")
    project.edit("app/trivia/models.py", ('HARD = "hard"', 'HARD = "hard"\n    EXPERT = "expert"'))
    return project.type("inv asst.deploy --only create_trivia_game")


def deploy(project: Project) -> str:
    """A deploy of eight assistants under way."""
    project.edit("app/assistants.py", ("ASSISTANTS = [create_trivia_game, judge_answer]", EIGHT))
    (project.folder / "assistants_store.json").unlink()
    api = Halting(project.folder / "service.json", answered=5)
    with Server(api, 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        project.environment |= {"ASST_PLATFORM": "agents", "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": server.url}
        project.type("inv asst.create")
        project.edit("app/trivia/prompts.py", ("You are told", "You hear"), ("Create a", "Make a"))
        screen = project.type_until("5/8", "inv asst.deploy", then=api.going_on.set)
        server.shutdown()
    return screen


EIGHT = """
ASSISTANTS = [create_trivia_game, judge_answer, *(
    Assistant(f"trivia_host_{language}", model="gpt-6-luna", instructions=f"{JUDGE_ANSWER} Answer in {language}.")
    for language in ("de", "en", "es", "fr", "it", "pt")
)]
"""


def drift(project: Project) -> str:
    """A deploy that is refused, since somebody edited the production instance by hand."""
    project.type("inv asst.create")
    path = project.folder / ".asst" / "local.json"
    held = json.loads(path.read_text())
    [edited] = [agent for agent in held["agents"].values() if agent["name"] == "judge_answer_production"]
    edited["instructions"] = edited["instructions"].replace("Forgive spelling", "Do not forgive spelling")
    path.write_text(json.dumps(held))
    return project.type("inv asst.deploy")


def status(project: Project) -> str:
    """The status of a fresh clone."""
    return project.type("inv asst.status")


def run(project: Project) -> str:
    """An answer of the embedded platform."""
    screen = project.type('inv asst.run judge_answer "What is the capital of Australia? Canberra!"')
    return re.sub(r"sess_[0-9a-f]+", "sess_5f0c7d12ab9e4c3384d1e6a0", screen)  # the one id that is random


PICTURES: dict[str, Callable[[Project], str]] = {each.__name__: each for each in (plan, breaking, deploy, drift, status, run)}


def draw(name: str, start: Start = start) -> str:
    """Make one picture, with commands that are started by ``start``: its SVG."""
    with tempfile.TemporaryDirectory() as folder:
        screen = PICTURES[name](Project(Path(folder), start))
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text.from_ansi(screen.rstrip("\n")))
    return console.export_svg(title=name, theme=THEME, code_format=TEMPLATE, unique_id=name)


def words_of(svg: str) -> list[str]:
    """The texts of a picture, which do not depend on how rich draws them."""
    return html.unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))).split()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in PICTURES:
        (FOLDER / f"{name}.svg").write_text(draw(name))
