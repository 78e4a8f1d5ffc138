"""What a model does beyond its strict schema, as a plan keeps it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import re
import subprocess
import sys
import time
import uuid
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    PlainValidator,
    PrivateAttr,
    RootModel,
    Tag,
    WithJsonSchema,
    WrapValidator,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypeAliasType, TypedDict

from invoke_assistants.declare.reader import read_model
from invoke_assistants.types import Reader


def same(value: Any) -> Any:
    """Code of an app's own."""
    return value


class Strict(BaseModel, strict=True):
    number: int
    words: list[str]
    loose: Annotated[int, Field(strict=False)]


class Closed(BaseModel, extra="forbid"):
    a: int = 1


class Checked(BaseModel):
    a: int
    b: int

    @field_validator("a")
    @classmethod
    def check(cls, value: int) -> int:
        return value


class CheckedWhole(BaseModel):
    a: int

    @model_validator(mode="after")
    def check(self) -> CheckedWhole:
        return self


class After(BaseModel):
    a: int

    def model_post_init(self, context: Any) -> None:
        """See pydantic."""


class Private(BaseModel):
    a: int
    _cache: dict[str, int] = PrivateAttr(default_factory=dict)


class Init(BaseModel):
    a: int

    def __init__(self, **data: Any) -> None:
        super().__init__(**data)


class Tree(BaseModel, extra="forbid"):
    name: str = ""
    left: Tree | None = None
    right: Tree | None


class A(BaseModel):
    b: B | None = None


class B(BaseModel, extra="forbid"):
    a: A | None = None


class Kind(enum.Enum):
    ONE = "one"

    @classmethod
    def _missing_(cls, value: object) -> Kind:
        return cls.ONE


class Plain(enum.Enum):
    ONE = "one"


class Text(str):
    """A type that says itself how it is read."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class Given(TypedDict, total=False):
    a: int


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0
    z: list[int] = dataclasses.field(default_factory=list)


@pydantic_dataclass(config=ConfigDict(extra="forbid"))
class ClosedPoint:
    x: int

    def __post_init__(self) -> None:
        """Code of an app's own."""


Dates = TypeAliasType("Dates", list[dt.date])
Deep = TypeAliasType("Deep", "int | list[DeepModel]")


class DeepModel(BaseModel, strict=True):
    a: Deep


Cats = Annotated[Annotated[Closed, Tag("a")] | Annotated[Strict, Tag("b")], Discriminator(lambda value: "a")]
Pair = create_model("Pair", one=(Closed, ...), many=(list[Closed], ...))

