"""Random answers of a strict schema, mostly at the edges of what it allows; and what another reader would see of them."""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import math
import random
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import jsonschema
import jsonschema.validators
import rstr
from pydantic_core import SchemaError, SchemaValidator, core_schema

Schema = Mapping[str, Any]
DEPTH = 4  # of references that are followed before the shortest way out is taken
LETTERS = [
    "",
    " ",
    "a",
    "x",
    "ab",
    "cat",
    "é",
    "ABC",
    "abc",
    "123",
    "12",
    "3",
    "1.5",
    "true",
    "no",
    "null",
    "red",
    "a@b",
    "🙂" * 4,
    "x" * 40,
]
TEXTS = {
    "date": ["2020-01-02", "0001-01-01", "9999-12-31", "2024-02-29"],
    "date-time": ["2020-01-02T03:04:05Z", "2020-01-02T00:00:00Z", "2020-01-02T03:04:05.123456+05:30", "9999-12-31T00:00:00Z"],
    "time": ["00:00:00Z", "23:59:59.5+01:00", "12:30:00Z"],
    "duration": ["P1D", "PT1H30M", "PT0S", "P3W", "-P1D"],
    "uuid": ["00000000-0000-4000-8000-000000000000", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"],
    "ipv4": ["127.0.0.1", "0.0.0.0", "255.255.255.255"],
    "ipv6": ["::1", "2001:db8::ff", "::ffff:1.2.3.4"],
}
LETTERS += [texts[0] for texts in TEXTS.values()]
NUMBERS = [0, 1, -1, 2, 3, 5, 7, 10, 86_400, 2**31, 2**63, -(2**63) - 1, 2**70]
FRACTIONS = [0.5, 1.0, -0.25, 1.5, 3.0, 1e-9, 1e100, -1e300]


DURATION = re.compile(r"[-+]?P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)")
CHECKER = jsonschema.FormatChecker(())
CHECKER.checkers = {**jsonschema.Draft202012Validator.FORMAT_CHECKER.checkers}  # without durations
CHECKER.checks("duration")(lambda text: not isinstance(text, str) or DURATION.fullmatch(text) is not None)


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    if isinstance(value, str) and not _matches(pattern, value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})


def validator(schema: Schema) -> jsonschema.Draft202012Validator:
    """What says whether an answer is one of a schema, formats included, and patterns as its reader has them."""
    found: jsonschema.Draft202012Validator = Validator(schema, format_checker=CHECKER)
    return found


class Answers:
    """Makes answers of a schema; ``other`` is one whose values and bounds are worth trying."""

    def __init__(self, schema: Schema, r: random.Random, *others: Schema) -> None:
        self.root, self.r = schema, random.Random(r.randrange(2**32))  # one number of ``r``, which may be slow
        self.xeger = rstr.Rstr(self.r).xeger
        found = list(_edges((schema, *others)))
        self.texts = [*LETTERS, *(each for each in found if isinstance(each, str))]
        numbers = [each for each in found if isinstance(each, int | float) and not isinstance(each, bool)]
        self.whole = [*NUMBERS, *(math.floor(each) + step for each in numbers for step in (-1, 0, 1))]
        self.decimal = [*NUMBERS, *FRACTIONS, *numbers, *(each + step for each in numbers for step in (-1, -0.5, 0.5, 1))]
        self.sizes = {
            0,
            1,
            2,
            3,
            *(int(each) + step for each in numbers if 0 <= each < 50 for step in (-1, 0, 1) if each + step >= 0),
        }
        self.heights = self._heights()

    def make(self) -> Any:
        """One answer.

        Raises:
            LookupError: none was found.
        """
        return self.value(self.root, 0)

    def many(self, count: int) -> Iterator[Any]:
        """Up to so many answers; fewer where some could not be found."""
        for _ in range(count):
            try:
                yield self.make()
            except LookupError:
                continue

    def value(self, schema: Schema, depth: int) -> Any:
        if "$ref" in schema:
            if self.heights.get(schema["$ref"]) == math.inf:
                raise LookupError(schema["$ref"])
            return self.value(resolved(schema, self.root), depth + 1)
        if "anyOf" in schema:
            return self._branch(schema["anyOf"], depth)
        if "const" in schema or "enum" in schema:
            return self.r.choice([schema["const"]] if "const" in schema else schema["enum"])
        match schema["type"]:
            case "object":
                return {name: self.value(each, depth) for name, each in schema["properties"].items()}
            case "array":
                return self._list(schema, depth)
            case "string":
                return self._text(schema)
            case "integer" | "number":
                return self._number(schema)
            case "boolean":
                return self.r.choice([True, False])
            case _:
                return None

    def _branch(self, branches: list[Schema], depth: int) -> Any:
        order = self.r.sample(branches, len(branches))
        if depth > DEPTH:
            order.sort(key=self.height)
        for index, branch in enumerate(order):
            try:
                return self.value(branch, depth)
            except LookupError:
                if index == len(order) - 1:
                    raise
        raise LookupError

    def _list(self, schema: Schema, depth: int) -> list[Any]:
        least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
        sizes = sorted(size for size in {*self.sizes, least, least + 1, most} if least <= size <= min(most, least + 6))
        size = sizes[0] if depth > DEPTH else self.r.choice(sizes[: 4 if self.r.random() < 0.9 else None])
        return [self.value(schema["items"], depth + 1) for _ in range(size)]

    def _text(self, schema: Schema) -> str:
        texts = TEXTS.get(schema.get("format", ""), self.texts)
        least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        candidates = [*self.r.sample(texts, min(6, len(texts)))]
        if "format" not in schema:
            size = self.r.choice([least, most if most < math.inf else least + 1])
            candidates += [self.r.choice(["x", "A", "7", "é"]) * size]
        if "pattern" in schema:
            with contextlib.suppress(LookupError):
                candidates = [self._matching(schema["pattern"]) for _ in range(3)] + candidates
            candidates += texts
        for text in candidates:
            if least <= len(text) <= most and ("pattern" not in schema or _matches(schema["pattern"], text)):
                return text
        for _ in range(200 if "pattern" in schema else 0):
            text = self._matching(schema["pattern"])
            if least <= len(text) <= most and _matches(schema["pattern"], text):
                return text
        raise LookupError

    def _matching(self, pattern: str) -> str:
        """A text, if Python knows what the pattern means."""
        try:
            return self.xeger(re.sub(r"(?<=.)[*+]", "{1,6}", pattern))
        except (
            FutureWarning,
            re.error,
            IndexError,
            OverflowError,
            TypeError,
            ValueError,
        ) as error:
            raise LookupError(pattern) from error

    def _number(self, schema: Schema) -> int | float:
        whole = schema["type"] == "integer"
        pool = self.whole if whole else self.decimal
        pool = self.r.sample(pool, len(pool))
        if step := schema.get("multipleOf"):
            pool = [times * step for times in range(-3, 4)] + [int(each // step) * step for each in pool if abs(each) < 2**50]
            self.r.shuffle(pool)
        for number in pool:
            if _within(number, schema):
                return number
        raise LookupError

    def height(self, schema: Schema) -> float:
        """How many references an answer of a schema goes through at least."""
        if "$ref" in schema:
            return 1 + self.heights.get(schema["$ref"], math.inf)
        if "anyOf" in schema:
            return min(map(self.height, schema["anyOf"]), default=0)
        if "properties" in schema:
            return max(map(self.height, schema["properties"].values()), default=0)
        return self.height(schema["items"]) if schema.get("minItems") else 0

    def _heights(self) -> dict[str, float]:
        self.heights = {"#": math.inf, **{f"#/$defs/{name}": math.inf for name in self.root.get("$defs", {})}}
        for _ in range(len(self.heights) + 1):
            self.heights = {name: self.height(resolved({"$ref": name}, self.root)) for name in self.heights}
        return self.heights


@functools.lru_cache(maxsize=4096)
def _engine(pattern: str) -> SchemaValidator:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError:  # a model that has it is read by Python's
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="python-re"))


