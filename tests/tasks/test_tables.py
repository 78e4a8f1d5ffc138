"""What commands print for people: a table that fits, each error once, the next command, schemas by their place in an answer."""

from __future__ import annotations

import io
import os
import pty
import re
import termios
from dataclasses import replace
from typing import Any

import pytest
from conftest import THREE, Host
from hypothesis import given
from hypothesis import strategies as st
from terminals import read_to_end

from invoke_assistants.reconcile.plan import Plan
from invoke_assistants.tasks.output import print_steps
from invoke_assistants.tasks.schema_paths import SCHEMA, changed_fields, readable_field
from invoke_assistants.tasks.summary import Scope, next_commands, split_errors
from invoke_assistants.tasks.table import ENVIRONMENT, ID, NAME, OUTCOME, fit_rows, shorten
from invoke_assistants.tasks.terminal import confirm
from invoke_assistants.types import LOCAL, Change, Compatibility, Desired, Held, Record, SchemaChange, Step

TITLES = ("ASSISTANT", "ENVIRONMENT", "STATE -> ACTION", "ID", "DIGEST")


def step(name: str = "judge", environment: str = "development", **fields: Any) -> Step:
    """A step of a declared instance."""
    position = ["development", "staging", "production"].index(environment)
    desired = Desired(name, environment, position, LOCAL, "p", {}, "sha256:" + "ab" * 32)
    plain = {"state": "in_sync", "id": f"agent_{'0123456789abcdef' * 2}", "digest": desired.digest}
    return Step(name, environment, "local", desired=desired, **{**plain, **fields})


def printed(command: str, *steps: Step, planned: bool = True, **more: Any) -> list[str]:
    """What a pipe gets."""
    stream = io.StringIO()
    print_steps(command, steps, stream, planned=planned, scope=Scope(), **more)
    return stream.getvalue().splitlines()


def lines_of(rows: list[list[list[tuple[int, str]]]]) -> list[str]:
    return ["".join(text for _, text in line) for row in rows for line in row]


