"""What people see: tables, field-level differences, progress. The only module with colours."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from ..ask.turn import PASSING
from ..text import PrintableStream, one_line, printable
from ..types import ID, Change, Step, short
from .text_diff import edits

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID
    from rich.text import Text

    from ..ask.reply import Reply

__all__ = ["Terminal", "ask", "document", "raw_answer", "reply", "show", "waiting"]

_STYLES = {
    "in_sync": "green",
    "not_created": "yellow",
    "changed": "yellow",
    "missing": "red",
    "drifted": "red",
    "undeclared": "dim",
}
_DONE = {
    "create": "created",
    "adopt": "adopted",
    "recreate": "created anew",
    "update": "updated",
    "delete": "deleted",
    "none": "unchanged",
}
_LEFT = ("drifted", "changed")  # what create leaves as it is, and plan shows


def document(command: str, rows: Sequence[Step], error: str | None, ok: bool, **more: Any) -> str:
    """The one JSON document of ``--json``; ``more`` is what one command adds."""
    out = {
        "command": command,
        "ok": ok,
        "error": error,
        "rows": [
            {
                "name": row.name,
                "environment": row.environment,
                "platform": row.platform,
                "id": row.id,
                "state": row.state,
                "action": row.action,
                "digest": row.digest,
                "changes": [{"field": c.field, "before": c.before, "after": c.after} for c in row.changes],
                "error": row.error,
            }
            for row in rows
        ],
        **more,
    }
    return json.dumps(out, indent=2)


def reply(row: Step, answer: Reply[Any], output: Any, *, shown: bool) -> None:
    """Print what an assistant said, and on stderr how to go on.

    Args:
        output: as plain JSON.
        shown: the text has been printed already, as it came, but for the end of its last line.
    """
    print("" if shown else printable("\n".join(_lines(output)), prose=True), flush=True)
    spent = f"{answer.usage.total_tokens} tokens; " if answer.usage else ""
    on = f"go on with --session {answer.session}"
    if answer.session.startswith(PASSING):
        on = "the server keeps no conversation to go on with"
    elif not ID.fullmatch(answer.session):  # what is offered to be typed into a shell must be an id and nothing else
        on = "the session's id is not one to be typed"
    print(f"{row.id}: {spent}{on}", file=sys.stderr, flush=True)


def raw_answer(text: str) -> None:
    """Print on stderr the answer that an error is about."""
    print(f"the answer as it came:\n{printable(text, prose=True)}", file=sys.stderr, flush=True)


def _lines(value: Any, indent: str = "") -> Iterator[str]:
    """Plain JSON for people: a line for each value, what belongs together indented."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _entry(f"{indent}{key}:", item, indent)
    elif isinstance(value, list):
        for item in value:
            lines = list(_lines(item, f"{indent}  "))
            yield f"{indent}- {(lines[0] if lines else '').strip()}"
            yield from lines[1:]
    else:
        yield from (f"{indent}{line}" for line in _scalar(value).split("\n"))


def _entry(label: str, item: Any, indent: str) -> Iterator[str]:
    if isinstance(item, dict | list) and item:
        yield label
        yield from _lines(item, f"{indent}  ")
    else:
        first, *rest = _scalar(item).split("\n")
        yield f"{label} {first}".rstrip()
        yield from (f"{indent}  {line}" for line in rest)


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@contextmanager
def waiting(label: str) -> Generator[Callable[[str], None]]:
    """Something that moves on a terminal until the block ends, or until text is given to what it yields, which prints it."""
    status = _console(sys.stderr).status(label) if sys.stderr.isatty() else None
    stream = PrintableStream()
    if status:
        status.start()

    def show(text: str) -> None:
        if status:
            status.stop()
        print(stream.take(text), end="", flush=True)

    try:
        yield show
    finally:
        if status:
            status.stop()
        print(stream.rest(), end="", flush=True)


