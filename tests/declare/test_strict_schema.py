"""The strict JSON schema and its lint."""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.beta.agents import agent_text_format
from pydantic import BaseModel, Discriminator, Field, HttpUrl, RootModel, Tag, create_model
from pydantic.dataclasses import dataclass as pydantic_dataclass

from invoke_assistants.declare.strict_schema import lint, output_schema, to_strict
from invoke_assistants.errors import DeclarationError


class Colour(enum.Enum):
    """A described enum."""

    RED = "red"
    BLUE = "blue"


class Leaf(BaseModel):
    """A leaf."""

    value: int
    note: str | None = None


class Tree(BaseModel):
    """A recursive model."""

    name: str
    children: list[Tree] = Field(description="The branches.")
    parent: Tree | None = Field(None, description="Where it hangs.")


@pydantic_dataclass
class Point:
    x: float
    y: float = 0.0


class Cat(BaseModel):
    """Says meow."""

    kind: Literal["cat"] = "cat"
    friend: Pet | None = None


class Dog(BaseModel):
    kind: Literal["dog"]


Pet = Annotated[Union[Cat, Dog], Field(discriminator="kind")]
Told = Annotated[Union[Annotated[Leaf, Tag("leaf")], Annotated[Point, Tag("point")]], Discriminator(lambda value: "leaf")]
Cat.model_rebuild()