CASES: dict[str, tuple[Any, Reader]] = {
    "text": (None, Reader()),
    "nothing": (list[int], Reader()),
    "extras": (Closed, Reader(forbids_extras=("x",), defaults=("x.a",))),
    "in lists of lists": (list[list[Closed]], Reader(forbids_extras=("x[][]",), defaults=("x[][].a",))),
    "in unions": (Closed | Strict | None, Reader(("x",), ("x.number", "x.words[]"), ("x.a",))),
    "a model used twice": (Pair, Reader(("x.many[]", "x.one"), (), ("x.many[].a", "x.one.a"))),
    "strict fields": (Annotated[int | None, Field(strict=True)], Reader(strict=("x",))),
    "strict models": (Strict, Reader(strict=("x.number", "x.words[]"))),
    "strict in one branch only": (
        Annotated[int, Field(strict=True)] | Annotated[float, Field(gt=1)], Reader(strict=("x",), validators=("x",))),
    "strict beside text": (Annotated[int, Field(strict=True)] | str, Reader(strict=("x",))),
    "validators of fields": (Checked, Reader(validators=("x.a",))),
    "validators of models": (CheckedWhole, Reader(validators=("x",))),
    "annotations": (
        create_model(
            "Annotated",
            after=(Annotated[int, AfterValidator(same)], ...),
            before=(Annotated[int, BeforeValidator(same)], ...),
            items=(list[Annotated[int, AfterValidator(same)]], ...),
            plain=(Annotated[int, PlainValidator(same)], ...),
            partial=(Annotated[int, AfterValidator(functools.partial(same))], ...),
            wrap=(Annotated[int, WrapValidator(lambda value, handler: handler(value))], ...),
        ),
        Reader(validators=("x.after", "x.before", "x.items[]", "x.partial", "x.plain", "x.wrap")),
    ),
    "code after an object is made": (After, Reader(validators=("x",))),
    "private attributes": (Private, Reader()),
    "a constructor": (Init, Reader(validators=("x",))),
    "a type that reads itself": (Text, Reader(validators=("x",))),
    "types of pydantic's": (uuid.UUID | IPv4Address, Reader()),
    "a root model": (RootModel[list[Closed]], Reader(("x[]",), (), ("x[].a",))),
    "a number whose schema allows every text": (Decimal, Reader(validators=("x",))),
    "an enum": (Plain, Reader()),
    "an enum that takes more": (Kind, Reader(validators=("x",))),
    "a chosen branch": (Cats, Reader(("x",), ("x.number", "x.words[]"), ("x.a",), ("x",))),
    "a schema by hand": (Annotated[int, WithJsonSchema({"type": "string"})], Reader(validators=("x",))),
    "more in a schema": (Annotated[str, Field(json_schema_extra={"format": "email"})], Reader(validators=("x",))),
    "examples in a schema": (Annotated[str, Field(examples=["a"], json_schema_extra={"examples": ["b"]})], Reader()),
    "a dictionary of some keys": (Given, Reader(defaults=("x.a",))),
    "a dataclass": (Point, Reader(defaults=("x.y", "x.z"))),
    "a closed dataclass with code": (ClosedPoint, Reader(forbids_extras=("x",), validators=("x",))),
    "a recursive model": (Tree, Reader(("x",), (), ("x.left", "x.name"))),
    "models of each other": (A, Reader(("x.b",), (), ("x.b", "x.b.a"))),
    "numbers as text": (
        create_model("M", __config__=ConfigDict(coerce_numbers_to_str=True), a=(str, ...)), Reader(validators=("x.a",))),
    "stripped text": (create_model("M", __config__=ConfigDict(str_strip_whitespace=True), a=(str, ...)), Reader()),
    "stripped text of a length": (
        create_model("M", __config__=ConfigDict(str_strip_whitespace=True), a=(Annotated[str, Field(max_length=3)], ...)),
        Reader(validators=("x.a",)),
    ),
    "an alias": (create_model("M", a=(int, Field(alias="b", default=1))), Reader(defaults=("x.b",))),
    "aliases": (create_model("M", a=(int, Field(validation_alias=AliasChoices("b", "c")))), Reader(validators=("x.b",))),
    "a path": (create_model("M", a=(int, Field(validation_alias=AliasPath("b", "c")))), Reader(validators=("x.a", "x.b"))),
    "a path before a name": (
        create_model("M", a=(int, Field(validation_alias=AliasChoices(AliasPath("b", 0), "c")))),
        Reader(validators=("x.b", "x.c"))),
    "a name with a dot": (create_model("M", a=(int, Field(1, alias="b.c"))), Reader(validators=("x",))),
    "a name of the root": (create_model("M", a=(int, Field(alias="$"))), Reader(validators=("x",))),
    "no name": (create_model("M", a=(int, Field(alias=""))), Reader(validators=("x",))),
    "items by name": (create_model("M", a=(int, Field(alias="b[]"))), Reader(validators=("x",))),
    "strict aliases of a type": (
        create_model("M", __config__=ConfigDict(strict=True), a=(Dates, ...), b=(Dates, ...)), Reader(strict=("x.a[]", "x.b[]"))),
    "an alias of a type inside of itself, strict there only": (Deep, Reader(validators=("x",))),
    "a pattern with flags": (Annotated[str, Field(pattern=re.compile("a", re.IGNORECASE))], Reader(validators=("x",))),
    "a compiled pattern": (Annotated[str, Field(pattern=re.compile("a"))], Reader()),
    "an alias and a name": (
        create_model("M", __config__=ConfigDict(validate_by_name=True), a=(int, Field(alias="b"))), Reader(validators=("x.a",))),
    "a default that is not checked": (create_model("M", a=(int, "text")), Reader(defaults=("x.a",))),
    "a default that is refused": (
        create_model("M", a=(int, Field("text", validate_default=True))), Reader(defaults=("x.a",), validators=("x.a",))),
    "a default of the app's own code, made from what is there": (
        create_model("M", a=(int, Field(default_factory=lambda data: data["b"])), b=(int, ...)),
        Reader(defaults=("x.a",), validators=("x.a",)),
    ),
    "a default that is made": (create_model("M", a=(list[int], Field(default_factory=list))), Reader(defaults=("x.a",))),
    "a default that is taken": (create_model("M", a=(int, Field(1, validate_default=True))), Reader(defaults=("x.a",))),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_reader_says_what_the_schema_cannot(name: str) -> None:
    """For a field of each kind, four sorted lists of paths."""
    kind, expected = CASES[name]
    output = None if kind is None else create_model("Output", x=(kind, ...))
    assert read_model(output) == expected


def test_the_root_has_a_name() -> None:
    """What is said of the answer itself is said of ``$``, and its fields have no prefix; text has nothing to say."""
    assert read_model(Closed) == Reader(forbids_extras=("$",), defaults=("a",))
    assert read_model(ClosedPoint) == Reader(forbids_extras=("$",), validators=("$",))
    assert read_model(str) == Reader()


def test_two_models_of_the_same_fields_inside_of_each_other_are_not_looked_into() -> None:
    """A comparison knows a recursive model by its title and fields, and two may have one title: a validator is reported."""
    inner: Any = create_model("Other", a=(int, ...))
    assert read_model(create_model("Same", a=(inner, ...))).validators == ("a",)
    assert read_model(create_model("Same", a=(inner, ...), b=(int, ...))) == Reader()


def test_a_model_that_says_too_much_is_not_looked_into() -> None:
    """Five fields of each of ten levels are of the level below: two million defaults become one path, at once."""
    leaf: Any = create_model("Leaf", a=(int, 1))
    for level in range(9):
        leaf = create_model(f"Level{level}", **dict.fromkeys((f"{name}{level}" for name in "abcde"), (leaf, ...)))  # type: ignore[call-overload]
    start = time.process_time()
    assert read_model(leaf) == Reader(validators=("$",))
    assert time.process_time() - start < 2


def test_a_model_without_anything_to_say_is_read_at_once() -> None:
    """As many paths, and nothing to say of any."""
    leaf: Any = create_model("Leaf", a=(Literal["a"], ...))
    for level in range(9):
        leaf = create_model(f"Level{level}", **dict.fromkeys((f"{name}{level}" for name in "abcde"), (leaf, ...)))  # type: ignore[call-overload]
    start = time.process_time()
    assert read_model(leaf) == Reader()
    assert time.process_time() - start < 1


def test_a_reader_is_found_without_pydantic_until_it_is_asked_for() -> None:
    """Importing the comparison and the reader loads no pydantic."""
    code = (
        "import sys, invoke_assistants.declare.reader, invoke_assistants.declare.compatibility; print('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
