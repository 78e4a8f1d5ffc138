"""A changed output schema against the models that read its answers."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import time
import uuid
from enum import Enum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from pydantic import AfterValidator, AliasChoices, AliasPath, BaseModel, ConfigDict, Field, ValidationError, create_model
from typing_extensions import TypeAliasType

from invoke_assistants.declare.compatibility import compare_schemas
from invoke_assistants.declare.reader import read_model
from invoke_assistants.declare.strict_schema import output_schema
from invoke_assistants.types import Compatibility, Reader


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Shade(Enum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


class Half(Enum):
    ONE = 1.5
    TWO = 2.5


class Some(Enum):
    WHOLE = 1
    HALF = 2.5


def model(_title: str = "Model", _config: ConfigDict | None = None, **fields: Any) -> type[BaseModel]:
    """A model with these fields; one that is no pair with a default is required."""
    pairs = {name: field if isinstance(field, tuple) else (field, ...) for name, field in fields.items()}
    return create_model(_title, __config__=_config, **pairs)  # type: ignore[call-overload, no-any-return]


def as_model(output: Any) -> type[BaseModel]:
    """The model itself, or one with a field ``x`` of a type."""
    return output if isinstance(output, type) and issubclass(output, BaseModel) else model(x=output)


def compare(old: Any, new: Any) -> Compatibility | None:
    """What is said of two models; each example must be an answer of the new one that the old one refuses."""
    old, new = as_model(old), as_model(new)
    after = output_schema(new)
    found = compare_schemas(output_schema(old), read_model(old), after, read_model(new))
    for change in found.changes if found else ():
        assert len(change.why) <= 100
        assert change.why.endswith(".")
        assert (change.example is not None) == (change.verdict == "breaking")
        if change.verdict == "breaking":
            jsonschema.validate(change.example, after)
            with pytest.raises(ValidationError):
                old.model_validate_json(json.dumps(change.example))
    return found


def said(found: Compatibility | None) -> str:
    """The changes but those of words, a line each, and the order."""
    assert found is not None
    lines = [f"{change.path} {change.kind} {change.verdict}" for change in found.changes if change.kind != "description_changed"]
    return "; ".join([*lines, found.order])


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Bird(BaseModel):
    kind: Literal["bird"]
    wings: int


class Animal(BaseModel):
    """Reads all that has a kind."""

    kind: str


class Grown(BaseModel):
    next: Grown | None


class Grew(BaseModel):
    next: Grew | Grown | int | None


Small: Any = model("Small", a=int)
Bigger: Any = model("Small", a=int, b=int)
Few = Annotated[int, Field(le=3)]
More = Annotated[int, Field(le=5)]
Numbers = TypeAliasType("Numbers", "list[Numbers] | Few")
MoreNumbers = TypeAliasType("MoreNumbers", "list[MoreNumbers] | More")
Word = Annotated[str, Field(pattern="^[a-z]+$")]
Code = Annotated[str, Field(pattern="^[0-9]+$")]
Alias = TypeAliasType("Alias", int)
AliasOfTruth = TypeAliasType("AliasOfTruth", bool)
Strict = ConfigDict(strict=True)
Forbid = ConfigDict(extra="forbid")
Looking: Any = (int, Field(1, validation_alias=AliasPath("a", 0)))
Dotted: Any = (int, Field(1, alias="x.b"))
Shouted = Annotated[str, AfterValidator(str.upper)]

CASES = {
    "a field more": (model(a=int), model(a=int, b=str), "b field_added compatible; deploy_first"),
    "a field more, with a default": (model(a=int), model(a=int, b=(str, "")), "b field_added compatible; either"),
    "a field more, forbidden": (
        model(_config=Forbid, a=int), model(a=int, b=(str, "")), "b field_added breaking; ship_app_first"),
    "a field more, inside a list": (list[Small], list[Bigger], "x[].b field_added compatible; deploy_first"),
    "a field less": (model(a=int, b=str), model(a=int), "b field_removed breaking; ship_app_first"),
    "a field less, with a default": (model(a=int, b=(str, "")), model(a=int), "b field_removed compatible; either"),
    "a field less, then forbidden": (
        model(a=int, b=(str, "")), model(_config=Forbid, a=int), "b field_removed compatible; deploy_first"),
    "another name": (model(a=int, b=str), model(a=int, c=str), "b field_removed breaking; c field_added compatible; both_break"),
    "two names": (
        model(a=(int, Field(validation_alias=AliasChoices("a", "b")))), model(b=int),
        "a field_removed unknown; b field_added compatible; both_break"),
    "null too": (int, int | None, "x nullable_added breaking; ship_app_first"),
    "no null": (int | None, int, "x nullable_removed compatible; deploy_first"),
    "no null for an object": (Cat | None, model(x=Cat), "x nullable_removed compatible; deploy_first"),
    "whole to any number": (int, float, "x type_changed breaking; ship_app_first"),
    "any to whole number": (float, int, "x type_changed compatible; deploy_first"),
    "text to number": (str, int, "x type_changed breaking; both_break"),
    "number to text": (int, str, "x type_changed breaking; both_break"),
    "boolean to number": (bool, int, "x type_changed breaking; ship_app_first"),
    "number to boolean": (int, bool, "x type_changed compatible; deploy_first"),
    "strict number to boolean": (Annotated[int, Field(strict=True)], bool, "x type_changed breaking; both_break"),
    "number to object": (int, model(x=Cat), "x type_changed breaking; both_break"),
    "one to many": (int, list[int], "x type_changed breaking; both_break"),
    "seconds to time": (int, dt.datetime, "x type_changed breaking; both_break"),
    "time to seconds": (dt.datetime, int, "x type_changed unknown; both_break"),
    "a value more": (Literal["a"], Literal["a", "b"], "x enum_widened breaking; ship_app_first"),
    "a value less": (Literal["a", "b"], Literal["a"], "x enum_narrowed compatible; deploy_first"),
    "another value": (Literal["a"], Literal["b"], "x enum_widened breaking; x enum_narrowed compatible; both_break"),
    "other order of values": (Literal["a", "b"], Literal["b", "a"], "x order_changed compatible; either"),
    "enum to literal": (Colour, Literal["red", "blue"], "either"),
    "an enum with a value more": (Colour, Shade, "x enum_widened breaking; ship_app_first"),
    "list of values to any": (Literal["a"], str, "x enum_widened breaking; ship_app_first"),
    "any to list of values": (str, Literal["a"], "x enum_narrowed compatible; deploy_first"),
    "any to long values": (Annotated[str, Field(max_length=1)], Literal["ab"], "x enum_narrowed breaking; both_break"),
    "values of another type": (Literal["1"], Literal[1], "x type_changed breaking; both_break"),
    "digits for an enum of numbers": (Literal[1], Literal["1"], "x type_changed unknown; both_break"),
    "whole numbers for an enum of others": (Half, int, "x type_changed breaking; both_break"),
    "listed whole numbers for an enum of others": (Half, Literal[1, 2], "x type_changed breaking; both_break"),
    "whole numbers for an enum of some": (Some, int, "x enum_widened breaking; x union_narrowed compatible; both_break"),
    "a field that an alias looks into": (model(x=Looking), model(x=Looking, a=list[str]), "a field_added unknown; both_break"),
    "a field that an alias looks into first": (
        model(a=(int, Field(validation_alias=AliasChoices(AliasPath("b", 0), "a")))), model(a=int, b=list[str]),
        "b field_added unknown; both_break"),
    "a name with a dot": (
        model(x=model("A", b=int, z=int), y=Dotted), model(x=model("A", z=int), y=Dotted),
        "x.b field_removed unknown; both_break"),
    "a name that is the root's": (
        model(x=(int, 1), y=(model("A", x=int, z=int), Field(alias="$"))),
        model(x=(int, 1), y=(model("A", z=int), Field(alias="$"))),
        "x field_removed unknown; both_break"),
    "a strict alias of a type": (
        model(_config=Strict, a=Alias, b=Alias), model(a=AliasOfTruth, b=AliasOfTruth),
        "a type_changed breaking; b type_changed breaking; both_break"),
    "higher": (Few, More, "x bound_loosened breaking; ship_app_first"),
    "lower": (More, Few, "x bound_tightened compatible; deploy_first"),
    "exclusive, but the same": (Annotated[int, Field(gt=2)], Annotated[int, Field(ge=3)], "either"),
    "exclusive": (Annotated[float, Field(gt=2)], Annotated[float, Field(ge=2)], "x bound_loosened breaking; ship_app_first"),
    "one looser, one tighter": (
        Annotated[int, Field(ge=0, le=5)], Annotated[int, Field(ge=1, le=6)],
        "x bound_tightened compatible; x bound_loosened breaking; both_break"),
    "multiples of a multiple": (
        Annotated[int, Field(multiple_of=2)], Annotated[int, Field(multiple_of=4)], "x bound_tightened compatible; deploy_first"),
    "other multiples": (
        Annotated[int, Field(multiple_of=2)], Annotated[int, Field(multiple_of=3)],
        "x bound_loosened breaking; x bound_tightened compatible; both_break"),
    "longer text": (
        Annotated[str, Field(max_length=3)], Annotated[str, Field(max_length=9)], "x bound_loosened breaking; ship_app_first"),
    "shorter list": (Annotated[list[int], Field(min_length=3)], list[int], "x bound_loosened breaking; ship_app_first"),
    "longer list": (list[int], Annotated[list[int], Field(min_length=3)], "x bound_tightened compatible; deploy_first"),
    "a pattern": (str, Word, "x pattern_changed compatible; deploy_first"),
    "no pattern": (Word, str, "x pattern_changed breaking; ship_app_first"),
    "two patterns": (Word, Code, "x pattern_changed unknown; both_break"),
    "a pattern that Python reads in another way": (
        Annotated[str, Field(pattern="^[[:alpha:]]+$")], Literal["a]"], "x enum_narrowed unknown; both_break"),
    "a pattern that one engine has more of": (
        Annotated[str, Field(pattern="^a{ 2 }$")], Literal["a{ 2 }"], "x enum_narrowed unknown; both_break"),
    "a pattern of Python's engine": (
        model(_config=ConfigDict(regex_engine="python-re"), x=Annotated[str, Field(pattern="^(?!b)[a-z]$")]), Literal["a", "b"],
        "x enum_narrowed breaking; both_break"),
    "a format": (str, uuid.UUID, "x format_changed compatible; deploy_first"),
    "no format": (dt.date, str, "x format_changed breaking; ship_app_first"),
    "date to time of day": (dt.date, dt.time, "x format_changed breaking; both_break"),
    "datetime to date": (dt.datetime, dt.date, "x format_changed unknown; both_break"),
    "items": (list[int], list[str], "x[] type_changed breaking; both_break"),
    "items of items": (list[list[Few]], list[list[More]], "x[][] bound_loosened breaking; ship_app_first"),
    "a branch more": (Cat | Dog, Cat | Dog | Bird, "x union_widened breaking; ship_app_first"),
    "a branch less": (Cat | Dog | Bird, Bird | Cat, "x union_narrowed compatible; deploy_first"),
    "branches in another order": (Cat | Dog, Dog | Cat, "x order_changed compatible; either"),
    "a branch that another one reads": (Animal | int, Animal | int | Cat, "x union_widened compatible; either"),
    "a union of what was one": (int, int | str, "x union_widened breaking; ship_app_first"),
    "numbers that one branch reads": (float, int | float, "x union_widened compatible; either"),
    "a bound that another branch does not have": (Few | float, More | float, "x bound_loosened compatible; either"),
    "a field inside a branch": (
        Cat | Dog, model("Cat", kind=Literal["cat"], lives=str) | Dog, "x.lives type_changed breaking; both_break"),
    "a default in one of two branches": (
        model("A", a=Literal["a"], b=(int, 1)) | Cat, model("A", a=Literal["a"]) | Cat, "x.b field_removed compatible; either"),
    "renamed branches": (
        Cat | Dog, model("Hound", kind=Literal["dog"], name=int) | model("Feline", kind=Literal["cat"], lives=str),
        "x.lives type_changed breaking; x.name type_changed breaking; x order_changed compatible; both_break"),
    "a list of something else": (list[int], list[int] | list[str], "x union_widened breaking; ship_app_first"),
    "a value that another branch reads": (
        model("A", v=int) | model("B", v=Literal["text"]), model("A", v=str) | model("B", v=Literal["text"]),
        "x.v type_changed breaking; both_break"),
    "a branch that repeats, and is refused": (
        model("A", v=Grown | None) | int, model("A", v=Grown | None) | int | model("B", v=Grown | Grew | None),
        "x union_widened breaking; ship_app_first"),
    "another class of the same shape": (model(x=model("A", a=int)), model(x=model("B", a=int)), "either"),
    "other order of fields": (model(a=int, b=int), model(b=int, a=int), "$ order_changed compatible; either"),
    "code of the app's own": (Shouted, Literal["a"], "x enum_narrowed unknown; both_break"),
    "code of the new app": (str, Annotated[Word, AfterValidator(str.upper)], "x pattern_changed compatible; deploy_first"),
    "beside code of the app's own": (
        model(a=Shouted, b=int), model(a=Shouted, b=float), "b type_changed breaking; ship_app_first"),
    "below code of the app's own": (
        Annotated[Cat, AfterValidator(lambda cat: cat)], model(x=model("Cat", kind=Literal["cat"])),
        "x.lives field_removed unknown; ship_app_first"),
    "words below code of the app's own": (Shouted, Annotated[Shouted, Field(description="Loud.")], "either"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_change_has_a_path_a_kind_a_verdict_and_an_order(name: str) -> None:
    """Each case's changes are those of the table, and every example is an answer that the old model refuses."""
    old, new, expected = CASES[name]
    assert said(compare(old, new)) == expected


