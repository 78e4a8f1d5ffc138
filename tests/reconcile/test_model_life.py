"""The account's list of models, read beside a look: what is shut down soon or unknown is a note, and nothing else."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from conftest import Host, examples
from hypothesis import given
from hypothesis import settings as configured
from hypothesis import strategies as st
from loopback import Fault, Loopback, Seen

from invoke_assistants import SettingsError, commands
from invoke_assistants.platforms import agents
from invoke_assistants.reconcile.model_life import SOON, parse_models, with_model_life
from invoke_assistants.reconcile.plan import Plan
from invoke_assistants.types import Desired, Location, Step

TODAY = date(2026, 11, 29)
LUNA, ASTRA = {"id": "gpt-6-luna", "object": "model"}, {"id": "gpt-6-astra", "object": "model"}
VALUE = st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["m", "n", "2026-12-31", "0001-01-01"])
JSON = VALUE | st.lists(VALUE, max_size=2) | st.dictionaries(st.just("id"), VALUE)


def step(name: str, model: str, environment: str = "development", note: str | None = None) -> Step:
    payload = {"model": model, "instructions": None, "text": {"format": {"type": "text"}}, "tools": []}
    desired = Desired(name, environment, 0, Location("agents", "api.openai.com"), "p", payload, "sha256:" + 64 * "0")
    return Step.of(desired, "in_sync", note=note)


def notes(plan: Plan) -> list[str | None]:
    return [step.model_life for step in plan]


def life(shutdown: Any, *, model: str = "gpt-6-luna") -> str | None:
    """The note of one declared model whose entry has this date."""
    models = {"development": parse_models([{"id": "gpt-6-luna", "shutdown_date": shutdown}])}
    [note] = notes(with_model_life(Plan((step("a", model),)), models, TODAY))
    return note


@pytest.mark.parametrize(
    ("shutdown", "said"),
    [
        ("2026-12-31", "shuts down on 2026-12-31, in 32 days"),
        ("2026-11-30", "shuts down on 2026-11-30, in 1 day"),
        ("2026-11-29", "shuts down on 2026-11-29, today"),
        ("2026-11-28", "was shut down on 2026-11-28"),
        ("2024-01-04", "was shut down on 2024-01-04"),
        (str(TODAY + timedelta(SOON)), "shuts down on 2027-01-28, in 60 days"),
        (str(TODAY + timedelta(SOON + 1)), None),
        ("2026-12-31T23:30:00-05:00", "shuts down on 2027-01-01, in 33 days"),  # the day in UTC
        ("2026-12-31T00:00:00Z", "shuts down on 2026-12-31, in 32 days"),
        ("0001-01-01T00:00:00+23:59", None),
        ("soon", None),
        ("", None),
        (None, None),
        (1798675200, None),
        (["2026-12-31"], None),
    ],
)
def test_a_shutdown_is_told_from_sixty_days_before(shutdown: Any, said: str | None) -> None:
    """By the day in UTC; a date that cannot be read says nothing."""
    assert life(shutdown) == (said and f"a: model gpt-6-luna {said}")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("gpt-6-lune", "a: model gpt-6-lune is not among this account's models; did you mean 'gpt-6-luna'?"),
        ("ft:gpt-6-luna:acme::x1", "a: model ft:gpt-6-luna:acme::x1 is not among this account's models"),
        ("gpt-6-luna", None),
    ],
)
def test_a_model_that_the_account_does_not_list(model: str, said: str | None) -> None:
    """A note with the closest name; where the list is empty, nothing."""
    assert life(None, model=model) == said
    plan = Plan((step("a", model),))
    assert with_model_life(plan, {"development": {}}, TODAY) == plan
    assert with_model_life(plan, {}, TODAY) == plan


def test_a_note_names_who_declares_the_model() -> None:
    """One note for all rows of a model and date, beside what the row says already; other environments have their own list."""
    plan = Plan(
        (
            step("a", "old", note="another checkout wrote it"),
            step("b", "old"),
            step("b", "new", "production"),
            step("c", "old", "staging"),
        )
    )
    soon = parse_models([{"id": "old", "shutdown_date": "2026-12-01"}, {"id": "new"}])
    said = "a, b: model old shuts down on 2026-12-01, in 2 days"
    shown = with_model_life(plan, {"development": soon, "production": soon}, TODAY)
    assert notes(shown) == [said, said, None, None]
    assert [step.note for step in shown] == [step.note for step in plan]
    many = Plan(tuple(step(f"a{index}", "old") for index in range(9)))
    [note, *_] = notes(with_model_life(many, {"development": soon}, TODAY))
    assert (note or "").startswith("a0, a1, a2, a3, a4, a5 and 3 more: model old")


@configured(max_examples=examples(200), deadline=None)
@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "shutdown_date"), JSON)), max_size=3), st.dates())
def test_whatever_a_service_lists_breaks_nothing(entries: list[Any], today: date) -> None:
    """Entries of any shape: those without an id are none; only notes are added."""
    plan = Plan((step("a", "m"), step("b", "n")))
    shown = with_model_life(plan, {"development": parse_models(entries)}, today)
    assert [(each.key, each.error, each.action) for each in shown] == [(each.key, each.error, each.action) for each in plan]


def days(number: int) -> str:
    return str(datetime.now(UTC).date() + timedelta(number))


def asked(server: Loopback) -> list[Seen]:
    return [seen for seen in server.seen if seen.path == "/v1/models"]


def test_status_and_plan_ask_once_per_credential(host: Host, server: Loopback) -> None:
    """One request for both environments; their rows say it, and exit codes and --json are as before."""
    host.create()
    server.models = [{**LUNA, "shutdown_date": days(32)}, {**ASTRA, "shutdown_date": days(-1)}]
    for verb in (commands.status, commands.plan):
        server.seen.clear()
        said = {row.key: row.model_life for row in verb(host.root)}
        soon = f"planner, judge, talker: model gpt-6-luna shuts down on {days(32)}, in 32 days"
        assert said["planner", "production"] == said["judge", "development"] == soon
        assert said["judge", "production"] == f"judge: model gpt-6-astra was shut down on {days(-1)}"
        [seen] = asked(server)
        assert (seen.method, seen.query, "openai-beta" in seen.headers) == ("GET", {}, False)
        assert [seen.path for seen in server.seen if seen.path != "/v1/models"] == ["/v1/agents"]
    checked = host.inv("asst.plan", "--check", "--json")
    assert checked.code == 0
    shown = host.inv("asst.status")
    assert (shown.code, shown.out.count(soon)) == (0, 1)  # each remark is printed once


def test_environments_with_keys_of_their_own_ask_for_themselves(
    host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each account has its own models."""
    host.create()
    monkeypatch.setenv("OPENAI_API_KEY_PRODUCTION", "sk-another")
    server.seen.clear()
    commands.plan(host.root)
    assert sorted(seen.headers["authorization"] for seen in asked(server)) == ["Bearer sk-another", "Bearer sk-canary-0000000000"]
    monkeypatch.setenv("OPENAI_API_KEY_PRODUCTION", " ")
    server.seen.clear()
    with pytest.raises(SettingsError):
        commands.plan(host.root)
    assert server.seen == []


