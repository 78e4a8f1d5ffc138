"""What stands between the first environment and those after it: breaking schemas, required evals, and what a record keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Host
from loopback import Fault, Loopback, Seen

from invoke_assistants import Assistant, EvalsFailed, Refused, RowsFailed, SettingsError, commands
from invoke_assistants.reconcile.plan import Plan
from invoke_assistants.reconcile.promotion import describe_promotion
from invoke_assistants.types import Desired, Location, Step

MODELS = """
from pydantic import BaseModel, ConfigDict, Field
from typing import Literal
from invoke_assistants import Assistant, Evals

class Ticket(BaseModel):
    title: str
    priority: Literal["low", "high"]

def has_title(output: Ticket) -> bool:
    return VERDICT

"""
TICKETS = (
    MODELS
    + """
ASSISTANTS = [
    Assistant("triage", output=Ticket, model="gpt-6-luna", instructions="Triage."),
    Assistant("talker", model="gpt-6-luna", instructions="Talk."),
]
"""
)
EVALS = 'Evals("cases.yaml", evaluators=[has_title], minimum=0.9, required=True)'
EVALUATED = TICKETS.replace('"Triage."', f'"Triage.", evals={EVALS}')
PLATFORMS = {"development": "local", "production": "agents"}
CASES = """
evaluators: [has_title]
cases:
- {name: broken, inputs: It is broken}
- {name: slow, inputs: It is slow}
"""


@pytest.fixture
def tickets(host: Host, server: Loopback) -> Host:
    """Two assistants, made in both environments; one answers with a ticket."""
    host.declare(TICKETS)
    host.create()
    server.seen.clear()
    return host


@pytest.fixture
def evaluated(host: Host, server: Loopback) -> Callable[[str], Host]:
    """The same with required evals, made in both environments, then edited; the argument is the evaluator's verdict."""
    (host.root / "cases.yaml").write_text(CASES)

    def declared(verdict: str) -> Host:
        host.declare(EVALUATED.replace("VERDICT", verdict))
        commands.create(host.root)
        host.edit('"Triage."', '"Triage it."')
        server.seen.clear()
        return host

    return declared


def by_key(rows: list[Step]) -> dict[tuple[str, str], Step]:
    return {row.key: row for row in rows}


def record(host: Host, environment: str = "production") -> dict[str, object]:
    found: dict[str, object] = host.store["assistants"]["triage"][environment]
    return found


def widen(host: Host) -> None:
    host.edit('Literal["low", "high"]', 'Literal["low", "high", "urgent"]')


def test_a_breaking_change_is_refused_before_any_write(tickets: Host, server: Loopback) -> None:
    """An enum that grows is told in development and refused for production with 3; nothing is written anywhere."""
    widen(tickets)
    before = tickets.path.read_bytes()
    with pytest.raises(Refused) as caught:
        commands.deploy(tickets.root)
    assert str(caught.value) == (
        "triage in production: the app that runs now cannot read what the new schema allows (priority): ship the app first, then"
        " inv asst.deploy --allow-breaking triage:priority"
    )
    development, production = (by_key(list(caught.value.rows))["triage", where] for where in ("development", "production"))
    assert production.schema == development.schema
    assert production.schema
    [change] = production.schema.changes
    assert (production.schema.verdict, production.schema.order) == ("breaking", "ship_app_first")
    assert (change.path, change.kind, change.example["priority"]) == ("priority", "enum_widened", "urgent")
    assert development.error is None
    assert server.writes() == []
    assert tickets.path.read_bytes() == before


def test_the_next_command_keeps_the_flags(tickets: Host) -> None:
    """A plan with a flag names a deploy with it; of production alone, one of all that is not brought up yet."""
    widen(tickets)
    flag = ("--allow-breaking", "triage:priority")
    assert (
        "next: inv asst.deploy --allow-breaking triage:priority\n" in tickets.inv("asst.plan", "--env", "production", *flag).out
    )
    assert "next: inv asst.plan\n" in tickets.inv("asst.update").out
    planned = tickets.inv("asst.plan", "--env", "production", *flag)
    assert "next: inv asst.deploy --allow-breaking triage:priority --env production\n" in planned.out


def test_a_hold_names_all_the_flags(tickets: Host) -> None:
    """What would be refused behind a hold stands in its message, too."""
    tickets.edit('"Triage."', '"Triage it."')
    commands.deploy(tickets.root)
    commands.rollback(tickets.root, ["triage"], "production")
    widen(tickets)
    with pytest.raises(Refused, match=r"inv asst\.deploy --resume --allow-breaking triage:priority goes forward"):
        commands.deploy(tickets.root)


