"""A plan as Markdown: read by a parser, whatever stands in names, fields, values and messages."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from conftest import Host, examples
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Loopback
from markdown_it import MarkdownIt
from markdown_it.token import Token
from test_tables import step

from invoke_assistants.tasks.markdown import LIMIT, MARKER, markdown_plan
from invoke_assistants.types import Change, Compatibility, Order, SchemaChange, Step

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OURS = re.compile(r"<!-- inv asst\.plan -->|</?details>|<summary>(?:<code>[^<>]*</code>|[^<>])*</summary>")
NASTY = (
    "a|b", "`code`", "```\nout\n```", "<script>alert(1)</script>", "<!-- x -->", "</details>", "@octocat", "@org/team", "#12",
    "GH-12", "https://evil.example/x", "www.evil.example", "![x](https://evil.example/i.png)", "[x](javascript:alert(1))",
    ":tada:", "&amp;", "a\nb", "| a |\n|---|", "\u202eevil\u202c", "\x1b[31m", "\u200b", "**bold**", "_x_", "- a", "# a",
    "1. a", "> a", "\\", "\\|", "", " ", "  a ", "$x^2$", "~~x~~", "'quoted'", "é", "日本", "0a1b2c3d4e5f", "a@b.example",
    "octo/repo#1",
)  # fmt: skip
BREAKING = SchemaChange("questions[].difficulty", "enum_widened", "breaking", 'The app reads "easy" alone.')
COMPATIBLE = SchemaChange("title", "description_changed", "compatible", "Descriptions are for the model.")

NEEDED = SchemaChange("owner", "field_added", "compatible", "The new app needs this field: deploy first.")


def schema(*changes: SchemaChange, order: Order = "ship_app_first") -> Compatibility:
    return Compatibility("breaking", order, changes)


def tokens(text: str) -> Iterator[Token]:
    """All tokens of a document, those inside of lines included."""
    for token in PARSER.parse(text):
        yield token
        yield from token.children or ()


def table(text: str) -> list[list[str]]:
    """The cells of the only table, as text."""
    cells: list[list[str]] = []
    inside = False
    for token in tokens(text):
        if token.type == "tr_open":
            cells.append([])
        elif token.type in ("td_open", "th_open", "td_close", "th_close"):
            inside = token.type.endswith("open")
            cells[-1] += [""] if inside else []
        elif inside and token.type in ("text", "code_inline"):
            cells[-1][-1] += token.content
    return cells


def outside_of_code(text: str) -> str:
    """What a reader sees as text, and GitHub looks through for names, references and links."""
    return "\n".join(token.content for token in tokens(text) if token.type == "text")


def assert_harmless(text: str) -> None:
    """Nothing but our own HTML, no link, image or emphasis of others, no mention or reference; every fold is closed."""
    found = list(tokens(text))
    foreign = {"link_open", "image", "em_open", "s_open", "hr", "blockquote_open", "code_block"}
    assert not {token.type for token in found} & foreign
    for token in found:
        if token.type in ("html_block", "html_inline"):
            assert OURS.sub("", token.content).strip() == "", token.content
    assert not re.search(r"[@#<>&$~^_*\\`]|\b(?:www\.|https?:|GH-)|:\w+:|\w\.\w", outside_of_code(text))
    assert text.count("<details>\n<summary>") == len(
        [token for token in found if token.type == "html_block" and token.content.strip() == "</details>"]
    )
    assert text.startswith(f"{MARKER}\n\n### `inv asst.plan`")
    assert len(text.encode()) <= LIMIT
    assert all(each.isprintable() or each == "\n" for each in text)


texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=6), max_size=4).map(" ".join)
schema_changes = st.builds(
    SchemaChange, texts, st.just("type_changed"), st.sampled_from(["breaking", "unknown", "compatible"]), texts, st.none()
)
compatibilities = st.builds(
    Compatibility,
    st.just("breaking"),
    st.sampled_from(["either", "deploy_first", "ship_app_first", "both_break"]),
    st.lists(schema_changes, max_size=3).map(tuple),
)
steps_of_plans = st.builds(
    step,
    st.sampled_from(["judge", "talker"]),
    st.sampled_from(["development", "staging", "production"]),
    state=st.sampled_from(["in_sync", "changed", "drifted", "missing", "not_created"]),
    action=st.sampled_from(["none", "update", "create"]),
    changes=st.lists(st.builds(Change, texts, texts | st.none(), texts | st.integers()), max_size=3).map(tuple),
    error=st.none() | texts,
    note=st.none() | texts,
    promotion=st.none() | texts,
    schema=st.none() | compatibilities,
)


@given(st.lists(steps_of_plans, max_size=4), st.none() | texts)
@settings(max_examples=examples(200), deadline=None)
def test_whatever_it_holds_is_text(steps: list[Step], error: str | None) -> None:
    """Nothing that a plan holds becomes HTML, a link, an image, or the name of somebody; the table has its rows."""
    text = markdown_plan(steps, error)
    assert_harmless(text)
    if steps:
        header, *rows = table(text)
        assert header == ["assistant", "environment", "state → action", "changes"]
        assert [row[:2] for row in rows] == [[each.name, each.environment] for each in steps]
        assert {len(row) for row in rows} == {4}


@pytest.mark.parametrize("value", NASTY)
def test_a_value_is_shown(value: str) -> None:
    """A field of that name keeps its pipes and backticks, and the difference is in a fence that holds all of it."""
    text = markdown_plan([step(state="changed", action="update", changes=(Change(f"f {value}", None, value),))])
    assert_harmless(text)
    [fence] = [token for token in tokens(text) if token.type == "fence"]
    assert fence.info == "diff"
    if value.isprintable() and "\\" not in value:
        assert table(text)[1][3] == f"f {value}"
        assert value.rstrip() in fence.content


@pytest.mark.parametrize("value", NASTY)
def test_a_line_that_stays_is_shown(value: str) -> None:
    """The context of a difference has no sign, and still cannot end its fence."""
    for fence in (value, f"``{value}", f"{value}```"):
        change = Change("instructions", f"{fence}\nold", f"{fence}\nnew")
        text = markdown_plan([step(state="changed", action="update", changes=(change,))])
        assert_harmless(text)
        [block] = [token for token in tokens(text) if token.type == "fence"]
        assert block.content.endswith("-old\n+new\n")


def test_what_a_reader_needs_comes_first() -> None:
    """Counts, breaking changes, the order, the table, reasons, notes, and each difference, once for all environments."""
    changes = (Change("instructions", "Old.", "New."), *(Change(f"metadata.{n}", n, n + 1) for n in range(5)))
    text = markdown_plan(
        [
            step(state="changed", action="update", changes=changes, schema=schema(BREAKING, COMPATIBLE)),
            step(
                environment="production", state="changed", action="update", changes=changes, schema=schema(BREAKING, COMPATIBLE),
                error="judge in production: cannot be read: inv asst.deploy --allow-breaking judge", needs_confirmation=True,
                promotion="as development, evaluated and read back", rollback_note="a rollback would break it",
                model_life="judge, talker: model m shuts down today",
            ),
            step("talker", "production", state="not_created", action="create", id=None, note="recorded on local"),
        ]
    )  # fmt: skip
    assert_harmless(text)
    parts = [
        "### `inv asst.plan`: deploy would be refused: 2 changed, 1 `not_created`",
        "- `judge` in `production`: cannot be read: `inv asst.deploy --allow-breaking judge`\n"
        '  - **breaking** `questions[].difficulty`: The app reads "easy" alone.\n',
        "**Order: ship the app first, then deploy**",
        "| `judge` | `development` | changed → update | `instructions`, `metadata.0`, `metadata.1`, `metadata.2`, and 2 more |",
        "#### Needs attention",
        "- `talker` in `production`: is not created, and a deploy creates nothing: `inv asst.create`",
        "#### Notes",
        "- `judge` in `production`: as development, evaluated and read back",
        "- `judge` in `production`: model m shuts down today",
        "- `judge` in `production`: a rollback would break it",
        "- `talker` in `production`: recorded on local",
        "<summary><code>judge</code> in <code>development</code>, <code>production</code>: 6 changes</summary>",
        '```diff\n- "Old."\n+ "New."\n```',
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.count("<details>") == 1
    assert "Descriptions" not in text
    assert text.count("--allow-breaking") == text.count("**breaking**") == 1


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "agent_1 is gone: run inv asst.create --only judge --env production to make it anew",
            "`agent_1` is gone: run `inv asst.create --only judge --env production` to make it anew",
        ),
        (
            "ship the app first, then inv asst.deploy --allow-breaking 'judge:a[].b'; nothing was written",
            "ship the app first, then `inv asst.deploy --allow-breaking 'judge:a[].b'`; nothing was written",
        ),
        ('--overwrite puts "x_y" (see a.b) there', "`--overwrite` puts `x_y` (see `a.b`) there"),
        ("inv asst.plan or inv asst.deploy", "`inv asst.plan` or `inv asst.deploy`"),
        (
            'as development, but model "gpt-6-luna" -> "gpt-6-astra"',
            "as development, but model `gpt-6-luna` → `gpt-6-astra`",
        ),
        ("judge in development is held at 0a1b2c3d", "is held at `0a1b2c3d`"),
        ("judge in development: was edited", "was edited"),
        ("it's 90% of 3,000 - isn't it?", "it's 90% of 3,000 `-` isn't it?"),
    ],
)
def test_a_message_can_be_read_and_its_commands_copied(message: str, shown: str) -> None:
    """Plain words stay plain; a command is one code span, with the values of its flags."""
    text = markdown_plan([step(state="drifted", error=message)])
    assert f"- `judge` in `development`: {shown}\n" in f"{text}\n"
    assert_harmless(text)


def test_assistants_that_need_other_orders_are_named() -> None:
    """Where one line does not do for all, each order names its assistants."""
    text = markdown_plan(
        [
            step("judge", state="changed", schema=schema(BREAKING)),
            step("talker", state="changed", schema=schema(COMPATIBLE, order="either")),
            step("poet", state="changed", schema=schema(BREAKING, order="both_break")),
            step("cook", state="changed", schema=schema(COMPATIBLE, NEEDED, order="deploy_first")),
        ]
    )
    for name, order in (
        ("judge", "ship the app first, then deploy"),
        ("talker", "either first"),
        ("poet", "breaking both ways"),
        ("cook", "deploy first, then ship the app"),
    ):
        assert f"- `{name}` in `development`: **{order}**" in text
    assert text.count("change it in two steps") == 1
    assert "- `cook` in `development`: `owner`: The new app needs this field: deploy first." in text


def test_what_was_let_through_is_told_so() -> None:
    """It is no refusal: the headline and the row say what comes."""
    let_through = {"schema": schema(BREAKING, COMPATIBLE), "allowed": (BREAKING.path,)}
    text = markdown_plan([step(environment="production", state="changed", action="update", **let_through)])
    assert "- `judge` in `production`:\n  - **let through** `questions[].difficulty`: " in text
    assert "**breaking**" not in text
    assert "refused" not in text


@pytest.mark.parametrize("letter", ["x", "é", "😀", "`", "\n"])
def test_long_texts_are_cut_and_rows_are_not(letter: str) -> None:
    """Twelve texts of 20,000 characters: the comment fits, each row is there, and what is cut says so."""
    changes = [(Change("instructions", "Old.", letter * 20_000 + str(number)), Change("model", "a", "b")) for number in range(12)]
    text = markdown_plan(
        [step(f"n{number}", state="changed", action="update", changes=each) for number, each in enumerate(changes)]
    )
    assert_harmless(text)
    assert [row[0] for row in table(text)[1:]] == [f"n{number}" for number in range(12)]
    assert len(text.encode()) > LIMIT // 4
    assert "`inv asst.plan` shows all of it" in text or "more characters)" in text


def test_many_rows_are_counted() -> None:
    """Of 3,000 rows those that are in sync are left out first; of 3,000 that change, whole rows, and the rest is counted."""
    names = [f"assistant_{number:04}" for number in range(3_000)]
    text = markdown_plan([*(step(name) for name in names), step("judge", state="changed", action="update")])
    assert_harmless(text)
    assert [row[0] for row in table(text)[1:]] == ["judge"]
    assert "3000 rows in sync left out." in text
    change = (Change("instructions", "Old.", "New."), Change("model", "a", "b"))
    text = markdown_plan(
        [
            step(
                name,
                state="changed",
                action="update",
                changes=change,
                error=f"{name} in development: no {name}",
                schema=schema(BREAKING),
            )
            for name in names
        ]
    )
    assert_harmless(text)
    shown = table(text)[1:]
    assert all(len(row) == 4 and row[3] == "instructions, model" for row in shown)
    assert f"… {3_000 - len(shown)} more rows" in text
    assert re.search(r"The differences of \d+ more assistants are left out here", text)


def test_on_the_command_line(host: Host, server: Loopback) -> None:
    """stdout holds the Markdown alone, on failure too; the exit codes are those of plan; --json beside it is an error."""
    failed = host.inv("asst.plan", "--markdown", env={"OPENAI_API_KEY": " "})
    assert failed.code == 0, failed.err  # nothing is recorded, so nothing is asked
    host.create()
    host.edit("Plan it.", "Plan it <b>well</b>, @octocat.")
    done = host.inv("asst.plan", "--markdown", "--check")
    assert done.code == 2
    assert_harmless(done.out.rstrip("\n"))
    assert "<summary><code>planner</code> in <code>development</code>, <code>production</code>: 1 change</summary>" in done.out
    assert '+ "Plan it <b>well</b>, @octocat."' in done.out
    assert "2 changed, 4 in_sync" in done.err
    failed = host.inv("asst.plan", "--markdown", env={"OPENAI_API_KEY": " "})
    assert failed.code == 1
    assert_harmless(failed.out.rstrip("\n"))
    assert failed.out.startswith(f"{MARKER}\n\n### `inv asst.plan`: failed\n\n**Error:** ")
    assert "OPENAI_API_KEY" in html.unescape(failed.out)
    both = host.inv("asst.plan", "--markdown", "--json")
    assert (both.code, both.json["error"]) == (1, "--json and --markdown both print on stdout: give one of them")
    assert "<!--" not in both.out
