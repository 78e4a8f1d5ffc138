"""The Python source: declarations as somebody would have written them, in the layout of ruff's and black's formatters."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..types import JSONObject
from .model_source import LINE

__all__ = ["bound", "declaration", "literal", "module", "text"]

OPENING = '"""Assistants, declared from an export of the Assistants API by `inv asst.migrate`."""'
ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def module(models: str, declarations: Sequence[str], variables: Sequence[str]) -> str:
    """A whole module: imports, output models, declarations, and the list of them."""
    imports, body = _split(models)
    listed = f"ASSISTANTS = {_sequence('[', list(variables), ']', 0, len('ASSISTANTS = '))}"
    head = f"{OPENING}\n\nfrom __future__ import annotations\n\n{_imports(imports)}\n"
    parts = [f"\n\n{body}\n"] if body else []
    between = "\n\n" if body else "\n"
    return head + "".join(parts) + between + "\n\n".join([*declarations, listed]) + "\n"


def _split(source: str) -> tuple[list[ast.ImportFrom], str]:
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)]
    after = nodes[-1].end_lineno or 0 if nodes else 0
    body = "\n".join(source.split("\n")[after:]).strip("\n") if nodes else ""
    return [node for node in nodes if node.module != "__future__"], body


def _imports(nodes: Iterable[ast.ImportFrom]) -> str:
    ours = ast.ImportFrom("invoke_assistants", [ast.alias("Assistant")], 0)
    found = sorted([*nodes, ours], key=lambda node: str(node.module))
    groups = [[node for node in found if (node.module in sys.stdlib_module_names) is standard] for standard in (True, False)]
    return "\n\n".join("\n".join(map(_import, group)) for group in groups if group)


def _import(node: ast.ImportFrom) -> str:
    line = ast.unparse(node)
    if len(line) <= LINE:
        return line
    names = "".join(f"    {ast.unparse(alias)},\n" for alias in node.names)
    return f"from {node.module} import (\n{names})"


def declaration(variable: str, slug: str, output: str | None, options: JSONObject, remark: str | None) -> str:
    """The statement that declares an assistant, under a comment where there is something to remark."""
    lines = [f"# {_escaped(remark)}"] if remark else []
    lines += [f"{variable} = Assistant(", f"    {literal(slug)},"]
    if output:
        lines.append(f"    output={output},")
    for key in ("model", "description", "instructions", "tools", "reasoning", "metadata"):
        if key in options:
            value = options[key]
            shown = text(value, 4, len(key) + 1) if isinstance(value, str) else literal(value, 4, len(key) + 1)
            lines.append(f"    {key}={shown},")
    return "\n".join([*lines, ")"])


def bound(source: str) -> set[str]:
    """The names that a module of generated models binds, those of its imports included."""
    found = {"annotations"}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ClassDef):
            found.add(node.name)
    return found


def text(value: str, indent: int = 0, before: int = 0) -> str:
    """A literal for prose: triple-quoted where it has lines, in parts where it is one long line."""
    if "\n" in value.strip("\n"):
        return _lines(value)
    whole = _quoted(value)
    if indent + before + len(whole) < LINE:
        return whole
    pad = " " * (indent + 4)
    parts = [_quoted(part) for part in _parts(value, LINE - indent - 6)]
    return "(\n" + "".join(f"{pad}{part}\n" for part in parts) + " " * indent + ")" if len(parts) > 1 else whole


def _parts(value: str, room: int) -> list[str]:
    """A text cut behind spaces, so that each part fits into a line where its words do."""
    parts = [""]
    for word in re.findall(r"\S*\s+|\S+", value):
        if parts[-1] and len(_quoted(parts[-1] + word)) > room + 2:
            parts.append("")
        parts[-1] += word
    return parts


def _lines(value: str) -> str:
    body = "\n".join(_escaped(line) for line in value.split("\n"))
    body = re.sub(r" +$", lambda found: found[0][:-1] + "\\x20", body, flags=re.M)  # editors strip spaces at the end of lines
    body = re.sub(r'"{3,}|"+\Z', lambda found: '\\"' * len(found[0]), body)
    return f'"""\\\n{body}"""'


def _escaped(value: str) -> str:
    return "".join(ESCAPES.get(c) or (c if c.isprintable() else _code(c)) for c in value)


def _code(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _quoted(value: str) -> str:
    quote = "'" if value.count('"') > value.count("'") else '"'
    return quote + _escaped(value).replace(quote, "\\" + quote) + quote


def literal(value: Any, indent: int = 0, before: int = 0) -> str:
    """A literal for JSON: on one line where it fits, else one item a line."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        keys = [f"{_quoted(key)}: " for key in value]
        items = [f"{key}{literal(item, indent + 4, len(key))}" for key, item in zip(keys, value.values(), strict=True)]
        return _sequence("{", items, "}", indent, before)
    if isinstance(value, list):
        return _sequence("[", [literal(item, indent + 4) for item in value], "]", indent, before)
    return repr(value)


def _sequence(opening: str, items: list[str], closing: str, indent: int, before: int) -> str:
    line = f"{opening}{', '.join(items)}{closing}"
    if not items or ("\n" not in line and indent + before + len(line) < LINE):
        return line
    pad = " " * (indent + 4)
    return opening + "\n" + "".join(f"{pad}{item},\n" for item in items) + " " * indent + closing
