"""Sample answers: they hold the schema that was asked for, and their strings say that they are samples."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import rstr

from ..types import JSONObject
from .responder import Conversation, FunctionCall, ResponderAnswer

__all__ = ["SampleResponder", "sample"]

PIECES = 20  # of an answer that is streamed
START = 80  # characters of the prompt that an answer in plain text repeats
MANY = 2  # items of a list that may have any number
TRIES = 300  # to make a string that holds a pattern and the bounds of its length, too
REPEATS = 8  # at most, where a pattern says `*` or `+` and no length asks for more
CHOSEN = frozenset({"enum", "const", "format", "pattern"})  # what says more of a string than its description
DAY = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)


class SampleResponder:
    """Answers with samples. A function is called once in a turn whose prompt names it as a word, else never."""

    def answer(self, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        """See ``Responder``."""
        prompt = conversation.prompt
        here = [item for item in conversation.items if item["turn_id"] == conversation.items[-1]["turn_id"]]
        results = [item for item in here if item["type"] == "function_call_output"]
        asked = len(str(conversation.items).split()) + len((conversation.agent["instructions"] or "").split())
        words = re.findall(r"[\w-]+", prompt)
        named = [tool for tool in conversation.functions if tool["name"] in words]
        if named and not results:
            arguments = sample(named[0]["parameters"], conversation.turn)
            return ResponderAnswer(asked, 1 + len(str(arguments).split()), (FunctionCall(named[0]["name"], arguments),))
        text = _told(prompt, results) if conversation.schema is None else _filled(conversation.schema, conversation.turn)
        size = math.ceil(len(text) / PIECES)
        for start in range(0, len(text), size):
            on_text(text[start : start + size])
        return ResponderAnswer(asked, len(text.split()))


def _told(prompt: str, results: list[JSONObject]) -> str:
    given = f", with {json.dumps(results[-1]['output'], ensure_ascii=False)[:START]} from the function" if results else ""
    return f"This is a sample answer of the embedded platform{given}, to: {' '.join(prompt.split())[:START]}"


def _filled(schema: Mapping[str, Any], turn: int) -> str:
    return json.dumps(sample(schema, turn), ensure_ascii=False)


class _Endless(Exception):
    """A reference leads back to what it is inside of."""


def sample(schema: Mapping[str, Any], turn: int) -> Any:
    """A value that holds a schema; strings differ from field to field, item to item and turn to turn."""
    return _Sampler(schema, turn).value(schema, "value", ())


class _Sampler:
    def __init__(self, root: Mapping[str, Any], turn: int) -> None:
        self._root = root
        self._turn = turn
        self._seen: Counter[str] = Counter()

    def value(self, node: Mapping[str, Any], name: str, inside: tuple[str, ...]) -> Any:
        if isinstance(reference := node.get("$ref"), str):
            if reference in inside:
                raise _Endless
            return self.value(self._target(reference), name, (*inside, reference))
        if "const" in node:
            return node["const"]
        if variants := node.get("anyOf") or node.get("oneOf"):
            return self._variant(variants, name, inside)
        if enum := node.get("enum"):
            return enum[(self._number(name) - 1) % len(enum)]
        kinds = node.get("type", "object" if "properties" in node else "string")
        kind = next((one for one in kinds if one != "null"), "null") if isinstance(kinds, list) else kinds
        if kind == "object":
            return self._object(node.get("properties", {}), inside)
        if kind == "array":
            return self._list(node, name, inside)
        if kind == "string":
            return self._string(node, name)
        if kind in ("integer", "number"):
            return _number(node, self._number(name), kind == "integer")
        return self._number(name) % 2 == 1 if kind == "boolean" else None

    def _object(self, properties: Mapping[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
        out = {key: self.value(entry, key, inside) for key, entry in properties.items()}
        lists = {key: value for key, value in out.items() if isinstance(value, list) and value and isinstance(value[0], str)}
        for key, entry in properties.items():
            # A field that is described as one of a list beside it, such as a right answer among the choices, is one.
            told = entry.get("description", "") if entry.get("type") == "string" and not entry.keys() & CHOSEN else ""
            for name, items in lists.items():
                if re.search(rf"\b(in|of|from|among) (the |its )?{re.escape(name)}\b", told):
                    fitting = [item for item in items if _fits(item, entry)]
                    out[key] = self._random(key, len(self._seen)).choice(fitting) if fitting else out[key]
        return out

    def _random(self, *what: object) -> random.Random:
        """Chance that is the same for the same field, item and turn."""
        return random.Random(str((self._turn, self._seen, what)))  # noqa: S311 - no secret

    def _target(self, reference: str) -> Mapping[str, Any]:
        target: Any = self._root
        for key in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
            target = target[key.replace("~1", "/").replace("~0", "~")]
        return dict(target)

    def _variant(self, variants: list[Mapping[str, Any]], name: str, inside: tuple[str, ...]) -> Any:
        for variant in sorted(variants, key=lambda variant: variant.get("type") == "null"):
            try:
                return self.value(variant, name, inside)
            except _Endless:
                continue
        raise _Endless

    def _list(self, node: Mapping[str, Any], name: str, inside: tuple[str, ...]) -> list[Any]:
        many = min(max(MANY, node.get("minItems", 0)), node.get("maxItems", math.inf))
        try:
            return [self.value(node.get("items", {}), name, inside) for _ in range(int(many))]
        except _Endless:
            if node.get("minItems", 0):
                raise
            return []

    def _number(self, name: str) -> int:
        """How often a field of this name was met, from 1."""
        self._seen[name] += 1
        return self._seen[name]

    def _string(self, node: Mapping[str, Any], name: str) -> str:
        number = self._number(name)
        form, pattern = _FORMATS.get(node.get("format")), node.get("pattern")
        text = form(number + 100 * self._turn) if form else self._spoken(node, name, number)
        return text if pattern is None else self._held(text, pattern, node)

    def _spoken(self, node: Mapping[str, Any], name: str, number: int) -> str:
        most, least = node.get("maxLength", math.inf), node.get("minLength", 0)
        spoken = [f"sample {name} {number} of turn {self._turn}", f"{name} {number}.{self._turn}", f"{number}.{self._turn}"]
        text = next((text for text in spoken if len(text) <= most), str(number * self._turn))
        while len(text) < least:
            text += " sample"
        return text if most == math.inf else text[: int(most)]

    def _held(self, text: str, pattern: str, node: Mapping[str, Any]) -> str:
        """The text if it holds a pattern, else one made from the pattern; the text, too, where ``re`` cannot read it."""
        least, most = node.get("minLength", 0), node.get("maxLength", math.inf)
        try:
            holds = re.compile(pattern).search
            made = rstr.Rstr(self._random(pattern))
            short = _SOME.sub(lambda found: found[1] or f"{{{int(found[2] == '+')},{max(REPEATS, 2 * least)}}}", pattern)
            texts = (made.xeger(short) for _ in range(TRIES))
            return text if holds(text) else next(each for each in texts if least <= len(each) <= most and holds(each))
        except (re.error, StopIteration, LookupError, ValueError, TypeError, OverflowError):
            return text


_SOME = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|([*+])")  # what is escaped or in a class stays; else * and + are found

_FORMATS: dict[Any, Callable[[int], str]] = {
    "date": lambda number: (DAY + dt.timedelta(days=number)).date().isoformat(),
    "date-time": lambda number: (DAY + dt.timedelta(hours=number)).isoformat().replace("+00:00", "Z"),
    "time": lambda number: f"{number % 24:02}:00:00Z",
    "duration": lambda number: f"PT{number}M",
    "email": lambda number: f"sample{number}@example.com",
    "hostname": lambda number: f"sample{number}.example.com",
    "ipv4": lambda number: f"192.0.2.{number % 256}",
    "ipv6": lambda number: f"2001:db8::{number % 65536:x}",
    "uri": lambda number: f"https://sample{number}.example.com/",
    "uuid": lambda number: str(uuid.UUID(int=number, version=4)),
}


def _fits(text: str, node: Mapping[str, Any]) -> bool:
    """Whether a text has a length that a schema allows."""
    return bool(node.get("minLength", 0) <= len(text) <= node.get("maxLength", len(text)))


def _number(node: Mapping[str, Any], wish: int, whole: bool) -> int | float:
    """A number within the bounds, near the one that is wished."""
    step: int | float = node.get("multipleOf") or 1
    lower = [bound for key in ("minimum", "exclusiveMinimum") if (bound := node.get(key)) is not None]
    upper = [bound for key in ("maximum", "exclusiveMaximum") if (bound := node.get(key)) is not None]
    firsts = [math.ceil(node["minimum"] / step)] if "minimum" in node else []
    firsts += [math.floor(node["exclusiveMinimum"] / step) + 1] if "exclusiveMinimum" in node else []
    lasts = [math.floor(node["maximum"] / step)] if "maximum" in node else []
    lasts += [math.ceil(node["exclusiveMaximum"] / step) - 1] if "exclusiveMaximum" in node else []
    if firsts and lasts and max(firsts) > min(lasts):  # bounds with no multiple between them
        return float(max(lower) + min(upper)) / 2
    times = min([max([wish, *firsts]), *lasts])
    return int(times * step) if whole else round(times * step, 9)
