"""What is certain of a reader and a value, against what pydantic does."""

from __future__ import annotations

import datetime as dt
import enum
import json
import uuid
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field, ValidationError, create_model

from invoke_assistants.declare.reader import read_model
from invoke_assistants.declare.reading import Reading
from invoke_assistants.declare.schema_graph import Schema
from invoke_assistants.declare.schema_values import SAMPLES
from invoke_assistants.declare.strict_schema import output_schema


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    ONE = "1"
    YES = "yes"


TYPES: list[Any] = [
    str, int, float, bool, None, Level, Word, Literal[1, 2], Literal["1", "a"], Literal[True], Literal[1, "1"],
    dt.datetime, dt.date, dt.time, dt.timedelta, uuid.UUID, IPv4Address, IPv6Address, int | None, int | str, float | bool,
    list[int], Annotated[int, Field(ge=1, lt=3)], Annotated[float, Field(gt=0.5, multiple_of=0.5)],
    Annotated[str, Field(min_length=2, max_length=4)], Annotated[str, Field(pattern="^[a-z]+$")],
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 2, 3, 86_400, 10**20, 0.0, 0.5, 1.0, 1.5, 2.5, 1e300,
    [], [1], ["1"], ["a"], [None], {}, {"a": 1}, "",
    " ", "1", " 1 ", "1_0", "1.0", "1.5", "-1", "1e3", "nan", "inf", "a", "ab", "A", "é", "a\n", "abcde", "yes", "true", "on",
    "t", "text", "Other text", "null", "[]", "2030-01-01T00:00:00Z", "2030-01-01T00:00:00", "12:00", "12:00:00",
    "PT1H", "-P1D",    "1:00:00", "00000000000040008000000000000000", "::1", "1.2.3.4", "1.2.3.4/24", *SAMPLES.values(),
]  # fmt: skip


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_what_is_certain_is_what_pydantic_does(kind: Any, strict: bool) -> None:
    """Each value that is said to be read is read, each that is said to be refused is refused, and plain cases are certain."""
    output = create_model("Output", __config__=ConfigDict(strict=strict), x=(kind, ...))
    reader = read_model(output)
    reading = Reading(Schema(output_schema(output)), reader, reader)
    certain = 0
    for value in VALUES:
        said = reading.reads(reading.schema.root, {"x": value}, reading.start)
        certain += said is not None
        try:
            output.model_validate_json(json.dumps({"x": value}))
        except ValidationError:
            assert said is not True, value
        else:
            assert said is not False, value
    assert certain > len(VALUES) / 3
