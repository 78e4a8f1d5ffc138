"""From the text of an answer to the app's output: whatever the app's own code does there, the answer is not lost."""

from __future__ import annotations

import json

import pytest
from conftest import Host
from pydantic import BaseModel, field_validator

from invoke_assistants.ask.parsing import ParseError, parse_answer

OWN_CODE = """
from pydantic import BaseModel, field_serializer, field_validator
from invoke_assistants import Assistant

class Checked(BaseModel):
    text: str

    @field_validator("text")
    def check(cls, value):
        raise KeyError("last")

class Shown(BaseModel):
    text: str

    @field_serializer("text")
    def show(self, value):
        raise LookupError("no words")

ASSISTANTS = [
    Assistant("checked", output=Checked, model="m", instructions="Do it."),
    Assistant("shown", output=Shown, model="m", instructions="Do it."),
]
"""


class Checked(BaseModel):
    """Reads no answer."""

    text: str

    @field_validator("text")
    @classmethod
    def check(cls, value: str) -> str:
        """Fail as a program does that has an error in it."""
        return {"first": value}["last"]


def test_what_the_models_own_code_raises_is_an_answer_that_does_not_fit() -> None:
    """Pydantic passes on all but a ValueError; the exception is the cause, for whoever looks for the error in it."""
    with pytest.raises(ParseError, match="^its own code raised KeyError: 'last'$") as failed:
        parse_answer(Checked, '{"text": "x"}')
    assert isinstance(failed.value.__cause__, KeyError)
    assert not failed.value.structural


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("checked", "the answer does not fit Checked: its own code raised KeyError: 'last'; .answer holds it as it came"),
        ("shown", "shown: the output cannot be shown as JSON: Error calling function `show`: LookupError: no words"),
    ],
)
def test_a_run_says_what_the_models_own_code_raised(local_host: Host, name: str, said: str) -> None:
    """One line with what was raised, exit 1, and with --json one document that holds the answer."""
    local_host.declare(OWN_CODE)
    assert local_host.inv("asst.create").code == 0
    failed = local_host.inv("asst.run", name, "Do it.", "--json")
    assert failed.code == 1
    found = json.loads(failed.out)
    assert said in found["error"]
    assert "sample" in found["answer"]