def test_development_alone_is_told(tickets: Host) -> None:
    """Update writes a breaking change; its step carries the verdict, its record nothing."""
    widen(tickets)
    step = by_key(commands.update(tickets.root))["triage", "development"]
    assert step.schema
    assert step.schema.verdict == "breaking"
    assert "allowed" not in record(tickets, "development")


@pytest.mark.parametrize("flag", ["triage", "triage:priority"])
def test_what_is_let_through_is_kept(tickets: Host, flag: str) -> None:
    """With the name or the path, deploy goes ahead, and production's record keeps the path until the next digest."""
    widen(tickets)
    commands.deploy(tickets.root, allow_breaking=[flag])
    assert record(tickets)["allowed"] == ["priority"]
    tickets.edit('"Triage."', '"Triage it."')
    commands.deploy(tickets.root)
    assert "allowed" not in record(tickets)


@pytest.mark.parametrize(
    ("flag", "error"),
    [
        ("triages", "no assistant 'triages'; declared: triage, talker; did you mean 'triage'?"),
        ("triage:", "give a path behind the colon, or triage alone for all of it"),
    ],
)
def test_a_flag_that_lets_nothing_through(tickets: Host, flag: str, error: str) -> None:
    """An assistant that is not declared and an empty path are errors."""
    with pytest.raises(SettingsError) as caught:
        commands.deploy(tickets.root, allow_breaking=[flag])
    assert error in str(caught.value)


def test_another_path_does_not_do(tickets: Host, server: Loopback) -> None:
    """Each breaking path must be let through; those that were are not named again."""
    widen(tickets)
    tickets.edit("title: str", "title: str | None")
    with pytest.raises(Refused, match=r"may|cannot read what the new schema allows \(title\)"):
        commands.deploy(tickets.root, allow_breaking=["triage:priority"])
    assert server.writes() == []


def test_a_yes_to_drift_is_none_to_a_breaking_change(tickets: Host, server: Loopback) -> None:
    """Where drift and a breaking change meet, nobody is asked: a yes would not be enough."""
    widen(tickets)
    server.call("POST", f"/agents/{tickets.ids()['talker', 'production']}", {"instructions": "By hand."})
    with pytest.raises(Refused):
        commands.deploy(tickets.root, confirm=lambda *_: pytest.fail("nobody is to be asked"))
    assert server.writes() == []


def test_a_killed_update_keeps_what_was_let_through(tickets: Host, server: Loopback) -> None:
    """The answer of production's update is lost, and the look after it: the rerun records it with the path."""
    widen(tickets)
    production = tickets.ids()["triage", "production"]

    def lost(seen: Seen) -> Fault | None:
        if production in seen.path:
            return Fault(after=True, reset=True) if seen.method == "POST" else Fault(reset=True)
        return None

    server.faults.append(lost)
    with pytest.raises(RowsFailed):
        commands.deploy(tickets.root, allow_breaking=["triage"])
    server.faults.clear()
    assert "allowed" not in record(tickets)
    commands.deploy(tickets.root)
    assert record(tickets)["allowed"] == ["priority"]


def test_a_rollback_that_the_new_app_could_not_read_is_told(tickets: Host) -> None:
    """A field that comes is fine for the running app; a rollback to the digest before would lack it."""
    digest = str(record(tickets)["digest"])
    tickets.edit("title: str", "title: str\n    owner: str")
    step = by_key(commands.deploy(tickets.root))["triage", "production"]
    assert step.schema
    assert step.schema.order == "deploy_first"
    assert step.rollback_note == (
        f"a rollback to {digest[7:15]} would then bring back answers that the new app may not be able to read"
    )


def test_a_row_says_what_development_has_shown(tickets: Host) -> None:
    """As development and read back; an override that differs is named; before development is written, only that is left."""
    tickets.edit('"Triage.")', '"Triage it.", environments={"production": {"model": "gpt-6-astra"}})')
    planned = by_key(commands.plan(tickets.root))["triage", "production"].promotion
    assert planned == 'as development, but model "gpt-6-luna" -> "gpt-6-astra"'
    done = by_key(commands.deploy(tickets.root))
    assert done["triage", "production"].promotion == f"{planned}, read back"
    assert done["talker", "production"].promotion is None


