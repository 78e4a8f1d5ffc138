"""The generated parts of the reference: ``python docs/reference.py`` brings them up to date with the code.

Commands come from the tasks, the parameters from ``Declaration``, errors from their classes, and the table of types from
what the strict schema says of each. A page holds a part between ``<!-- name -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import io
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from invoke import Collection, Program
from pydantic import BaseModel, Field, create_model

import invoke_assistants
from invoke_assistants import errors, tasks, testing
from invoke_assistants.declare.declaration import OVERRIDES, Declaration
from invoke_assistants.declare.strict_schema import lint, output_schema
from invoke_assistants.tasks.program import make_program

REFERENCE = Path(__file__).parent / "reference"


def commands() -> str:
    """The help of every task, as it is printed."""
    lines = []
    for name in sorted(tasks.ns.tasks):
        lines += [f"## asst.{name}", "", "```text", help_of(name), "```", ""]
    return "\n".join(lines).rstrip()


def module_commands() -> str:
    """The help of the verbs that ``python -m invoke_assistants`` has beside those of ``inv``."""
    names = sorted({*make_program().namespace.tasks} - {*tasks.ns.tasks})
    return "\n\n".join(f"### {name}\n\n```text\n{printed_help(make_program(), name)}\n```" for name in names)


def help_of(name: str) -> str:
    """What ``inv --help asst.NAME`` prints."""
    return printed_help(Program(namespace=Collection(tasks.ns), name="inv", binary="inv"), f"asst.{name}")


def printed_help(program: Program, name: str) -> str:
    """What a program prints as the help of one of its tasks."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        program.run(["inv", "--help", name], exit=False)
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


def parameters() -> str:
    """Every parameter of ``Assistant``."""
    said = dict(re.findall(r"^    (\w+): (.*(?:\n     .*)*)", inspect.getdoc(Declaration) or "", re.M))
    lines = ["| parameter | default | what it is | may differ per environment |", "|---|---|---|---|"]
    for field in dataclasses.fields(Declaration):
        if field.default is not dataclasses.MISSING:
            default = f"`{field.default!r}`"
        else:
            default = "`{}`" if field.default_factory is not dataclasses.MISSING else "required"
        what = " ".join(said[field.name].split()).replace("``", "`").replace("|", "\\|")
        lines.append(f"| `{field.name}` | {default} | {what} | {'yes' if field.name in OVERRIDES else ''} |")
    return "\n".join(lines)


def exceptions() -> str:
    """Every public error and warning with its sentence, base, exit code, and attributes."""
    lines = ["| error | is a | exit code | when |", "|---|---|---|---|"]
    for name in errors.__all__:
        kind = getattr(errors, name)
        sentence = " ".join((kind.__doc__ or "").split("\n\n")[0].split()).replace("``", "`")
        code = getattr(kind, "exit_code", "–")
        lines.append(f"| `{name}` | `{kind.__base__.__name__}` | {code} | {sentence} |")
    return "\n".join(lines)


def names() -> str:
    """The public names of the package but the errors, each with its signature, its members and their docstrings."""
    found = {name: getattr(invoke_assistants, name) for name in invoke_assistants.__all__ if not hasattr(errors, name)}
    return "\n\n".join(entry(name, value) for name, value in found.items())


def testing_names() -> str:
    """The names that an app's tests use."""
    return "\n\n".join(entry(name, getattr(testing, name)) for name in testing.__all__ if name != "Prompt")


def entry(name: str, value: Any) -> str:
    """A public name: a class with its public members, or a function."""
    parts = [f"### {name}", prose(value)]
    if not inspect.isclass(value):
        parts.insert(1, f"`{name}{signature(value)}`")
    for member, part in vars(value).items() if inspect.isclass(value) else ():
        if not member.startswith("_") and (inspect.isfunction(part) or isinstance(part, property)):
            shown = (
                f"{member}{signature(part)}"
                if inspect.isfunction(part)
                else f"{member}: {signature(part.fget).partition('-> ')[2]}"
            )
            parts += [f"#### {name}.{member}", f"`{shown}`", prose(part)]
    return "\n\n".join(parts)


