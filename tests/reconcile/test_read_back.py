"""A service that does not take what was sent: each write's own answer is compared with it, and the row is not in sync."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from conftest import MODELS, Host, examples
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import Fault, Loopback, Seen

from invoke_assistants import AsstError, Refused, RowsFailed, commands
from invoke_assistants.declare.digest import digest
from invoke_assistants.declare.payload import create_body
from invoke_assistants.emulator.agent_models import Agent, fill_defaults, request_fields
from invoke_assistants.reconcile.read_back import answered_digest, format_not_taken, not_taken
from invoke_assistants.reconcile.timing import Timing
from invoke_assistants.types import Change, Desired, JSONObject, Location

QUICK = Timing(grace=1.5, unknown=0.6, again=0.2, interrupt=1.0, flush=0.1)
TALKER = MODELS + (
    'ASSISTANTS = [Assistant("talker", model="m", instructions="Talk.", verbosity="low", tools=TOOLS, metadata={"team": "blue"})]'
)
PAYLOAD: JSONObject = {
    "model": "m",
    "instructions": "Talk.",
    "text": {"format": {"type": "text"}, "verbosity": "low"},
    "reasoning": {"effort": "low"},
    "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"properties": {"a": {}, "b": {}}}}],
    "service_tier": "flex",
    "metadata": {"team": "blue"},
}
DESIRED = Desired("a", "development", 0, Location("agents", "api.openai.com"), "p", PAYLOAD, digest(PAYLOAD))
BODY = create_body(DESIRED, "n" * 32)


def answer(body: JSONObject = BODY) -> JSONObject:
    """What a service answers that takes everything."""
    return {"id": "agent_1", **copy.deepcopy(fill_defaults(request_fields(Agent.model_validate(body))))}


def without(*path: Any) -> Callable[[JSONObject], JSONObject]:
    """A service that ignores a field, by its path."""

    def taken(body: JSONObject) -> JSONObject:
        at: Any = body
        for key in path[:-1]:
            at = at[key] if isinstance(at, list) or key in at else {}
        at.pop(path[-1], None)
        return body

    return taken


def team_red(body: JSONObject) -> JSONObject:
    body["metadata"]["team"] = "red"
    return body


NO_VERBOSITY, NO_DESCRIPTION = without("text", "verbosity"), without("tools", 0, "parameters", "properties", "language")


@pytest.fixture
def talker(host: Host) -> Host:
    """A host with one assistant in two environments."""
    host.declare(TALKER)
    return host


def states(host: Host) -> list[str | None]:
    return [row.state for row in commands.plan(host.root)]


def row_of(host: Host, environment: str = "development") -> Any:
    return next(row for row in commands.plan(host.root) if row.environment == environment)


@pytest.mark.parametrize(
    "edit",
    [
        lambda body: body["text"].update(verbosity=None),
        lambda body: body.update(reasoning=None, service_tier=None),
        lambda body: body["metadata"].update(theirs="x"),
    ],
)
def test_any_answer_to_a_null_is_right(edit: Callable[[JSONObject], None]) -> None:
    """A null asks for the service's default, whatever that is; other people's pairs are theirs."""
    body = copy.deepcopy(BODY)
    edit(body)
    there = answer(BODY)
    assert not_taken(body, there, PAYLOAD) == ()


@pytest.mark.parametrize("key", sorted(BODY))
def test_a_field_that_is_not_in_the_answer_was_dropped(key: str) -> None:
    """An answer that holds only some fields says nothing of the others: each that was sent is named."""
    there = answer()
    del there[key]
    paths = {change.field.partition(".")[0] for change in not_taken(BODY, there, PAYLOAD)}
    assert paths == {key}
    assert {change.field.partition(".")[0] for change in not_taken(BODY, {"id": "agent_1"}, PAYLOAD)} == set(BODY)


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_what_was_taken_is_no_difference_and_what_was_not_has_its_path(data: st.DataObject) -> None:
    """Defaults that the service fills in are nothing; any other value in the place of one that was sent is found there."""
    there = answer()
    assert not_taken(BODY, there, PAYLOAD) == ()
    path = data.draw(
        st.sampled_from(
            [("model",), ("instructions",), ("name",), ("service_tier",), ("text", "verbosity"), ("reasoning", "effort"),
             ("metadata", "team"), ("metadata", "asst.digest"), ("tools", 0, "name"), ("tools", 0, "parameters")]
        )
    )  # fmt: skip
    at: Any = there
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = data.draw(st.none() | st.text().map("other {}".format) | st.integers() | st.booleans())
    [change] = not_taken(BODY, there, PAYLOAD)
    assert change.field.startswith(".".join(map(str, path)).replace(".0", "[0]"))
    assert change.before == at[path[-1]]
    assert "\n" not in format_not_taken([change])


def test_the_order_of_properties_counts() -> None:
    """A model answers in the order of its schema."""
    there = answer()
    there["tools"][0]["parameters"]["properties"] = {"b": {}, "a": {}}
    [change] = not_taken(BODY, there, PAYLOAD)
    assert change.field == "tools[0].parameters.properties"


def test_the_message_is_short_and_steers_no_terminal() -> None:
    """Of long texts the part that differs is shown; nothing else of a service's answer gets out than printable text."""
    sent = "x" * 500 + "the end"
    changes = [Change("instructions", "x" * 500 + "\x1b[31m another end" + "y" * 900, sent)]
    changes += [Change(f"metadata.k{index}", None, "v") for index in range(9)]
    text = format_not_taken(changes)
    assert 'sent "…xxxxxxxxxxxxthe end"' in text
    assert "\x1b" not in text
    assert "another end" in text
    assert 'metadata.k0 (sent "v", answered nothing)' in text
    assert "; and 6 more; inv asst.plan" in text
    assert len(text) < 500