def test_equal_schemas_have_no_change() -> None:
    """The same model twice, and text twice, are nothing; other order of fields is something."""
    assert compare(Cat, Cat) is None
    assert compare_schemas(None, None, None, Reader()) is None
    assert compare(model(a=int, b=int), model(b=int, a=int)) is not None


def test_words_change_no_answer() -> None:
    """A description, a title or a default that is new is one compatible change at its path."""
    for new in (Annotated[int, Field(description="How many.")], Annotated[int, Field(title="Number")]):
        found = compare(int, new)
        assert found is not None
        assert [(change.path, change.kind) for change in found.changes] == [("x", "description_changed")]
        assert (found.verdict, found.order) == ("compatible", "either")


def test_a_definition_of_another_name_changes_no_answer() -> None:
    """A renamed class of the same shape is a change of words."""
    old, new = model("Old", a=int), model("New", a=int)
    found = compare(model(x=old, y=list[old]), model(x=new, y=list[new]))  # type: ignore[valid-type]
    assert found is not None
    assert {change.kind for change in found.changes} == {"description_changed"}


@pytest.mark.parametrize(("to_text", "verdict"), [(True, "breaking"), (False, "unknown")])
def test_text_and_json(to_text: bool, verdict: str) -> None:
    """A reader of JSON refuses text; what a reader of text makes of JSON is not known."""
    sides: list[Any] = [(output_schema(Cat), Reader()), (None, Reader())]
    old, new = sides if to_text else reversed(sides)
    found = compare_schemas(*old, *new)
    assert found is not None
    assert (found.verdict, found.order, found.changes[0].path, found.changes[0].kind) == (
        verdict,
        "both_break",
        "$",
        "type_changed",
    )
    assert isinstance(found.changes[0].example, str) == to_text


