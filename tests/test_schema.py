"""The strict JSON schema and its lint."""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import Annotated, Any, Literal, Optional, Union

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.beta.agents import agent_text_format
from pydantic import BaseModel, Field, HttpUrl, RootModel, create_model
from pydantic.dataclasses import dataclass as pydantic_dataclass

from invoke_assistants.errors import DeclarationError
from invoke_assistants.schema import lint, output_schema, strict


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


scalars = st.sampled_from([str, int, float, bool, Colour, Literal["a", "b"], Literal[1, "x"], Leaf, Tree, Point])
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


@settings(max_examples=300, deadline=None)
@given(models())
def test_the_transform_is_the_sdks(model: type[BaseModel]) -> None:
    """Our strict schema is the SDK's, key order included, for every model that pydantic can describe."""
    theirs = agent_text_format(model)["schema"]
    assert json.dumps(output_schema(model)) == json.dumps(theirs)


@pytest.mark.parametrize(
    "model", [Leaf, Tree, Point, create_model("Odd", tags=(dict[str, int], ...), pair=(tuple[int, str], ...))]
)
def test_the_transform_is_the_sdks_for_known_shapes(model: type[Any]) -> None:
    """Recursion at the root, Pydantic dataclasses and what strict mode refuses come out as in the SDK."""
    assert json.dumps(output_schema(model)) == json.dumps(agent_text_format(model)["schema"])


def test_a_plain_dataclass_has_a_schema() -> None:
    """A dataclass of the standard library is an output model as well."""

    @dataclasses.dataclass
    class Pair:
        left: int
        right: str

    schema = output_schema(Pair)
    assert schema["required"] == ["left", "right"]
    assert lint(schema) == []


def test_the_transform_leaves_its_input_alone() -> None:
    """Pydantic caches schemas; ours is a new one."""
    schema = Tree.model_json_schema()
    before = json.dumps(schema)
    strict(schema)
    assert json.dumps(schema) == before


def test_endless_inlining_is_named() -> None:
    """A described field that requires its own model has no strict form; it is named instead of exhausting the stack."""

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
    """Each shape that structured outputs refuse is found offline, with its model and field."""
    model, expected = REFUSED[case]
    found = "\n".join(lint(output_schema(model), model.__name__))
    for text in expected:
        assert text in found


def test_a_discriminated_union_is_refused_and_a_plain_one_is_not() -> None:
    """oneOf is not in the supported subset; anyOf is."""

    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]

    told = create_model("M", pet=(Annotated[Cat | Dog, Field(discriminator="kind")], ...))
    plain = create_model("M", pet=(Cat | Dog, ...))
    assert any("oneOf" in problem and "M.pet" in problem for problem in lint(output_schema(told), "M"))
    assert lint(output_schema(plain)) == []


@pytest.mark.parametrize(
    "model", [Leaf, Tree, Point, deep(10), create_model("M", n=(int, Field(ge=0, le=9)), s=(str, Field(max_length=9)))]
)
def test_what_strict_mode_takes_passes(model: type[Any]) -> None:
    """Recursion, ten levels, bounds and lengths are all supported."""
    assert lint(output_schema(model)) == []


def test_a_nested_problem_names_its_own_model() -> None:
    """A problem inside a definition is reported under that model's name, not under the root's."""

    class Inner(BaseModel):
        tags: dict[str, str]

    class Outer(BaseModel):
        inner: Inner

    assert [problem.split(":")[0] for problem in lint(output_schema(Outer), "Outer")] == ["Inner.tags"]