@pytest.mark.parametrize(
    ("override", "remark"),
    [
        ({"verbosity": "high"}, 'but text.verbosity "low" -> "high"'),
        ({"verbosity": None}, 'but text.verbosity "low" -> (absent)'),
        (
            {"service_tier": "flex", "metadata": {}},
            'but service_tier (absent) -> "flex" and metadata {"team": "x"} -> (absent)',
        ),
        (
            {"reasoning": {"effort": "high", "summary": "auto"}},
            'but reasoning.effort "low" -> "high" and reasoning.summary (absent) -> "auto"',
        ),
        ({"tools": [{"type": "web_search"}]}, 'but tools [] -> [{"type": "web_search"}]'),
        ({"metadata": dict.fromkeys("abcd", "y")}, "but its own metadata"),
        ({"instructions": "Triage it. " * 9, "model": "m"}, 'but model "gpt-6-luna" -> "m" and its own instructions'),
    ],
)
def test_each_override_that_differs_is_named(override: dict[str, Any], remark: str) -> None:
    """With both values where they are short, also where production leaves out what development has."""
    assistant = Assistant(
        "triage", model="gpt-6-luna", instructions="Triage.", verbosity="low", metadata={"team": "x"},
        reasoning={"effort": "low"}, environments={"production": override},
    )  # fmt: skip
    first, later = (
        Desired("triage", environment, position, Location("local", "local"), "p", assistant.payload(environment), "sha256:0")
        for position, environment in enumerate(("development", "production"))
    )
    plan = Plan((Step("triage", "production", "local", "changed", "update", desired=later),))
    assert describe_promotion(plan, {"triage": first}, (), ()).steps[0].promotion == f"as development, {remark}"


def test_the_printed_command_is_enough(tickets: Host) -> None:
    """What was let through already stands in the command, too; a path that breaks nothing is named."""
    widen(tickets)
    tickets.edit("title: str", "title: str | None")
    flags = "--allow-breaking triage:title --allow-breaking triage:priority"
    for given in ("triage:priority", "triage:title"):
        with pytest.raises(Refused, match=flags) as caught:
            commands.deploy(tickets.root, allow_breaking=[given])
    assert "breaks nothing" not in str(caught.value)
    with pytest.raises(Refused, match=rf"{flags} \(titles breaks nothing\)"):
        commands.deploy(tickets.root, allow_breaking=["triage:titles"])


def test_the_printed_command_keeps_what_others_need(tickets: Host) -> None:
    """Where two assistants break, what was let through of one stands in the command for the other, behind a hold as well."""
    tickets.edit('Assistant("talker", ', 'Assistant("talker", output=Ticket, ')
    commands.deploy(tickets.root, allow_breaking=["talker"])
    widen(tickets)
    for given, flags in (
        ("talker", "--allow-breaking talker --allow-breaking triage:priority"),
        ("triage:priority", "--allow-breaking triage:priority --allow-breaking talker:priority"),
    ):
        with pytest.raises(Refused, match=rf"inv asst\.deploy {flags}$"):
            commands.deploy(tickets.root, allow_breaking=[given])
    commands.deploy(tickets.root, allow_breaking=["talker", "triage:priority"])
    commands.rollback(tickets.root, ["triage"], "production")
    tickets.edit(', "urgent"]', ', "urgent", "never"]')
    with pytest.raises(Refused, match=r"deploy --resume --allow-breaking talker --allow-breaking triage:priority goes forward"):
        commands.deploy(tickets.root, allow_breaking=["talker"])


def test_evals_run_between_the_environments(evaluated: Callable[[str], Host], server: Loopback) -> None:
    """Development is written, each case asked once, then production; the next deploy asks nothing."""
    host = evaluated("True")
    step = by_key(commands.deploy(host.root))["triage", "production"]
    assert step.promotion == "as development, evaluated and read back"
    where = {host.ids()["triage", each]: each for each in ("development", "production")}
    order = [where.get(seen.path.rpartition("/")[2], "ask") for seen in server.writes()]
    assert list(dict.fromkeys(order)) == ["development", "ask", "production"]
    [(place, found)] = host.store["evals"][record(host, "development")["digest"]].items()
    assert place == f"agents {server.origin}"
    [result] = found.values()
    assert (result["rate"], result["passed"], [case["label"] for case in result["cases"]]) == (1.0, True, ["pass", "pass"])
    server.seen.clear()
    commands.deploy(host.root)
    assert [seen.path for seen in server.seen] == ["/v1/agents"]


