"""The picture and the lists of the page about the architecture, made from the code: ``python docs/rooms.py``."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "invoke_assistants"
PAGE = Path(__file__).parent / "explanation" / "architecture.md"
MODULES = sorted(SOURCE.rglob("*.py"))
API = ("assistant",)  # modules of the root that use rooms, and that rooms above them use


def name_of(path: Path) -> str:
    """A module's name within the package: ``store.git``; a room's ``__init__`` has the room's."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


NAMES = {name_of(path) for path in MODULES}


def room_of(module: str) -> str:
    """The room of a module, or the module itself where it stands at the root."""
    return module.partition(".")[0]


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    """What a module imports, inside functions and for type checkers too: ``.store.git`` of the package, else ``tinydb``."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    package = path.relative_to(SOURCE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            whole = ".".join([*package[: len(package) - (node.level - 1)], *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                below = f"{whole}.{alias.name}".lstrip(".")
                yield f".{below if below in NAMES else whole or '__init__'}"
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)


def docstring(path: Path) -> str:
    """A module's docstring."""
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def rooms() -> dict[str, str]:
    """The sentence of each room, the lowest room first."""
    found = {path.parent.name: docstring(path) for path in MODULES if path.name == "__init__.py" and path.parent != SOURCE}
    return dict(sorted(found.items(), key=lambda item: (len(reachable(item[0])), item[0])))


@functools.cache
def uses(room: str) -> frozenset[str]:
    """What of the picture a room imports, or a module of the public API."""
    paths = [SOURCE / f"{room}.py"] if room in API else (SOURCE / room).glob("*.py")
    used = {room_of(name[1:]) for path in paths for name in imports(path) if name.startswith(".")}
    return frozenset(each for each in used if each in API or (SOURCE / each).is_dir()) - {room}


@functools.cache
def reachable(room: str) -> frozenset[str]:
    """The rooms that a room imports, directly or not."""
    return uses(room).union(*(reachable(each) for each in uses(room)))


def picture() -> str:
    """The rooms as a Mermaid graph; an arrow that others imply is left out."""
    arrows = []
    for room in (*rooms(), *API):
        implied = set[str]().union(*(reachable(each) for each in uses(room)))
        arrows += [f"    {room} --> {other}" for other in sorted(uses(room) - implied)]
    shapes = [f"    {each}([{each}.py])" for each in API]
    return "\n".join(["```mermaid", "graph TD", *shapes, *reversed(arrows), "```"])


def table() -> str:
    """What lives in each room, and what it may import."""
    lines = ["| room | what lives there | may import |", "|---|---|---|"]
    for room, text in reversed(rooms().items()):
        what, _, allowed = text.partition("\n\nMay import: ")
        lines.append(f"| `{room}/` | {what.replace('``', '`')} | {allowed.rstrip('.')} |")
    return "\n".join(lines)


def modules() -> str:
    """Every module with the first sentence of its docstring, room by room."""
    lines = []
    for room in ["", *reversed(rooms())]:
        lines.append(f"\n**{room or 'root'}**\n")
        for path in sorted((SOURCE / room).glob("*.py")):
            if path.name != "__init__.py" or not room:
                sentence = re.split(r"(?<=[.:])\s+(?=[A-Z`])|\n\n", docstring(path))[0].replace("\n", " ").replace("``", "`")
                lines.append(f"- `{path.relative_to(SOURCE)}`: {sentence}")
    return "\n".join(lines).strip()


def page() -> str:
    """The page with its generated parts as the code is now."""
    text = PAGE.read_text()
    for make in (picture, table, modules):
        block = f"<!-- {make.__name__} -->\n{make()}\n<!-- end -->"
        text = re.sub(rf"<!-- {make.__name__} -->.*?<!-- end -->", lambda _, block=block: block, text, flags=re.S)
    return text


if __name__ == "__main__":
    PAGE.write_text(page())
