"""An export of the old Assistants API becomes declarations: the source, the report, and what is refused."""

from __future__ import annotations

import copy
import importlib.util
import itertools
import json
import string
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from invoke.program import Program
from openai.types.beta.agent_create_params import AgentCreateParams
from openai.types.beta.assistant import Assistant as OldAssistant
from pydantic import TypeAdapter

from invoke_assistants import tasks
from invoke_assistants.assistant import Assistant
from invoke_assistants.config.environment import PLATFORMS, SHUT_DOWN
from invoke_assistants.declare.strict_schema import lint, output_schema
from invoke_assistants.errors import AsstError, DeclarationError
from invoke_assistants.migrate.migration import Migration, migrate
from invoke_assistants.migrate.names import class_name, slug, variable
from invoke_assistants.migrate.python_source import format_literal, format_prose
from invoke_assistants.migrate.report import format_report
from invoke_assistants.migrate.schema_comparison import differences
from invoke_assistants.tasks._migrate import read_export
from invoke_assistants.types import SLUG

TRIVIA = {
    "type": "object",
    "properties": {
        "topic": {"type": "string", "description": 'The topic, in a "few" words.'},
        "difficulty": {"$ref": "#/$defs/Difficulty"},
        "questions": {
            "type": "array",
            "description": "From easy to hard.",
            "minItems": 3,
            "maxItems": 3,
            "items": {
                "type": "object",
                "description": "One question.",
                "properties": {
                    "question": {"type": "string"},
                    "choices": {"type": "array", "items": {"type": "string", "description": "A possible answer."}},
                    "class": {"type": "string", "enum": ["sports", "arts & letters"]},
                    "points": {"type": "integer", "minimum": 1, "maximum": 5},
                    "a-hint": {"type": ["string", "null"], "description": "Null where it is obvious."},
                    "follow_up": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
                },
                "required": ["question", "choices", "class", "points", "a-hint", "follow_up"],
                "additionalProperties": False,
            },
        },
        "seconds": {"type": "number", "exclusiveMinimum": 0},
        "contact": {"type": "string", "format": "email"},
        "starts": {"type": "string", "format": "date-time"},
        "version": {"type": "string", "const": "2"},
    },
    "required": ["topic", "difficulty", "questions", "seconds", "contact", "starts", "version"],
    "additionalProperties": False,
    "$defs": {"Difficulty": {"type": "string", "enum": ["easy", "hard"], "description": "How hard it is."}},
}
WEATHER = {
    "name": "get_weather",
    "description": "The weather at a place.",
    "parameters": {
        "type": "object",
        "properties": {"place": {"type": "string"}, "precise": {"type": "boolean", "default": True}},
    },
}
INSTRUCTIONS = 'You create trivia games.\n\n- Three questions.  \n- Never "repeat" one: """no""" \\ no.\n\tTabs, too.\r\nEnd"'


def old(id: str, **fields: Any) -> dict[str, Any]:
    """An assistant as the list endpoint answered it."""
    return {
        "id": id, "object": "assistant", "created_at": 1_698_984_975, "name": None, "description": None, "model": "gpt-4o",
        "instructions": None, "tools": [], "top_p": 1.0, "temperature": 1.0, "tool_resources": {}, "metadata": {},
        "response_format": "auto", **fields,
    }  # fmt: skip


def formatted(schema: Any, name: str = "trivia_game", **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True, **more}}


MASTER = old(
    "asst_abc", name="Trivia Master", instructions=INSTRUCTIONS, temperature=0.7, metadata={"team": "games"},
    response_format=formatted(TRIVIA, description="A game."),
)  # fmt: skip
HELPER = old(
    "asst_def", name="weather-helper", model="o3-mini", description="Knows the weather.", reasoning_effort="low",
    instructions="Use the functions. " * 12,
    tools=[{"type": "code_interpreter"}, {"type": "function", "function": WEATHER},
           {"type": "function", "function": {"name": "get_time", "strict": True}}],
    tool_resources={"code_interpreter": {"file_ids": ["file-1", "file-2"]}},
)  # fmt: skip
READER = old(
    "asst_ghi", name="Handbuch für alle", description="Answers from the handbook.", instructions="Answer from the files.",
    tools=[{"type": "file_search", "file_search": {"max_num_results": 8, "ranking_options": {"score_threshold": 0.4}}}],
    tool_resources={"file_search": {"vector_store_ids": ["vs_1"]}}, response_format={"type": "text"},
)  # fmt: skip
NAMELESS = old("asst_JKL", instructions="Answer in JSON.", response_format={"type": "json_object"})
EXPORT = {"object": "list", "data": [MASTER, HELPER, READER, NAMELESS], "has_more": False}