def test_failed_evals_keep_production_as_it_is(evaluated: Callable[[str], Host], server: Loopback) -> None:
    """Exit 3 after development was written; production is not; the same deploy again asks nobody."""
    host = evaluated("len(output.title) < 0")
    before = record(host)
    with pytest.raises(EvalsFailed) as caught:
        commands.deploy(host.root)
    assert str(caught.value) == (
        "triage in production: its evals passed 0% of the cases, and 90% are required (failed: broken, slow): correct the"
        " instructions, or inv asst.eval --env development --only triage asks again; --skip-evals goes on without"
    )
    assert record(host) == before
    assert record(host, "development")["digest"] != before["digest"]
    server.seen.clear()
    with pytest.raises(EvalsFailed):
        commands.deploy(host.root)
    assert server.writes() == []


def test_a_rate_that_somebody_wrote_opens_nothing(evaluated: Callable[[str], Host], server: Loopback) -> None:
    """The cases decide, by the declared rule and minimum; what else the store says of them does not."""
    host = evaluated("len(output.title) < 0")
    with pytest.raises(EvalsFailed):
        commands.deploy(host.root)
    store = host.store
    [result] = (found for places in store["evals"].values() for shas in places.values() for found in shas.values())
    result |= {"rate": 1.0, "passed": True}
    host.path.write_text(json.dumps(store))
    server.seen.clear()
    with pytest.raises(EvalsFailed, match="its evals passed 0% of the cases, and 90% are required"):
        commands.deploy(host.root)
    assert server.writes() == []


def test_rows_that_were_not_written_say_so(evaluated: Callable[[str], Host], server: Loopback) -> None:
    """Behind a closed gate, an update without evals is not started, and says so; what was done in development stands."""
    host = evaluated("False")
    host.edit('"Talk."', '"Talk well."')
    with pytest.raises(EvalsFailed) as caught:
        commands.deploy(host.root)
    rows = by_key(list(caught.value.rows))
    assert rows["talker", "production"].error == "talker in production: not started, since required evals have not passed"
    assert (rows["talker", "development"].action, rows["talker", "development"].error) == ("update", None)
    assert "talker" not in str(caught.value)


def test_a_row_that_fails_leaves_the_others_going(evaluated: Callable[[str], Host], server: Loopback) -> None:
    """Production's other instance is gone: evals run all the same, and what can be written is."""
    host = evaluated("True")
    host.edit('"Talk."', '"Talk well."')
    server.call("DELETE", f"/agents/{host.ids()['talker', 'production']}")
    with pytest.raises(RowsFailed, match="talker in production: agent_.* was deleted remotely") as caught:
        commands.deploy(host.root)
    assert [row.key for row in caught.value.rows if row.error] == [("talker", "production")]
    assert server.agents()[host.ids()["triage", "production"]]["instructions"] == "Triage it."


def test_what_happens_during_the_evals_is_seen(evaluated: Callable[[str], Host], server: Loopback) -> None:
    """Production is edited by hand while evals run: exit 3, the edit stays, and development keeps what it got."""
    host = evaluated("True")
    production = host.ids()["triage", "production"]

    def hotfix(seen: Seen) -> None:
        if "/sessions" in seen.path:
            server.call("POST", f"/agents/{production}", {"instructions": "Hotfix."})

    server.faults.append(hotfix)
    with pytest.raises(Refused, match="triage in production was changed while evals ran") as caught:
        commands.deploy(host.root)
    assert caught.value.promoted
    assert by_key(list(caught.value.rows))["triage", "development"].action == "update"
    assert server.agents()[production]["instructions"] == "Hotfix."


def test_flags_are_for_what_was_there(evaluated: Callable[[str], Host]) -> None:
    """A rollback during the evals of a deploy with --resume and --overwrite stands: the flags were given before it."""
    host = evaluated("__import__('then_roll_back').roll_back()")
    commands.deploy(host.root, skip_evals=True)
    host.edit('"Triage it."', '"Triage it well."')
    (host.root / "then_roll_back.py").write_text(
        f"import functools\nfrom invoke_assistants import commands\n\n@functools.cache\ndef roll_back():\n"
        f"    commands.rollback({str(host.root)!r}, ['triage'], 'production')\n    return True\n"
    )
    with pytest.raises(Refused, match="triage in production was changed while evals ran"):
        commands.deploy(host.root, resume=True, overwrite=True)
    assert "held" in record(host)