scalars = st.sampled_from([str, int, float, bool, Colour, Literal["a", "b"], Literal[1, "x"], Leaf, Tree, Point, Pet, Told])
types = st.recursive(
    scalars,
    lambda inner: st.one_of(
        inner.map(lambda t: list[t]),
        inner.map(lambda t: Optional[t]),
        st.tuples(inner, inner).map(lambda pair: Union[pair]),
        st.builds(
            lambda fields: create_model("Nested", **{f"f{i}": (t, ...) for i, t in enumerate(fields)}),
            st.lists(inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=6,
)
fields = st.lists(
    st.tuples(types, st.sampled_from([None, "Described."]), st.booleans()),
    min_size=1,
    max_size=5,
)


@st.composite
def models(draw: st.DrawFn) -> type[BaseModel]:
    definitions: dict[str, Any] = {}
    for index, (kind, description, optional) in enumerate(draw(fields)):
        default = None if optional else ...
        definitions[f"field_{index}"] = (Optional[kind] if optional else kind, Field(default, description=description))
    return create_model("Generated", __doc__=draw(st.sampled_from([None, "A model."])), **definitions)


@settings(max_examples=examples(300), deadline=None)
@given(models())
def test_the_transform_is_the_sdks(model: type[BaseModel]) -> None:
    """Our strict schema is the SDK's, key order included, for every model that pydantic can describe.

    But for ``oneOf``, which the SDK leaves and strict mode refuses: it is an ``anyOf`` without a discriminator.
    """
    theirs = agent_text_format(model)["schema"]
    assert json.dumps(output_schema(model)) == json.dumps(undiscriminated(theirs))
    assert lint(output_schema(model)) == []


def undiscriminated(node: Any) -> Any:
    if isinstance(node, list):
        return [undiscriminated(item) for item in node]
    if not isinstance(node, dict):
        return node
    rest = {
        key: undiscriminated(value) for key, value in node.items() if "oneOf" not in node or key not in ("oneOf", "discriminator")
    }
    return {"anyOf": undiscriminated(node["oneOf"]), **rest} if "oneOf" in node else rest


@pytest.mark.parametrize(
    "model", [Leaf, Tree, Point, create_model("Odd", tags=(dict[str, int], ...), pair=(tuple[int, str], ...))]
)
def test_the_transform_is_the_sdks_for_known_shapes(model: type[Any]) -> None:
    """A recursive root, a Pydantic dataclass and types that strict mode refuses give the SDK's schema."""
    assert json.dumps(output_schema(model)) == json.dumps(agent_text_format(model)["schema"])


def test_a_plain_dataclass_has_a_schema() -> None:
    """A standard dataclass is an output model as well."""

    @dataclasses.dataclass
    class Pair:
        left: int
        right: str

    schema = output_schema(Pair)
    assert schema["required"] == ["left", "right"]
    assert lint(schema) == []


def test_the_transform_leaves_its_input_alone() -> None:
    """The transform returns a new schema: pydantic caches its own."""
    schema = Tree.model_json_schema()
    before = json.dumps(schema)
    to_strict(schema)
    assert json.dumps(schema) == before


def test_endless_inlining_is_named() -> None:
    """A described field that requires its own model has no strict form; the error names it, and the stack survives."""

    class Endless(BaseModel):
        again: Endless = Field(description="Never ends.")

    with pytest.raises(DeclarationError, match="Endless"):
        output_schema(Endless)


def deep(levels: int) -> type[BaseModel]:
    model = create_model("Level", value=(int, ...))
    for index in range(levels - 1):
        model = create_model(f"Level{index}", inner=(model, ...))
    return model


REFUSED = {
    "open object": (create_model("M", tags=(dict[str, int], ...)), ["M.tags", "open object"]),
    "any dict": (create_model("M", tags=(dict[str, Any], ...)), ["M.tags", "open object"]),
    "tuple": (create_model("M", pair=(tuple[int, str], ...)), ["M.pair", "prefixItems"]),
    "set": (create_model("M", tags=(set[str], ...)), ["M.tags", "uniqueItems"]),
    "any": (create_model("M", what=(Any, ...)), ["M.what", "no type"]),
    "format": (create_model("M", link=(HttpUrl, ...)), ["M.link", "'uri'"]),
    "depth": (deep(11), ["nested 11 deep"]),
    "root list": (RootModel[list[int]], ["root must be an object"]),
    "enum values": (create_model("M", pick=(Literal[tuple(f"v{i}" for i in range(1001))], ...)), ["1,001 enum values"]),
    "properties": (create_model("M", **{f"f{i}": (int, ...) for i in range(5001)}), ["5,001 properties"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_strict_mode_refuses_is_named(case: str) -> None:
    """Each shape that structured outputs refuse is found offline; the problem names its model and field."""
    model, expected = REFUSED[case]
    found = "\n".join(lint(output_schema(model), model.__name__))
    for text in expected:
        assert text in found


def test_a_discriminated_union_is_what_it_is_without_a_discriminator() -> None:
    """The schema is the same, key for key, and strict mode accepts it; pydantic still uses the discriminator."""

    def owner(union: Any) -> type[BaseModel]:
        return create_model("Owner", pet=(union, Field(description="The pet.")), pets=(list[union], ...))

    discriminated, plain = owner(Pet), owner(Union[Cat, Dog])
    assert lint(output_schema(discriminated), "Owner") == []
    assert output_schema(discriminated)["properties"] == output_schema(plain)["properties"]
    assert list(output_schema(discriminated)["properties"]["pet"]) == list(output_schema(plain)["properties"]["pet"])
    assert type(discriminated.model_validate_json('{"pet": {"kind": "dog"}, "pets": []}').pet) is Dog  # type: ignore[attr-defined]


def test_a_union_at_the_root_is_refused_with_or_without_a_discriminator() -> None:
    """Strict mode requires an object at the root."""
    for union in (Pet, Union[Cat, Dog]):
        assert any("the root must be an object" in problem for problem in lint(output_schema(RootModel[union]), "M"))


def test_a_foreign_schema_with_one_of_is_refused() -> None:
    """A schema sent to the embedded platform is linted as it is; the problem says what to use instead."""
    schema = {
        "type": "object", "required": ["a"], "additionalProperties": False,
        "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "null"}]}},
    }  # fmt: skip
    assert lint(schema, "M") == ["M.a: 'oneOf' is not supported (use anyOf)"]


@pytest.mark.parametrize(
    "model", [Leaf, Tree, Point, deep(10), create_model("M", n=(int, Field(ge=0, le=9)), s=(str, Field(max_length=9)))]
)
def test_what_strict_mode_takes_passes(model: type[Any]) -> None:
    """Recursion, ten levels, bounds and lengths are supported."""
    assert lint(output_schema(model)) == []


def test_a_nested_problem_names_its_own_model() -> None:
    """A problem inside a definition is reported under that model's name, not under the root's."""

    class Inner(BaseModel):
        tags: dict[str, str]

    class Outer(BaseModel):
        inner: Inner

    assert [problem.split(":")[0] for problem in lint(output_schema(Outer), "Outer")] == ["Inner.tags"]
