"""A plan as GitHub-flavoured Markdown, for a comment on a pull request. Pure.

Names, fields, values and messages may hold anything. They stand in code spans and fences, which GitHub takes as text: nothing
in them is a link, an image, HTML, or the name of a person who is notified. Sentences keep their plain words as they are.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from ..text import count, printable
from ..types import Order, Step
from .schema_paths import changed_fields, schemas_of
from .spelling import spell_steps
from .summary import ORDERS, nothing_declared, outcome, schema_steps, summarize, why_deploy_first
from .text_diff import change_lines

__all__ = ["MARKER", "markdown_plan"]

MARKER = "<!-- inv asst.plan -->"  # by which a workflow finds its own comment
LIMIT = 65_000  # bytes; a comment on GitHub has at most 65,536 characters
LONGEST_TEXT, LONGEST_LINE, FIELDS = 1_000, 2_000, 4
# The largest shares of the parts before the differences, which get what is left.
BREAKING_ROOM, TABLE_ROOM, REASON_ROOM = 12_000, 26_000, 12_000
VALUED = ("--allow-breaking", "--env", "--id", "--only", "--out", "--plan", "--to")  # flags of commands in messages

_ADVICE: dict[Order, str] = {
    "both_break": " – whatever goes first, one app meets answers that it may not be able to read: change it in two steps, or"
    " accept that gap."
}
_PLAIN = re.compile(r"[(\"'“‘]*(?:[^\W\d_]+(?:['’/-][^\W\d_]+)*|\d{1,6}(?:[.,]\d{1,3})*%?)[)\"'”’.,;:!?…]*|[–—…→]")
_WORD = re.compile(r"([(\"']*)(.*?)([)\"'.,;:!?]*)", re.S)


def markdown_plan(steps: Sequence[Step], error: str | None = None) -> str:
    """A plan as Markdown, of at most 65,000 bytes: what breaks, the rows, why some cannot be done, and each difference, folded.

    Args:
        error: what the command ended with, where it is more than its rows say.
    """
    steps = spell_steps(steps)
    title = summarize("plan", steps, planned=True) if steps or not error else "failed"
    refused = "deploy would be refused: " if any(step.error and step.needs_confirmation for step in steps) else ""
    parts = [MARKER, f"### `inv asst.plan`: {refused}{_prose(title)}"]
    if error:
        parts.append(f"**Error:** {_prose(error)}")
    parts += _schema_parts(steps)
    if steps:
        parts.append(_table(steps))
    parts += _reason_parts(steps)
    return "\n\n".join([*parts, *_differences(steps, LIMIT - _size("\n\n".join(parts)))])


def _schema_parts(steps: Sequence[Step]) -> Iterator[str]:
    """What an app that runs may not read, and what to do in which order."""
    unsafe: dict[tuple[str, ...], list[Step]] = {}
    first: dict[str, list[Step]] = {}
    orders: dict[Order, list[Step]] = {}
    for step in schema_steps(steps):
        assert step.schema is not None
        if step.schema.unsafe:
            unsafe.setdefault((_refusal(step), *_unsafe_lines(step)), []).append(step)
        for change in why_deploy_first(step.schema):
            first.setdefault(f"{_code(change.path)}: {_prose(change.why)}", []).append(step)
        orders.setdefault(step.schema.order, []).append(step)
    if unsafe:
        yield "#### Breaking changes"
        yield _fit(_unsafe_blocks(unsafe), BREAKING_ROOM, "change")
    if first:
        yield _fit((f"- {_titles(each)}: {line}" for line, each in first.items()), BREAKING_ROOM, "change")
    if len(orders) == 1:
        [order] = orders
        yield f"**Order: {ORDERS[order]}**{_ADVICE.get(order, '')}"
    elif orders:
        yield "\n".join(f"- {_titles(each)}: **{ORDERS[order]}**{_ADVICE.get(order, '')}" for order, each in orders.items())


def _refusal(step: Step) -> str:
    """Why a step is refused, where that is for what its schema breaks; else an empty text."""
    refused = step.error if step.schema and step.schema.unsafe and step.needs_confirmation else None
    return _untitled(refused, step) if refused and "--allow-breaking" in refused else ""


def _unsafe_lines(step: Step) -> Iterator[str]:
    allowed = step.allowed
    for change in step.schema.unsafe if step.schema else ():
        verdict = "let through" if change.path in allowed else change.verdict
        yield f"**{verdict}** {_code(change.path)}: {_prose(change.why)}"


def _unsafe_blocks(unsafe: Mapping[tuple[str, ...], list[Step]]) -> Iterator[str]:
    """The rows with the same breaking changes, and these below them, as many as an equal share of the room holds."""
    for (refusal, *lines), each in unsafe.items():
        head = f"- {_titles(each)}:{f' {_prose(refusal)}' if refusal else ''}"
        share = max(BREAKING_ROOM // len(unsafe), LONGEST_LINE) - _size(head) - 100
        yield f"{head}\n{_fit((f'  - {line}' for line in lines), share, 'change', before='  - ')}"


def _untitled(text: str, step: Step) -> str:
    """A remark about a step without the step's title at its beginning, which stands there anyway."""
    rest = text.removeprefix(step.title)
    return rest.removeprefix(":").lstrip() if rest[:1] in (":", " ") else text


