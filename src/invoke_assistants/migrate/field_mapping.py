"""What becomes of each field of an old assistant: carried over, changed, or dropped.

What is said about the Agents API is what the types of openai-python 3.54 have: `types/beta/agent_create_params.py`,
`persisted_agent_tool_param.py` and `text_format_param.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..declare.declaration import USER_PAIRS
from ..declare.tags import RESERVED
from ..errors import DeclarationError
from ..types import JSONObject

__all__ = ["Draft", "FieldNote", "Format", "Outcome", "draft"]

Outcome = Literal["carried", "changed", "dropped"]

NO_TOOL = "the Agents API has no such tool"
_KINDS = {"str": "a string", "list": "a list", "dict": "a JSON object"}
SHOWN = 120  # characters of a value in a note


@dataclass(frozen=True)
class FieldNote:
    """What became of one field of one assistant; ``name`` is None where it is about the whole export."""

    name: str | None
    field: str
    outcome: Outcome
    note: str


@dataclass(frozen=True)
class Format:
    """A json_schema response format: the name it has, and its schema."""

    name: str
    schema: JSONObject


@dataclass
class Draft:
    """An assistant on its way: what its declaration takes beside a name and an output, and what there is to tell."""

    label: str
    name: str = ""
    options: JSONObject = field(default_factory=dict)
    remark: str | None = None
    format: Format | None = None
    notes: list[tuple[str, Outcome, str]] = field(default_factory=list)

    def remote_digest(self, field: str, note: str) -> None:
        """A field means there what it meant here."""
        self.notes.append((field, "carried", note))

    def changed(self, field: str, note: str) -> None:
        """A field means something else there, or not all of it is there."""
        self.notes.append((field, "changed", note))

    def dropped(self, field: str, note: str) -> None:
        """A field has no successor in a declaration."""
        self.notes.append((field, "dropped", note))

    def rename(self, name: str) -> None:
        """Note what it is called from now on; what it was called stays where people find it."""
        if self.name == name:
            self.remote_digest("name", name)
        elif not self.name.strip():
            self.changed("name", f"it has none, and is called {name}")
        else:
            self.changed("name", f"{self.name!r} is {name} now")
            if self.options.setdefault("description", self.name) != self.name:
                self.remark = f"Was {self.name!r}."
        self.notes.insert(0, self.notes.pop())


def draft(item: Mapping[str, Any], label: str) -> Draft:
    """What a declaration takes of an assistant object.

    Raises:
        DeclarationError: a field is broken; the message says which, and how.
    """
    out = Draft(label)
    given = {key: value for key, value in item.items() if value is not None}  # absent and null meant the same
    for key, read in _READERS.items():
        if key in given:
            read(out, given[key])
    if "model" not in given:
        raise DeclarationError("model is missing")
    for key in given:
        if key not in _READERS and key != "object":
            out.dropped(key, f"no field of an assistant that is known here: {_short(given[key])}")
    return out


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _a(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, kind):
        raise DeclarationError(f"{where} must be {_KINDS[kind.__name__]}, not {_short(value)}")
    return value


def _name(out: Draft, value: Any) -> None:
    out.name = _a(str, value, "name")


def _id(out: Draft, value: Any) -> None:
    out.dropped("id", f"{_a(str, value, 'id')}: instances are made anew and get ids of their own")


def _created_at(out: Draft, value: Any) -> None:
    out.dropped("created_at", f"{_short(value)}: instances are made anew")


def _model(out: Draft, value: Any) -> None:
    if not _a(str, value, "model").strip():
        raise DeclarationError("model is empty")
    out.options["model"] = value
    out.remote_digest("model", f"{value}, as it was; it may be retired by now, or not be offered to agents")


def _instructions(out: Draft, value: Any) -> None:
    if _a(str, value, "instructions"):
        out.options["instructions"] = value
        out.remote_digest("instructions", "unchanged; the Agents API appends them to base instructions of its own")


def _description(out: Draft, value: Any) -> None:
    if _a(str, value, "description"):
        out.options["description"] = value
        out.remote_digest("description", "for people: it is not sent")


def _tools(out: Draft, value: Any) -> None:
    tools = []
    for index, tool in enumerate(_a(list, value, "tools")):
        where = f"tools[{index}]"
        kind = _a(dict, tool, where).get("type")
        if kind == "function":
            tools.append(_function(out, tool, where))
        elif kind in ("code_interpreter", "file_search"):
            settings = f" (settings: {_short(tool[kind])})" if tool.get(kind) else ""
            out.dropped(where, f"{kind}: {NO_TOOL}{settings}")
        else:
            out.dropped(where, f"{_short(kind)}: no tool of an assistant that is known here")
    if tools:
        out.options["tools"] = tools


def _function(out: Draft, tool: Mapping[str, Any], where: str) -> JSONObject:
    function = _a(dict, tool.get("function"), f"{where}.function")
    name = _a(str, function.get("name"), f"{where}.function.name")
    flat = {
        "type": "function",
        "name": name,
        "description": function.get("description"),
        "parameters": function.get("parameters"),
    }
    remarks = []
    if flat["description"] is None:
        flat["description"] = ""
        remarks.append("an empty description was added, which the type of such a tool requires")
    if flat["parameters"] is None:
        flat["parameters"] = {"type": "object", "properties": {}}
        remarks.append("empty parameters were added, which the type of such a tool requires")
    _a(str, flat["description"], f"{where}.function.description")
    _a(dict, flat["parameters"], f"{where}.function.parameters")
    if function.get("strict") is not None:
        remarks.append(f"strict: {_short(function['strict'])} is left out, since such a tool of the Agents API has no such field")
    if odd := sorted(set(function) - {"name", "description", "parameters", "strict"}):
        remarks.append(f"left out, since unknown here: {', '.join(odd)}")
    if remarks:
        out.changed(where, f"function {name}: {'; '.join(remarks)}")
    else:
        out.remote_digest(where, f"function {name}, in the flat form of the Agents API")
    return flat


def _tool_resources(out: Draft, value: Any) -> None:
    for tool, resources in _a(dict, value, "tool_resources").items():
        for key, ids in resources.items() if isinstance(resources, dict) else ():
            if ids:
                listed = ", ".join(map(str, ids)) if isinstance(ids, list) else _short(ids)
                out.dropped(f"tool_resources.{tool}.{key}", f"{listed}: a declaration has no files and no vector stores")


def _reasoning_effort(out: Draft, value: Any) -> None:
    out.options["reasoning"] = {"effort": _a(str, value, "reasoning_effort")}
    out.remote_digest("reasoning_effort", f'{value}, as reasoning={{"effort": …}}')


def _response_format(out: Draft, value: Any) -> None:
    kind = value.get("type") if isinstance(value, dict) else value
    if kind in ("auto", "text"):
        out.remote_digest("response_format", f"{kind}: answers are text, which is what a declaration without output has")
    elif kind == "json_object":
        out.changed(
            "response_format", "json_object: answers are text now, the Agents API has no JSON mode; give it an output model"
        )
    elif kind == "json_schema":
        _json_schema(out, _a(dict, value.get("json_schema"), "response_format.json_schema"))
    else:
        raise DeclarationError(f"response_format is {_short(value)}; auto, text, json_object and json_schema are known")


def _json_schema(out: Draft, value: Mapping[str, Any]) -> None:
    name = _a(str, value.get("name") or "", "response_format.json_schema.name")
    # The SDK's own model_dump() writes schema_, since its class has the field under that name.
    schema = value.get("schema") if value.get("schema") is not None else value.get("schema_")
    if schema is None:
        out.changed("response_format", f"json_schema {name} has no schema: answers are text now; give it an output model")
        return
    schema = dict(_a(dict, schema, "response_format.json_schema.schema"))
    if value.get("description"):
        text = _a(str, value["description"], "response_format.json_schema.description")
        if schema.setdefault("description", text) == text:
            out.changed(
                "response_format.json_schema.description", "it is the docstring of the output model now, and so in the schema"
            )
        else:
            out.dropped("response_format.json_schema.description", f"the schema has one of its own: {_short(text)}")
    if value.get("strict") is not True:
        out.changed("response_format.json_schema.strict", "the schema of an output model is always strict: closed, all required")
    out.format = Format(name, schema)


def _metadata(out: Draft, value: Any) -> None:
    for key, text in _a(dict, value, "metadata").items():
        _a(str, text, f"metadata[{_short(key)}]")
    free = {key: text for key, text in value.items() if not key.startswith(RESERVED)}
    kept = dict(list(free.items())[:USER_PAIRS])
    if kept:
        out.options["metadata"] = kept
        out.remote_digest("metadata", ", ".join(kept))
    for key, text in value.items():
        if key not in kept:
            why = (
                f"only {USER_PAIRS} pairs are free"
                if key in free
                else f"keys that begin with {RESERVED!r} are this package's own"
            )
            out.dropped(f"metadata.{key}", f"{_short(text)}: {why}")


def _sampling(key: str) -> Callable[[Draft, Any], None]:
    def read(out: Draft, value: Any) -> None:
        out.dropped(key, f"{_short(value)}: an agent has no such setting")

    return read


_READERS: dict[str, Callable[[Draft, Any], None]] = {
    "name": _name,
    "model": _model,
    "description": _description,
    "instructions": _instructions,
    "response_format": _response_format,
    "tools": _tools,
    "tool_resources": _tool_resources,
    "reasoning_effort": _reasoning_effort,
    "temperature": _sampling("temperature"),
    "top_p": _sampling("top_p"),
    "metadata": _metadata,
    "id": _id,
    "created_at": _created_at,
}