class Written:
    """An annotation as it is written in the source, which ``inspect`` would put into quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def signature(function: Any) -> str:
    """A signature as it is written, without ``self``."""
    found = inspect.signature(function)
    parameters = [each for each in found.parameters.values() if each.name != "self"]
    return str(
        found.replace(
            parameters=[each.replace(annotation=Written(each.annotation)) for each in parameters],
            return_annotation=Written(found.return_annotation),
        )
    )


def prose(value: Any) -> str:
    """A docstring as Markdown: its sections become lists."""
    text = (inspect.getdoc(value) or "").replace("``", "`")
    text = re.sub(
        r"^    (\w[\w, ]*): (.*(?:\n     .*)*)", lambda found: f"- `{found[1]}`: {' '.join(found[2].split())}", text, flags=re.M
    )
    text = re.sub(r"^(Args|Raises|Attributes):$", r"\1:\n", text, flags=re.M)
    return re.sub(
        r"^- `([\w]+(?:, [\w]+)+)`",
        lambda found: f"- {', '.join(f'`{each}`' for each in found[1].split(', '))}",
        text,
        flags=re.M,
    )


class Suit(enum.StrEnum):
    """An enum."""

    HEARTS = "hearts"
    SPADES = "spades"


class Card(BaseModel):
    """A model."""

    suit: Suit
    next: Card | None = None


class Ace(BaseModel):
    """A branch of a union."""

    kind: Literal["ace"]


class King(BaseModel):
    """Another one."""

    kind: Literal["king"]


class Loose(BaseModel, extra="allow"):
    """A model that takes extra fields."""

    suit: str


# Each type as it is written, what it is, and what to use where strict structured outputs refuse it.
TYPES: list[tuple[str, Any, str]] = [
    ("str", str, ""),
    ("int", int, ""),
    ("float", float, ""),
    ("bool", bool, ""),
    ("X | None", str | None, ""),
    ("X | Y", int | str, ""),
    ('Literal["a", "b"]', Literal["a", "b"], ""),
    ("enum.Enum, StrEnum, IntEnum", Suit, ""),
    ("list[X]", list[str], ""),
    ("a model, also recursive", Card, ""),
    ("a dataclass", dataclasses.make_dataclass("Point", [("x", int)]), ""),
    ("a union with a discriminator", Annotated[Ace | King, Field(discriminator="kind")], ""),
    ("Field(min_length=…, max_length=…) of a string or a list", Annotated[str, Field(min_length=1, max_length=9)], ""),
    ("Field(ge=…, gt=…, le=…, lt=…, multiple_of=…)", Annotated[int, Field(ge=0, lt=10, multiple_of=2)], ""),
    ("Field(pattern=…)", Annotated[str, Field(pattern="^[A-Z]{3}$")], ""),
    ("datetime, date, time, timedelta", dt.datetime, ""),
    ("uuid.UUID", uuid.UUID, ""),
    ("Decimal", decimal.Decimal, ""),
    ("HttpUrl, AnyUrl", pydantic.HttpUrl, "a `str`; a validator may check it"),
    ("dict[str, X]", dict[str, int], "a `list` of a model with a key and a value"),
    ("dict", dict, "a model that names every field"),
    ("Any, object", Any, "a union of what it can be"),
    ("tuple[X, Y]", tuple[int, str], "a model with a field for each"),
    ("tuple[X, …]", tuple[int, ...], ""),
    ("set[X], frozenset[X]", set[str], "a `list`, which the app turns into a `set`"),
    ("bytes", bytes, "a `str` in base64"),
    ("a model with extra=\"allow\"", Loose, "a model that names every field"),
]  # fmt: skip


def problems_of(kind: Any) -> list[str]:
    """What strict structured outputs refuse in a model with one field of this type."""
    model = create_model("Model", field=(kind, ...))
    try:
        return lint(output_schema(model), "Model")
    except errors.DeclarationError as error:
        return [str(error)]


def types() -> str:
    """Which types of fields an output model may have."""
    lines = ["| type of a field | taken | use instead |", "|---|---|---|"]
    for written, kind, instead in TYPES:
        found = problems_of(kind)
        name = written if written.startswith("a ") else f"`{written}`"
        reason = re.sub(r"^\S+ ", "", found[0]).split(" (")[0].split("; ")[0] if found else ""
        lines.append(f"| {name.replace('|', chr(92) + '|')} | {f'no: {reason}' if found else 'yes'} | {instead} |")
    return "\n".join(lines)


PARTS: dict[str, list[Callable[[], str]]] = {
    "commands.md": [commands, module_commands],
    "assistant.md": [parameters],
    "errors.md": [exceptions],
    "api.md": [names, testing_names],
    "types.md": [types],
}


def pages() -> Iterator[tuple[Path, str]]:
    """Each page with generated parts, and its text as the code is now."""
    for name, parts in PARTS.items():
        path = REFERENCE / name
        text = path.read_text()
        for make in parts:
            block = f"<!-- {make.__name__} -->\n{make()}\n<!-- end -->"
            text = re.sub(rf"<!-- {make.__name__} -->.*?<!-- end -->", lambda _, block=block: block, text, flags=re.S)
        yield path, text


if __name__ == "__main__":
    for path, text in pages():
        path.write_text(text)