@pytest.fixture(autouse=True)
def no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable COLUMNS says nothing."""
    monkeypatch.delenv("COLUMNS", raising=False)


names = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,63}", fullmatch=True)
ids = st.from_regex(r"[A-Za-z0-9_-]{3,128}", fullmatch=True) | st.just("-")
cells = st.tuples(names, names, st.sampled_from(["in_sync", "not_created -> create", "created anew"]), ids, st.just("0123abcd"))


@given(st.lists(cells, min_size=1, max_size=6), st.integers(1, 260))
def test_every_row_fits_and_names_are_whole(rows: list[tuple[str, ...]], width: int) -> None:
    """No line is wider than the width but one that holds nothing else than what must not be cut; ids keep both ends."""
    laid_out = fit_rows([TITLES, *rows], width)
    for row, lines in zip(rows, laid_out[1:], strict=True):
        shown = {column: text.strip() for line in lines for column, text in line}
        assert [shown[column] for column in (NAME, ENVIRONMENT, OUTCOME)] == list(row[:3])
        if ID in shown:
            first, _, last = shown[ID].partition("…")
            assert row[ID].startswith(first)
            assert row[ID].endswith(last)
        for line in lines:
            assert len(line) == 1 or len("".join(text for _, text in line)) <= width


@given(st.lists(cells, min_size=2, max_size=6))
def test_where_names_leave_room_a_row_is_one_line(rows: list[tuple[str, ...]]) -> None:
    """With room for names, states and 14 characters of the ids, each row is one line, and the columns are straight."""
    width = sum(max(map(len, column)) + 2 for column in list(zip(TITLES, *rows, strict=True))[:3]) + 14
    laid_out = fit_rows([TITLES, *rows], width)
    assert all(len(lines) == 1 for lines in laid_out)
    assert len({len(line[0][0][1]) for line in laid_out}) == 1


def test_the_digest_goes_first_then_the_middle_of_the_ids() -> None:
    """As the width shrinks: all, no digests, shorter ids, several lines."""
    rows = [TITLES, ("judge", "production", "changed -> update", "agent_b3ace7a0a8e40f37053e40b7", "0123abcd")]
    by_width = {width: lines_of(fit_rows(rows, width))[len(fit_rows(rows, width)[0]) :] for width in (87, 80, 57, 56)}
    assert by_width == {
        87: ["judge      production   changed -> update  agent_b3ace7a0a8e40f37053e40b7  0123abcd"],
        80: ["judge      production   changed -> update  agent_b3ace7a0a8e40f37053e40b7"],
        57: ["judge      production   changed -> update  agent_b3ac…0b7"],
        56: ["judge  production  changed -> update", "  agent_b3ace7a0a8e40f37053e40b7"],
    }
    assert shorten("agent_b3ace7a0a8e40f37053e40b7", 14) == "agent_b3ac…0b7"


def test_a_table_has_a_header_and_no_empty_column() -> None:
    """The third title says what stands below it; without ids or digests, their columns are not there."""
    assert printed("status", step(id="agent_1"))[0] == "ASSISTANT  ENVIRONMENT  STATE    ID       DIGEST"
    assert printed("plan", step(state="changed", action="update"))[0].split("  ")[2].strip() == "STATE -> ACTION"
    assert printed("create", step(action="create"), planned=False)[0].split()[2] == "RESULT"
    assert printed("check", step(state=None, id=None))[0].split() == ["ASSISTANT", "ENVIRONMENT", "RESULT", "DIGEST"]
    assert printed("resolve", step(state=None, digest=None), planned=False)[0].split() == [
        "ASSISTANT",
        "ENVIRONMENT",
        "RESULT",
        "ID",
    ]
    assert printed("forget", step(), planned=False)[0].split()[2] == "RESULT"
    assert printed("delete", step(action="delete"))[0].split("  ")[2].strip() == "STATE -> ACTION"
    assert printed("delete") == ["nothing to delete"]


def test_columns_says_how_wide_a_pipe_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, nothing is cut; what is no number, or nothing, does not count."""
    row = step("a" * 64, id=f"agent_{'0' * 122}")
    whole = ["a" * 64, "development", "in_sync", row.id, "abababab"]
    assert printed("status", row)[1].split() == whole
    for said, fits in (("120", False), ("0", True), ("wide", True), ("", True)):
        monkeypatch.setenv("COLUMNS", said)
        assert (printed("status", row)[1].split() == whole) is fits, said


def test_colours_in_a_pipe_cut_nothing_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a CI job asks for colours, lines are as long as their content."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    words = "word " * 60
    row = step("a" * 64, state="changed", action="update", id="agent_" + "0" * 122, changes=[Change("model", None, words)])
    lines = printed("plan", row)
    assert all(text in lines[1] for text in ("a" * 64, row.id, "abababab"))
    assert any(words.strip() in line for line in lines)


ALONE = "judge in production: agent_1 was edited by hand"


def test_each_error_is_printed_once() -> None:
    """Not in a row where the command ends with it, and not in two rows."""
    rows = step("a", error=ALONE), step("b", error=ALONE, note=ALONE), step("c", note=ALONE)
    assert "\n".join(printed("plan", *rows)).count(ALONE) == 1
    assert "\n".join(printed("deploy", *rows, refused=True, error=f"{ALONE}; another")).count(ALONE) == 0


def test_a_note_of_several_rows_says_how_many() -> None:
    """It stands below the first of them, which is not all that it concerns; one of a single row needs no number."""
    rows = step("a", note="a create is still open"), step("b"), step("c", note="a create is still open"), step("d", note="alone")
    shown = [line.strip() for line in printed("status", *rows)]
    assert [line for line in shown if "open" in line] == ["a create is still open (2 rows)"]
    assert "alone" in shown


def test_check_prints_its_errors_once_and_its_end_once(local_host: Host) -> None:
    """Each error below its row on stdout, how many there are on stderr."""
    local_host.declare(THREE.replace('verbosity="low"', 'verbosity="loud"'))
    done = local_host.inv("asst.check")
    assert (done.code, done.err) == (1, "2 of 6 would be refused\n")
    assert done.out.count("'loud' is unknown") == 1
    assert "would be refused" not in done.out


