"""What a command prints at its end: tables with their differences, answers, the JSON document."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

from ..reconcile.rows import json_value, row_of
from ..text import printable
from ..types import ID, Change, Compatibility, Step, short
from .printer import Printer, Styled, printing, styled
from .schema_paths import changed_fields, schemas_of
from .spelling import spell_commands, spell_steps
from .summary import ORDERS, Scope, next_commands, outcome, outcome_title, schema_steps, summarize, why_deploy_first
from .table import ABSENT, OUTCOME, fit_rows, width_of

if TYPE_CHECKING:
    from ..ask.reply import Reply

__all__ = [
    "describe_answer_error",
    "json_document",
    "print_answer",
    "print_changes",
    "print_line",
    "print_raw_answer",
    "print_reply",
    "print_schema",
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
    document = {"command": command, "ok": ok, "error": error, "rows": [row_of(step) for step in spell_steps(steps)], **more}
    return json_value(document, indent=2)


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
    from ..ask.turn import TEMPORARY_PREFIX

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
    with printing(stream) as out:
        if steps:
            _print_table(command, steps, out, width_of(stream), planned=planned, error=error)
        summary = summarize(command, steps, planned=planned)
        if error != summary:
            print_line(out, spell_commands(f"refused, nothing was written: {summary}" if refused else summary))
        for following in next_commands(command, steps, scope, planned=planned) if scope and not (refused or error) else ():
            out.line([("next: ", ""), (spell_commands(following), "bold")])


def _print_table(command: str, steps: Sequence[Step], out: Printer, width: int, *, planned: bool, error: str | None) -> None:
    titles = "ASSISTANT", "ENVIRONMENT", outcome_title(command, steps, planned=planned), "ID", "DIGEST"
    rows = [titles, *(_cells(step, outcome(command, step, planned=planned)) for step in steps)]
    header, *lines = fit_rows(rows, width)
    for line in header:
        out.line(_row(line, "bold", "bold"))
    shown: dict[str, str] = {}  # where the same differences stand already
    told: set[str] = set()  # of schemas
    order = planned and command in ("plan", "deploy")
    at = {step.key for step in schema_steps(steps)}
    for step, row, remarks in zip(steps, lines, _remarks(command, steps, error, planned=planned), strict=True):
        style = "red" if step.error else _STYLES.get(step.state or "", "green")
        for line in row:
            out.line(_row(line, "", style))
        for remark in remarks:
            out.line(remark, indent=4)
        written = planned or step.action == "update"
        if step.schema and written and step.key in at:
            allowed = () if step.desired and step.desired.held else step.allowed  # a rollback keeps those of what it leaves
            same = json.dumps([step.name, asdict(step.schema), allowed])
            if same not in told:
                told.add(same)
                print_schema(step.schema, out, allowed)
                if order:
                    _print_order(step.schema, out)
        same = json.dumps([step.name, *((each.field, each.before, each.after) for each in step.changes)])  # where 1 is not true
        where = shown.setdefault(same, step.environment) if step.changes and written else step.environment
        if comparison := _compared_with(where, step):
            print_line(out, comparison, "dim", indent=4)
        if written and where == step.environment:
            print_changes(step.changes, schemas_of(step), out)


def _compared_with(environment: str, step: Step) -> str | None:
    """How a step compares with earlier ones, said once; ``environment`` is where the same differences stand."""
    if environment == step.environment:
        return step.promotion
    if not step.promotion:
        return f"as in {environment}"
    first, *more = step.promotion.split(", ")
    same = first == f"as {environment}" and not any(each.startswith("but ") for each in more)
    return step.promotion if same else f"{step.promotion}; changes as in {environment}"


def print_schema(schema: Compatibility | None, out: Printer, allowed: Collection[str]) -> None:
    """Print what an app that runs may not read; ``allowed`` are the paths of what was let through."""
    for change in schema.unsafe if schema else ():
        verdict, style = ("let through:", "yellow") if change.path in allowed else (change.verdict, "red")
        print_line(out, f"{verdict} {change.path}: {change.why}", style, indent=4)


def _print_order(schema: Compatibility, out: Printer) -> None:
    """Print in which order an app and its instance go out, and why a deploy must come first."""
    for change in why_deploy_first(schema):
        print_line(out, f"{change.path}: {change.why}", indent=4)
    print_line(out, f"order: {ORDERS[schema.order]}", indent=4)


def print_changes(changes: Iterable[Change], schemas: Sequence[Any], out: Printer) -> None:
    """Print what changes, field by field.

    Args:
        schemas: the output schemas before and after.
    """
    for titles, change in changed_fields(changes, schemas):
        for title in titles:
            print_line(out, title, "bold", indent=4)
        for text in _difference(change):
            out.wrapped(text, indent=6)


def print_line(out: Printer, text: str, style: str = "", indent: int = 0) -> None:
    """Print a text, made safe, on one line."""
    out.line(styled(text, style), indent)


def _cells(step: Step, outcome: str) -> tuple[str, ...]:
    """A row of the table, safe to print: remote values must not steer the terminal."""
    held = step.record if step.action == "none" and step.record and step.record.held else None  # nothing brings it elsewhere
    digest = held.digest if held else step.digest
    return tuple(map(printable, (step.name, step.environment, outcome, step.id or ABSENT, short(digest or ABSENT))))


def _row(cells: Sequence[tuple[int, str]], style: str, outcome_style: str) -> Styled:
    return [(cell, outcome_style if column == OUTCOME else style) for column, cell in cells]


def _remarks(command: str, steps: Sequence[Step], error: str | None, *, planned: bool) -> Iterator[list[Styled]]:
    """The errors and notes below each row; what several rows share stands below the first of them, with their number."""
    remarks: list[dict[tuple[str, str], str]] = []
    for step in steps:
        whose = step.name if command == "check" else ""  # check's remarks do not name the assistant, so each needs its row
        note = step.note if step.note and step.note not in (step.error or "") else None
        given = (
            (step.error, "red"),
            (note, "dim"),
            (step.model_life, "dim"),
            (step.rollback_note if planned else None, "dim"),
        )
        remarks.append({(whose, remark): style for remark, style in given if remark and not _holds(error, remark)})
    rows = Counter(chain.from_iterable(remarks))
    printed: set[tuple[str, str]] = set()
    for row in remarks:
        new = {key: style for key, style in row.items() if key not in printed}
        printed |= new.keys()
        yield [styled(f"{key[1]} ({rows[key]} rows)" if rows[key] > 1 else key[1], style) for key, style in new.items()]


def _holds(error: str | None, remark: str) -> bool:
    """Whether an error repeats a remark, word for word."""
    return remark in (error or "") and re.search(rf"(?<!\w){re.escape(remark)}(?!\w)", error or "") is not None


def _difference(change: Change) -> Iterator[Styled]:
    """The lines of one difference, the words that differ marked for a terminal."""
    from .text_diff import change_lines, mark_edits  # not where nothing differs

    styles = {"-": "dim" if change.before is None else "red", "+": "dim" if change.after is None else "green"}
    for line, edited in mark_edits(change_lines(change)):
        yield list(_marked(printable(line), styles.get(line[0], "dim"), edited))


def _marked(line: str, style: str, edited: Iterable[tuple[int, int]]) -> Iterator[tuple[str, str]]:
    """The parts of a line, those that are edited in reverse."""
    at = 0
    for start, end in edited:
        yield line[at:start], style
        yield line[start:end], f"{style} reverse"
        at = end
    yield line[at:], style