def test_what_is_no_json_has_no_digest() -> None:
    """Python's parser takes NaN, JSON has none: such an object is not recognised again, and nothing breaks."""
    assert answered_digest({**answer(), "reasoning": {"effort": float("nan")}}, PAYLOAD) is None
    theirs = answer()
    theirs["metadata"]["theirs"] = "x"
    assert answered_digest(theirs, PAYLOAD) == answered_digest(answer(), PAYLOAD)


@pytest.mark.parametrize(
    ("edit", "taken", "path", "values"),
    [
        (('"low"', '"high"'), NO_VERBOSITY, "text.verbosity", 'sent "high", answered "low"'),
        (('"blue"', '"green"'), team_red, "metadata.team", 'sent "green", answered "red"'),
        (('"Looks a word up."', '"Look it up."'), NO_DESCRIPTION, "tools[0].parameters.properties.language", "answered nothing"),
    ],
    ids=["verbosity", "metadata", "tool"],
)
def test_an_update_that_is_taken_in_part(
    talker: Host, server: Loopback, edit: tuple[str, str], taken: Callable[[Any], Any], path: str, values: str
) -> None:
    """The row fails with path and values, production is not started, and the next plan knows its own work; then all is taken."""
    commands.create(talker.root, timing=QUICK)
    before = talker.store["assistants"]
    talker.edit(*edit)
    server.taken = taken
    server.seen.clear()
    with pytest.raises(RowsFailed) as caught:
        commands.deploy(talker.root)
    assert caught.value.exit_code == 1
    first, later = caught.value.rows
    id = talker.ids()["talker", "development"]
    assert (first.error or "").startswith(f"talker in development: {id}: the service did not take what was sent: {path} (")
    assert values in (first.error or "")
    assert "not started, since development is not whole" in (later.error or "")
    assert [seen.path for seen in server.seen] == ["/v1/agents", f"/v1/agents/{id}"]  # no request more
    assert talker.store["assistants"] == before
    assert len(talker.store["pending"]["talker"]) == 1
    row = row_of(talker)
    assert (row.state, row.action, row.drift) == ("changed", "update", None)
    assert row.note == f"the service did not take what the last update sent ({path})"
    with pytest.raises(AsstError, match="the store does not say that talker in development is as declared"):
        commands.deploy(talker.root, env="production")
    server.taken = None
    commands.deploy(talker.root)
    assert "pending" not in talker.store
    assert states(talker) == ["in_sync", "in_sync"]


