"""Sample answers match the schema that they are made from."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import re
import uuid
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, Field, TypeAdapter, create_model

from invoke_assistants.declare.strict_schema import output_schema
from invoke_assistants.emulator.responder import Conversation, ResponderAnswer, ResponderError
from invoke_assistants.emulator.sample_responder import SampleResponder, sample
from invoke_assistants.emulator.sample_strings import FORMATS, FREE_FORMATS

CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER

PATTERNS = [
    r"^[A-Z]{3}-\d{4}$",
    r"^#[0-9a-f]{6}$",
    r"^\+?[1-9]\d{1,14}$",
    r"^\w+ \w+$",
    r"^(red|green|blue)( (red|green|blue))*$",
    r"^[^a-z]*$",
    r"^(a|b)\1$",
    r"^a\+b[*+]c$",
    r"[0-9]",
    r"^[a-z0-9]+(?:-[a-z0-9]+)*$",
    r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$",
    r"^$",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_matched(pattern: str) -> None:
    """A string with a pattern matches it, in every item and turn."""
    schema = {"type": "array", "items": {"type": "string", "pattern": pattern}}
    assert all(re.search(pattern, text) for turn in range(1, 9) for text in sample(schema, turn))


@pytest.mark.parametrize("bounds", [{"maxLength": 12}, {"minLength": 30}, {"minLength": 5, "maxLength": 9}], ids=str)
@pytest.mark.parametrize("pattern", [pattern for pattern in PATTERNS if pattern.endswith(("+$", "*$", "]"))])
def test_a_pattern_is_matched_within_a_length(pattern: str, bounds: dict[str, int]) -> None:
    """The string also has an allowed length, if the pattern does not fix its length."""
    for turn in range(1, 9):
        text = sample({"type": "string", "pattern": pattern, **bounds}, turn)
        assert re.search(pattern, text)
        assert bounds.get("minLength", 0) <= len(text) <= bounds.get("maxLength", len(text))


def test_strings_of_a_pattern_differ() -> None:
    """They differ from item to item and turn to turn, and are the same for the same turn."""
    schema = {"type": "array", "items": {"type": "string", "pattern": r"^[A-Z]{3}-\d{4}$"}}
    made = [sample(schema, turn) for turn in range(1, 9)]
    assert len({text for texts in made for text in texts}) == 16
    assert made[0] == sample(schema, 1)


@pytest.mark.parametrize("pattern", [r"\p{L}+", "(?<a>x)", "(", "x{200}", "^a$b"])
def test_a_pattern_that_cannot_be_made_is_no_failure(pattern: str) -> None:
    """The sample then is a string that does not match."""
    assert sample({"type": "string", "pattern": pattern}, 1) == "sample value 1 of turn 1"


def test_a_format_is_matched() -> None:
    """A sample is valid for each format of the strict subset, and for a function's URL."""
    kinds = [dt.date, dt.datetime, dt.time, dt.timedelta, uuid.UUID, ipaddress.IPv4Address, ipaddress.IPv6Address, AnyUrl]
    for kind in kinds:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        values = [adapter.validate_json(f'"{sample(adapter.json_schema(), turn)}"') for turn in (1, 2, 3)]
        assert len(set(values)) == 3
    assert re.fullmatch(r"[\w.]+@[\w.]+\.\w+", sample({"type": "string", "format": "email"}, 1))
    assert re.fullmatch(r"[\w.]+\.\w+", sample({"type": "string", "format": "hostname"}, 1))
    both = {"type": "string", "format": "date", "pattern": "^2030-"}
    assert dt.date.fromisoformat(sample(both, 1)).year == 2030


def test_a_field_that_is_one_of_a_list_is_one() -> None:
    """A string that is described as one of a list is taken from the list, before or after it; other strings are not."""

    class Question(BaseModel):
        best: str = Field(description="One of the choices.")
        choices: list[str] = Field(min_length=4, max_length=4)
        question: str = Field(description="Without the choices.")

    model = create_model("Game", questions=(list[Question], Field(min_length=5)))
    questions = [each for turn in range(1, 5) for each in model.model_validate(sample(output_schema(model), turn)).questions]  # type: ignore[attr-defined]
    assert {each.choices.index(each.best) for each in questions} == {0, 1, 2, 3}
    assert len({each.question for each in questions}) == 20