def test_several_reasons_stand_on_lines_of_their_own(local_host: Host) -> None:
    """Each refusal is a line on stderr; the JSON document has them on one, as before."""
    local_host.declare(THREE)
    assert local_host.inv("asst.create").code == 0
    local_host.edit('it."', 'it well."')
    assert local_host.inv("asst.deploy").code == 0
    assert local_host.inv("asst.rollback", "--env", "production", "--message", "Too slow").code == 0
    refused, as_json = local_host.inv("asst.deploy"), local_host.inv("asst.deploy", "--json")
    lines = refused.err.splitlines()
    assert [line.partition(" in production is held at ")[0] for line in lines] == ["planner", "judge"]
    assert all(line.endswith(": Too slow; inv asst.deploy --resume goes forward") for line in lines)
    assert (refused.code, as_json.code) == (3, 3)
    assert as_json.err.endswith(refused.err)
    assert as_json.json["error"] == "; ".join(lines)
    assert local_host.inv("asst.plan", "--check").err == refused.err


def test_more_reasons_than_are_told_are_counted_on_a_line() -> None:
    """Of eight, six are told; what comes behind the last one has a line, too, and a single one stays as it is."""
    steps = [step(name, error=f"{name}: drifted; pull first") for name in "abcdefgh"]
    told = [f"{name}: drifted; pull first" for name in "abcdef"]
    assert split_errors(Plan(tuple(steps)).errors(), steps).splitlines() == [*told, "and 2 more"]
    for some, lines in ((steps, [*told, "and 2 more"]), (steps[:2], told[:2])):
        stale = f"stale: {Plan(tuple(some)).errors()}; nothing was written: do it again"
        assert split_errors(stale, some).splitlines() == [f"stale: {lines[0]}", *lines[1:], "nothing was written: do it again"]
    one = f"{told[0]}; nothing was written"
    assert split_errors(one, steps) == one
    assert split_errors("another; and 2 more", steps) == "another; and 2 more"


FIRST, LATER = step(), step(environment="production")
CHANGED = {"state": "changed", "action": "update"}
HELD = Record("agent_1", LOCAL, "sha256:" + "cd" * 32, held=Held("sha256:" + "ab" * 32, "Too slow"))
GONE = {"state": "not_created", "action": "create", "id": None}


@pytest.mark.parametrize(
    ("command", "planned", "steps", "expected"),
    [
        ("create", False, [FIRST, LATER], []),
        ("create", False, [replace(FIRST, action="create"), LATER], ['inv asst.run judge "…"']),
        ("create", False, [FIRST, replace(LATER, action="create")], []),
        ("create", False, [replace(FIRST, state="changed"), LATER], ["inv asst.plan"]),
        ("create", True, [replace(FIRST, **GONE)], ["inv asst.create"]),
        ("plan", True, [FIRST, LATER], []),
        ("plan", True, [replace(FIRST, **CHANGED), replace(LATER, **CHANGED)], ["inv asst.update"]),
        ("plan", True, [FIRST, replace(LATER, **CHANGED)], ["inv asst.deploy"]),
        ("plan", True, [replace(FIRST, **GONE), replace(LATER, **CHANGED)], ["inv asst.create"]),
        ("plan", True, [replace(FIRST, **CHANGED), replace(LATER, error="drifted", needs_confirmation=True)], []),
        ("plan", True, [FIRST, replace(LATER, state="undeclared")], ["inv asst.delete --undeclared"]),
        ("status", True, [FIRST, replace(LATER, state="drifted")], ["inv asst.plan"]),
        ("status", True, [FIRST, replace(LATER, state="changed")], ["inv asst.plan"]),
        ("status", True, [FIRST, replace(LATER, state="changed", record=HELD)], ["inv asst.deploy --resume"]),
        ("status", True, [FIRST, replace(LATER, state="drifted", record=HELD)], ["inv asst.plan"]),
        ("status", True, [replace(FIRST, state="changed"), replace(LATER, state="changed", record=HELD)], ["inv asst.plan"]),
        ("update", False, [replace(FIRST, state="changed", action="update")], ["inv asst.deploy"]),
        ("update", False, [FIRST], []),
        ("update", True, [replace(FIRST, **CHANGED)], ["inv asst.update"]),
        ("deploy", False, [replace(FIRST, **CHANGED)], []),
        ("deploy", True, [replace(FIRST, **CHANGED)], ["inv asst.deploy"]),
        ("deploy", True, [replace(FIRST, state="drifted", action="update")], ["inv asst.deploy --overwrite"]),
        ("adopt", False, [replace(FIRST, state="not_created", action="adopt")], ["inv asst.plan"]),
        ("check", True, [FIRST], ["inv asst.plan"]),
        ("delete", True, [replace(FIRST, action="delete")], ["inv asst.delete"]),
        ("delete", False, [replace(FIRST, action="delete")], []),
        ("forget", False, [FIRST], []),
        ("resolve", False, [FIRST], ["git commit"]),
        ("resolve", False, [replace(FIRST, error="both changed it")], []),
    ],
)
def test_the_next_command_of_each_ending(command: str, planned: bool, steps: list[Step], expected: list[str]) -> None:
    """The command that goes on is named; none where nothing is left to do, or where a person must choose."""
    assert next_commands(command, steps, Scope(later=True), planned=planned) == expected


