"""Single values against the keywords of a schema: what is taken, and what two sets of keywords have in common. Pure."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .schema_graph import Branch, Node

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

__all__ = ["EXACT", "SAMPLES", "bound_changes", "reads_scalar", "takes_number", "takes_text", "within"]

SAMPLES = {
    "date-time": "2030-01-01T12:00:00Z",
    "time": "12:00:00Z",
    "date": "2030-01-01",
    "duration": "P1D",
    "email": "sample@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
ALSO_READ = {("date-time", "date")}  # pydantic's reader of the first takes the sample of the second
NUMBERS_AS = {  # formats whose readers take numbers: seconds, or an address
    "date-time": (int, float), "date": (int, float), "time": (int, float), "duration": (int, float),
    "ipv4": (int, bool), "ipv6": (int, bool),
}  # fmt: skip
DAY, MILLISECONDS = 86_400, 20_000_000_000  # a date takes seconds at midnight; greater numbers are milliseconds
EXACT = 2**53  # a float is exact up to here
WORDS_OF_TRUTH = frozenset(["0", "off", "f", "false", "n", "no", "1", "on", "t", "true", "y", "yes"])
LIMITS = {  # by keyword: the sign of its direction (a lower bound is +1), and whether it is exclusive
    "minimum": (1, False), "exclusiveMinimum": (1, True), "maximum": (-1, False), "exclusiveMaximum": (-1, True),
}  # fmt: skip


def within(size: int, node: Node, what: str) -> bool:
    """Whether a length is allowed; ``what`` is ``Length`` or ``Items``."""
    return bool(node.get(f"min{what}", 0) <= size <= node.get(f"max{what}", size))


def takes_text(text: str, node: Node) -> bool | None:
    """Whether a text satisfies length, pattern and format; None where that is not certain."""
    if not within(len(text), node, "Length"):
        return False
    found = [_matches(text, node["pattern"])] if "pattern" in node else []
    if "format" in node:
        found.append(_has_format(text, node["format"]))
    return False if False in found else None if None in found else True


def _matches(text: str, pattern: str) -> bool | None:
    """Whether a text matches: what Python and pydantic's own engine both say. A schema does not tell which of them reads it.

    Engines agree on printable ASCII alone. A pattern that pydantic's own cannot read is read by Python.
    """
    reads = _pythons(pattern)
    if reads is None or not text.isascii() or not text.isprintable():
        return None
    found, own = reads.search(text) is not None, _pydantics(pattern)
    return found if own is None or own.isinstance_python(text) == found else None


@functools.lru_cache(maxsize=256)
def _pythons(pattern: str) -> re.Pattern[str] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)  # of what other engines read in another way, as classes in classes
        try:
            return re.compile(pattern)
        except (re.error, FutureWarning):
            return None


@functools.lru_cache(maxsize=256)
def _pydantics(pattern: str) -> SchemaValidator | None:
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError:
        return None


def _has_format(text: str, form: str) -> bool | None:
    if text == SAMPLES.get(form):
        return True
    if form not in SAMPLES or form == "hostname":
        return None
    if text in SAMPLES.values():
        of = next(name for name, sample in SAMPLES.items() if sample == text)
        return None if (form, of) in ALSO_READ else False
    return None if any(character.isdigit() or character in ":@" for character in text) else False


def takes_number(value: float, node: Node) -> bool:
    """Whether a number satisfies the bounds."""
    lower, upper = _limits(node)
    exact = _exact(+value)
    if lower is not None and (exact < lower[0] or (lower[1] and exact == lower[0])):
        return False
    if upper is not None and (exact > upper[0] or (upper[1] and exact == upper[0])):
        return False
    step = node.get("multipleOf")
    return not step or exact % _exact(step) == 0


def _exact(value: float) -> Fraction:
    return Fraction(str(value))


def _limits(node: Node) -> tuple[tuple[Fraction, bool] | None, tuple[Fraction, bool] | None]:
    """The lower and the upper bound, each with whether it is exclusive; the narrower one where there are two."""
    found: dict[int, list[tuple[Fraction, bool]]] = {1: [], -1: []}
    for keyword, (sign, exclusive) in LIMITS.items():
        if keyword in node:
            found[sign].append((_exact(node[keyword]), exclusive))
    lower = max(found[1], default=None)
    upper = min(found[-1], key=lambda bound: (bound[0], not bound[1]), default=None)
    return lower, upper


def reads_scalar(branch: Branch, value: Any, strict: bool | None) -> bool | None:
    """What pydantic's reader of a branch that is no object or array does with a value; None where that is not certain.

    Args:
        strict: whether it converts nothing; None where that is not known.
    """
    if branch.kind == "other":
        return None
    if isinstance(value, list | dict):
        return False
    if branch.values is not None:
        return _reads_listed(branch.values, value)
    return {"string": _reads_text, "boolean": _reads_truth}.get(branch.kind, _reads_number)(branch, value, strict)


def _reads_listed(values: tuple[Any, ...], value: Any) -> bool | None:
    if any(type(each) is type(value) and each == value for each in values):
        return True
    if value is None or all(isinstance(each, str | None) for each in values):
        return False
    if isinstance(value, str):  # an enum of numbers takes "1"
        return None if _as_number(value) in values else False
    return None if any(not isinstance(each, str | None) and each == value for each in values) else False


def _reads_text(branch: Branch, value: Any, strict: bool | None) -> bool | None:
    if isinstance(value, str):
        return takes_text(value, branch.node)
    form = branch.node.get("format", "")
    if form == "date" and value is not None and abs(value) < MILLISECONDS and value % DAY:
        return False
    return None if isinstance(value, NUMBERS_AS.get(form, ())) else False


def _reads_truth(branch: Branch, value: Any, strict: bool | None) -> bool | None:
    if isinstance(value, bool):
        return True
    words = value.lower() in WORDS_OF_TRUTH if isinstance(value, str) else value in (0, 1)
    return None if words and not strict else False


def _reads_number(branch: Branch, value: Any, strict: bool | None) -> bool | None:
    if value is None:
        return False
    if isinstance(value, str):
        duration = branch.kind == "number" and (value[:1] in "P+-" or ":" in value)  # a timedelta may be called a number
        return None if duration or (_as_number(value) is not None and not strict) else False
    if branch.kind == "integer" and value != int(value):
        return False
    if not takes_number(value, branch.node):
        return None if abs(value) > EXACT else False
    if isinstance(value, bool):
        return False if strict else True if strict is False and branch.kind == "integer" else None
    return True if isinstance(value, int) or branch.kind == "number" else None


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def bound_changes(reader: Branch, writer: Branch) -> Iterator[tuple[str, str, Any]]:
    """The bounds that differ: what is bounded, how the writer's compares (``loosened``, ``tightened``), and the reader's bound.

    The names: ``minimum``, ``maximum``, ``multipleOf``, and those of lengths.
    """
    kinds = {reader.kind, writer.kind}
    if kinds <= {"integer", "number"}:
        yield from _number_changes(reader.node, writer.node, whole=writer.kind == "integer")
    elif len(kinds) == 1 and (what := {"string": "Length", "array": "Items"}.get(reader.kind)):
        for keyword, sign in ((f"min{what}", 1), (f"max{what}", -1)):
            lowest = 0 if sign == 1 else None
            ours, theirs = reader.node.get(keyword, lowest), writer.node.get(keyword, lowest)
            if ours != theirs:
                yield keyword, _direction(sign, ours, theirs), reader.node.get(keyword)


def _direction(sign: int, ours: Any, theirs: Any) -> str:
    if ours is None or theirs is None:
        return "loosened" if theirs is None else "tightened"
    return "loosened" if (theirs - ours) * sign < 0 else "tightened"


def _number_changes(reader: Node, writer: Node, *, whole: bool) -> Iterator[tuple[str, str, Any]]:
    for name, sign, ours, theirs in zip(("minimum", "maximum"), (1, -1), _limits(reader), _limits(writer), strict=True):
        if ours is not None and theirs is not None:
            one, other = (_inclusive(bound, sign) if whole else (bound[0], bound[1] * sign) for bound in (ours, theirs))
            if one != other:
                yield name, "loosened" if (other < one) == (sign == 1) else "tightened", _shown(ours)
        elif ours != theirs:
            yield name, "loosened" if theirs is None else "tightened", _shown(ours)
    step, other_step = reader.get("multipleOf"), writer.get("multipleOf")
    if step != other_step:
        fine = not step or (other_step and _exact(other_step) % _exact(step) == 0) or (whole and 1 % _exact(step) == 0)
        yield "multipleOf", "tightened" if fine else "loosened", step


def _inclusive(bound: tuple[Fraction, bool], sign: int) -> tuple[Fraction, bool]:
    """A bound of whole numbers as one that is itself allowed."""
    value, exclusive = bound
    nearest = -(-value.numerator // value.denominator) if sign == 1 else value.numerator // value.denominator
    return Fraction(nearest + sign * (exclusive and nearest == value)), False


def _shown(bound: tuple[Fraction, bool] | None) -> str | None:
    if bound is None:
        return None
    value, exclusive = bound
    whole = value.denominator == 1 and abs(value) < 10**15
    return f"{value.numerator if whole else float(value)}{' (exclusive)' if exclusive else ''}"