_numbers = itertools.count()


def imported(source: str | None, folder: Path) -> ModuleType:
    """Write the source to a file, and import it as an app would."""
    assert source is not None
    name = f"migrated_{next(_numbers)}"
    path = folder / f"{name}.py"
    path.write_text(source, encoding="utf-8", newline="")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def outcomes(made: Migration, name: str | None) -> dict[str, tuple[str, str]]:
    return {note.field: (note.outcome, note.note) for note in made.fields if note.name == name}


def one(schema: Any, folder: Path, **more: Any) -> tuple[Any, tuple[str, str]]:
    """The strict schema of the output model made from a schema, and its note in the report."""
    made = migrate(old("asst_a", name="one", response_format=formatted(schema, **more)))
    assert made.errors == ()
    [assistant] = imported(made.source, folder).ASSISTANTS
    return output_schema(assistant.output), outcomes(made, "one")["response_format"]


def spelled(node: Any, root: Any, depth: int = 5) -> Any:
    """A schema without titles, with references resolved some objects deep, and one spelling of nulls and constants."""
    if isinstance(node, list):
        return [spelled(item, root, depth) for item in node]
    if not isinstance(node, dict):
        return node
    node = dict(node)
    while "$ref" in node:
        target = root
        for key in node.pop("$ref").split("/")[1:]:
            target = target[key]
        node = {**target, **node}
    if isinstance(node.get("type"), list):
        node["anyOf"] = [{"type": kind} for kind in node.pop("type")]
    out = {}
    for key in sorted(node.keys() - {"$defs", "title"}):
        if key == "properties":
            out[key] = [[name, spelled(entry, root, depth - 1) if depth else "deeper"] for name, entry in node[key].items()]
        elif key == "const":
            out["enum"] = [node[key]]
        else:
            out[key] = spelled(node[key], root, depth)
    return out


def test_the_fixture_is_what_the_old_api_answered() -> None:
    """Each object of the fixture fits the SDK's type."""
    for item in EXPORT["data"]:
        TypeAdapter(OldAssistant).validate_python(item)


def test_every_assistant_is_declared(tmp_path: Path) -> None:
    """The source can be imported, and declares each assistant with its old values."""
    made = migrate(EXPORT)
    assert made.errors == ()
    module = imported(made.source, tmp_path)
    master, helper, reader, nameless = module.ASSISTANTS
    assert all(isinstance(each, Assistant) for each in module.ASSISTANTS)
    assert [each.name for each in module.ASSISTANTS] == ["trivia_master", "weather-helper", "handbuch_fur_alle", "asst_jkl"]
    assert (module.trivia_master, module.weather_helper, module.asst_jkl) == (master, helper, nameless)
    assert (master.output, master.model, master.instructions) == (module.TriviaGame, "gpt-4o", INSTRUCTIONS)
    assert (master.description, dict(master.metadata), master.reasoning) == ("Trivia Master", {"team": "games"}, None)
    assert (helper.model, helper.description, dict(helper.reasoning)) == ("o3-mini", "Knows the weather.", {"effort": "low"})
    assert (helper.output, reader.output, nameless.output) == (None, None, None)
    assert helper.instructions == HELPER["instructions"]
    assert helper.payload("development")["tools"] == [
        {"type": "function", **WEATHER},
        {"type": "function", "name": "get_time", "description": "", "parameters": {"type": "object", "properties": {}}},
    ]
    assert "# Was 'Handbuch für alle'." in str(made.source)


def test_every_payload_fits_the_types_of_the_agents_api(tmp_path: Path) -> None:
    """The payload of each declaration fits the SDK's type of a create."""
    for assistant in imported(migrate(EXPORT).source, tmp_path).ASSISTANTS:
        TypeAdapter(AgentCreateParams).validate_python(assistant.payload("development"))


def test_the_output_model_has_the_schema_it_came_from(tmp_path: Path) -> None:
    """The same names in the same order, types, enums, limits, nulls and descriptions; nothing is refused."""
    schema, (outcome, note) = one(TRIVIA, tmp_path)
    assert spelled(schema, schema) == spelled(TRIVIA, TRIVIA)
    assert lint(schema) == []
    assert (outcome, note) == ("carried", "json_schema trivia_game, as the output model TriviaGame, with the same schema")