def test_a_flag_is_repeated_for_its_own_command_alone() -> None:
    """A message goes with a rollback, and not with the plan that shows what it left as it is."""
    scope = Scope(env="production", more=("--message", "Too slow"))
    [again] = next_commands("rollback", [replace(LATER, **CHANGED)], scope, planned=True)
    assert again == "inv asst.rollback --env production --message 'Too slow'"
    left = [replace(LATER, state="drifted")]
    assert next_commands("rollback", left, scope, planned=False) == ["inv asst.plan --env production"]


def test_the_next_command_keeps_the_names_and_the_environment(local_host: Host) -> None:
    """What was narrowed stays narrowed; update leads to deploy, and not back to its own environment."""
    assert local_host.inv("asst.plan", "--only", "judge", "--env", "production").out.endswith(
        "next: inv asst.create --only judge --env production\n"
    )
    assert local_host.inv("asst.create").out.endswith('6 created\nnext: inv asst.run planner "…"\n')
    assert local_host.inv("asst.create").out.endswith("6 unchanged\n")
    local_host.edit("Plan it.", "Plan it well.")
    assert local_host.inv("asst.plan", "--only", "planner").out.endswith("next: inv asst.update --only planner\n")
    done = local_host.inv("asst.update", "--only", "planner", "--env", "development")
    assert done.out.endswith("1 updated\nnext: inv asst.deploy --only planner\n")
    assert local_host.inv("asst.deploy").out.endswith("5 unchanged, 1 updated\n")
    assert local_host.inv("asst.delete", "--env", "production", "--dry-run").out.endswith(
        "next: inv asst.delete --env production\n"
    )


def test_one_environment_leads_to_no_deploy(local_host: Host) -> None:
    """Where there is no environment after the first, update is the end."""
    local_host.declare(
        THREE.replace(
            """,
              environments={"production": {"model": "gpt-6-astra"}}""",
            "",
        ),
        'environments = ["development"]\n',
    )
    local_host.create()
    local_host.edit("Plan it.", "Plan it well.")
    assert local_host.inv("asst.update").out.endswith("1 updated, 2 unchanged\n")