def test_a_saved_plan_goes_on_after_its_evals(evaluated: Callable[[str], Host]) -> None:
    """Evals that were not known when it was saved run in between; what failed is refused by the gate."""
    host = evaluated("True")
    commands.plan(host.root, out=host.root / "p.plan")
    commands.deploy(host.root, saved=host.root / "p.plan")
    assert record(host)["digest"] == record(host, "development")["digest"]
    host.edit("return True", "return False")
    commands.plan(host.root, out=host.root / "p.plan")
    host.edit('"Triage it."', '"Triage it well."')
    commands.plan(host.root, out=host.root / "p.plan")
    with pytest.raises(EvalsFailed, match="its evals passed 0%"):
        commands.deploy(host.root, saved=host.root / "p.plan")


def test_nobody_waits_for_evals(evaluated: Callable[[str], Host]) -> None:
    """While evals run, the store is not locked: another run writes, and what it recorded is seen."""
    host = evaluated("__import__('then_forget').forget()")
    (host.root / "then_forget.py").write_text(
        f"import functools\nfrom invoke_assistants import commands\n\n@functools.cache\ndef forget():\n"
        f"    commands.forget('talker', 'development', {str(host.root)!r})\n    return True\n"
    )
    with pytest.raises(RowsFailed, match="talker in development is not created"):
        commands.deploy(host.root)


def test_a_wrong_dataset_is_told_before_any_write(evaluated: Callable[[str], Host], server: Loopback) -> None:
    """A dataset that cannot be read ends the deploy at once."""
    host = evaluated("True")
    (host.root / "cases.yaml").write_text("cases: []")
    with pytest.raises(SettingsError, match="the dataset cases.yaml has no cases"):
        commands.deploy(host.root)
    assert server.writes() == []


@pytest.mark.parametrize(("verdict", "remark"), [("True", "evaluated and read back"), ("False", "read back, evals failed")])
def test_evals_that_only_tell_are_told(evaluated: Callable[[str], Host], verdict: str, remark: str) -> None:
    """What they found in development stands at production's update, which waits for nothing, a lost dataset included."""
    host = evaluated(verdict)
    host.edit(", required=True", "")
    commands.update(host.root)

    def planned() -> str | None:
        [step] = commands.plan(host.root, ["triage"], "production")
        assert step.error is None
        return step.promotion

    assert planned() == "as development, read back"
    commands.evaluate(host.root)
    assert planned() == f"as development, {remark}"
    cases = (host.root / "cases.yaml").rename(host.root / "elsewhere.yaml")
    assert planned() == "as development, read back"
    cases.rename(host.root / "cases.yaml")
    assert by_key(commands.deploy(host.root))["triage", "production"].promotion == f"as development, {remark}"


def test_a_plan_foresees_the_gate(evaluated: Callable[[str], Host]) -> None:
    """Evals that are not known are a remark, where a deploy could run them; for one environment, and known to fail, an error."""
    host = evaluated("False")
    assert not any(step.error for step in commands.plan(host.root))
    [alone] = commands.plan(host.root, ["triage"], "production")
    assert (alone.needs_confirmation, "its evals are not known" in str(alone.error)) == (True, True)
    with pytest.raises(EvalsFailed):
        commands.deploy(host.root)
    foreseen = by_key(commands.plan(host.root))["triage", "production"]
    assert (foreseen.needs_confirmation, "passed 0% of the cases" in str(foreseen.error)) == (True, True)


def test_skipped_evals_are_said_and_kept(evaluated: Callable[[str], Host], server: Loopback) -> None:
    """--skip-evals asks nobody, says so at the row, and the record keeps it until the next digest."""
    host = evaluated("True")
    step = by_key(commands.deploy(host.root, skip_evals=True))["triage", "production"]
    assert step.promotion == "as development, read back, evals skipped"
    assert record(host)["evals_skipped"] is True
    assert not any("/sessions" in seen.path for seen in server.seen)
    host.edit('"Triage it."', '"Triage it now."')
    commands.deploy(host.root)
    assert "evals_skipped" not in record(host)