NO_ENTRY = [
    (model(a=int), Reader(), "compatible"),
    (model(a=int), Reader(forbids_extras=("$",)), "unknown"),
    (model(a=int), Reader(forbids_extras=("a",)), "compatible"),
]


@pytest.mark.parametrize(("old", "new_reader", "verdict"), NO_ENTRY)
def test_a_reader_of_which_nothing_is_recorded_may_be_as_the_declared_one(
    old: type[BaseModel], new_reader: Reader, verdict: str
) -> None:
    """A field added is unknown where no entry says whether extras are forbidden and the declared model forbids them."""
    found = compare_schemas(output_schema(old), None, output_schema(model(a=int, b=int)), new_reader)
    assert found is not None
    assert found.changes[0].verdict == verdict


SENTENCES = [
    (Literal["a"], Literal["a", "expert"], "The app that runs now has no value 'expert' in its list."),
    (model(a=int, b=int), model(a=int), "The app that runs now needs this field."),
    (model(a=int), model(a=int, b=int), "The new app needs this field: deploy first."),
    (model(a=int), model(a=int, b=(int, 1)), "The app that runs now ignores this field, and the new app does without it."),
    (model(_config=Forbid, a=int), model(a=int, b=int), "The app that runs now forbids fields that it does not know."),
    (int, int | None, "The app that runs now takes no null here."),
    (Few, More, "The app that runs now takes no number above 3."),
    (Cat | Dog, Cat | Dog | Bird, "The app that runs now has no branch for Bird."),
    (int, float, "The app that runs now reads an integer here, not a number."),
    (Shouted, Word, "The app that runs now checks this value with code of its own."),
]