@pytest.mark.parametrize(
    ("prompt", "called"),
    [
        ("What is the weather?", "weather"),
        ("weather", "weather"),
        ("`weather`, please", "weather"),
        ("aweather", None),
        ("weathers", None),
        ("my_weather", None),
        ("get-weather now", "get-weather"),
        ("Weather", None),
    ],
)
def test_a_function_is_called_where_the_prompt_names_it_as_a_word(prompt: str, called: str | None) -> None:
    """A part of another word does not count, nor does the end of a longer name."""
    tools = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in ("weather", "get-weather")]
    agent = {"model": "m", "instructions": None, "tools": tools, "text": {"format": {"type": "text"}}}
    message = {"type": "message", "role": "user", "turn_id": "t", "content": [{"type": "input_text", "text": prompt}]}
    answered: ResponderAnswer = SampleResponder().answer(Conversation(agent, (message,), 1), lambda _: None)
    assert [call.name for call in answered.calls] == ([called] if called else [])


@pytest.mark.parametrize(
    "bounds", [{"minimum": 10**16}, {"exclusiveMaximum": -(10**18)}, {"minimum": -5, "maximum": -3}, {"exclusiveMinimum": 2}, {}]
)
def test_numbers_far_from_zero_keep_their_bounds(bounds: dict[str, int]) -> None:
    """A number keeps its one bound, however far from zero it is."""
    number = sample({"type": "integer", **bounds}, 1)
    assert bounds.get("minimum", number) <= number <= bounds.get("maximum", number)
    assert bounds.get("exclusiveMinimum", number - 1) < number < bounds.get("exclusiveMaximum", number + 1)


def test_one_of_a_list_is_taken_only_where_it_fits() -> None:
    """A single letter that is described as one among the choices is not a whole choice."""
    choices = {"type": "array", "items": {"type": "string"}}
    letter = {"type": "string", "maxLength": 1, "description": "The letter of the right answer among the choices."}
    made = sample({"type": "object", "properties": {"choices": choices, "answer": letter}}, 1)
    assert len(made["answer"]) == 1


NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ({"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}, None),
        ({"type": "array", "items": {"$ref": "#/$defs/Node"}}, []),
    ],
)
def test_a_recursive_schema_ends_where_it_can(nodes: dict[str, Any], expected: Any) -> None:
    """A nullable reference ends with null, a list with no items."""
    node = {"type": "object", "properties": {"next": nodes}}
    assert sample({"$ref": "#/$defs/Node", "$defs": {"Node": node}}, 1) == {"next": expected}


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#/$defs/Node"}, {"anyOf": [{"$ref": "#/$defs/Node"}]}, {"type": "array", "items": NODE, "minItems": 1}],
)
def test_a_schema_without_a_finite_value_is_an_error(schema: dict[str, Any]) -> None:
    """The error names the reference that has no end."""
    with pytest.raises(
        ResponderError, match="^no finite value matches the schema: #/[$]defs/Node always contains itself"
    ) as failed:
        sample({**schema, "$defs": {"Node": NODE}}, 1)
    assert failed.value.code == "invalid_request"


STRINGS = [r"^[A-Z]{2,4}-[0-9]+$", r"^[a-z]+( [a-z]+)*$", r"^(red|green|blue)$", r"[0-9]", r"^(ab|cde)+$", r"^[^@]+@[^@]+$"]
PLAIN: list[Any] = [
    bool, dt.date, dt.datetime, dt.time, dt.timedelta, uuid.UUID, ipaddress.IPv4Address, ipaddress.IPv6Address,
    Literal["a", 1], str,
]  # fmt: skip


@st.composite
def texts(draw: st.DrawFn) -> Any:
    """A string with a length, or a pattern that leaves room for it."""
    shortest = draw(st.integers(0, 60))
    longest = draw(st.none() | st.integers(shortest, 80))
    pattern = draw(st.sampled_from([None, *STRINGS]))
    if pattern and pattern.endswith("blue)$"):
        shortest, longest = 3, draw(st.integers(3, 5))
    elif pattern:
        shortest, longest = max(shortest, 6), max(longest, shortest + 1, 10) if longest else None
    return Annotated[str, Field(min_length=shortest, max_length=longest, pattern=pattern)]


@st.composite
def numbers(draw: st.DrawFn) -> Any:
    """A number with bounds, and a step that has a multiple between them."""
    kind = draw(st.sampled_from([int, float]))
    step = draw(st.sampled_from([None, 2, 5] if kind is int else [None, 0.1, 0.25, 3]))
    lower = draw(st.integers(-(10**6), 10**6)) / draw(st.sampled_from([1, 3, 10]))
    upper = lower + (step or 1) * draw(st.integers(2, 5))
    bounds: dict[str, Any] = {draw(st.sampled_from(["ge", "gt"])): kind(lower), draw(st.sampled_from(["le", "lt"])): kind(upper)}
    kept = draw(st.sets(st.sampled_from(sorted(bounds))))
    return Annotated[kind, Field(multiple_of=step, **{key: bounds[key] for key in kept})]