def test_nothing_else_asks(host: Host, server: Loopback) -> None:
    """What writes sends not one request more; nor is anything asked where nothing is looked at."""
    commands.status(host.root)
    commands.plan(host.root)
    assert server.seen == []
    host.create()
    host.edit("Plan it.", "Plan it well.")
    commands.update(host.root, dry_run=True)
    commands.update(host.root)
    commands.deploy(host.root)
    commands.plan(host.root, from_store=True)
    commands.delete(host.root, ["planner"], "production", yes=True)
    assert asked(server) == []


def test_local_is_not_asked(local_host: Host) -> None:
    """The embedded platform has no models of an account: a model that nobody lists is no news there."""
    local_host.create()
    local_host.edit('"gpt-6-luna", instructions="Plan it."', '"anything", instructions="Plan it."')
    assert {row.model_life for row in commands.plan(local_host.root)} == {None}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=404),
        Fault(status=500),
        Fault(status=401),
        Fault(status=429, headers={"Retry-After": "30"}),
        Fault(raw=b"<html>"),
        Fault(raw=b"[]"),
        Fault(raw=b"null"),
        Fault(raw=b'{"data": {"id": "m"}}'),
        Fault(raw=b'{"data": [1, null, ["m"], {"id": 7}, {}]}'),
        Fault(raw=b'{"data": []}'),
        Fault(raw=b"[" * 100_000 + b"]" * 100_000),
        Fault(raw=b'{"data": [' + b"1" * 5_000 + b"]}"),
        Fault(raw=b"\xff\xfe"),
        Fault(raw=b"x", headers={"Content-Encoding": "gzip"}),
        Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}),
        Fault(reset=True),
        Fault(after=True, truncate=True),
    ],
)
def test_a_failure_is_silent(host: Host, server: Loopback, fault: Fault) -> None:
    """Once, and not again: rows and notes are as without it."""
    host.edit('model="gpt-6-luna", instructions="Plan it."', 'model="gpt-6-nova", instructions="Plan it."')
    host.create()
    server.once(fault, "GET", "/v1/models", times=99)
    server.seen.clear()
    rows = commands.status(host.root)
    assert {(row.state, row.note, row.model_life, row.error) for row in rows} == {("in_sync", None, None, None)}
    assert len(asked(server)) == 1