def test_an_untaken_update_in_production(talker: Host, server: Loopback) -> None:
    """It is nobody else's work: the next deploy goes on, and one that does not get that far leaves it as it is."""
    commands.create(talker.root, timing=QUICK)
    talker.edit('"low"', '"high"')
    production = talker.ids()["talker", "production"]
    server.taken = lambda body: NO_VERBOSITY(body) if body["name"] == "talker_production" else body
    with pytest.raises(RowsFailed, match=f"talker in production: {production}: the service did not take"):
        commands.deploy(talker.root)
    assert states(talker) == ["in_sync", "changed"]
    talker.edit('"Talk."', '"Talk more."')
    server.once(Fault(status=400), path=f"/v1/agents/{talker.ids()['talker', 'development']}")
    with pytest.raises(RowsFailed, match="talker in production: not started"):
        commands.deploy(talker.root)
    row = row_of(talker, "production")
    assert (row.state, row.action) == ("changed", "update")
    server.once(Fault(status=400), path=f"/v1/agents/{production}")
    with pytest.raises(RowsFailed, match="talker in production"):
        commands.deploy(talker.root)
    assert row_of(talker, "production").state == "changed"
    open_: list[Any] = []
    server.faults.append(lambda seen: open_.append(talker.store["pending"]) if seen.path.endswith(production) else None)
    server.taken = None
    commands.deploy(talker.root)
    [entry] = open_[-1]["talker"].values()
    assert entry["answered"].startswith("sha256:")  # killed here, the next plan would still know the object
    assert states(talker) == ["in_sync", "in_sync"]
    assert server.agents()[production]["text"]["verbosity"] == "high"


def test_what_was_never_declared_is_nothing_to_roll_back_to(talker: Host, server: Loopback) -> None:
    """A create and an update that were taken in part: production's history then holds only what was declared, once whole."""
    server.taken = lambda body: NO_VERBOSITY(body) if body["name"] == "talker_production" else body
    with pytest.raises(RowsFailed):
        commands.create(talker.root, timing=QUICK)
    talker.edit('"Talk."', '"Talk more."')
    with pytest.raises(RowsFailed):
        commands.deploy(talker.root)
    server.taken = None
    commands.deploy(talker.root)
    whole = talker.store["assistants"]["talker"]["production"]
    assert "history" not in whole
    talker.edit('"Talk more."', '"Talk less."')
    commands.deploy(talker.root)
    assert talker.store["assistants"]["talker"]["production"]["history"] == [whole["digest"]]
    assert states(talker) == ["in_sync", "in_sync"]


def test_an_update_that_is_withdrawn_where_it_was_not_taken(talker: Host, server: Loopback) -> None:
    """The code gives the field up: what is there is brought to the code, under the code's digest."""
    commands.create(talker.root, timing=QUICK)
    talker.edit('"Talk."', '"Talk more."')
    server.taken = without("instructions")
    with pytest.raises(RowsFailed):
        commands.update(talker.root)
    talker.edit('"Talk more."', '"Talk."')
    assert row_of(talker).state == "changed"
    commands.update(talker.root)
    assert states(talker) == ["in_sync", "in_sync"]
    assert "pending" not in talker.store


def test_an_edit_by_hand_after_an_untaken_update_is_drift(talker: Host, server: Loopback) -> None:
    """In any environment: refused with 3, nothing is written, --overwrite goes on; a foreign pair is nobody's business."""
    commands.create(talker.root, timing=QUICK)
    talker.edit('"low"', '"high"')
    server.taken = NO_VERBOSITY
    with pytest.raises(RowsFailed):
        commands.update(talker.root)
    server.taken = None
    id = talker.ids()["talker", "development"]
    server.edit(id, metadata={**server.agents()[id]["metadata"], "theirs": "x"})
    assert row_of(talker).state == "changed"
    server.edit(id, instructions="By hand.")
    server.seen.clear()
    with pytest.raises(Refused, match=r"was edited by hand: instructions, text\.verbosity"):
        commands.update(talker.root)
    assert server.writes() == []
    commands.update(talker.root, overwrite=True)
    assert states(talker) == ["in_sync", "changed"]
    assert server.agents()[id]["metadata"]["theirs"] == "x"


def test_an_untaken_overwrite_and_reset(talker: Host, server: Loopback) -> None:
    """What --overwrite and another checkout's tag make a write send is read back as well; nulls are answered as they may be."""
    commands.create(talker.root, timing=QUICK)
    id = talker.ids()["talker", "development"]
    server.edit(id, instructions="By hand.", service_tier="flex")
    agent = server.agents()[id]
    server.call("POST", f"/agents/{id}", {"metadata": {**agent["metadata"], "asst.digest": "sha256:" + 64 * "0"}})
    server.taken = without("service_tier")  # the null that the reset sends
    commands.update(talker.root, overwrite=True)
    server.edit(id, instructions="By hand.")
    server.taken = without("instructions")
    with pytest.raises(RowsFailed, match=r'instructions \(sent "Talk\.", answered "By hand\."\)'):
        commands.update(talker.root, overwrite=True)


