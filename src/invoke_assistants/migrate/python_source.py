"""Write the Python source, in the layout of ruff and black, which an export without output models must have as well."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..types import JSONObject
from .model_source import LINE

__all__ = ["bound_names", "format_declaration", "format_literal", "format_module", "format_prose"]

OPENING = '"""Assistants, declared from an export of the Assistants API by `inv asst.migrate`."""'


def format_module(models: str, declarations: Sequence[str], variables: Sequence[str]) -> str:
    """The module: imports, output models, declarations, and the list of them."""
    imports, body = _split_imports(models)
    listed = f"ASSISTANTS = {_format_sequence('[', list(variables), ']', 0, len('ASSISTANTS = '))}"
    head = f"{OPENING}\n\nfrom __future__ import annotations\n\n{_format_imports(imports)}\n"
    parts = [f"\n\n{body}\n"] if body else []
    between = "\n\n" if body else "\n"
    return head + "".join(parts) + between + "\n\n".join([*declarations, listed]) + "\n"


def _split_imports(source: str) -> tuple[list[ast.ImportFrom], str]:
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)]
    after = nodes[-1].end_lineno or 0 if nodes else 0
    body = "\n".join(source.split("\n")[after:]).strip("\n") if nodes else ""
    return [node for node in nodes if node.module != "__future__"], body


def _format_imports(nodes: Iterable[ast.ImportFrom]) -> str:
    ours = ast.ImportFrom("invoke_assistants", [ast.alias("Assistant")], 0)
    found = sorted([*nodes, ours], key=lambda node: str(node.module))
    groups = [[node for node in found if (node.module in sys.stdlib_module_names) is standard] for standard in (True, False)]
    return "\n\n".join("\n".join(map(_format_import, group)) for group in groups if group)


def _format_import(node: ast.ImportFrom) -> str:
    line = ast.unparse(node)
    if len(line) <= LINE:
        return line
    names = "".join(f"    {ast.unparse(alias)},\n" for alias in node.names)
    return f"from {node.module} import (\n{names})"


def format_declaration(variable: str, slug: str, output: str | None, options: JSONObject, remark: str | None) -> str:
    """The statement that declares an assistant, below the remark as a comment."""
    lines = [f"# {_escape(remark)}"] if remark else []
    lines += [f"{variable} = Assistant(", f"    {format_literal(slug)},"]
    if output:
        lines.append(f"    output={output},")
    for key in ("model", "description", "instructions", "tools", "reasoning", "metadata"):
        if key in options:
            value = options[key]
            format_value = format_prose if isinstance(value, str) else format_literal
            lines.append(f"    {key}={format_value(value, 4, len(key) + 1)},")
    return "\n".join([*lines, ")"])


def bound_names(source: str) -> set[str]:
    """The names that a module of generated models binds, its imports included."""
    found = {"annotations"}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ClassDef):
            found.add(node.name)
    return found


def format_prose(value: str, indent: int = 0, before: int = 0) -> str:
    """A string literal: triple-quoted if it has several lines, in parts if it is one long line.

    Args:
        before: characters in front of it on its line, beside the indent.
    """
    if "\n" in value.strip("\n"):
        return _triple_quoted(value)
    whole = _quote(value)
    if indent + before + len(whole) < LINE:
        return whole
    pad = " " * (indent + 4)
    parts = [_quote(part) for part in _cut(value, LINE - indent - 6)]
    return "(\n" + "".join(f"{pad}{part}\n" for part in parts) + " " * indent + ")" if len(parts) > 1 else whole


def _cut(value: str, room: int) -> list[str]:
    """Cut a text behind spaces, so that each part fits into a line if its words do."""
    parts = [""]
    for word in re.findall(r"\S*\s+|\S+", value):
        if parts[-1] and len(_quote(parts[-1] + word)) > room + 2:
            parts.append("")
        parts[-1] += word
    return parts


def _triple_quoted(value: str) -> str:
    body = "\n".join(_escape(line) for line in value.split("\n"))
    body = re.sub(r" +$", lambda found: found[0][:-1] + "\\x20", body, flags=re.M)  # editors strip them
    body = re.sub(r'"{3,}|"+\Z', lambda found: '\\"' * len(found[0]), body)
    return f'"""\\\n{body}"""'


def _escape(value: str) -> str:
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in value)


def _quote(value: str) -> str:
    quote = "'" if value.count('"') > value.count("'") else '"'
    return quote + _escape(value).replace(quote, "\\" + quote) + quote


def format_literal(value: Any, indent: int = 0, before: int = 0) -> str:
    """A literal for JSON: on one line if it fits, else one item a line."""
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, Mapping):
        keys = [f"{_quote(key)}: " for key in value]
        items = [f"{key}{format_literal(item, indent + 4, len(key))}" for key, item in zip(keys, value.values(), strict=True)]
        return _format_sequence("{", items, "}", indent, before)
    if isinstance(value, list):
        return _format_sequence("[", [format_literal(item, indent + 4) for item in value], "]", indent, before)
    return repr(value)


def _format_sequence(opening: str, items: list[str], closing: str, indent: int, before: int) -> str:
    line = f"{opening}{', '.join(items)}{closing}"
    if not items or ("\n" not in line and indent + before + len(line) < LINE):
        return line
    pad = " " * (indent + 4)
    return opening + "\n" + "".join(f"{pad}{item},\n" for item in items) + " " * indent + closing