def test_each_field_is_told() -> None:
    """The report has the outcome of each field, with the value of those that are dropped."""
    made = migrate(EXPORT)
    master, helper, reader = (outcomes(made, name) for name in ("trivia_master", "weather-helper", "handbuch_fur_alle"))
    assert {field: outcome for field, (outcome, _) in master.items()} == {
        "name": "changed", "model": "carried", "instructions": "carried", "metadata": "carried", "temperature": "dropped",
        "top_p": "dropped", "id": "dropped", "created_at": "dropped", "response_format": "carried",
        "response_format.json_schema.description": "changed",
    }  # fmt: skip
    assert master["temperature"] == ("dropped", "0.7: an agent has no such setting")
    assert helper["tools[0]"] == ("dropped", "code_interpreter: the Agents API has no such tool")
    assert helper["tools[1]"] == ("carried", "function get_weather, in the flat form of the Agents API")
    assert helper["tools[2]"][0] == "changed"
    assert "strict" in helper["tools[2]"][1]
    assert helper["tool_resources.code_interpreter.file_ids"][1].startswith("file-1, file-2: ")
    assert helper["reasoning_effort"][0] == "carried"
    assert reader["tools[0]"][1].startswith("file_search: the Agents API has no such tool (settings: {")
    assert reader["tool_resources.file_search.vector_store_ids"][1].startswith("vs_1: ")
    assert outcomes(made, "asst_jkl")["response_format"][0] == "changed"


def test_the_kinds_of_tools_said_to_be_missing_are_missing() -> None:
    """The SDK's types of the Agents API have no code_interpreter, no file_search, no strict and no sampling."""
    schema = json.dumps(TypeAdapter(AgentCreateParams).json_schema())
    assert '"web_search"' in schema
    for word in ("code_interpreter", "file_search", "vector_store", "strict", "temperature", "top_p", "json_object"):
        assert word not in schema


@pytest.mark.parametrize("document", [EXPORT["data"], {"data": EXPORT["data"]}], ids=["list", "without object"])
def test_the_other_forms_of_an_export(document: Any) -> None:
    """A plain list and a dump of the SDK's page are read like the body of the endpoint; one object alone, too."""
    assert migrate(document) == migrate(EXPORT)
    assert migrate(MASTER).fields == migrate([MASTER]).fields


def test_a_dump_of_the_sdk_is_read() -> None:
    """model_dump() writes schema_ and nulls; that makes no difference."""
    dumped = TypeAdapter(OldAssistant).validate_python(MASTER).model_dump(mode="json")
    assert "schema_" in dumped["response_format"]["json_schema"]
    assert migrate(dumped) == migrate(MASTER)


def test_a_page_with_more_behind_it_is_told() -> None:
    """The report says that pages are missing, unless the last page is there, in whatever order."""
    first, last = ({**EXPORT, "data": [MASTER], "has_more": True}, {**EXPORT, "data": [HELPER], "has_more": False})
    for document in ({**EXPORT, "has_more": True}, [first, {**last, "has_more": True}]):
        assert outcomes(migrate(document), None)["has_more"][0] == "dropped"
    for document in ([first, last], [last, first]):
        assert outcomes(migrate(document), None) == {}


PAGES = [
    {**EXPORT, "data": [MASTER, HELPER], "first_id": "asst_abc", "last_id": "asst_def", "has_more": True},
    {**EXPORT, "data": [READER, NAMELESS], "first_id": "asst_ghi", "last_id": "asst_JKL", "has_more": True},
    {**EXPORT, "data": [], "first_id": None, "last_id": None, "has_more": False},
]


@pytest.mark.parametrize(
    "content",
    [
        "".join(map(json.dumps, PAGES)), "\n".join(json.dumps(page, indent=2) for page in PAGES) + "\n", json.dumps(PAGES),
        "\r\n".join(map(json.dumps, EXPORT["data"])), "".join(json.dumps([item]) for item in EXPORT["data"]),
        "\ufeff" + json.dumps([PAGES[0], *PAGES[1]["data"], PAGES[2]]),
    ],
    ids=["concatenated", "lines", "array", "objects", "lists", "mixed"],
)  # fmt: skip
def test_several_pages_are_one_export(tmp_path: Path, content: str) -> None:
    """Pages may follow each other in one file, be JSON Lines, or stand in an array."""
    path = tmp_path / "export.json"
    path.write_text(content, encoding="utf-8", newline="")
    assert migrate(read_export(path)) == migrate(EXPORT)