def test_a_partial_answer_names_what_it_does_not_say(talker: Host, server: Loopback) -> None:
    """An update answered with only some fields: each other field that was sent counts as dropped."""
    commands.create(talker.root, timing=QUICK)
    talker.edit('"low"', '"high"')
    id = talker.ids()["talker", "development"]
    server.once(Fault(after=True, raw=f'{{"id": "{id}", "object": "agent"}}'.encode()), path=f"/v1/agents/{id}")
    with pytest.raises(RowsFailed, match=r'model \(sent "m", answered nothing\)'):
        commands.update(talker.root)
    assert row_of(talker).state == "in_sync"  # a look shows that it was taken
    commands.update(talker.root)
    assert "pending" not in talker.store


def test_an_unanswered_update_is_compared_where_it_is_looked_at(talker: Host, server: Loopback) -> None:
    """The answers are lost, the look shows our tag and not our value; where nothing changed, the outcome stays unknown."""
    commands.create(talker.root, timing=QUICK)
    talker.edit('"low"', '"high"')
    server.taken = NO_VERBOSITY
    server.once(Fault(after=True, reset=True), times=3)
    with pytest.raises(RowsFailed, match="did not take what was sent: text.verbosity"):
        commands.update(talker.root)
    assert row_of(talker).note == "the service did not take what the last update sent (text.verbosity)"
    server.once(Fault(reset=True), times=3)
    with pytest.raises(RowsFailed, match="lost the connection"):
        commands.update(talker.root)
    assert row_of(talker).state == "changed"


@pytest.mark.parametrize(
    ("taken", "path"),
    [(NO_VERBOSITY, "text.verbosity"), (team_red, "metadata.team"), (without("metadata", "asst.digest"), "metadata.asst.digest")],
    ids=["verbosity", "metadata", "tag"],
)
@pytest.mark.parametrize("answered", [True, False])
def test_a_create_that_is_taken_in_part(
    talker: Host, server: Loopback, taken: Callable[[Any], Any], path: str, *, answered: bool
) -> None:
    """One object, its id recorded, the row's error, no production; the next plan says changed, and an update brings it there."""
    server.taken = taken
    if not answered:
        server.once(Fault(after=True, reset=True))
    with pytest.raises(RowsFailed) as caught:
        commands.create(talker.root, timing=QUICK)
    first, later = caught.value.rows
    [id] = server.agents()
    assert first.id == id
    assert f"talker in development: {id}: the service did not take what was sent: {path} (" in (first.error or "")
    assert "not started, since development is not whole" in (later.error or "")
    assert talker.ids() == {("talker", "development"): id}
    with pytest.raises(AsstError, match="the store does not say that talker in development is as declared"):
        commands.deploy(talker.root, env="production")
    first, later = commands.plan(talker.root)
    assert (first.state, first.action, first.drift, later.state) == ("changed", "update", None, "not_created")
    assert first.note == f"the service did not take what the last update sent ({path})"
    server.taken = None
    commands.create(talker.root, timing=QUICK)
    assert len(server.agents()) == 2
    assert states(talker) == ["changed", "in_sync"]
    commands.update(talker.root)
    assert states(talker) == ["in_sync", "in_sync"]
    assert "pending" not in talker.store


def test_a_create_whose_tags_are_not_taken(talker: Host, server: Loopback) -> None:
    """Nothing but its answer says that the object is ours: it is recorded, made once, and the next plan brings the tags back."""
    server.taken = without("metadata")
    with pytest.raises(RowsFailed, match=r"metadata\.asst\.project \(sent .*answered nothing"):
        commands.create(talker.root, timing=QUICK)
    [id] = server.agents()
    assert talker.ids() == {("talker", "development"): id}
    row = row_of(talker)
    assert (row.state, row.drift) == ("changed", None)
    assert {"metadata.team", "metadata.asst.name"} <= {change.field for change in row.changes}
    server.taken = None
    commands.update(talker.root)
    assert row_of(talker).state == "in_sync"


