"""What a command prints at its end: tables with their differences, answers, the JSON document."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from ..ask.turn import TEMPORARY_PREFIX
from ..text import printable
from ..types import ID, Change, JSONObject, Step, short
from .schema_paths import readable_field
from .spelling import spell_commands, spell_steps
from .summary import Scope, next_commands, outcome, outcome_title, summarize
from .table import ABSENT, OUTCOME, fit_rows, width_of
from .text_diff import diff_lines, mark_edits

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ..ask.reply import Reply

__all__ = [
    "console",
    "describe_answer_error",
    "json_document",
    "json_value",
    "print_answer",
    "print_raw_answer",
    "print_reply",
    "print_steps",
    "tell_how_to_go_on",
]

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
    return json_value(document, indent=2)


def json_value(value: Any, indent: int | None = None) -> str:
    """A value as JSON in ASCII, on one line where there is no indent."""
    return json.dumps(_as_json(value), indent=indent, allow_nan=False)


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
    if printed:
        print(flush=True)
    else:
        print_answer(output)
    tokens = f"{reply.usage.total_tokens} tokens; " if reply.usage else ""
    print(f"{step.id}: {tokens}{tell_how_to_go_on(reply.session)}", file=sys.stderr, flush=True)


def print_answer(output: Any) -> None:
    """Print an answer, which is given as plain JSON, for people."""
    print(printable("\n".join(_lines(output)), prose=True), flush=True)


def tell_how_to_go_on(session: str, flags: str = "") -> str:
    """What goes on in a conversation: the flags to type."""
    if session.startswith(TEMPORARY_PREFIX):
        return "the server keeps no conversation to go on with"
    if not ID.fullmatch(session):  # what people type into a shell must be an id and nothing else
        return "the session's id is not one to be typed"
    return f"go on with {flags}--session {session}"


def describe_answer_error(error: str) -> str:
    """An error without the name of the attribute that holds the answer: people get that printed."""
    return error.replace("; .answer holds it as it came", "")


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
    command: str, steps: Sequence[Step], stream: IO[str], *, planned: bool, refused: bool = False, error: str | None = None,
    scope: Scope | None = None,
) -> None:  # fmt: skip
    """Print steps for people: a table, the differences below their rows, how many there are of each, the next command.

    Args:
        planned: nothing was done, so actions are what a command would do.
        refused: the command refused to do it.
        error: the message that the command ends with; remarks that it repeats are left out.
        scope: what the next command is narrowed to; without it, none is named.
    """
    planned, steps = planned or refused, spell_steps(steps)
    width = width_of(stream)
    out = console(stream, width)
    with out.capture() as captured:
        if steps:
            _print_table(command, steps, out, width, planned=planned, error=error)
        summary = summarize(command, steps, planned=planned)
        if error != summary:
            _print(out, _text(spell_commands(f"refused, nothing was written: {summary}" if refused else summary)))
        for following in next_commands(command, steps, scope, planned=planned) if scope and not (refused or error) else ():
            _print(out, _text("next: ").append(spell_commands(following), "bold"))
    print(captured.get(), end="", file=stream, flush=True)  # in one piece: rich would exit by itself on a closed pipe


def _print_table(command: str, steps: Sequence[Step], out: Console, width: int, *, planned: bool, error: str | None) -> None:
    titles = "ASSISTANT", "ENVIRONMENT", outcome_title(command, steps, planned=planned), "ID", "DIGEST"
    rows = [titles, *(_cells(step, outcome(command, step, planned=planned)) for step in steps)]
    header, *lines = fit_rows(rows, width)
    for line in header:
        _print(out, _row(line, "bold", "bold"))
    shown: dict[str, str] = {}
    for step, row, remarks in zip(steps, lines, _remarks(command, steps, error), strict=True):
        style = "red" if step.error else _STYLES.get(step.state or "", "green")
        for line in row:
            _print(out, _row(line, "", style))
        for remark in remarks:
            _print(out, remark, indent=4)
        if step.changes and (planned or step.action == "update"):
            # As JSON, in which 1 and true differ.
            same = json.dumps([step.name, *((change.field, change.before, change.after) for change in step.changes)])
            if same in shown:
                _print(out, _text(f"as in {shown[same]}", "dim"), indent=4)
            else:
                _print_differences(step, out)
            shown.setdefault(same, step.environment)


def _print_differences(step: Step, out: Console) -> None:
    """Print what changes, field by field."""
    schemas = [_schema(step.remote), _schema(step.desired.payload if step.desired else None)]
    shared: dict[str, list[Change]] = {}  # fields whose keyword changed in the same way share their lines
    for change in step.changes:
        keyword = change.field.rpartition(".")[2]
        shared.setdefault(json.dumps([keyword, change.before, change.after]), []).append(change)
    for changes in shared.values():
        for change in changes:
            _print(out, _text(readable_field(change.field, schemas), "bold"), indent=4)
        for text in _difference(changes[0]):
            _print_wrapped(out, text, indent=6)


def _schema(instance: JSONObject | None) -> Any:
    """The output schema that a payload or a remote object holds."""
    text = (instance or {}).get("text") or {}
    return (text.get("format") or {}).get("schema")


def _print(out: Console, text: Text, indent: int = 0) -> None:
    """Print a text on one line, however long: a command in it must be whole when it is copied."""
    out.print(" " * indent, text, sep="", soft_wrap=True)


def _print_wrapped(out: Console, text: Text, indent: int) -> None:
    """Print a text behind an indent; what does not fit a terminal's line goes to further lines, two columns to the right."""
    room = out.width - indent - 2
    lines = text.wrap(out, room) if out.is_terminal and room > 20 else [text]
    for number, line in enumerate(lines):
        _print(out, line, indent + 2 * bool(number))


def _cells(step: Step, outcome: str) -> tuple[str, ...]:
    """A row of the table, safe to print: remote values must not steer the terminal."""
    return tuple(map(printable, (step.name, step.environment, outcome, step.id or ABSENT, short(step.digest or ABSENT))))


def _row(cells: Sequence[tuple[int, str]], style: str, outcome_style: str) -> Text:
    from rich.text import Text

    return Text.assemble(*((cell, outcome_style if column == OUTCOME else style) for column, cell in cells))


def _remarks(command: str, steps: Sequence[Step], error: str | None) -> Iterator[list[Text]]:
    """The errors and notes below each row, each printed once."""
    printed: set[tuple[str, str]] = set()
    for step in steps:
        whose = step.name if command == "check" else ""  # check's remarks do not name the assistant, so each needs its row
        note = step.note if step.note and step.note not in (step.error or "") else None
        found = []
        for remark, style in ((step.error, "red"), (note, "dim")):
            if remark and (whose, remark) not in printed and not _holds(error, remark):
                printed.add((whose, remark))
                found.append(_text(remark, style))
        yield found


def _holds(error: str | None, remark: str) -> bool:
    """Whether an error repeats a remark, word for word."""
    return re.search(rf"(?<!\w){re.escape(remark)}(?!\w)", error or "") is not None


def _difference(change: Change) -> Iterator[Text]:
    """The lines of one difference, the words that differ marked for a terminal."""
    for line, edited in mark_edits(diff_lines(change.before, change.after)):
        text = _text(line, {"-": "red", "+": "green"}.get(line[0], "dim"))
        for start, end in edited:
            text.stylize("reverse", start, end)
        yield text


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(printable(text), style=style)


def console(stream: IO[str], width: int | None = None) -> Console:
    """A rich console that prints text as it is; colours are for terminals."""
    from rich.console import Console

    return Console(file=stream, highlight=False, emoji=False, markup=False, width=width)
