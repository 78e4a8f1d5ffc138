"""Functions as tools: the definition is the SDK's, and an error names what cannot be a tool."""

from __future__ import annotations

import enum
import functools
import math
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, Union

import pytest
from conftest import Host, examples
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.beta.agents import function_tool
from pydantic import BaseModel, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from invoke_assistants import Assistant, DeclarationError, commands
from invoke_assistants.declare.function_tools import define_tool, tool_functions

if TYPE_CHECKING:
    from decimal import Decimal


class Colour(enum.Enum):
    """A described enum."""

    RED = "red"
    BLUE = "blue"


class Word(BaseModel):
    """A word of a language."""

    text: str
    language: str | None = Field(None, description="Its code.")
    roots: list[Word] = []


class ToolArguments(BaseModel):
    """A model with the same name as the one that makes the schema."""

    more: int


@pydantic_dataclass
class Point:
    x: float
    y: float = 0.0


def nothing() -> None: ...


def described(word: str, times: int = 1) -> str:
    """Look a word up.

    The second paragraph counts, too.
    """
    return word * times


async def asynchronous(word: Word) -> Word:
    """Wait for a word."""
    return word


def keyword_only(*, a: Annotated[int, Field(ge=1, description="One at least.")], b: Literal["x", 1] | None = None) -> None: ...


def names_of_a_model(copy: bool, json: dict[str, int], model_config: int, schema: list[Colour], validate: Point) -> None: ...


def nested(a: list[Word], b: Optional[Word], c: Union[Point, Colour], d: tuple[int, str], e: set[int], f: Any) -> None: ...  # noqa: UP007, UP045


def default_field(limit: int = Field(10, title="How many", le=100), colour: Colour = Colour.RED) -> None: ...


def forward(word: "Word", words: "list['Word']") -> "Decimal": ...  # noqa: UP037  # strings within strings


def same_name(arguments: ToolArguments) -> None: ...


def aliased(a: Annotated[int, Field(alias="other")], b: int) -> None: ...