QUESTION = {"type": "object", "properties": {"a.b": {"type": "string"}, "choices": {"type": "array", "maxItems": 4}}}
GAME = {
    "type": "object",
    "properties": {
        "topic": {"type": "string"},
        "questions": {"type": "array", "items": {"$ref": "#/$defs/Question"}},
        "hint": {"anyOf": [{"$ref": "#/$defs/Hint"}, {"type": "null"}]},
        "first": {"$ref": "#/$defs/Twice"},
        "last": {"$ref": "#/$defs/Twice"},
    },
    "required": ["topic", "questions", "hint", "first", "last"],
    "$defs": {
        "Question": QUESTION,
        "Hint": {"type": "object", "properties": {"words": {"type": "array", "items": {"$ref": "#/$defs/Word"}}}},
        "Word": {"type": "object", "properties": {"text": {"type": "string"}}},
        "Twice": {"type": "object", "properties": {"score": {"type": "integer"}, "next": {"$ref": "#/$defs/Twice"}}},
    },
}


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("properties.topic.description", "output topic: description"),
        ("properties.topic", "output topic"),
        ("properties.questions.maxItems", "output questions: maxItems"),
        ("$defs.Question.properties.choices.maxItems", "output questions[].choices: maxItems"),
        ("$defs.Question.properties.a.b.type", "output questions[].a.b: type"),
        ("$defs.Question.properties", "output questions[]: properties"),
        ("$defs.Hint.properties.words.items", "output hint.words: items"),
        ("$defs.Word.properties.text.type", "output hint.words[].text: type"),
        ("$defs.Twice.properties.score.maximum", "output Twice.score: maximum"),
        ("properties.hint.anyOf[1].type", "output hint: anyOf[1].type"),
        ("required", "output: required"),
        ("required[0]", "output: required[0]"),
    ],
)
def test_a_changed_schema_is_shown_by_its_place_in_the_answer(field: str, shown: str) -> None:
    """References and branches add nothing; a model that is used twice is called by its name."""
    before = {**GAME, "$defs": {**GAME["$defs"], "Question": {"properties": {}}}}
    after = {**GAME, "properties": {**GAME["properties"], "topic": {"type": "string", "description": "d"}}}
    after["properties"]["questions"] = {**GAME["properties"]["questions"], "maxItems": 3}
    after["$defs"] = {**GAME["$defs"], "Twice": {"properties": {"score": {"maximum": 3}}}}
    assert readable_field(f"{SCHEMA}.{field}", [before, after]) == shown


def test_what_is_no_schema_and_what_is_not_in_it_keep_their_field() -> None:
    """Other fields, a schema as a whole, and a path that neither schema has are shown as they are."""
    for field in ("instructions", "metadata.asst.digest", SCHEMA, f"{SCHEMA}.properties.gone", f"{SCHEMA}.x[9]"):
        assert readable_field(field, [GAME, None]) == field
    assert readable_field(f"{SCHEMA}.properties.topic", [None, None]) == f"{SCHEMA}.properties.topic"


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3), lambda below: st.lists(below, max_size=2), max_leaves=4
)
fields = st.sampled_from(["model", "instructions", "text.verbosity", f"{SCHEMA}.required", f"{SCHEMA}.properties.x.enum"])


@given(st.lists(st.builds(Change, fields, json_values, json_values), min_size=1, max_size=6, unique_by=lambda each: each.field))
def test_every_changed_field_is_printed(changes: list[Change]) -> None:
    """Fields that share their lines are named each; another environment refers only to the same changes."""
    lines = [line.strip() for line in printed("plan", step(**CHANGED, changes=tuple(changes)))]
    assert all(lines.count(change.field) == 1 for change in changes)
    twice = printed(
        "plan", step(**CHANGED, changes=tuple(changes)), step(environment="production", **CHANGED, changes=tuple(changes))
    )
    assert twice.count("    as in development") == 1
    other = (*changes[1:], replace(changes[0], after="other"))
    apart = printed("plan", step(**CHANGED, changes=tuple(changes)), step(environment="production", **CHANGED, changes=other))
    assert "    as in development" not in apart


def test_how_an_update_compares_with_the_first_environment_is_one_line() -> None:
    """Where the remark of a promotion says that it is the same, nothing else does; where it does not, it goes on."""
    changes = (Change("model", "a", "b"),)
    for promotion, shown in (
        ("as development, evaluated and read back", "as development, evaluated and read back"),
        ('as development, but model "a" -> "b"', 'as development, but model "a" -> "b"; changes as in development'),
        ("as other, read back", "as other, read back; changes as in development"),
    ):
        later = step(environment="production", **CHANGED, changes=changes, promotion=promotion)
        assert printed("plan", step(**CHANGED, changes=changes), later)[-3:-1][0] == f"    {shown}"