def test_a_dataset_that_cannot_be_read_stops_nobody_who_does_not_ask(evaluated: Callable[[str], Host]) -> None:
    """Create, and a deploy that skips evals, take it for evals that are not known; all others say what is wrong."""
    host = evaluated("True")
    (host.root / "cases.yaml").unlink()
    for refused in (commands.plan, commands.deploy):
        with pytest.raises(SettingsError, match=r"^the dataset cases\.yaml does not exist"):
            refused(host.root)
    assert by_key(commands.deploy(host.root, skip_evals=True))["triage", "production"].promotion == (
        "as development, read back, evals skipped"
    )
    commands.forget("triage", "production", host.root)
    assert by_key(commands.create(host.root))["triage", "production"].promotion == "evals not known"


def test_an_evaluator_that_raises_stops_the_deploy(evaluated: Callable[[str], Host]) -> None:
    """An error is no verdict: exit 1, production as it was."""
    host = evaluated("1 / 0")
    before = record(host)
    with pytest.raises(RowsFailed, match="triage in development: 2 of its evals ended in an error: inv asst.eval"):
        commands.deploy(host.root)
    assert record(host) == before


def test_production_alone_asks_nothing(evaluated: Callable[[str], Host], server: Loopback) -> None:
    """deploy --env production wants a known pass: without one it is refused, and names the command; with one it goes ahead."""
    host = evaluated("True")
    commands.update(host.root)
    server.seen.clear()
    with pytest.raises(EvalsFailed, match="run inv asst.eval --env development --only triage first"):
        commands.deploy(host.root, env="production")
    assert server.writes() == []
    commands.evaluate(host.root)
    server.seen.clear()
    commands.deploy(host.root, env="production")
    assert [host.ids()["triage", "production"] in seen.path for seen in server.writes()] == [True]


def test_evals_of_another_place_do_not_count(
    evaluated: Callable[[str], Host], server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass on the embedded platform says nothing about the Agents API: refused after development, without asking."""
    host = evaluated("True")
    tables = [f'[tool.asst.environments.{name}]\nplatform = "{platform}"\n' for name, platform in PLATFORMS.items()]
    settings = host.root / "pyproject.toml"
    settings.write_text(settings.read_text() + "".join(tables))
    monkeypatch.delenv("ASST_PLATFORM")
    commands.create(host.root, env="development")
    host.edit('"Triage it."', '"Triage it now."')
    with pytest.raises(EvalsFailed, match=r"evals in development run on local, which says nothing about agents at 127.0.0.1"):
        commands.deploy(host.root)
    assert not any("/sessions" in seen.path for seen in server.seen)


def test_a_failure_of_the_payload_itself_counts(evaluated: Callable[[str], Host]) -> None:
    """Development's pass does not cover for production's own payload, where that is known to have failed."""
    host = evaluated("True")
    host.edit('"Triage it.", ', '"Triage it.", environments={"production": {"model": "gpt-6-astra"}}, ')
    commands.deploy(host.root)
    host.edit("return True", "return output.title == ''")
    commands.evaluate(host.root, ["triage"], "production")
    host.edit("gpt-6-astra", "gpt-6-nova")
    commands.deploy(host.root, skip_evals=True)
    host.edit("gpt-6-nova", "gpt-6-astra")
    with pytest.raises(EvalsFailed, match="its evals passed 0%"):
        commands.deploy(host.root)


@pytest.mark.parametrize("verb", [commands.plan, commands.create])
def test_who_only_looks_or_makes_asks_nothing(
    evaluated: Callable[[str], Host], server: Loopback, verb: Callable[[Path], list[Step]]
) -> None:
    """plan and create run no evals, and say that none are known."""
    host = evaluated("True")
    commands.forget("triage", "production", host.root)
    step = by_key(verb(host.root))["triage", "production"]
    assert step.promotion == "evals not known"
    assert not any("/sessions" in seen.path for seen in server.seen)


def test_a_plain_deploy_costs_what_it_did(tickets: Host, server: Loopback) -> None:
    """One page of the list for both environments, and one update each; alone, of one environment, and with nothing to do, too."""
    tickets.edit('"Triage."', '"Triage it."')
    commands.deploy(tickets.root)
    assert [seen.method for seen in server.seen] == ["GET", "POST", "POST"]
    for only, env, expected in ((), None, ["GET"]), (["triage"], "production", ["GET", "POST"]):
        if env:
            tickets.edit('"Triage it."', '"Triage it well."')
            commands.update(tickets.root)
        server.seen.clear()
        commands.deploy(tickets.root, only, env)
        assert [seen.method for seen in server.seen] == expected