def test_what_two_pages_both_have_is_declared_once() -> None:
    """The report names an object that was fetched twice; one that changed in between is declared as well."""
    made = migrate([{"data": [MASTER, HELPER]}, {"data": [HELPER, {**MASTER, "model": "gpt-4.1"}]}])
    assert outcomes(made, None) == {"data": ("dropped", "weather-helper stands in it twice, and is declared once")}
    assert [note.name for note in made.fields if note.field == "name"] == ["trivia_master", "weather-helper", "trivia_master_2"]


def test_an_error_among_the_pages_is_told() -> None:
    """The answer to a failed request is no assistant, and is named as left out."""
    made = migrate([PAGES[0], {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}, PAGES[2]])
    assert made.errors == ("assistant 'data[2]' is left out: it is not an object of kind 'assistant'",)
    assert made.source == migrate([MASTER, HELPER]).source


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("createRecipe", "create_recipe"), ("CreateRecipe", "create_recipe"), ("HTTPServer", "http_server"),
        ("create_recipe", "create_recipe"), ("Create Recipe", "create_recipe"), ("recipeV2", "recipe_v2"),
        ("gpt4Helper", "gpt4_helper"), ("ÜbersetzeText", "ubersetze_text"), ("FAQ", "faq"),
        ("my-HTMLParser.v2", "my-html_parser.v2"),
        ("createRecipe " * 9, "create_recipe_create_recipe_create_recipe_create_recipe_create_r"),
    ],
)  # fmt: skip
def test_camel_case_becomes_snake_case(tmp_path: Path, name: str, expected: str) -> None:
    """The slug and the variable are what a Python programmer would have written."""
    module = imported(migrate(old("asst_a", name=name)).source, tmp_path)
    assert [each.name for each in module.ASSISTANTS] == [expected]
    if expected.isidentifier():
        assert vars(module)[expected] is module.ASSISTANTS[0]


def test_an_id_is_no_camel_case() -> None:
    """An assistant without a name gets its id in lower case."""
    assert migrate(old("asst_q7sXmLd2KP")).fields[0].note == "it has none, and is called asst_q7sxmld2kp"


QUOTES = [
    'One.\nSay """no"""',
    'One.\n"""',
    'One.\n"',
    'One.\n""""',
    'One.\n\\"""',
    'One.\n"" "',
    '"""\nOne.',
    'a\n"\n',
    "a\n'''",
]


@pytest.mark.parametrize("instructions", QUOTES)
def test_instructions_that_end_in_quotes_come_back_exactly(tmp_path: Path, instructions: str) -> None:
    """The module parses, and the instructions are the same."""
    made = migrate(old("asst_a", name="a", instructions=instructions))
    assert made.errors == ()
    assert imported(made.source, tmp_path).ASSISTANTS[0].instructions == instructions


def nested(levels: int) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": nested(levels - 1)} if levels else {}}


def test_nothing_is_called_carried_that_cannot_be_imported(tmp_path: Path) -> None:
    """An assistant whose source Python cannot parse is left out and named; the others are declared."""
    deep = {"type": "function", "function": {**WEATHER, "parameters": nested(120)}}
    made = migrate([MASTER, old("asst_b", name="deep", tools=[deep]), HELPER])
    [error] = made.errors
    assert error.startswith("assistant 'deep' is left out: the source made from the export cannot be imported: SyntaxError: ")
    assert [each.name for each in imported(made.source, tmp_path).ASSISTANTS] == ["trivia_master", "weather-helper"]
    assert not [note for note in made.fields if note.name == "deep" and note.outcome != "dropped"]


@pytest.mark.parametrize("name", ["s", "S", "_s", "assistants", "Assistants", "games", "fields"])
def test_a_list_of_objects_may_have_any_name(tmp_path: Path, name: str) -> None:
    """The items are a class of their own, whose name is not that of anything else in the module."""
    game = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
    schema = {
        "type": "object", "properties": {name: {"type": "array", "items": game}}, "required": [name],
        "additionalProperties": False,
    }  # fmt: skip
    made, (outcome, _) = one(schema, tmp_path, name="game")
    assert spelled(made, made) == spelled(schema, schema)
    assert outcome == "carried"