def killed(talker: Host, server: Loopback, verb: str) -> None:
    """Run a command that is killed between the service's work on its first write and the answer."""
    running: list[subprocess.Popen[str]] = []

    def decide(seen: Seen) -> Fault | None:
        if seen.method != "POST":
            return None
        assert server.taken is not None
        server.call("POST", seen.path.removeprefix("/v1"), server.taken(seen.body))
        running[0].kill()
        return Fault(hang=3)

    server.faults.append(decide)
    running.append(talker.start(verb))  # type: ignore[arg-type]
    running[0].communicate(timeout=60)
    server.faults.clear()


def test_a_create_killed_before_its_answer_is_recorded(talker: Host, server: Loopback) -> None:
    """The next create finds it by its nonce and makes no second one. Nobody knows who changed the field: it is drift."""
    server.taken = NO_VERBOSITY
    killed(talker, server, "asst.create")
    [id] = server.agents()
    server.taken = None
    commands.create(talker.root, timing=QUICK)
    assert talker.ids()["talker", "development"] == id
    assert row_of(talker).state == "drifted"
    commands.update(talker.root, overwrite=True)
    assert row_of(talker).state == "in_sync"


def test_an_update_killed_before_its_answer_is_recorded(talker: Host, server: Loopback) -> None:
    """Nobody knows whether it was taken in part or edited since: gone on with in the first environment, with a note."""
    commands.create(talker.root, timing=QUICK)
    talker.edit('"low"', '"high"')
    server.taken = NO_VERBOSITY
    killed(talker, server, "asst.update")
    row = row_of(talker)
    assert row.state == "changed"
    assert "an update was sent, its answer is not known" in row.note
    assert "(text.verbosity)" in row.note
    with pytest.raises(RowsFailed, match="did not take what was sent"):
        commands.update(talker.root)
    server.taken = None
    commands.update(talker.root)
    assert row_of(talker).state == "in_sync"


def test_an_adoption_whose_tags_are_not_taken(talker: Host, server: Loopback) -> None:
    """The row fails, and nothing is recorded."""
    id = server.call("POST", "/agents", {"model": "gpt-4", "instructions": "Old."})["id"]
    server.taken = without("metadata", "asst.environment")
    with pytest.raises(
        RowsFailed, match=r'metadata\.asst\.environment \(sent "development", answered nothing\).*nothing is recorded'
    ):
        commands.adopt("talker", "development", id, talker.root, timing=QUICK)
    assert not talker.path.exists() or talker.store["assistants"] == {}
    server.taken = None
    commands.adopt("talker", "development", id, talker.root, timing=QUICK)
    assert talker.ids() == {("talker", "development"): id}


def test_what_people_and_scripts_see(host: Host, server: Loopback) -> None:
    """Exit code 1; the row's error in --json and on stderr, there before the rows that wait for it; the other rows are done."""
    assert host.inv("asst.create").code == 0
    host.edit('verbosity="low"', 'verbosity="high"')
    host.edit("Plan it.", "Plan it well.")
    server.taken = NO_VERBOSITY
    done = host.inv("asst.update", "--json")
    assert done.code == 1
    rows = done.rows()
    assert 'text.verbosity (sent "high", answered "low")' in rows["talker", "development"]["error"]
    assert rows["planner", "development"]["error"] is None
    planned = host.inv("asst.plan", "--check", "--env", "development")
    assert planned.code == 2
    assert "the service did not take what the last update sent (text.verbosity)" in planned.out
    deployed = host.inv("asst.deploy")
    first, *others = deployed.err.splitlines()
    assert (deployed.code, first.partition(": agent_")[0]) == (1, "talker in development")
    assert others == [f"{name} in production: not started, since development is not whole" for name in ("planner", "talker")]


@pytest.mark.parametrize("platform", ["local", "responses"])
def test_the_other_platforms_take_everything(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """What they answer is read back as well, and is what was sent."""
    monkeypatch.setenv("ASST_PLATFORM", platform)
    host = Host(tmp_path / platform, {"ASST_PLATFORM": platform})
    commands.create(host.root)
    host.edit('verbosity="low", reasoning={"effort": "low"}', 'service_tier="flex"')
    commands.deploy(host.root)
    assert {row.state for row in commands.status(host.root)} == {"in_sync"}
    assert "pending" not in host.store