def test_an_edit_of_the_output_model_is_shown_by_its_place(local_host: Host) -> None:
    """A bound, a new field and the order of the fields, each below the name of where it is."""
    local_host.create()
    local_host.edit("    minutes: int", "    minutes: int = Field(le=90)\n    done: bool")
    lines = local_host.inv("asst.plan", "--only", "planner").out.splitlines()
    assert lines[2:].index("    output steps[].minutes: maximum") < lines[2:].index("    output steps[].done")
    assert lines.count("    as development") == 1
    assert SCHEMA not in "\n".join(lines)
    document = local_host.inv("asst.plan", "--only", "planner", "--json").json
    found = {each["field"]: each["before"] for each in document["rows"][0]["changes"]}
    assert found[f"{SCHEMA}.$defs.Step.properties.minutes.maximum"] is None
    assert f"{SCHEMA}.$defs.Step.required" in found
    assert not [line for line in lines if "required" in line]
    assert lines[lines.index("    output steps[].minutes: maximum") :][:3][1:] == ["      - (absent)", "      + 90"]


def on_a_terminal(host: Host, *args: str, width: int = 80, env: dict[str, str] | None = None, typed: str = "") -> str:
    """What a command shows on a terminal of so many columns."""
    outside, inside = pty.openpty()
    termios.tcsetwinsize(inside, (24, width))
    process = host.start_on([inside] * 3, *args, env={"TERM": "xterm-256color", **(env or {})})
    os.close(inside)
    os.write(outside, typed.encode())
    shown = read_to_end(outside)
    os.close(outside)
    process.wait()
    return shown.decode().replace("\r\n", "\n")


def test_a_terminal_gets_its_width_bold_titles_and_marked_words(local_host: Host) -> None:
    """The header and the next command are bold, differing words reversed, long lines wrapped behind their indent."""
    local_host.edit("Judge it.", "Judge what they say, be it long or short, by what is true, and tell them why in a sentence.")
    local_host.create()
    local_host.edit("by what is true", "by what is proven")
    shown = on_a_terminal(local_host, "asst.plan", "--only", "judge", "--env", "development", width=72)
    assert shown.startswith("\x1b[1mASSISTANT")
    assert "\x1b[7;31mtrue\x1b[0m" in shown
    assert "\x1b[7;32mproven\x1b[0m" in shown
    assert "next: \x1b[1minv asst.update" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert all(len(line) <= 72 for line in plain.splitlines())
    assert re.search(r"^      - \"Judge .*\n {8}\S", plain, re.M)
    bare = on_a_terminal(local_host, "asst.plan", "--only", "judge", env={"NO_COLOR": "1"})
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", bare)
    assert "\x1b[7mproven\x1b[0m" in bare
    assert local_host.ids()["judge", "development"] in on_a_terminal(local_host, "asst.status", "--only", "judge", width=200)


def test_who_says_no_is_not_shown_the_same_again(local_host: Host) -> None:
    """The table and its errors stand above the question; after it only what came of it."""
    local_host.create()
    shown = on_a_terminal(local_host, "asst.delete", "--env", "production", typed="n\n")
    assert shown.count("ENVIRONMENT") == 1
    assert shown.endswith("[y/N] not confirmed: 3 instances would be deleted; --yes goes on\n")
    assert "next:" not in shown


def test_a_typed_answer_is_shown_on_a_terminal(local_host: Host) -> None:
    """An answer that fits an output model, which is not shown as it comes, is shown at the end."""
    local_host.create()
    shown = on_a_terminal(local_host, "asst.run", "judge", "Well?")
    assert re.search(r"\x1b\[2Kgood: (true|false)\n", shown)
    assert len(re.findall(r"sample", on_a_terminal(local_host, "asst.run", "talker", "Hello."))) == 1


def test_a_question_names_no_next_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be typed next is the answer."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert confirm("deploy", "Go on?", [step(**CHANGED)]) is True
    assert "next:" not in capsys.readouterr().err


UNSAFE = (
    SchemaChange("questions[].difficulty", "enum_widened", "breaking", "The app has no value 'brutal'."),
    SchemaChange("title", "pattern_changed", "unknown", "Two patterns differ."),
    SchemaChange("topic", "description_changed", "compatible", "Descriptions are for the model."),
)
BREAKING = Compatibility("breaking", "ship_app_first", UNSAFE)
BREAKS = ["breaking questions[].difficulty: The app has no value 'brutal'.", "unknown title: Two patterns differ."]
LETS = ["let through: questions[].difficulty: The app has no value 'brutal'.", "let through: title: Two patterns differ."]
ORDER = "order: ship the app first, then deploy"
WRITES: dict[str, Any] = {"state": "changed", "action": "update", "changes": (Change("model", "a", "b"),)}