def test_names_are_unique_valid_and_keep_the_builtins(tmp_path: Path) -> None:
    """Duplicates get a suffix; keywords, builtins, imports and classes are no variables; slugs are slugs."""
    names = [
        "a b",
        "a_b",
        "A B",
        "class",
        "list",
        "match",
        "42",
        "x" * 200,
        "x" * 300,
        "日本",
        "annotations",
        "a.b",
        "Literal",
        "print",
    ]
    enum = {
        "type": "object",
        "properties": {"e": {"enum": ["a", "b"], "type": "string"}},
        "required": ["e"],
        "additionalProperties": False,
    }
    made = migrate([old(f"asst_{n}", name=name, response_format=formatted(enum)) for n, name in enumerate(names)])
    module = imported(made.source, tmp_path)
    slugs = [each.name for each in module.ASSISTANTS]
    assert slugs[:7] == ["a_b", "a_b_2", "a_b_3", "class", "list", "match", "42"]
    assert slugs[9] == "asst_9"
    assert len(set(slugs)) == len(names)
    assert all(SLUG.fullmatch(each) for each in slugs)
    assert (module.class_.name, module.list_.name, module.assistant_42.name) == ("class", "list", "42")
    assert not {"list", "print"} & vars(module).keys()


def test_class_names_do_not_clash(tmp_path: Path) -> None:
    """Equal schemas share a class. Other schemas of the same name, nested ones and reserved names get names of their own."""

    def game(**properties: Any) -> dict[str, Any]:
        return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}

    word = {"type": "string"}
    schemas = [
        ("game", game(question=game(a=word))), ("game", game(question=game(a=word))), ("game", game(question=game(b=word))),
        ("question", game(c=word)), ("Field", game(assistant=game(d=word), literal=game(e=word), base_model=game(f=word))),
        ("Assistant", game(field=game(g=word))), ("123", game(h=word)), ("", game(i=word)), ("str", game(j=word)),
    ]  # fmt: skip
    made = migrate([old(f"asst_{n}", name=f"a{n}", response_format=formatted(s, name)) for n, (name, s) in enumerate(schemas)])
    assistants = imported(made.source, tmp_path).ASSISTANTS
    assert assistants[0].output is assistants[1].output
    assert len({each.output for each in assistants}) == len(schemas) - 1
    assert assistants[2].output.__name__ == "A2Game"
    for (_, schema), each in zip(schemas, assistants, strict=True):
        assert spelled(output_schema(each.output), output_schema(each.output)) == spelled(schema, schema)


def test_metadata_that_has_no_room_is_dropped_and_told(tmp_path: Path) -> None:
    """The first 11 pairs stay. The report names the others and our own keys, with their values."""
    made = migrate(old("asst_a", name="a", metadata={"asst.name": "x", **{f"k{n}": str(n) for n in range(13)}}))
    [assistant] = imported(made.source, tmp_path).ASSISTANTS
    assert list(assistant.metadata) == [f"k{n}" for n in range(11)]
    told = outcomes(made, "a")
    assert {field for field in told if field.startswith("metadata.")} == {"metadata.asst.name", "metadata.k11", "metadata.k12"}


