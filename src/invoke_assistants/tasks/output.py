"""What a command prints at its end: tables with their differences, answers, the JSON document."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from ..ask.turn import TEMPORARY_PREFIX
from ..text import printable
from ..types import ID, Change, Step, short
from .spelling import spell_commands, spell_steps
from .summary import outcome, summarize
from .text_diff import diff_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ..ask.reply import Reply

__all__ = ["console", "json_document", "print_raw_answer", "print_reply", "print_steps"]

_STYLES = {
    "in_sync": "green",
    "not_created": "yellow",
    "changed": "yellow",
    "missing": "red",
    "drifted": "red",
    "undeclared": "dim",
}


def json_document(command: str, steps: Sequence[Step], error: str | None, ok: bool, **more: Any) -> str:
    """The document that ``--json`` prints; ``more`` are the keys that one command adds."""
    rows = [
        {
            "name": step.name,
            "environment": step.environment,
            "platform": step.platform,
            "id": step.id,
            "state": step.state,
            "action": step.action,
            "digest": step.digest,
            "changes": [{"field": each.field, "before": each.before, "after": each.after} for each in step.changes],
            "error": step.error,
        }
        for step in spell_steps(steps)
    ]
    document = {"command": command, "ok": ok, "error": error, "rows": rows, **more}
    return json.dumps(_as_json(document), indent=2, allow_nan=False)


def _as_json(value: Any) -> Any:
    """A value in which NaN and the infinities, which JSON does not have, are strings."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return json.dumps(value) if isinstance(value, float) and not math.isfinite(value) else value


def print_reply(step: Step, reply: Reply[Any], output: Any, *, printed: bool) -> None:
    """Print what an assistant answered, and on stderr how to go on.

    Args:
        output: the answer as plain JSON.
        printed: the text was printed as it came, except for the end of its last line.
    """
    print("" if printed else printable("\n".join(_lines(output)), prose=True), flush=True)
    tokens = f"{reply.usage.total_tokens} tokens; " if reply.usage else ""
    following = f"go on with --session {reply.session}"
    if reply.session.startswith(TEMPORARY_PREFIX):
        following = "the server keeps no conversation to go on with"
    elif not ID.fullmatch(reply.session):  # what people type into a shell must be an id and nothing else
        following = "the session's id is not one to be typed"
    print(f"{step.id}: {tokens}{following}", file=sys.stderr, flush=True)


def print_raw_answer(text: str) -> None:
    """Print on stderr the answer that an error is about."""
    print(f"the answer as it came:\n{printable(text, prose=True)}", file=sys.stderr, flush=True)


def _lines(value: Any, indent: str = "") -> Iterator[str]:
    """Plain JSON for people: one line per value, nested values indented."""
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
        first, *following = _scalar(item).split("\n")
        yield f"{label} {first}".rstrip()
        yield from (f"{indent}  {line}" for line in following)


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def print_steps(
    command: str, steps: Sequence[Step], stream: IO[str], *, planned: bool, refused: bool = False, error: str | None = None
) -> None:
    """Print steps for people: a table, the differences below their rows, a last line that says what to do next.

    Args:
        planned: nothing was done, so actions are what a command would do.
        refused: the command refused to do it.
        error: the message that the command ends with; remarks that it repeats are left out.
    """
    planned, steps = planned or refused, spell_steps(steps)
    rows = [_cells(step, outcome(command, step, planned=planned)) for step in steps]
    widths = [max((len(cells[column]) for cells in rows), default=0) for column in range(5)]
    out = console(stream)
    with out.capture() as captured:
        for step, cells, remarks in zip(steps, rows, _remarks(command, steps, error), strict=True):
            text = _text("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
            text.highlight_words([cells[2]], "red" if step.error else _STYLES.get(step.state or "", "green"))
            differences = step.changes if planned or step.action == "update" else ()
            for line in (text, *remarks, *(line for change in differences for line in _difference(change))):
                out.print(line, soft_wrap=True)
        summary = spell_commands(summarize(command, steps, planned=planned))
        out.print(_text(f"refused, nothing was written: {summary}" if refused else summary), soft_wrap=True)
    print(captured.get(), end="", file=stream, flush=True)  # in one piece: rich would exit by itself on a closed pipe


def _cells(step: Step, outcome: str) -> tuple[str, ...]:
    return step.name, step.environment, outcome, step.id or "-", short(step.digest) if step.digest else "-"


def _remarks(command: str, steps: Sequence[Step], error: str | None) -> Iterator[list[Text]]:
    """The errors and notes below each row, each printed once."""
    printed: set[tuple[str, str]] = set()
    for step in steps:
        whose = step.name if command == "check" else ""  # check's remarks do not name the assistant, so each needs its row
        note = step.note if step.note and step.note not in (step.error or "") else None
        found = []
        for remark, style in ((step.error, "red"), (note, "dim")):
            if remark and (whose, remark) not in printed and (whose or remark not in (error or "")):
                printed.add((whose, remark))
                found.append(_text(f"    {remark}", style))
        yield found


def _difference(change: Change) -> Iterator[Text]:
    yield _text(f"    {change.field}", "bold")
    for line in diff_lines(change.before, change.after):
        yield _text(f"      {line}", {"-": "red", "+": "green"}.get(line[0], "dim"))


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(printable(text), style=style)  # remote values must not steer the terminal


def console(stream: IO[str]) -> Console:
    """A rich console that prints text as it is; colours are for terminals."""
    from rich.console import Console

    return Console(file=stream, highlight=False, emoji=False, markup=False)
