"""The tables of edits on the page about compatibility, made by the code that judges them: ``python docs/compatibility.py``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoke_assistants.declare.compatibility import compare_schemas
from invoke_assistants.declare.reader import read_model
from invoke_assistants.declare.strict_schema import output_schema
from invoke_assistants.types import Compatibility

PAGE = Path(__file__).parent / "reference" / "compatibility.md"

# What the models of the table may use. `checked` is a type with a rule of the app's own.
NAMES = """\
import datetime as dt
from datetime import date, datetime, time
from typing import Annotated, Literal
from pydantic import AfterValidator, BaseModel, Field
def has_no_digits(text):
    if any(map(str.isdigit, text)):
        raise ValueError("no digits")
    return text
class Cat(BaseModel): kind: Literal["cat"]
class Dog(BaseModel): kind: Literal["dog"]; name: str
"""
ANSWER = "class Answer(BaseModel): "


@dataclass(frozen=True)
class Edit:
    """One edit of an output model: its title, the source of the old model and of the new one."""

    what: str
    old: str
    new: str

    def models(self) -> tuple[type[Any], type[Any]]:
        """The two output models."""
        return _model(self.old), _model(self.new)

    def compared(self) -> Compatibility:
        """What the edit does."""
        old, new = self.models()
        found = compare_schemas(
            output_schema(old), None if self.what.endswith(UNRECORDED) else read_model(old), output_schema(new), read_model(new)
        )
        assert found is not None, self.what
        return found


def _model(text: str) -> type[Any]:
    names: dict[str, Any] = {"__name__": "edits"}
    lines = [line if line.startswith("class ") else ANSWER + line for line in text.splitlines()]
    exec(compile("\n".join([NAMES, *lines]), "edits", "exec", dont_inherit=True), names)
    return names["Answer"]  # type: ignore[no-any-return]


# An edit is a title, the old model after `-`, the new one after `+`: the fields of `Answer`, or a class, a line.
COMPATIBLE = """
a field more
- text: str
+ text: str; hint: str
a field more that has a default
- text: str
+ text: str; hint: str = ""
a field less that had a default
- text: str; hint: str = ""
+ text: str
a value less
- level: Literal["easy", "hard"]
+ level: Literal["easy"]
a text becomes a choice
- level: str
+ level: Literal["easy", "hard"]
a bound
- score: int
+ score: Annotated[int, Field(ge=0)]
a pattern
- code: str
+ code: Annotated[str, Field(pattern="^[A-Z]{3}$")]
null no longer
- hint: str | None
+ hint: str
a branch less
- pet: Cat | Dog
+ pet: Cat
a number becomes whole
- score: float
+ score: int
a description
- text: str
+ text: Annotated[str, Field(description="One sentence.")]
another order of fields
- text: str; score: int
+ score: int; text: str
"""
BREAKING = """
a field less
- text: str; hint: str
+ text: str
a field more, extras forbidden
- class Answer(BaseModel, extra="forbid"): text: str
+ class Answer(BaseModel, extra="forbid"): text: str; hint: str = ""
null as well
- hint: str
+ hint: str | None
a value more
- level: Literal["easy"]
+ level: Literal["easy", "hard"]
a choice becomes a text
- level: Literal["easy", "hard"]
+ level: str
a bound is loosened
- score: Annotated[int, Field(le=10)]
+ score: Annotated[int, Field(le=100)]
longer lists
- choices: Annotated[list[str], Field(max_length=4)]
+ choices: list[str]
a pattern is dropped
- code: Annotated[str, Field(pattern="^[A-Z]{3}$")]
+ code: str
a format is dropped
- day: date
+ day: str
a branch more
- pet: Cat
+ pet: Cat | Dog
a whole number becomes any
- score: int
+ score: float
in a recursive model
- level: int; next: "Answer | None"
+ level: int | None; next: "Answer | None"
"""
EITHER_WAY = """
another pattern
- code: Annotated[str, Field(pattern="^[A-Z]{3}$")]
+ code: Annotated[str, Field(pattern="^[A-Z]{2,3}$")]
a bound beside a validator of the app's own
- name: Annotated[str, AfterValidator(has_no_digits)]
+ name: Annotated[str, AfterValidator(has_no_digits), Field(max_length=9)]
a field more, extras forbidden now, the old reader not recorded
- text: str
+ class Answer(BaseModel, extra="forbid"): text: str; hint: str
a pattern beside a pattern and a length
- code: Annotated[str, Field(pattern="^[a-z]+$")]
+ code: Annotated[str, Field(pattern="^[a-z]{1,5}$", max_length=5)]
a rename
- text: str
+ question: str
another type
- score: int
+ score: str
one becomes many
- choice: str
+ choice: list[str]
one value for another
- level: Literal["easy", "hard"]
+ level: Literal["easy", "tough"]
bounds that move
- score: Annotated[int, Field(ge=0, le=10)]
+ score: Annotated[int, Field(ge=1, le=11)]
another format
- at: date
+ at: time
one branch for another
- pet: Cat | str
+ pet: Dog | str
other steps
- score: Annotated[int, Field(multiple_of=2)]
+ score: Annotated[int, Field(multiple_of=3)]
"""
UNRECORDED = "the old reader not recorded"  # what a title ends with where the store does not say what the old reader does


def edits(text: str) -> list[Edit]:
    """The edits of a table."""
    found = re.findall(r"^(?![-+])(.+)\n((?:- .*\n)+)((?:\+ .*\n)+)", text, re.M)
    return [Edit(what, *(re.sub(r"^[-+] ", "", each, flags=re.M).strip() for each in models)) for what, *models in found]


def _code(text: str) -> str:
    return "<br>".join(f"`{line.replace('|', chr(92) + '|')}`" for line in text.splitlines())


def _table(text: str, first: int) -> str:
    lines = ["|  | edit | old | new | path: kind, verdict | why | order |", "|---|---|---|---|---|---|---|"]
    for number, edit in enumerate(edits(text), first):
        found = edit.compared()
        kinds = "<br>".join(f"`{each.path}`: {each.kind}, **{each.verdict}**" for each in found.changes)
        why = "<br>".join(each.why.replace("|", r"\|") for each in found.changes)
        order = found.order.replace("_", " ")
        lines.append(f"| {number} | {edit.what} | {_code(edit.old)} | {_code(edit.new)} | {kinds} | {why} | {order} |")
    return "\n".join(lines)


def compatible() -> str:
    """The edits that every running app survives."""
    return _table(COMPATIBLE, 1)


def breaking() -> str:
    """The edits that the running app does not survive."""
    return _table(BREAKING, 13)


def either_way() -> str:
    """The edits that cannot be decided, or that break both ways."""
    return _table(EITHER_WAY, 25)


def page() -> str:
    """The page with its generated parts as the code is now."""
    text = PAGE.read_text()
    for make in (compatible, breaking, either_way):
        block = f"<!-- {make.__name__} -->\n{make()}\n<!-- end -->"
        text = re.sub(rf"<!-- {make.__name__} -->.*?<!-- end -->", lambda _, block=block: block, text, flags=re.S)
    return text


if __name__ == "__main__":
    PAGE.write_text(page())
