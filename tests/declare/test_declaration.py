"""Declarations: what they accept, what they refuse, and that they are frozen."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel

from invoke_assistants import Assistant, DeclarationError
from invoke_assistants.declare.digest import digest
from invoke_assistants.declare.payload import build_payload, find_problems
from invoke_assistants.types import Desired, Location


class Out(BaseModel):
    value: int


def test_a_declaration_is_frozen_all_the_way_down() -> None:
    """Neither a field nor anything inside tools, reasoning or metadata can be changed; the caller's objects are copied."""
    tools: list[dict[str, Any]] = [{"type": "function", "parameters": {"a": [1]}}]
    assistant = Assistant("a", model="m", tools=tools, metadata={"k": "v"}, reasoning={"effort": "low"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        assistant.model = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        assistant.metadata["k"] = "w"  # type: ignore[index]
    tools[0]["parameters"]["a"].append(2)
    assert assistant.payload("development")["tools"] == [{"type": "function", "parameters": {"a": [1]}}]


@pytest.mark.parametrize("name", ["", "A", "ünïcode", "a b", "-a", "a" * 65, "a/b", "📚", "אב", "é", "a\n"])
def test_names_are_slugs(name: str) -> None:
    """A name that is not a slug is refused with the rule."""
    with pytest.raises(DeclarationError, match="is not a slug"):
        Assistant(name, model="m")


@pytest.mark.parametrize("name", ["a", "0", "a" * 64, "create_trivia_game", "v1.2-beta"])
def test_slugs_are_names(name: str) -> None:
    """Every slug is accepted."""
    assert Assistant(name, model="m").name == name


@pytest.mark.parametrize("output", [int, dict, "Out", list[int], object()])
def test_an_output_that_is_no_model_is_refused(output: Any) -> None:
    """The output is a Pydantic model or a dataclass; the message names the assistant."""
    with pytest.raises(DeclarationError, match=r"assistant a: output is .*neither a Pydantic model"):
        Assistant("a", model="m", output=output)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": ""}, "model is empty"),
        ({"model": 3}, "model must be a string"),
        ({"tools": {"type": "x"}}, "tools must be a list"),
        ({"tools": [{"a": print}]}, r"tools\[0\]\.a is <built-in function print>, which is not JSON"),
        ({"tools": ["x"]}, r"tools\[0\] must be a function or a JSON object, not str"),
        ({"tools": [{"a": {1, 2}}]}, r"tools\[0\]\.a is \{1, 2\}, which is not JSON"),
        ({"tools": [{"a": float("nan")}]}, "is nan, which is not JSON"),
        ({"reasoning": {1: 2}}, "has the key 1, which is not a string"),
        ({"metadata": {"asst.x": "1"}}, "are ours"),
        ({"metadata": {"k": 1}}, "must map a string to a string"),
        ({"metadata": {str(i): "" for i in range(12)}}, "more than 11 pairs"),
        ({"reasoning": "low"}, "reasoning must be a mapping"),
        ({"environments": {"production": {"name": "x"}}}, "a in production: 'name' cannot differ; these can: model"),
        ({"environments": {"production": {"model": 1}}}, "a in production: model must be a string"),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(fields: dict[str, Any], message: str) -> None:
    """A value of the wrong kind raises where it is declared; the message names the assistant and the field."""
    with pytest.raises(DeclarationError, match=message):
        Assistant("a", **{"model": "m", **fields})


def found(assistant: Assistant[Any], environment: str = "development") -> str:
    payload = build_payload(assistant, environment)
    desired = Desired(assistant.name, environment, 0, Location("local", "local"), "p" * 20, payload, digest(payload))
    return "\n".join(find_problems(assistant, desired))


@pytest.mark.parametrize(
    ("assistant", "environment", "expected"),
    [
        (Assistant("a", model="m", instructions="x" * 1_048_577), "development", "1,048,577 characters; at most 1,048,576"),
        (Assistant("a" * 64, model="m"), "p" * 64, "129 characters; at most 128"),
        (Assistant("a", model="m", tools=[{"d": "x" * 3_145_728}]), "development", "3 MiB"),
        (Assistant("a", model="m", metadata={"k": "v" * 513}), "development", "513 characters; at most 512"),
        (Assistant("a", model="m", metadata={"k" * 65: "v"}), "development", "65 characters; 1 to 64"),
        (Assistant("a", model="m", instructions="\ud800"), "development", "lone surrogate"),
    ],
)
def test_limits_of_the_api_are_found_offline(assistant: Assistant[Any], environment: str, expected: str) -> None:
    """Each limit of the Agents API is checked offline, and the message names it."""
    assert expected in found(assistant, environment)


def test_the_limits_themselves_are_allowed() -> None:
    """A value exactly at a limit is no problem."""
    fits = Assistant("a", model="m", instructions="x" * 1_048_576, metadata={f"{i:064}": "v" * 512 for i in range(11)})
    assert found(fits) == ""


def test_importing_the_apps_declarations_is_inert() -> None:
    """Declaring loads neither openai nor tinydb, and touches no file."""
    code = "import sys, app.assistants; assert not {'openai', 'tinydb', 'httpx2', 'filelock', 'dotenv'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_keyword_is_refused_in_the_users_terms() -> None:
    """The message names Assistant; Python's own would name a class that no app uses."""
    wrong: Any = Assistant
    with pytest.raises(TypeError, match=r"^Assistant\(\) got an unexpected .*'instruction'; did you mean 'instructions'\?$"):
        wrong("chef", model="m", instruction="x")
    with pytest.raises(TypeError, match=r"^Assistant\(\) needs a model"):
        wrong("chef")