def told(command: str, *steps: Step, **more: Any) -> list[str]:
    """What is printed of schemas, and of environments with the same changes."""
    words = ("breaking ", "unknown ", "let through", "order: ", "as in", "owner", "a rollback")
    return [line.strip() for line in printed(command, *steps, **more) if line.strip().startswith(words)]


def test_what_a_new_schema_does_to_the_app_stands_once_where_it_matters() -> None:
    """What is not let through, by path, at the first later environment; the order only where one is to be chosen."""
    first = step(**WRITES, schema=BREAKING)
    staging, production = (
        step(environment=each, **WRITES, schema=BREAKING, error=f"{each}: no", needs_confirmation=True)
        for each in ("staging", "production")
    )
    refused = [*BREAKS, ORDER, "as in development", "as in development"]
    assert told("plan", first, staging, production) == refused
    assert told("deploy", first, staging, production, planned=False, refused=True) == refused
    assert told("plan", first) == [*BREAKS, ORDER]
    assert told("update", first, planned=False) == told("status", first) == told("rollback", first) == BREAKS
    unlike = Compatibility("unknown", "ship_app_first", UNSAFE[1:])
    assert told("plan", replace(first, schema=unlike), production) == [BREAKS[1], ORDER, *BREAKS, ORDER, "as in development"]


def test_what_was_let_through_is_not_told_as_an_error() -> None:
    """With its flag, before and after the deed; what a rollback would bring back is told before it alone."""
    paths = tuple(change.path for change in UNSAFE)
    later = step(
        environment="production", **WRITES, schema=BREAKING, allowed=paths, rollback_note="a rollback to 1 would bring it back"
    )
    assert told("plan", step(**WRITES, schema=BREAKING), later) == [later.rollback_note, *LETS, ORDER, "as in development"]
    assert told("deploy", later, planned=False) == LETS
    assert told("deploy", replace(later, allowed=(), error="it failed"), planned=False) == BREAKS


def test_why_a_deploy_must_come_first_is_told() -> None:
    """The compatible changes that the new app does not survive the other way round, and those alone."""
    needs = SchemaChange("owner", "field_added", "compatible", "The new app needs this field: deploy first.")
    steps = step(environment="production", **WRITES, schema=Compatibility("compatible", "deploy_first", (needs, UNSAFE[2])))
    assert told("plan", steps) == [f"owner: {needs.why}", "order: deploy first, then ship the app"]
    assert told("deploy", steps, planned=False) == []


def test_required_fields_are_left_out_where_the_fields_are_shown() -> None:
    """Only of the object whose fields come or go; a field that is called so is a field."""
    old = {"properties": {"required": {"type": "string"}, "a": {"properties": {"x": {}}, "required": ["x"]}}, "required": ["a"]}
    new = {"properties": {"a": {"properties": {"x": {}}, "required": []}}, "required": ["a", "b"]}
    changes = [
        Change(f"{SCHEMA}.{field}", *values)
        for field, values in {
            "properties.required": ({"type": "string"}, None),
            "required": (["a"], ["a", "b"]),
            "properties.a.required": (["x"], []),
        }.items()
    ]
    assert [titles for titles, _ in changed_fields(changes, [old, new])] == [["output required"], ["output a: required"]]
    assert [titles for titles, _ in changed_fields(changes[1:], [old, new])] == [["output: required"], ["output a: required"]]


@pytest.mark.parametrize(("term", "coloured"), [("dumb", False), ("xterm-256color", True)])
def test_only_a_terminal_that_has_colours_gets_them(term: str, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal without colours gets the words of a pipe, wrapped to its width; one with them, in escape sequences."""
    monkeypatch.setenv("TERM", term)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    changes = (Change("instructions", "Judge it.", "Judge it well. " * 9),)
    changed = step(state="changed", action="update", id="agent_1", changes=changes)
    print_steps("plan", [changed], stream, planned=True, scope=Scope())
    assert ("\x1b[" in stream.getvalue()) is coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert plain.split() == " ".join(printed("plan", changed)).split()
    assert max(map(len, plain.splitlines())) <= 80 < max(map(len, printed("plan", changed)))