@pytest.mark.parametrize(("old", "new", "why"), SENTENCES)
def test_a_sentence_says_why(old: Any, new: Any, why: str) -> None:
    """The first change that is not of words has this sentence."""
    found = compare(old, new)
    assert found is not None
    assert next(change.why for change in found.changes if change.kind != "description_changed") == why


class Tree(BaseModel):
    name: str
    children: list[Tree]


class OtherTree(BaseModel):
    model_config = ConfigDict(title="Tree")
    name: int
    children: list[OtherTree]


class StrictTree(BaseModel):
    model_config = ConfigDict(title="Tree", extra="forbid")
    name: str
    children: list[StrictTree]


class TallTree(BaseModel):
    model_config = ConfigDict(title="Tree")
    name: str
    children: list[TallTree]
    height: int


class TreeOfTwo(BaseModel):
    """Unrolled once: a tree whose branches are of another class."""

    model_config = ConfigDict(title="Tree")
    name: str
    children: list[TallTree]


class TreeWithCode(BaseModel):
    model_config = ConfigDict(title="Tree")
    name: Literal["a"]
    children: Annotated[list[TreeWithCode], AfterValidator(lambda trees: trees)]


class NarrowTree(BaseModel):
    model_config = ConfigDict(title="Tree")
    name: Literal["a", "b"]
    children: Annotated[list[NarrowTree], AfterValidator(lambda trees: trees)]