def _table(steps: Sequence[Step]) -> str:
    head = "| assistant | environment | state → action | changes |\n|---|---|---|---|"
    rows = [(step, _row(step)) for step in steps]
    left_out = ""
    if _size(*(row for _, row in rows)) > TABLE_ROOM:  # what is in sync says the least
        kept = [(step, row) for step, row in rows if step.state != "in_sync" or step.error]
        left_out = f"\n\n{count(len(rows) - len(kept), 'row')} in sync left out."
        rows = kept
    shown = _fit((row for _, row in rows), TABLE_ROOM, "row", before="\n")
    return f"{head}\n{shown}{left_out}"


def _row(step: Step) -> str:
    titles = [title for shared, _ in changed_fields(step.changes, schemas_of(step)) for title in shared]
    shown = [_code(title).replace("|", "\\|") for title in titles[:FIELDS]]
    more = [f"and {len(titles) - FIELDS} more"] if len(titles) > FIELDS else []
    state = _prose(outcome("plan", step, planned=True))
    return f"| {_code(step.name)} | {_code(step.environment)} | {state} | {', '.join(shown + more)} |"


def _reason_parts(steps: Sequence[Step]) -> Iterator[str]:
    """Why rows cannot be done, or not yet; then what else is to be known of rows."""
    reasons: dict[str, list[Step]] = {}
    notes: dict[str, list[Step]] = {}
    empty = nothing_declared(steps)  # then the notes say so
    for step in steps:
        reason = step.error or (None if empty else _way_out(step))
        if reason and not _refusal(step):
            reasons.setdefault(_untitled(reason, step), []).append(step)
        life = (step.model_life or "").partition(": ")[2]  # without its assistants, which stand there anyway
        for note in filter(None, (step.note, step.promotion, life, step.rollback_note)):
            if note not in (step.error or ""):
                notes.setdefault(_untitled(note, step), []).append(step)
    for title, found in (("Needs attention", reasons), ("Notes", notes)):
        if found:
            yield f"#### {title}"
            yield _fit((f"- {_titles(each)}: {_prose(text)}" for text, each in found.items()), REASON_ROOM, "remark")


def _way_out(step: Step) -> str | None:
    """What brings a row on that no deploy does."""
    if step.state == "not_created":
        return "is not created, and a deploy creates nothing: inv asst.create"
    return "is no longer declared: inv asst.delete --undeclared" if step.state == "undeclared" else None


@dataclass(frozen=True)
class _Fold:
    """The same differences of an assistant in some environments."""

    steps: list[Step]

    def summary(self) -> str:
        environments = ", ".join(_html_code(step.environment) for step in self.steps)
        fields = changed_fields(self.steps[0].changes, schemas_of(self.steps[0]))
        changes = count(sum(len(titles) for titles, _ in fields), "change")
        return f"<details>\n<summary>{_html_code(self.steps[0].name)} in {environments}: {changes}</summary>"

    def to_markdown(self, room: int) -> str | None:
        """The folded differences in so many bytes; what does not fit is cut, with a line that says so. None without room."""
        parts, end = [self.summary()], "</details>"
        left = room - _size(parts[0], end, _CUT.format("000,000 lines and 000 fields")) - 6
        fields = list(changed_fields(self.steps[0].changes, schemas_of(self.steps[0])))
        for number, (titles, change) in enumerate(fields):
            title = ", ".join(map(_code, titles))
            lines = [_cut(line, LONGEST_LINE) for line in change_lines(change)]
            block, kept = _fence(lines, left - _size(title) - 4)
            if kept:
                parts += [title, block]
                left -= _size(title, block) + 4
            if kept < len(lines):
                if number == kept == 0:
                    return None
                rest = [count(len(lines) - kept, "more line")] if kept else []
                rest += [count(len(fields) - number - bool(kept), "more field")] if len(fields) > number + bool(kept) else []
                parts.append(_CUT.format(" and ".join(rest)))
                break
        return "\n\n".join([*parts, end])