def wrapper(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapped


@wrapper
def decorated(word: Word) -> None:
    """Behind a decorator."""


class Base:
    class Inner(BaseModel):
        """A model in a class."""

        value: int

    def method(self, inner: Inner, count: int = 2) -> None:
        """A method."""

    @classmethod
    def of_the_class(cls, inner: Inner) -> None: ...

    @staticmethod
    def static(inner: Inner) -> None: ...

    @wrapper
    def wrapped(self, inner: Inner) -> None: ...


class Derived(Base):
    class Inner(BaseModel):
        """Another model of that name; the base's method means the base's own."""

        text: str

    class Further(Base.Inner): ...


class Last(Derived):
    def inherited(self, further: Further) -> None: ...  # noqa: F821  # a name of the base's body


def in_a_function() -> Any:
    class Hidden:
        class Inner(BaseModel):
            value: int

        def method(self, inner: Inner) -> None: ...

    return Hidden()


TABLE = [
    nothing, described, asynchronous, keyword_only, names_of_a_model, nested, default_field, forward, same_name, aliased,
    decorated, functools.cache(same_name), Last().inherited, in_a_function().method, Base().method, Derived().method,
    Base.of_the_class, Derived.of_the_class, Base.static, Base().wrapped, Derived().wrapped,
]  # fmt: skip


def unordered(value: Any) -> Any:
    """A value whose comparison respects the order of keys, which that of dicts ignores."""
    if isinstance(value, dict):
        return [(key, unordered(item)) for key, item in value.items()]
    return [unordered(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("function", TABLE, ids=lambda function: getattr(function, "__qualname__", "cached"))
def test_a_function_is_declared_as_the_sdk_does(function: Callable[..., Any]) -> None:
    """The definition is that of the SDK's ``function_tool``, down to the order of its keys."""
    assert unordered(define_tool(function)) == unordered(function_tool(function).definition)


types = st.recursive(
    st.sampled_from([str, int, float, bool, None, Any, bytes, Colour, Word, Point, Literal["a", 1], Annotated[int, Field(gt=0)]]),
    lambda inner: st.one_of(
        inner.map(lambda t: list[t]),
        inner.map(lambda t: dict[str, t]),
        inner.map(lambda t: Optional[t]),  # noqa: UP045  # made at run time
        st.tuples(inner, inner).map(lambda pair: tuple[pair]),
    ),
    max_leaves=3,
)
names = st.sampled_from(["a", "b", "copy", "json", "model_x", "schema", "title", "self", "été"])
defaults = st.one_of(st.just(...), st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just(["x"]))


@given(st.dictionaries(names, st.tuples(types, defaults, st.booleans()), max_size=4), st.one_of(st.none(), st.text(max_size=20)))
@settings(max_examples=examples(60), deadline=None)
def test_any_signature_is_declared_as_the_sdk_does(parameters: dict[str, tuple[Any, Any, bool]], doc: str | None) -> None:
    """Whatever the types, defaults, parameter names and docstring, the definition is the SDK's."""
    values = {f"d_{name}": default for name, (_, default, _) in parameters.items()}
    written = "".join(f", {name}{'' if default is ... else f'=d_{name}'}" for name, (_, default, _) in parameters.items())
    scope: dict[str, Any] = {"__name__": __name__, **values}
    exec(f"def made(*{written}): ..." if written else "def made(): ...", scope)
    made = scope["made"]
    made.__annotations__ = {name: kind for name, (kind, _, _) in parameters.items()}
    made.__doc__ = doc
    assert unordered(define_tool(made)) == unordered(function_tool(made).definition)


def test_tools_of_all_kinds_stand_in_the_payload_in_the_order_declared() -> None:
    """Functions, JSON objects and the SDK's own tools keep their order; an environment may have others."""
    made = function_tool(described, name="renamed", defer_loading=True)
    search = {"type": "web_search"}
    assistant = Assistant("a", model="m", tools=[search, nothing, made], environments={"production": {"tools": [asynchronous]}})
    assert assistant.payload("development")["tools"] == [search, define_tool(nothing), made.definition]
    assert assistant.payload("production")["tools"] == [define_tool(asynchronous)]
    assert tool_functions(assistant, "development") == {"nothing": nothing, "renamed": made}
    assert tool_functions(assistant, "production") == {"asynchronous": asynchronous}


class Callable_:  # noqa: N801
    def __call__(self, word: str) -> None: ...


class Opaque: ...


def positional(word: str, /) -> None: ...
def bare(word) -> None: ...  # type: ignore[no-untyped-def]
def variadic(*words: str) -> None: ...
def keywords(**words: str) -> None: ...
def underscore(_word: str) -> None: ...
def lost(a: int, word: Decimal) -> None: ...
def broken(word: "list[") -> None: ...  # type: ignore[syntax]  # noqa: F722
def opaque(a: int, word: Opaque) -> None: ...
def hidden(word: Callable[[], int]) -> None: ...
def infinite(word: float = math.inf) -> None: ...
def wörd(word: str) -> None: ...


def long() -> None: ...


long.__name__ = "l" * 65


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        (bare, "function bare: parameter word has no type annotation"),
        (Base.method, "function method: parameter self has no type annotation"),
        (positional, "function positional: parameter word is positional-only"),
        (variadic, "function variadic: parameter words is variadic positional"),
        (keywords, "function keywords: parameter words is variadic keyword"),
        (print, "function print: parameter args is variadic positional"),
        (underscore, "function underscore: parameter _word begins with an underscore"),
        (lost, "function lost: parameter word: the annotation 'Decimal' cannot be resolved: name 'Decimal' is not defined"),
        (broken, "function broken: parameter word: the annotation .* cannot be resolved: Forward reference must be an expr"),
        (opaque, "function opaque: parameter word has no JSON schema: Unable to generate pydantic-core schema"),
        (hidden, "function hidden: parameter word has no JSON schema: Cannot generate a JsonSchema"),
        (infinite, "function infinite: parameter word has no JSON schema: .*default is inf, which is not JSON"),
        (wörd, "function 'wörd': a tool's name is 1 to 64 of a-z"),
        (long, "function 'l{65}': a tool's name is 1 to 64 of a-z"),
        (lambda word: word, "a lambda cannot be a tool"),
        (Word, "the tool <class .*Word'> is not a function"),
        (Callable_(), "the tool <.*Callable_ object.* is not a function"),
        (functools.partial(described, times=2), "the tool functools.partial.* is not a function"),
        (iter, "function iter: (no signature found|.*has invalid signature)"),  # as this Python words it
    ],
    ids=lambda value: getattr(value, "__name__", "") if callable(value) else "",
)
def test_what_cannot_be_a_tool_is_named(tool: Callable[..., Any], message: str) -> None:
    """The error names the assistant, the function and the parameter; it comes with the payload, not with the declaration."""
    assistant = Assistant("a", model="m", tools=[tool])
    with pytest.raises(DeclarationError, match=f"^assistant a: {message}"):
        assistant.payload("development")


@pytest.mark.parametrize("twin", [described, {"type": "function", "name": "described", "description": "", "parameters": {}}])
def test_two_tools_of_one_name_are_refused(twin: Any) -> None:
    """Their calls could not be told apart; only function tools have such names."""
    with pytest.raises(DeclarationError, match="assistant a: two tools are called 'described'"):
        Assistant("a", model="m", tools=[described, twin]).payload("development")
    assert Assistant("a", model="m", tools=[{"type": "x", "name": "described"}, described]).payload("development")


docs = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)