class ClosedCat(BaseModel, extra="forbid"):
    kind: Literal["cat"]


class Link(BaseModel, extra="forbid"):
    model_config = ConfigDict(title="Chain")
    next: Link | None


class Chain(BaseModel):
    """Has the title and the fields of what is inside of it."""

    next: Link | None


class LongLink(BaseModel):
    model_config = ConfigDict(title="Chain")
    next: LongLink | None
    length: int


class LongChain(BaseModel):
    model_config = ConfigDict(title="Chain")
    next: LongLink | None
    length: int


class Nest(BaseModel):
    kind: Literal["nest"]
    nests: list[Nest]


class TallNest(BaseModel):
    model_config = ConfigDict(title="Nest")
    kind: Literal["nest"]
    nests: list[InnerNest]


class InnerNest(BaseModel):
    model_config = ConfigDict(title="Nest")
    kind: Literal["nest"]
    nests: list[TallNest]
    tall: int


class EndlessList(BaseModel):
    model_config = ConfigDict(title="Endless")
    next: list[EndlessList]


class Endless(BaseModel):
    next: Endless


RECURSIVE = [
    (EndlessList, Endless, "next type_changed unknown; both_break"),
    (Endless, EndlessList, "next type_changed breaking; both_break"),
    (Tree, OtherTree, "name type_changed breaking; both_break"),
    (Tree, TallTree, "height field_added compatible; deploy_first"),
    (StrictTree, TallTree, "height field_added breaking; both_break"),
    (Tree, TreeOfTwo, "children[].height field_added compatible; deploy_first"),
    (StrictTree, TreeOfTwo, "children[].height field_added breaking; both_break"),
    (Chain, LongChain, "next.length field_added unknown; length field_added compatible; both_break"),
    (ClosedCat | Nest, ClosedCat | TallNest, "x.nests[].tall field_added unknown; both_break"),
    (NarrowTree, TreeWithCode,
     "name enum_narrowed compatible; children[].name enum_narrowed unknown; both_break"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), RECURSIVE)