def lists(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    ends = st.tuples(st.integers(0, 4), st.integers(0, 3))
    return st.builds(lambda item, ends: Annotated[list[item], Field(min_length=ends[0], max_length=sum(ends))], items, ends)


def models(fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(fields, min_size=1, max_size=4).map(
        lambda kinds: create_model("Inner", **{f"field_{index}": (kind, ...) for index, kind in enumerate(kinds)})
    )


kinds = st.recursive(
    st.sampled_from(PLAIN) | texts() | numbers(),
    lambda inner: lists(inner) | models(inner) | inner.map(lambda kind: kind | None),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(models(kinds))
def test_a_sample_of_a_model_is_valid(model: type[BaseModel]) -> None:
    """Pydantic takes the samples of any model of bounds, patterns, formats and lengths, in several turns."""
    schema = output_schema(model)
    for turn in (1, 2, 7):
        model.model_validate_json(json.dumps(sample(schema, turn)))


@pytest.mark.parametrize("form", sorted(FORMATS))
@pytest.mark.parametrize("bounds", [{}, {"minLength": 40}, {"maxLength": 20}], ids=str)
def test_a_format_is_held_within_a_length(form: str, bounds: dict[str, int]) -> None:
    """Formats of a free length have an allowed one, three turns differ, and what ``jsonschema`` can check is valid."""
    schema = {"type": "string", "format": form, **bounds}
    made = [sample(schema, turn) for turn in (1, 2, 3)]
    assert len(set(made)) == 3
    assert all(jsonschema.Draft202012Validator({"format": form}, format_checker=CHECKER).is_valid(text) for text in made)
    if form in FREE_FORMATS:
        assert all(bounds.get("minLength", 0) <= len(text) <= bounds.get("maxLength", len(text)) for text in made)


def test_a_pattern_goes_with_a_format() -> None:
    """Both hold where both can."""
    email = {"type": "string", "format": "email", "pattern": "@e", "minLength": 30}
    assert re.fullmatch(r"[a-z]+101@e[a-z]+\.com", sample(email, 1))
    assert re.fullmatch(r"2030-..-.1", sample({"type": "string", "format": "date", "pattern": "1$"}, 1))


@pytest.mark.parametrize(
    "item",
    [
        {"type": "integer", "minimum": 7, "maximum": 10},
        {"type": "number", "exclusiveMaximum": -3, "multipleOf": 0.5},
        {"type": "string", "maxLength": 1},
        {"enum": ["a", "b", "c", "d"]},
        {"type": "string", "pattern": "^[ab]{2}$"},
        {"type": "object", "properties": {"at": {"type": "integer", "minimum": 2}}},
    ],
    ids=str,
)
def test_the_items_of_a_set_differ(item: dict[str, Any]) -> None:
    """A list of unique items has as many as it must, all valid."""
    schema = {"type": "array", "items": item, "uniqueItems": True, "minItems": 4, "maxItems": 4}
    for turn in (1, 2, 3):
        jsonschema.Draft202012Validator(schema).validate(sample(schema, turn))


def test_a_set_of_few_values_has_no_more() -> None:
    """A list of unique items ends where there is no other value."""
    assert sample({"type": "array", "items": {"const": 1}, "uniqueItems": True}, 1) == [1]


def test_a_tuple_has_its_items() -> None:
    """Each of the first items is of its own schema."""
    schema = TypeAdapter(tuple[int, str, bool]).json_schema()
    jsonschema.Draft202012Validator(schema).validate(sample(schema, 1))


@pytest.mark.parametrize(
    "bounds",
    [
        {"exclusiveMinimum": 0.3, "multipleOf": 0.1},
        {"minimum": 1e-12, "multipleOf": 1e-13},
        {"exclusiveMinimum": 0.1, "exclusiveMaximum": 0.2},
        {"exclusiveMinimum": 1e300},
        {"exclusiveMaximum": -1e300},
        {"minimum": 1.5, "maximum": 1.5},
    ],
    ids=str,
)
def test_a_float_keeps_its_bounds(bounds: dict[str, float]) -> None:
    """Rounding moves no number over a bound."""
    for turn in (1, 2):
        number = sample({"type": "number", **bounds}, turn)
        TypeAdapter(
            Annotated[float, Field(
                ge=bounds.get("minimum"), gt=bounds.get("exclusiveMinimum"), le=bounds.get("maximum"),
                lt=bounds.get("exclusiveMaximum"), multiple_of=bounds.get("multipleOf"),
            )]
        ).validate_python(number)  # fmt: skip


def test_a_step_is_exact() -> None:
    """Multiples of a decimal step are those of the decimal, not of its nearest float."""
    made = [sample({"type": "number", "exclusiveMinimum": 0.3, "maximum": 0.6, "multipleOf": 0.1}, 1) for _ in range(2)]
    assert made == [0.4, 0.4]
    assert sample({"type": "integer", "minimum": 4, "multipleOf": 1.5}, 1) == 6
