"""What is desired of a project's instances: how often a schema is made for it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from conftest import MODELS, Host
from pydantic import BaseModel, ConfigDict, TypeAdapter

from invoke_assistants.config.project import Project
from invoke_assistants.declare.strict_schema import lint, lint_output, output_schema

MANY = (
    MODELS
    + """
ASSISTANTS = [Assistant(f"a{n}", output=Plan if n % 2 else Verdict, model="m", instructions="Do it.") for n in range(20)]
"""
)


def test_a_schema_is_made_once_for_each_model(local_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models of twenty assistants in two environments are two schemas, however often they are planned."""
    local_host.declare(MANY)
    made: list[Any] = []
    json_schema = TypeAdapter.json_schema

    def counting(self: TypeAdapter[Any], *args: Any, **options: Any) -> Any:
        made.append(self)
        return json_schema(self, *args, **options)

    monkeypatch.setattr(TypeAdapter, "json_schema", counting)
    project = Project.load(local_host.root, ())
    for _ in range(3):
        desired = project.desired(project.settings.environments, validate=True)
    assert len(desired) == 40
    assert len({each.digest for each in desired}) == 2
    assert len(made) == 2


def test_a_model_of_the_same_name_has_its_own_schema() -> None:
    """What is kept is the class's, not the name's, and goes with the class."""

    def make(kind: type) -> type[BaseModel]:
        class Plan(BaseModel):
            __annotations__ = {"goal": kind}

        return Plan

    one, other = make(str), make(int)
    assert output_schema(one)["properties"]["goal"]["type"] == "string"
    assert output_schema(other)["properties"]["goal"]["type"] == "integer"
    assert lint_output(one) == lint(output_schema(one), "Plan") == []
    gone = weakref.ref(one)
    del one
    gc.collect()
    assert gone() is None


def test_a_model_that_is_rebuilt_has_another_schema() -> None:
    """What was made of a model counts until pydantic builds it anew, for a description and for what it must not hold."""

    class Plan(BaseModel):
        goal: str

    assert "description" not in output_schema(Plan)["properties"]["goal"]
    Plan.model_fields["goal"].description = "One sentence."
    Plan.model_rebuild(force=True)
    assert output_schema(Plan)["properties"]["goal"]["description"] == "One sentence."


def test_two_models_that_call_themselves_equal_have_their_own_schemas() -> None:
    """A metaclass may compare and hash models by their names, or not at all."""

    class ByName(type(BaseModel)):  # type: ignore[misc]
        def __eq__(self, other: object) -> bool:
            return isinstance(other, type) and self.__name__ == other.__name__

        def __hash__(self) -> int:
            return hash(self.__name__)

    def make(kind: type) -> type[BaseModel]:
        class Plan(BaseModel, metaclass=ByName):
            __annotations__ = {"goal": kind}

        return Plan

    one, other = make(str), make(int)
    assert output_schema(one)["properties"]["goal"]["type"] == "string"
    assert output_schema(other)["properties"]["goal"]["type"] == "integer"


def test_a_key_that_is_no_text_is_spelled_as_json_does() -> None:
    """What a model adds to its schema by itself goes through JSON first, so that a number as a key is text."""

    class Plan(BaseModel):
        model_config = ConfigDict(json_schema_extra={"examples": [{1: 2}]})
        goal: str

    assert output_schema(Plan)["examples"] == [{"1": 2}]
