"""Map the fields of an old assistant to a declaration: each is carried over, changed, or dropped.

What the notes say about the Agents API comes from the types of openai-python 3.54: `types/beta/agent_create_params.py`,
`persisted_agent_tool_param.py` and `text_format_param.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..declare.declaration import USER_PAIRS
from ..declare.tags import RESERVED
from ..errors import DeclarationError
from ..types import JSONObject

__all__ = ["Draft", "FieldNote", "Format", "Outcome", "map_fields"]

Outcome = Literal["carried", "changed", "dropped"]

NO_TOOL = "the Agents API has no such tool"
_KINDS = {"str": "a string", "list": "a list", "dict": "a JSON object"}
VALUE_LENGTH = 120  # characters of a value that a note shows


@dataclass(frozen=True)
class FieldNote:
    """What became of one field of one assistant. ``name`` is None for a note about the whole export."""

    name: str | None
    field: str
    outcome: Outcome
    note: str


@dataclass(frozen=True)
class Format:
    """A response format of the type json_schema."""

    name: str
    schema: JSONObject


@dataclass
class Draft:
    """A declaration in the making.

    Args:
        label: what people know the old assistant by.
        name: what it was called; ``rename`` gives it the declaration's name.
        options: the arguments of ``Assistant`` beside name and output.
        remark: a comment above the declaration.
        format: from which the output model is made.
        notes: what became of the fields so far.
    """

    label: str
    name: str = ""
    options: JSONObject = field(default_factory=dict)
    remark: str | None = None
    format: Format | None = None
    notes: list[FieldNote] = field(default_factory=list)

    def note(self, field: str, outcome: Outcome, note: str) -> None:
        """Note what became of a field: ``carried`` with its meaning, ``changed``, or ``dropped`` without a successor."""
        self.notes.append(FieldNote(None, field, outcome, note))

    def rename(self, name: str) -> None:
        """Give the declaration its name; the old one stays in its description or in a comment."""
        if self.name == name:
            self.note("name", "carried", name)
        elif not self.name.strip():
            self.note("name", "changed", f"it has none, and is called {name}")
        else:
            self.note("name", "changed", f"{self.name!r} is {name} now")
            if self.options.setdefault("description", self.name) != self.name:
                self.remark = f"Was {self.name!r}."
        self.notes.insert(0, self.notes.pop())

    def notes_for(self, name: str) -> list[FieldNote]:
        """The notes, under the name of the assistant."""
        return [replace(note, name=name) for note in self.notes]


def map_fields(item: Mapping[str, Any], label: str) -> Draft:
    """Make a draft of an assistant object.

    Raises:
        DeclarationError: a field is broken; the message says which, and how.
    """
    draft = Draft(label)
    given = {key: value for key, value in item.items() if value is not None}  # null means absent
    for key, read in _READERS.items():
        if key in given:
            read(draft, given[key])
    if "model" not in given:
        raise DeclarationError("model is missing")
    for key in given:
        if key not in _READERS and key != "object":
            draft.note(key, "dropped", f"no field of an assistant that is known here: {_short(given[key])}")
    return draft


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_LENGTH else text[:VALUE_LENGTH] + "…"


def _require(kind: type, value: Any, where: str) -> Any:
    if not isinstance(value, kind):
        raise DeclarationError(f"{where} must be {_KINDS[kind.__name__]}, not {_short(value)}")
    return value


def _name(draft: Draft, value: Any) -> None:
    draft.name = _require(str, value, "name")


def _id(draft: Draft, value: Any) -> None:
    draft.note("id", "dropped", f"{_require(str, value, 'id')}: instances are made anew and get ids of their own")


def _created_at(draft: Draft, value: Any) -> None:
    draft.note("created_at", "dropped", f"{_short(value)}: instances are made anew")


def _model(draft: Draft, value: Any) -> None:
    if not _require(str, value, "model").strip():
        raise DeclarationError("model is empty")
    draft.options["model"] = value
    draft.note("model", "carried", f"{value}, as it was; it may be retired by now, or not be offered to agents")


def _instructions(draft: Draft, value: Any) -> None:
    if _require(str, value, "instructions"):
        draft.options["instructions"] = value
        draft.note("instructions", "carried", "unchanged; the Agents API appends them to base instructions of its own")


def _description(draft: Draft, value: Any) -> None:
    if _require(str, value, "description"):
        draft.options["description"] = value
        draft.note("description", "carried", "for people: it is not sent")


def _tools(draft: Draft, value: Any) -> None:
    tools = []
    for index, tool in enumerate(_require(list, value, "tools")):
        where = f"tools[{index}]"
        kind = _require(dict, tool, where).get("type")
        if kind == "function":
            tools.append(_function(draft, tool, where))
        elif kind in ("code_interpreter", "file_search"):
            settings = f" (settings: {_short(tool[kind])})" if tool.get(kind) else ""
            draft.note(where, "dropped", f"{kind}: {NO_TOOL}{settings}")
        else:
            draft.note(where, "dropped", f"{_short(kind)}: no tool of an assistant that is known here")
    if tools:
        draft.options["tools"] = tools


def _function(draft: Draft, tool: Mapping[str, Any], where: str) -> JSONObject:
    function = _require(dict, tool.get("function"), f"{where}.function")
    name = _require(str, function.get("name"), f"{where}.function.name")
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
    _require(str, flat["description"], f"{where}.function.description")
    _require(dict, flat["parameters"], f"{where}.function.parameters")
    if function.get("strict") is not None:
        remarks.append(f"strict: {_short(function['strict'])} is left out, since such a tool of the Agents API has no such field")
    if odd := sorted(set(function) - {"name", "description", "parameters", "strict"}):
        remarks.append(f"left out, since unknown here: {', '.join(odd)}")
    if remarks:
        draft.note(where, "changed", f"function {name}: {'; '.join(remarks)}")
    else:
        draft.note(where, "carried", f"function {name}, in the flat form of the Agents API")
    return flat


def _tool_resources(draft: Draft, value: Any) -> None:
    for tool, resources in _require(dict, value, "tool_resources").items():
        for key, ids in resources.items() if isinstance(resources, dict) else ():
            if ids:
                listed = ", ".join(map(str, ids)) if isinstance(ids, list) else _short(ids)
                draft.note(
                    f"tool_resources.{tool}.{key}", "dropped", f"{listed}: a declaration has no files and no vector stores"
                )


def _reasoning_effort(draft: Draft, value: Any) -> None:
    draft.options["reasoning"] = {"effort": _require(str, value, "reasoning_effort")}
    draft.note("reasoning_effort", "carried", f'{value}, as reasoning={{"effort": …}}')


def _response_format(draft: Draft, value: Any) -> None:
    kind = value.get("type") if isinstance(value, dict) else value
    if kind in ("auto", "text"):
        draft.note("response_format", "carried", f"{kind}: answers are text, which is what a declaration without output has")
    elif kind == "json_object":
        draft.note(
            "response_format",
            "changed",
            "json_object: answers are text now, the Agents API has no JSON mode; give it an output model",
        )
    elif kind == "json_schema":
        _json_schema(draft, _require(dict, value.get("json_schema"), "response_format.json_schema"))
    else:
        raise DeclarationError(f"response_format is {_short(value)}; auto, text, json_object and json_schema are known")


def _json_schema(draft: Draft, value: Mapping[str, Any]) -> None:
    name = _require(str, value.get("name") or "", "response_format.json_schema.name")
    # The SDK's own model_dump() writes schema_, since its class has the field under that name.
    schema = value.get("schema") if value.get("schema") is not None else value.get("schema_")
    if schema is None:
        draft.note(
            "response_format", "changed", f"json_schema {name} has no schema: answers are text now; give it an output model"
        )
        return
    schema = dict(_require(dict, schema, "response_format.json_schema.schema"))
    if value.get("description"):
        text = _require(str, value["description"], "response_format.json_schema.description")
        if schema.setdefault("description", text) == text:
            draft.note(
                "response_format.json_schema.description",
                "changed",
                "it is the docstring of the output model now, and so in the schema",
            )
        else:
            draft.note("response_format.json_schema.description", "dropped", f"the schema has one of its own: {_short(text)}")
    if value.get("strict") is not True:
        draft.note(
            "response_format.json_schema.strict",
            "changed",
            "the schema of an output model is always strict: closed, all required",
        )
    draft.format = Format(name, schema)


def _metadata(draft: Draft, value: Any) -> None:
    for key, text in _require(dict, value, "metadata").items():
        _require(str, text, f"metadata[{_short(key)}]")
    free = {key: text for key, text in value.items() if not key.startswith(RESERVED)}
    kept = dict(list(free.items())[:USER_PAIRS])
    if kept:
        draft.options["metadata"] = kept
        draft.note("metadata", "carried", ", ".join(kept))
    for key, text in value.items():
        if key not in kept:
            why = (
                f"only {USER_PAIRS} pairs are free"
                if key in free
                else f"keys that begin with {RESERVED!r} are this package's own"
            )
            draft.note(f"metadata.{key}", "dropped", f"{_short(text)}: {why}")


def _sampling(key: str) -> Callable[[Draft, Any], None]:
    def read(draft: Draft, value: Any) -> None:
        draft.note(key, "dropped", f"{_short(value)}: an agent has no such setting")

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
