"""Names for assistants, variables and classes, each unique where it stands."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Container

from ..types import SLUG

__all__ = ["class_name", "slug", "snake_case", "unique", "variable"]

MAX_LENGTH = 64  # characters of a slug


def slug(name: str) -> str:
    """The nearest slug to a name; empty if none of its characters can stay."""
    if SLUG.fullmatch(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_.-]+", "_", plain.lower()).lstrip("_.-")[:MAX_LENGTH].rstrip("_.-")


def snake_case(name: str) -> str:
    """A name with ``_`` between its CamelCase words: ``createRecipe``, ``HTTPServer``."""
    return re.sub(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)


def unique(name: str, taken: Container[str], max_length: int = MAX_LENGTH) -> str:
    """The name, with a suffix if it is taken."""
    out, number = name, 1
    while out in taken:
        number += 1
        out = f"{name[: max_length - len(str(number)) - 1]}_{number}"
    return out


def variable(slug: str, taken: Container[str]) -> str:
    """A variable for an assistant: a valid identifier, no keyword, no builtin, not taken."""
    name = re.sub(r"\W", "_", slug, flags=re.ASCII)
    if name[0].isdigit():
        name = f"assistant_{name}"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name):
        name += "_"
    return unique(name, taken, max_length=len(name) + MAX_LENGTH)


def class_name(*words: str) -> str:
    """A class name in CapWords; one that the module needs for itself gets ``Model`` at its end."""
    plain = unicodedata.normalize("NFKD", " ".join(words)).encode("ascii", "ignore").decode()
    parts = re.findall(r"[A-Za-z0-9]+", plain)
    name = "".join(part[0].upper() + part[1:] for part in parts) or "Output"
    name = f"Output{name}" if name[0].isdigit() else name
    return f"{name}Model" if name in RESERVED or keyword.iskeyword(name) or hasattr(builtins, name) else name


RESERVED = frozenset(
    [
        "Annotated",
        "Any",
        "Assistant",
        "ASSISTANTS",
        "AwareDatetime",
        "BaseModel",
        "ConfigDict",
        "Enum",
        "Field",
        "Literal",
        "RootModel",
        "UUID",
    ]
)