_CUT = "… {}: `inv asst.plan` shows all of it"


def _differences(steps: Sequence[Step], room: int) -> Iterator[str]:
    """The folded differences of all rows, which share the room; rows that find none are counted."""
    same: dict[str, list[Step]] = {}
    for step in steps:
        if step.changes:
            same.setdefault(json.dumps([step.name, *map(asdict, step.changes)]), []).append(step)
    folds = [_Fold(each) for each in same.values()]
    room -= 200  # for the last line
    left_out = 0
    for number, fold in enumerate(folds):
        text = fold.to_markdown(room // (len(folds) - number) - 2)
        if text is None:
            left_out += 1
            continue
        room -= _size(text) + 2
        yield text
    if left_out:
        yield f"The differences of {count(left_out, 'more assistant')} are left out here: `inv asst.plan` shows them."


def _fence(lines: Sequence[str], room: int) -> tuple[str, int]:
    """A fence around the first lines, as many as the room holds; and how many those are."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(longest + 1, 3)
    room -= 2 * len(fence) + len("diff\n\n")
    kept = 0
    for line in lines:
        room -= _size(line) + 1
        if room < 0:
            break
        kept += 1
    return "\n".join([f"{fence}diff", *lines[:kept], fence]), kept


def _fit(lines: Iterable[str], room: int, noun: str, before: str = "- ") -> str:
    """The first lines, as many as the room holds, whole; a last line counts the others."""
    kept: list[str] = []
    left_out = 0
    for line in lines:
        room -= _size(line) + 1
        if room < 0:
            left_out += 1
        else:
            kept.append(line)
    more = [f"{before}… {count(left_out, f'more {noun}')}: `inv asst.plan` shows all of them"] if left_out else []
    return "\n".join([*kept, *more])


def _titles(steps: Sequence[Step]) -> str:
    """The rows that a line is about: each assistant with its environments; the first few of many."""
    by_name: dict[str, list[str]] = {}
    for step in steps:
        by_name.setdefault(step.name, []).append(_code(step.environment))
    shown = [f"{_code(name)} in {', '.join(environments)}" for name, environments in by_name.items()]
    return "; ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")


def _prose(text: str) -> str:
    """A sentence: its plain words as they are, everything else as code, a command with the values of its flags as one span."""
    out: list[str] = []
    span: list[str] = []  # words of one code span
    for word in _cut(printable(text), LONGEST_TEXT).replace(" -> ", " → ").split(" "):
        command = span[:1] == ["inv"]
        valued = command and span[-1] in VALUED
        if word != "inv" and not valued and _PLAIN.fullmatch(word):
            out += [*_spans(span), word]
            span = []
            continue
        found = _WORD.fullmatch(word)
        assert found
        lead, middle, trail = found.groups()
        if command and lead == "'" and trail.startswith("'"):  # quoted for a shell
            lead, middle, trail = "", f"'{middle}'", trail[1:]
        if not middle:  # punctuation alone
            lead, middle, trail = "", word, ""
        if lead or word == "inv":
            out += _spans(span)
            span = []
        span.append(middle)
        if lead or trail:
            if lead[-1:] == trail[:1] == '"':  # a value, which needs no quotes around its span
                lead, trail = lead[:-1], trail[1:]
            out.append(f"{lead}{_code(' '.join(span))}{trail}")
            span = []
    return " ".join([*out, *_spans(span)])


def _spans(words: Sequence[str]) -> list[str]:
    return [_code(" ".join(words))] if words else []


def _code(text: str) -> str:
    """A code span that holds a text as it is; control characters and marks that nobody sees are escaped."""
    text = _cut(printable(text), LONGEST_TEXT)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text[:1] in ("`", " ", "") or text[-1:] in ("`", " ") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _html_code(text: str) -> str:
    return f"<code>{html.escape(_cut(printable(text), LONGEST_TEXT))}</code>"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}… ({len(text) - length:,} more characters)"


def _size(*texts: str) -> int:
    return sum(len(text.encode()) for text in texts)