@given(docs, docs, st.sampled_from([int, str, bool]), st.sampled_from([int, str, bool]), st.booleans())
@settings(max_examples=examples(30), deadline=None)
def test_what_is_seen_of_a_function_is_in_the_digest(doc: str, other: str, kind: type, another: type, optional: bool) -> None:
    """The digest changes exactly where the docstring or a parameter does."""

    def made(doc: str, kind: type, optional: bool) -> Assistant[str]:
        def tool(word: Any) -> None: ...

        tool.__doc__, tool.__annotations__ = doc, {"word": kind}
        tool.__defaults__ = (kind(),) if optional else None
        return Assistant("a", model="m", tools=[tool])

    before = made(doc, kind, False).digest("development")
    assert made(doc, kind, False).digest("development") == before
    assert (made(other, another, optional).digest("development") == before) == ((other, another, optional) == (doc, kind, False))


DECLARED = """
from invoke_assistants import Assistant

def look_up(word: str) -> str:
    "Looks a word up."

def wrong(word, other: int) -> str: ...

ASSISTANTS = [
    Assistant("good", model="m", tools=[look_up]),
    Assistant("bad", model="m", environments={"production": {"tools": [look_up, wrong]}}),
]
"""


def test_check_names_every_problem_and_passes_the_rest(local_host: Host) -> None:
    """A function that cannot be a tool is an error of its own row only, and no command writes it."""
    local_host.declare(DECLARED)
    errors = {(row.name, row.environment): row.error for row in commands.check(local_host.root) if row.error}
    assert errors == {("bad", "production"): "assistant bad: function wrong: parameter word has no type annotation"}
    with pytest.raises(DeclarationError, match="function wrong"):
        commands.create(local_host.root)
    assert not local_host.path.exists()


def test_a_changed_function_is_updated_and_an_unchanged_one_is_not(local_host: Host) -> None:
    """An instance is in sync after a create, and changed once the function's docstring changes."""
    local_host.declare(DECLARED.replace(", wrong", ""))
    local_host.create()
    assert {row.state for row in commands.plan(local_host.root)} == {"in_sync"}
    local_host.edit("Looks a word up.", "Looks up what a word means.")
    [row] = commands.update(local_host.root, ["good"])
    assert [change.field for change in row.changes] == ["tools[0].description"]


@pytest.mark.parametrize(
    ("code", "unloaded"),
    [
        ("import hosted_app", {"openai", "pydantic"}),
        ("from invoke_assistants import commands; commands.check('.'); commands.plan('.', from_store=True)", {"openai"}),
    ],
)
def test_a_declared_function_costs_nothing_before_it_is_looked_at(local_host: Host, code: str, unloaded: set[str]) -> None:
    """Importing the app makes no schema, and offline commands make one without the SDK."""
    (local_host.root / "hosted_app.py").write_text(DECLARED.replace(", wrong", ""))
    environ = local_host.environ({"ASST_ASSISTANTS": "hosted_app:ASSISTANTS"})
    look = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=local_host.root, env=environ, capture_output=True, text=True, check=True
    )
    assert not unloaded & set(done.stdout.split())