def test_recursive_models_are_followed(old: type[BaseModel], new: type[BaseModel], expected: str) -> None:
    """A change is listed once before the models repeat, and what is said of a reader holds at every depth."""
    assert said(compare(old, new)) == expected


def test_a_change_of_a_shared_model_is_listed_at_each_of_its_paths() -> None:
    """A definition that is used twice, once with words of its own, has its change at both."""
    old, new = model("Shared", a=int), model("Shared", a=str)
    described = Field(description="Another one.")
    found = compare(model(x=old, y=(Annotated[old, described], ...)), model(x=new, y=(Annotated[new, described], ...)))
    assert said(found) == "x.a type_changed breaking; y.a type_changed breaking; both_break"


def test_models_that_share_much_are_compared_at_once() -> None:
    """Five fields of each of ten levels are of the level below: a list of 5 to the tenth paths is cut, the verdict is not."""

    def pyramid(leaf: Any) -> type[BaseModel]:
        for level in range(9):
            leaf = model(f"Level{level}", **dict.fromkeys("abcde", leaf))
        return as_model(leaf)

    start = time.process_time()
    found = compare(pyramid(model("Leaf", a=int, b=(int, 1))), pyramid(model("Leaf", a=str, b=(int, 1))))
    assert found is not None
    assert found.verdict == "breaking" or found.verdict == "unknown"
    assert len(found.changes) < 200
    assert time.process_time() - start < 5


def test_each_of_many_changes_has_its_example() -> None:
    """Of 500 fields one is gone and all others have another type: each is breaking, with an answer of its own."""
    names = [f"field_{number}" for number in range(100)]
    numbers: dict[str, Any] = dict.fromkeys(names, int)
    texts: dict[str, Any] = dict.fromkeys(names[1:], str)
    old, new = (
        output_schema(model(**{f"p{part}": model(f"Part{part}", **fields) for part in range(5)}))  # type: ignore[arg-type]
        for fields in (numbers, texts)
    )
    found = compare_schemas(old, Reader(), new, Reader())
    assert said(found).count("field_removed breaking") == 5
    assert said(found).count("type_changed breaking") == 495


def test_a_recursive_alias_is_followed() -> None:
    """A list of numbers or of such lists has its change at the field and where the alias has its own words."""
    found = compare(create_model("Output", x=(Numbers, ...)), create_model("Output", x=(MoreNumbers, ...)))
    assert said(found) == "x bound_loosened breaking; x[] bound_loosened breaking; ship_app_first"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


@dataclasses.dataclass
class Line:
    x: int


def test_dataclasses_are_outputs_too() -> None:
    """A field with a default may be absent from an answer that a dataclass reads."""
    found = compare_schemas(output_schema(Point), read_model(Point), output_schema(Line), read_model(Line))
    assert said(found) == "y field_removed compatible; either"


def test_a_schema_that_is_damaged_is_unknown() -> None:
    """A recorded schema that pydantic would not have written is no error, and not called compatible."""
    new = output_schema(model(a=int))
    odds: list[Any] = [True, {"$ref": "#/$defs/None"}, {"allOf": []}, {"type": "integer", "odd": 1}, {"$ref": "#/properties/a"}]
    for odd in odds:
        old = {**new, "properties": {"a": odd}}
        found = compare_schemas(old, Reader(), new, Reader())
        assert found is not None
        assert (found.verdict, found.order) == ("unknown", "both_break")