def _matches(pattern: str, text: str) -> bool:
    """As pydantic reads a pattern."""
    return _engine(pattern).isinstance_python(text)


def _within(number: float, schema: Schema) -> bool:
    exact = Fraction(number)
    return (
        exact >= schema.get("minimum", exact)
        and exact <= schema.get("maximum", exact)
        and ("exclusiveMinimum" not in schema or exact > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or exact < schema["exclusiveMaximum"])
    )


def _edges(node: Any) -> Iterator[Any]:
    """The values and bounds of a schema."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in ("const", "enum"):
                yield from value if key == "enum" else [value]
            elif isinstance(value, int | float) and not isinstance(value, bool):
                yield value
            elif key not in ("required", "description", "title"):
                yield from _edges(value)
    elif isinstance(node, list | tuple):
        for each in node:
            yield from _edges(each)


def resolved(schema: Schema, root: Schema) -> Schema:
    """What a reference leads to."""
    while "$ref" in schema:
        target: Any = root
        for key in schema["$ref"].removeprefix("#").strip("/").split("/") if schema["$ref"] != "#" else ():
            target = target[key]
        schema = target
    return schema


def seen_by(answer: Any, schema: Schema) -> Any:
    """What a reader makes of an answer before it checks it: without the fields it does not have, with the defaults it
    has, and ``1`` for ``true`` where it reads a number.

    ``schema`` is the reader's own, in which objects may be open and fields may be absent. Of a union it is the first branch
    that takes the answer; None of them: the answer as it is.
    """
    checks = functools.partial(_takes, root=json.dumps(schema))

    def seen(value: Any, node: Schema) -> Any:
        node = resolved(node, schema)
        for key in ("anyOf", "oneOf"):
            if key in node:
                takes = (each for each in node[key] if checks(json.dumps(each), json.dumps(value)))
                return next((seen(value, each) for each in takes), int(value) if isinstance(value, bool) else value)
        if isinstance(value, bool) and node.get("type") in ("integer", "number"):
            return int(value)
        if isinstance(value, dict) and "properties" in node:
            known = node["properties"]
            absent = {
                name: copy.deepcopy(each["default"]) for name, each in known.items() if name not in value and "default" in each
            }
            return {name: seen(each, known[name]) for name, each in value.items() if name in known} | absent
        if isinstance(value, list) and "items" in node:
            return [seen(each, node["items"]) for each in value]
        return value

    return seen(answer, schema)


@functools.lru_cache(maxsize=4096)
def _takes(node: str, value: str, *, root: str) -> bool:
    whole = {**json.loads(node), "$defs": json.loads(root).get("$defs", {})}
    return validator(whole).is_valid(json.loads(value))