def test_a_list_that_does_not_come_is_not_waited_for(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 seconds at most, and no longer than the look where that fails."""
    host.create()
    assert agents.MODELS_TIMEOUT == 5
    monkeypatch.setattr(agents, "MODELS_TIMEOUT", 0.3)
    server.once(Fault(hang=3), "GET", "/v1/models", times=99)
    began = time.monotonic()
    assert {(row.state, row.model_life) for row in commands.status(host.root)} == {("in_sync", None)}
    assert time.monotonic() - began < 2
    monkeypatch.setattr(agents, "MODELS_TIMEOUT", 30)
    server.once(Fault(status=401), "GET", "/v1/agents")
    began = time.monotonic()
    with pytest.raises(Exception, match="rejected the key"):
        commands.status(host.root)
    assert time.monotonic() - began < 2


def test_the_look_does_not_wait_for_the_models(host: Host, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one request at a time, too: the list of agents is asked for first, and both are on their way at once else."""
    host.create()
    server.faults.append(lambda seen: time.sleep(0.4))  # type: ignore[func-returns-value]
    began = time.monotonic()
    commands.status(host.root)
    assert time.monotonic() - began < 0.75
    monkeypatch.setenv("ASST_CONCURRENCY", "1")
    server.seen.clear()
    commands.status(host.root)
    assert [seen.path for seen in server.seen] == ["/v1/agents", "/v1/models"]
    monkeypatch.setattr(agents, "MODELS_TIMEOUT", 0.1)
    server.seen.clear()
    commands.status(host.root)
    assert [seen.path for seen in server.seen] == ["/v1/agents"]  # its time was over before its turn came


def test_what_a_service_calls_its_models_steers_nothing(host: Host, server: Loopback) -> None:
    """A name with a terminal's commands in it is shown, not obeyed."""
    host.create()
    server.models = [{"id": "gpt-6-lun\x1b[31m"}]
    shown = host.inv("asst.status")
    assert shown.code == 0
    assert "is not among this account's models; did you mean" in shown.out
    assert "\x1b" not in shown.out