def test_a_schema_that_is_not_strict_is_changed_and_told(tmp_path: Path) -> None:
    """A property that may be left out may be null; the report says what strict structured outputs refuse."""
    schema = {
        "type": "object",
        "properties": {
            "word": {"type": "string"},
            "why": {"type": "string"},
            "more": {"type": "object", "additionalProperties": True},
        },
        "required": ["word", "more"],
    }
    made, (outcome, note) = one(schema, tmp_path, strict=False)
    assert made["properties"]["why"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert outcome == "changed"
    assert "null where it could be left out: TriviaGame.why" in note
    assert "strict structured outputs refuse it: TriviaGame.more: an open object" in note


def test_a_union_with_a_discriminator_is_carried_as_strict_mode_has_it(tmp_path: Path) -> None:
    """The model tells the kinds apart as before; the report says that the schema has anyOf."""

    def kind(name: str) -> dict[str, Any]:
        return {
            "type": "object", "properties": {"kind": {"type": "string", "const": name}}, "required": ["kind"],
            "additionalProperties": False,
        }  # fmt: skip

    pet = {"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}], "discriminator": {"propertyName": "kind"}}
    schema = {
        "type": "object", "properties": {"pet": pet}, "required": ["pet"], "additionalProperties": False,
        "$defs": {"Cat": kind("cat"), "Dog": kind("dog")},
    }  # fmt: skip
    made, (outcome, note) = one(schema, tmp_path)
    assert lint(made) == []
    assert outcome == "changed"
    assert note.endswith("; oneOf is anyOf, as strict structured outputs have it")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"minLength": 2}, {}), ({}, {"maxLength": 2}), ({"description": "a"}, {"description": "b"}),
        ({"enum": ["a", "b"]}, {"enum": ["b", "a"]}),
        ({"type": "integer"}, {"type": "number"}), ({"type": ["string", "null"]}, {}), ({"format": "date"}, {"format": "time"}),
    ],
)  # fmt: skip
def test_a_difference_is_found(before: dict[str, Any], after: dict[str, Any]) -> None:
    """A keyword that only one schema has, or that differs, is named with its field."""

    def schema(field: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"f": {"type": "string", **field}},
            "required": ["f"],
            "additionalProperties": False,
        }

    [found] = differences(schema(before), schema(after), "M")
    assert found.startswith("M.f: ")
    assert differences(schema(before), schema(before), "M") == []


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "model is missing"),
    ({"model": " "}, "model is empty"),
    ({"model": 4}, "model must be a string, not 4"),
    ({"instructions": ["a"]}, "instructions must be a string"),
    ({"name": 7}, "name must be a string"),
    ({"id": 7}, "id must be a string"),
    ({"description": {}}, "description must be a string"),
    ({"tools": {}}, "tools must be a list"),
    ({"tools": ["function"]}, "tools[0] must be a JSON object"),
    ({"tools": [{"type": "function"}]}, "tools[0].function must be a JSON object"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name must be a string"),
    ({"metadata": {"a": 1}}, 'metadata["a"] must be a string'),
    ({"reasoning_effort": 1}, "reasoning_effort must be a string"),
    ({"tool_resources": []}, "tool_resources must be a JSON object"),
    ({"response_format": {"type": "xml"}}, "response_format is "),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema must be a JSON object"),
    ({"response_format": formatted([])}, "response_format.json_schema.schema must be a JSON object"),
    ({"response_format": formatted({"type": "object", "properties": []})}, "properties must be a JSON object"),
    ({"response_format": formatted({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}})}, "leads to no definition"),
    ({"response_format": formatted({"type": "object", "properties": {"a": {"$ref": "/etc/hostname"}}})}, "leads"),
    ({"response_format": formatted({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/a.json"}}})}, "leads"),
    (
        {"response_format": formatted({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}})},
        "no output model",
    ),
    ({"response_format": formatted({"type": "objekt"})}, "there is no type 'objekt'"),
]


@pytest.mark.parametrize(("fields", "expected"), BROKEN, ids=[expected for _, expected in BROKEN])
def test_a_broken_assistant_does_not_take_the_others_with_it(tmp_path: Path, fields: dict[str, Any], expected: str) -> None:
    """The broken assistant is named with its error; the others are declared."""
    made = migrate([HELPER, {**old("asst_b", name="broken"), **fields}, MASTER])
    [error] = made.errors
    assert expected in error
    assert error.startswith(f"assistant {'asst_b' if 'name' in fields else 'broken'!r} is left out: ")
    assert [each.name for each in imported(made.source, tmp_path).ASSISTANTS] == ["weather-helper", "trivia_master"]
    assert any(note.field == "assistant" and note.outcome == "dropped" and expected in note.note for note in made.fields)


def test_the_source_is_as_ruff_formats_it(tmp_path: Path) -> None:
    """ruff's formatter changes nothing, and its linter finds nothing."""
    path = tmp_path / "assistants.py"
    path.write_text(str(migrate(EXPORT).source))
    for command in (["format", "--check"], ["check", "--select", "F,I,N,W,UP"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", path],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@settings(max_examples=examples(300))
@given(st.text() | st.text(alphabet="ab \"'\\\n\r\t{}\x00\u202e\ud800é", max_size=200), st.integers(0, 12))
def test_prose_comes_back_exactly(value: str, before: int) -> None:
    """The literal of any instructions is source that can be encoded, with exactly that value."""
    source = format_prose(value, 4, before)
    assert eval(f"({source})") == value
    assert "\r" not in source
    assert source.encode().decode() == source


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_json_comes_back_exactly(value: Any) -> None:
    """The literal of any JSON has exactly that value."""
    assert eval(format_literal(value)) == value


@given(st.text())
def test_any_name_becomes_a_slug(name: str) -> None:
    """A slug is valid or empty; the variable and the class made from the name are identifiers."""
    made = slug(name)
    assert made == "" or SLUG.fullmatch(made)
    assert variable(made or "x", set()).isidentifier()
    assert class_name(name).isidentifier()


FIELDS = [*old("asst_a"), "reasoning_effort", "file_ids"]
ODD = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4)


@settings(max_examples=examples(100), deadline=None)
@given(JSON | st.lists(ODD.map(lambda odd: {**copy.deepcopy(HELPER), **odd}), min_size=1, max_size=3))
def test_any_json_ends_in_source_or_in_one_line(document: Any) -> None:
    """Nothing but our own errors is raised; what is declared compiles."""
    try:
        made = migrate(document)
    except AsstError:
        return
    assert made.source or made.errors
    compile(made.source or "", "made", "exec")


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    """Strict schemas with all sorts of names, descriptions and enums."""
    words = st.text(min_size=1, max_size=8)
    names = st.sampled_from(
        ["class", "self", "schema", "model_config", "copy", "_a", "a-b", "str", "list", "BaseModel", "Field", "x"]
    )
    names |= st.sampled_from(["s", "assistants", "fields"])
    names = names | st.text(string.ascii_letters + " _-1é", min_size=1, max_size=6)
    described = st.fixed_dictionaries({}, optional={"description": words})

    def typed(**kind: Any) -> st.SearchStrategy[dict[str, Any]]:
        return described.map(lambda beside: {**kind, **beside})

    plain = typed(type="string") | typed(type="integer") | typed(type="boolean") | typed(type=["number", "null"])
    plain |= st.lists(words, min_size=1, max_size=3, unique=True).map(lambda values: {"type": "string", "enum": values})

    def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.dictionaries(names, inner, min_size=1, max_size=4).map(
            lambda entries: {
                "type": "object", "properties": entries, "required": list(entries), "additionalProperties": False,
            }
        )  # fmt: skip

    nested = st.recursive(
        plain, lambda inner: objects(inner) | inner.map(lambda item: {"type": "array", "items": item}), max_leaves=6
    )
    return objects(nested)


@settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(schemas())
def test_any_strict_schema_becomes_a_model_of_the_same_meaning(schema: dict[str, Any]) -> None:
    """The model that is made from a strict schema has the same schema."""
    made = migrate(old("asst_a", name="a", response_format=formatted(schema)))
    assert made.errors == ()
    outcome, note = outcomes(made, "a")["response_format"]
    assert (outcome, note) == ("carried", "json_schema trivia_game, as the output model TriviaGame, with the same schema")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export in a project without settings, key and app: none is needed."""
    (tmp_path / "tasks.py").write_text("from invoke_assistants.tasks import ns\n")
    path = tmp_path / "export.json"
    path.write_text(json.dumps(EXPORT))
    return path


def inv(export: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "invoke", "migrate", *args]
    done = subprocess.run(command, cwd=export.parent, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr, done.stderr
    return done


def run(capfdbinary: pytest.CaptureFixture[bytes], *args: str | Path) -> tuple[int, bytes, bytes]:
    """Run the task in this process; return its exit code, stdout and stderr."""
    code = 0
    try:
        Program(namespace=copy.deepcopy(tasks.ns)).run(["inv", "migrate", *map(str, args)])
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, *capfdbinary.readouterr()


def test_the_source_goes_to_stdout_and_the_report_to_stderr(export: Path) -> None:
    """A redirection makes a module. No file is written, and dropped fields are no failure."""
    before = sorted(export.parent.iterdir())
    done = inv(export, "export.json")
    assert done.returncode == 0
    assert done.stdout.decode() == migrate(EXPORT).source
    assert b"dropped  temperature" in done.stderr
    assert sorted(export.parent.iterdir()) == before


def test_a_new_file_is_written_and_an_old_one_is_not(export: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """With --to the report is on stdout; a file that exists stays as it is."""
    path = export.parent / "assistants.py"
    code, out, err = run(capfdbinary, export, "--to", path)
    assert (code, err) == (0, b"")
    assert path.read_text() == migrate(EXPORT).source
    assert b"dropped  temperature" in out
    assert out.endswith(b"then\n    inv asst.check\n")
    path.write_text("mine")
    code, out, err = run(capfdbinary, export, "--to", path)
    assert (code, out) == (1, b"")
    assert err.decode().splitlines() == [f"--to {path} exists already: name a new file"]
    assert path.read_text() == "mine"


def test_the_folder_of_a_new_file_is_made(export: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Missing folders are made; where that is impossible, one line says so."""
    path = export.parent / "app" / "bots" / "assistants.py"
    code, _, err = run(capfdbinary, export, "--to", path)
    assert (code, err) == (0, b"")
    assert path.read_text() == migrate(EXPORT).source
    code, out, err = run(capfdbinary, export, "--to", path / "more.py")
    assert (code, out) == (1, b"")
    assert err.decode().splitlines() == [f"--to {path / 'more.py'}: its folder cannot be made: File exists"]


def test_json_is_one_document(export: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The document has the source and every field, on failure too."""
    code, out, _ = run(capfdbinary, export, "--json")
    document = json.loads(out)
    assert code == 0
    assert {key: document[key] for key in ("command", "ok", "error", "rows")} == {
        "command": "migrate", "ok": True, "error": None, "rows": [],
    }  # fmt: skip
    assert document["source"] == migrate(EXPORT).source
    assert {"name": "trivia_master", "field": "top_p", "outcome": "dropped", "note": "1.0: an agent has no such setting"} in (
        document["fields"]
    )
    code, out, _ = run(capfdbinary, export.with_name("none.json"), "--json")
    document = json.loads(out)
    assert (code, document["ok"], document["source"], document["fields"]) == (1, False, None, [])
    assert "cannot be read" in document["error"]


def test_what_is_broken_ends_with_1_and_the_rest_is_written(export: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """One line on stderr names the broken assistant after the report; the source of the others is on stdout."""
    export.write_text(json.dumps([{**HELPER, "model": 3}, READER]))
    code, out, err = run(capfdbinary, export)
    assert code == 1
    assert out.decode() == migrate(READER).source
    assert err.decode().splitlines()[-1] == "assistant 'weather-helper' is left out: model must be a string, not 3"
    export.write_text(json.dumps([{**HELPER, "model": 3}]))
    code, out, err = run(capfdbinary, export, "--to", export.parent / "none.py")
    assert (code, (export.parent / "none.py").exists()) == (1, False)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot be read: No such file"),
        (b"", "line 1: not valid JSON"),
        (b"\xff", "not UTF-8"),
        (b'{"a": 1, "a": 2}', "stands there twice"),
        (b"[" * 100_000, "nested too deep"),
        (b"3", "not an export of assistants"),
        (b"[]", "no assistant is in it"),
        (b'{"object": "list", "data": [{"object": "thread"}]}', "no assistant is in it"),
        (b'{"assistants": {}}', "not an export of assistants"),
    ],
)
def test_what_is_no_export_is_one_line(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], content: bytes | None, expected: str
) -> None:
    """The error says what is expected. A folder is refused, too."""
    path = tmp_path / "export.json"
    if content is not None:
        path.write_bytes(content)
    code, out, err = run(capfdbinary, path)
    [line] = err.decode().splitlines()
    assert (code, out) == (1, b"")
    assert expected in line
    assert "expected the body of GET /v1/assistants, one of its assistant objects, or a list of them" in line
    assert run(capfdbinary, tmp_path)[0] == 1


def test_a_missing_generator_is_named_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, an export with schemas is refused with what to install; one without schemas is migrated."""
    monkeypatch.setitem(sys.modules, "datamodel_code_generator", None)
    with pytest.raises(DeclarationError, match=r"pip install 'invoke-assistants\[migrate\]'"):
        migrate(EXPORT)
    assert migrate([HELPER, READER, NAMELESS]).errors == ()


def test_the_message_of_the_old_platform_names_the_command() -> None:
    """One line says what was shut down and when, which platforms there are, and names the command."""
    for word in ("Assistants API", "2026-08-26", "inv asst.migrate FILE", *map(repr, PLATFORMS)):
        assert word in SHUT_DOWN
    assert "\n" not in SHUT_DOWN


def test_an_export_cannot_steer_the_terminal() -> None:
    """Control characters of an export are escaped in the source and in the report."""
    made = migrate(old("asst_a", name="a\x1b[2J\u202e", description="x", model="m\x07", instructions="i"))
    for shown in (str(made.source), "\n".join(format_report(made.fields))):
        assert all(c.isprintable() or c == "\n" for c in shown)
