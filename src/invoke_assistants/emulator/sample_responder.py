"""Sample answers: they match the schema that is asked for, and their strings say that they are samples."""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ..types import JSONObject
from .responder import Conversation, FunctionCall, ResponderAnswer, ResponderError, count_input, write_answer
from .sample_numbers import sample_number
from .sample_strings import has_allowed_length, sample_string

__all__ = ["SampleResponder", "sample"]

EXCERPT = 80  # characters of the prompt that an answer in plain text repeats
ITEMS = 2  # in a list of any length
TRIES = 20  # values made in search of one that a list does not hold yet
CONSTRAINTS = frozenset({"enum", "const", "format", "pattern"})  # these say more about a string than its description

Schema = Mapping[str, Any]


class SampleResponder:
    """Answers with samples. It calls a function once in a turn whose prompt contains the function's name as a word."""

    def answer(self, conversation: Conversation, on_text: Callable[[str], None]) -> ResponderAnswer:
        """See ``Responder``."""
        prompt, schema, turn = conversation.prompt, conversation.schema, conversation.turn
        outputs = [item["output"] for item in conversation.turn_items if item["type"] == "function_call_output"]
        words = re.findall(r"[\w-]+", prompt)
        named = [tool for tool in conversation.functions if tool["name"] in words]
        if named and not outputs:
            arguments = sample(named[0]["parameters"], turn)
            call = FunctionCall(named[0]["name"], arguments)
            return ResponderAnswer(count_input(conversation), 1 + len(str(arguments).split()), (call,))
        text = _sample_text(prompt, outputs) if schema is None else json.dumps(sample(schema, turn), ensure_ascii=False)
        return write_answer(text, conversation, on_text)


def _sample_text(prompt: str, outputs: list[Any]) -> str:
    source = f", with {json.dumps(outputs[-1], ensure_ascii=False)[:EXCERPT]} from the function" if outputs else ""
    return f"This is a sample answer of the embedded platform{source}, to: {' '.join(prompt.split())[:EXCERPT]}"


class _EndlessSchema(ResponderError):
    """No finite value matches the schema."""

    def __init__(self, reference: str) -> None:
        super().__init__("invalid_request", f"no finite value matches the schema: {reference:.200} always contains itself")


def sample(schema: Schema, turn: int) -> Any:
    """Make a value that matches a schema; strings differ from field to field, item to item and turn to turn.

    Raises:
        ResponderError: no finite value matches the schema.
    """
    return _Sampler(schema, turn).value(schema, "value", ())


class _Sampler:
    """Makes one sample.

    Its methods take a part of the schema, the name of the field that it is for, and the references that lead to it.
    """

    def __init__(self, root: Schema, turn: int) -> None:
        self._root = root
        self._turn = turn
        self._counts: Counter[str] = Counter()

    def value(self, schema: Schema, name: str, path: tuple[str, ...]) -> Any:
        if isinstance(reference := schema.get("$ref"), str):
            if reference in path:
                raise _EndlessSchema(reference)
            return self.value(self._resolve(reference), name, (*path, reference))
        if "const" in schema:
            return schema["const"]
        if variants := schema.get("anyOf") or schema.get("oneOf"):
            return self._variant(variants, name, path)
        if values := schema.get("enum"):
            return values[(self._count(name) - 1) % len(values)]
        return self._typed_value(schema, name, path)

    def _typed_value(self, schema: Schema, name: str, path: tuple[str, ...]) -> Any:
        types = schema.get("type", "object" if "properties" in schema else "string")
        kind = next((each for each in types if each != "null"), "null") if isinstance(types, list) else types
        match kind:
            case "object":
                return self._object(schema.get("properties", {}), path)
            case "array":
                return self._list(schema, name, path)
            case "string":
                return self._string(schema, name)
            case "integer" | "number":
                return sample_number(schema, self._count(name), kind == "integer")
            case "boolean":
                return self._count(name) % 2 == 1
            case _:
                return None

    def _resolve(self, reference: str) -> Schema:
        target: Any = self._root
        for key in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
            target = target[key.replace("~1", "/").replace("~0", "~")]
        return dict(target)

    def _variant(self, variants: list[Schema], name: str, path: tuple[str, ...]) -> Any:
        *others, last = sorted(variants, key=lambda variant: variant.get("type") == "null")
        for variant in others:
            with suppress(_EndlessSchema):
                return self.value(variant, name, path)
        return self.value(last, name, path)

    def _object(self, properties: Schema, path: tuple[str, ...]) -> JSONObject:
        values = {key: self.value(schema, key, path) for key, schema in properties.items()}
        lists = {key: value for key, value in values.items() if isinstance(value, list) and value and isinstance(value[0], str)}
        for key, schema in properties.items():
            # Take a field from the list that its description names, such as the right answer among the choices.
            free = schema.get("type") == "string" and not schema.keys() & CONSTRAINTS
            description = schema.get("description", "") if free else ""
            for name, items in lists.items():
                if re.search(rf"\b(in|of|from|among) (the |its )?{re.escape(name)}\b", description):
                    allowed = [item for item in items if has_allowed_length(item, schema)]
                    values[key] = self._random(key, len(self._counts)).choice(allowed) if allowed else values[key]
        return values

    def _list(self, schema: Schema, name: str, path: tuple[str, ...]) -> list[Any]:
        firsts = schema.get("prefixItems", [])
        length = min(max(ITEMS, len(firsts), schema.get("minItems", 0)), schema.get("maxItems", math.inf))
        rest = schema.get("items") or {}
        values: list[Any] = []
        try:
            for index in range(int(length)):
                for _ in range(TRIES if schema.get("uniqueItems") else 1):
                    value = self.value(firsts[index] if index < len(firsts) else rest, name, path)
                    if not schema.get("uniqueItems") or value not in values:
                        values.append(value)
                        break
        except _EndlessSchema:
            if schema.get("minItems", 0):
                raise
            return []
        return values

    def _count(self, name: str) -> int:
        """Count a field of this name; the first one is 1."""
        self._counts[name] += 1
        return self._counts[name]

    def _random(self, *seed: object) -> random.Random:
        """Return a generator that is the same for the same field, item and turn."""
        return random.Random(str((self._turn, self._counts, seed)))  # noqa: S311 - no secret

    def _string(self, schema: Schema, name: str) -> str:
        number = self._count(name)
        longest, shortest = schema.get("maxLength", math.inf), schema.get("minLength", 0)
        texts = [f"sample {name} {number} of turn {self._turn}", f"{name} {number}.{self._turn}", f"{number}.{self._turn}"]
        text = next((text for text in texts if len(text) <= longest), str(number * self._turn))
        while len(text) < shortest:
            text += " sample"
        plain = text if longest == math.inf else text[: int(longest)]
        return sample_string(schema, plain, number + 100 * self._turn, self._random(schema.get("pattern")))