def show(
    command: str, rows: Sequence[Step], stream: IO[str], *, planned: bool, refused: bool = False, error: str | None = None
) -> None:
    """Print rows for people: a table, the differences below their rows, a last line that says what to do next.

    Args:
        planned: nothing was done, so actions are what a command would do.
        refused: nothing was done, though it was asked for.
        error: what the command ends with; what it says is not said here as well.
    """
    said: set[tuple[str, str]] = set()
    planned = planned or refused
    console = _console(stream)
    lines = [_cells(command, row, planned) for row in rows]
    widths = [max((len(cells[column]) for cells in lines), default=0) for column in range(5)]
    for row, cells in zip(rows, lines, strict=True):
        text = _text("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        text.highlight_words([cells[2]], "red" if row.error else _STYLES.get(row.state or "", "green"))
        console.print(text, soft_wrap=True)
        whose = row.name if command == "check" else ""  # its remarks do not name the assistant, so each stands by its own
        note = row.note if row.note and row.note not in (row.error or "") else None
        for remark, style in ((row.error, "red"), (note, "dim")):
            if remark and (whose, remark) not in said and (whose or remark not in (error or "")):
                said.add((whose, remark))
                console.print(_text(f"    {remark}", style), soft_wrap=True)
        if planned or row.action == "update":
            for change in row.changes:
                for line in _difference(change):
                    console.print(line, soft_wrap=True)
    summary = _summary(command, rows, planned)
    console.print(_text(f"refused, nothing was written: {summary}" if refused else summary), soft_wrap=True)


def _cells(command: str, row: Step, planned: bool) -> tuple[str, ...]:
    """Name, environment, what it is or what was done, id, digest."""
    if command == "check":
        word = _checked(row)
    elif command == "resolve":
        word = _merged(row)
    elif command == "forget":
        word = "forgotten"
    elif not planned:
        word = _done(row)
    else:
        word = " -> ".join(word for word in (row.state, row.action) if word not in (None, "none"))
    return row.name, row.environment, word, row.id or "-", short(row.digest) if row.digest else "-"


def _checked(row: Step) -> str:
    return "refused" if row.error else "warning" if row.note else "ok"


def _merged(row: Step) -> str:
    return "conflict" if row.error else "merged"


def _done(row: Step) -> str:
    if row.error:
        return "failed"
    return row.state if row.state in _LEFT and row.action == "none" else _DONE[row.action]


def _summary(command: str, rows: Sequence[Step], planned: bool) -> str:
    if command == "check":
        counts = Counter(map(_checked, rows))
        doubtful = f", {counts['warning']} with a warning" if counts["warning"] else ""
        if counts["refused"] or doubtful:
            return f"{counts['refused'] or 'none'} of {len(rows)} would be refused{doubtful}"
        return f"all {len(rows)} would be taken"
    if command == "resolve":
        return ", ".join(f"{number} {word}" for word, number in Counter(map(_merged, rows)).items()) or "nothing to resolve"
    if not rows:
        return "nothing to delete" if command == "delete" else "nothing is declared"
    if command == "forget":
        back = [f"inv asst.adopt {row.name} {row.environment} {row.id}" for row in rows if row.id and row.state != "undeclared"]
        return "; ".join(["nothing was changed remotely", *(f"{command} takes it back" for command in back)])
    if not planned:
        done = Counter(_done(row) for row in rows)
        text = ", ".join(f"{number} {word}" for word, number in done.items())
        return f"{text}; next: inv asst.plan" if command == "adopt" or done.keys() & set(_LEFT) else text
    if command == "delete":
        return f"{sum(row.action == 'delete' for row in rows)} to delete"
    counts = Counter(str(row.state) for row in rows)
    text = ", ".join(f"{number} {state}" for state, number in counts.items())
    absent = [row for row in rows if row.state in ("not_created", "missing")]
    where = list(dict.fromkeys(row.note or "" for row in rows if row.state == "not_created"))
    if len(where) == len(counts) == 1 and where[0].startswith("recorded on "):
        return f"{text} here; {where[0]}: is it the right platform or URL? next: inv asst.create makes new ones"
    following = []
    if any("--recreate" not in (row.error or row.note or "") for row in absent):
        following.append("inv asst.create")
    elif command == "status" and counts["changed"] + counts["drifted"]:
        following.append("inv asst.plan")
    if counts["undeclared"]:
        following.append("inv asst.delete --undeclared")
    return f"{text}; next: {', '.join(following)}" if following else text


def _difference(change: Change) -> Iterator[Text]:
    yield _text(f"    {change.field}", "bold")
    for line in edits(change.before, change.after):
        yield _text(f"      {line}", {"-": "red", "+": "green"}.get(line[0], "dim"))


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(printable(text), style=style)  # what others wrote remotely must not steer the terminal


def _console(stream: IO[str]) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, emoji=False, markup=False)


class Terminal:
    """A reporter on stderr: lines, and on a terminal a progress bar for work that takes longer than a second."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._said: set[str] = set()

    def say(self, message: str) -> None:
        """Print one line, unless it was printed already: a loop that waits says so once."""
        line = one_line(message)
        if line not in self._said:
            self._said.add(line)
            print(line, file=sys.stderr, flush=True)

    def start(self, label: str, total: int) -> None:
        """Begin a step; the bar appears once it has lasted a second, and only on a terminal."""
        self.stop()
        if not sys.stderr.isatty() or total < 2:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=_console(sys.stderr), transient=True
        )
        self._progress, self._task = bar, bar.add_task(label, total=total)
        self._timer = threading.Timer(1.0, bar.start)
        self._timer.daemon = True
        self._timer.start()

    def advance(self) -> None:
        """One part is done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)

    def stop(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._timer.cancel()
            self._progress.stop()
            self._progress = None


def ask(command: str, question: str, rows: Sequence[Step]) -> bool:
    """Whether the person at the terminal says yes, having seen the rows; no terminal and no answer mean no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    show(command, rows, sys.stderr, planned=True)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if threading.current_thread() is not threading.main_thread():
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    # asyncio's own handler would wait for the answer before it lets Ctrl-C through.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    finally:
        signal.signal(signal.SIGINT, before)
