"""The three-way diff of an instance, case by case, and the plans that commands make of it. Pure."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from invoke_assistants.declare.digest import digest
from invoke_assistants.declare.payload import create_body
from invoke_assistants.declare.tags import TAGS
from invoke_assistants.emulator.agent_models import Agent, fill_defaults, merge_update, request_fields
from invoke_assistants.reconcile.consent import Consent
from invoke_assistants.reconcile.diff import update_body
from invoke_assistants.reconcile.diff_instance import diff_instance
from invoke_assistants.reconcile.plan import Plan
from invoke_assistants.reconcile.planning import plan_create, plan_preview, plan_status, plan_update
from invoke_assistants.reconcile.read_back import answered_digest
from invoke_assistants.reconcile.records import record_of_update
from invoke_assistants.reconcile.remote import Listing, Remote
from invoke_assistants.types import Desired, JSONObject, Location, PendingOperation, Record, State, Step

PLACE = Location("agents", "api.openai.com")
OLD: JSONObject = {"model": "m", "instructions": "old", "text": {"format": {"type": "text"}, "verbosity": "low"}, "tools": []}
NEW: JSONObject = {"model": "m", "instructions": "new", "text": {"format": {"type": "text"}}, "tools": []}
OTHER: JSONObject = {"model": "m", "instructions": "other", "text": {"format": {"type": "text"}}, "tools": []}
TIERED: JSONObject = {**NEW, "service_tier": "flex"}


def wants(payload: JSONObject, position: int = 0) -> Desired:
    return Desired("a", "development", position, PLACE, "p", payload, digest(payload))


def remote_with(payload: JSONObject, **edit: Any) -> JSONObject:
    fields = fill_defaults(request_fields(Agent.model_validate(create_body(wants(payload), "nonce"))))
    return {"id": "agent_1", "created_at": 1, **fields, **edit}


def recorded_with(payload: JSONObject, pending: JSONObject | None = None, tag: str | None = None) -> State:
    payloads = {digest(each): each for each in (OLD, NEW, OTHER, TIERED)}
    operations = {(("a", "development"), PLACE): PendingOperation("update", digest(pending))} if pending else {}
    return State({("a", "development"): Record("agent_1", PLACE, digest(payload), tag)}, payloads, operations)


PLANS: dict[str, Callable[..., Plan]] = {
    "create": plan_create,
    "update": plan_update,
    "deploy": plan_update,
    "plan": plan_preview,
    "status": plan_status,
}


def planned(command: str, desired: Desired, state: State, *objects: JSONObject, **options: Any) -> Step:
    """The one step of a command's plan, where the remote side shows these objects."""
    listing = Listing({each["id"]: each for each in objects}, "p")
    [step] = PLANS[command]([desired], state, Remote({desired.key: listing}), **options)
    return step


def test_nothing_recorded_is_not_created() -> None:
    """Without a record there is nothing to look at."""
    assert diff_instance(wants(NEW), State(), None).state == "not_created"


def test_recorded_at_another_place_is_not_created_here() -> None:
    """A record counts only for its platform and origin; the note says where it is."""
    step = diff_instance(replace(wants(NEW), location=Location("local", "local")), recorded_with(NEW), None)
    assert step.state == "not_created"
    assert step.note == "recorded on agents at api.openai.com"


def test_recorded_but_not_there_is_missing() -> None:
    """An id that the look did not find is missing."""
    step = diff_instance(wants(NEW), recorded_with(NEW), None)
    assert step.state == "missing"
    assert "agent_1" in (step.note or "")


def test_equal_is_in_sync() -> None:
    """(a) Remote as declared; the record stays what it is."""
    recorded = recorded_with(NEW)
    step = diff_instance(wants(NEW), recorded, remote_with(NEW))
    assert (step.state, step.record) == ("in_sync", recorded.records["a", "development"])


@pytest.mark.parametrize("position", [0, 1])
def test_equal_but_recorded_otherwise_is_in_sync_and_recorded(position: int) -> None:
    """(a) Another checkout brought it here already: the record follows, with history in the later environments."""
    step = diff_instance(wants(NEW, position), recorded_with(OLD), remote_with(NEW))
    assert step.state == "in_sync"
    assert step.record == Record("agent_1", PLACE, digest(NEW), None, (digest(OLD),) if position else ())


def test_a_field_that_only_the_record_has_keeps_it_from_being_in_sync() -> None:
    """(a) Verbosity is no longer declared, but remotely still as recorded: that is a change to write."""
    step = diff_instance(wants({**NEW, "instructions": "old"}), recorded_with(OLD), remote_with(OLD))
    assert step.state == "changed"
    assert [(change.field, change.before, change.after) for change in step.changes] == [("text.verbosity", "low", None)]


def test_a_pending_update_that_got_through_is_ours() -> None:
    """(b) The answer was lost and the code moved on: no drift, and the next write starts from what got through."""
    there = remote_with(OLD)
    there = {"id": "agent_1", **fill_defaults(merge_update(there, update_body(wants(NEW), OLD, there)))}
    step = diff_instance(wants(OTHER, 1), recorded_with(OLD, pending=NEW), there)
    assert step.state == "changed"
    assert step.record is not None
    assert step.record.digest == digest(NEW)
    assert step.record.history == (digest(OLD),)
    assert step.drift is None


def half_taken(desired: Desired, *, answered: bool = True) -> tuple[State, JSONObject]:
    """A store with a pending update from OLD to NEW of which the service took all but the instructions, and the object."""
    there = remote_with(OLD)
    body = update_body(wants(NEW, desired.position), OLD, there)
    there = {"id": "agent_1", **fill_defaults(merge_update(there, {**body, "instructions": "old"}))}
    pending = PendingOperation("update", digest(NEW), answered=answered_digest(there, NEW) if answered else None)
    state = recorded_with(OLD, pending=NEW)
    return replace(state, pending=dict.fromkeys(state.pending, pending)), there


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("declared", [NEW, OLD, OTHER, {**NEW, "instructions": "old"}])
def test_a_pending_update_that_was_not_taken_as_it_was_sent_is_ours(position: int, declared: JSONObject) -> None:
    """(b) The object is as it was answered: changed, by us, in any environment, and never in sync, whatever the code says now."""
    desired = wants(declared, position)
    state, there = half_taken(desired)
    there["metadata"]["theirs"] = "x"  # nobody's business
    step = diff_instance(desired, state, there)
    assert (step.state, step.drift) == ("changed", None)
    assert step.note == "the service did not take what the last update sent (instructions)"
    assert step.record == state.records["a", "development"]
    assert step.changes
    assert step.body is not None
    assert step.body["metadata"]["asst.digest"] == digest(declared)
    assert step.body["metadata"]["theirs"] == "x"


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize(
    "edit", [{"model": "by hand"}, {"instructions": "by hand"}, {"service_tier": "flex"}, {"name": "by hand"}]
)
def test_an_edit_by_hand_after_such_an_update_is_drift(position: int, edit: JSONObject) -> None:
    """(e) The object is not as it was answered any more: edited by hand, in any environment."""
    desired = wants(NEW, position)
    state, there = half_taken(desired)
    step = diff_instance(desired, state, {**there, **edit})
    assert step.state == "drifted"
    assert "was edited by hand" in (step.drift or "")


@pytest.mark.parametrize(("position", "state"), [(0, "changed"), (1, "drifted")])
def test_a_pending_update_that_is_there_in_part_without_an_answer(position: int, state: str) -> None:
    """(d) Not taken, or edited since: nobody knows, so it is said in the first environment and refused in later ones."""
    desired = wants(NEW, position)
    recorded, there = half_taken(desired, answered=False)
    step = diff_instance(desired, recorded, there)
    assert step.state == state
    told = "an update was sent, its answer is not known, and agent_1 is not as it was sent (instructions)"
    assert (step.drift or step.note) == told


def test_code_that_moved_on_is_changed() -> None:
    """(c) Remote is as recorded and carries the record's tag: ours to change."""
    step = diff_instance(wants(NEW, 1), recorded_with(OLD), remote_with(OLD))
    assert step.state == "changed"
    assert {change.field for change in step.changes} == {"instructions", "text.verbosity"}


@pytest.mark.parametrize(("position", "state"), [(0, "changed"), (1, "drifted")])
def test_another_checkouts_work(position: int, state: str) -> None:
    """(d) A tag that is not the record's: said and gone on in the first environment, refused in later ones."""
    step = diff_instance(wants(NEW, position), recorded_with(OLD), remote_with(OTHER))
    assert step.state == state
    assert "another checkout" in (step.note or step.drift or "")
    assert bool(step.drift) is (position == 1)


@pytest.mark.parametrize(("position", "state"), [(0, "changed"), (1, "drifted")])
def test_equal_under_another_tag_is_another_checkouts_work(position: int, state: str) -> None:
    """(a) Remote equals declared, but under a tag that is neither declared nor recorded: (d), and all that goes is told."""
    there = remote_with({**NEW, "service_tier": "priority", "reasoning": {"effort": "high"}})
    there["metadata"]["theirs"] = "x"
    step = diff_instance(wants(NEW, position), recorded_with(NEW), there)
    assert step.state == state
    assert {change.field for change in step.changes} == {"service_tier", "reasoning.effort", "metadata.theirs"}
    assert step.body is not None
    assert step.body["service_tier"] is None
    assert step.body["reasoning"] is None
    assert step.body["text"] == {"format": {"type": "text"}, "verbosity": None}
    assert set(step.body["metadata"]) == set(TAGS)


def test_equal_under_another_tag_without_another_field() -> None:
    """(d) Where nothing else differs, the tag itself is the change."""
    there = remote_with(NEW)
    there["metadata"]["asst.digest"] = digest(OTHER)
    [change] = diff_instance(wants(NEW), recorded_with(NEW), there).changes
    assert (change.field, change.before, change.after) == ("metadata.asst.digest", digest(OTHER), digest(NEW))


def test_on_local_another_tag_is_no_refusal() -> None:
    """(d) The embedded platform's file belongs to this checkout alone: said, never refused; an edit by hand still is."""
    desired = replace(wants(NEW, 1), location=Location("local", "local"))
    recorded = recorded_with(OLD)
    record = replace(recorded.records["a", "development"], location=desired.location)
    recorded = replace(recorded, records={("a", "development"): record})
    step = diff_instance(desired, recorded, remote_with(OTHER))
    assert (step.state, step.drift) == ("changed", None)
    assert "another checkout" in (step.note or "")
    assert diff_instance(desired, recorded, remote_with(OLD, instructions="by hand")).state == "drifted"


def test_a_field_that_only_a_pending_payload_has_keeps_it_from_being_in_sync() -> None:
    """(a) What a pending update may have set and the declared payload has not is taken away."""
    there = remote_with(NEW, service_tier="flex")
    step = diff_instance(wants(NEW), recorded_with(NEW, pending=TIERED), there)
    assert step.state == "changed"
    assert [(change.field, change.before) for change in step.changes] == [("service_tier", "flex")]
    assert step.body is not None
    assert step.body["service_tier"] is None


def test_a_pending_payload_under_another_tag_is_not_ours() -> None:
    """(b) Equal to what we sent, but tagged by somebody who may have set more: that is (d)."""
    there = remote_with({**OTHER, "service_tier": "priority"})
    step = diff_instance(wants(NEW, 1), recorded_with(OLD, pending=OTHER), there)
    assert step.state == "drifted"
    assert "service_tier" in {change.field for change in step.changes}


@pytest.mark.parametrize(("command", "options"), [("update", {}), ("deploy", {"consent": Consent(overwrite=True)}), ("plan", {})])
def test_another_rows_object_is_refused_whatever_the_flags(command: str, options: dict[str, bool]) -> None:
    """Tags of another project or row: nothing is sent, and no flag changes that."""
    there = remote_with(OLD)
    there["metadata"]["asst.project"] = "another"
    step = planned(command, wants(OLD), recorded_with(OLD), there, **options)
    assert (step.state, step.body, step.action, step.needs_confirmation) == ("drifted", None, "none", True)
    assert "another row (a in development of project another)" in (step.error or "")
    assert "--overwrite" not in (step.error or "")


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"instructions": "by hand"}, "instructions"),
        ({"name": "renamed"}, "name"),
        ({"metadata": {}}, "metadata.asst.project"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
    ],
)
@pytest.mark.parametrize("declared", [OLD, NEW])
def test_an_edit_by_hand_is_drift(edit: JSONObject, field: str, declared: JSONObject) -> None:
    """(e) A changed field, a changed name, lost tags: drifted, whether or not the code changed, with the field."""
    step = diff_instance(wants(declared), recorded_with(OLD), remote_with(OLD, **copy.deepcopy(edit)))
    assert step.state == "drifted"
    assert field in (step.drift or "")
    assert field in {change.field for change in step.changes} or declared is NEW


def test_a_foreign_metadata_pair_is_nobodys_business() -> None:
    """What somebody adds to the metadata is no drift."""
    there = remote_with(NEW)
    there["metadata"]["theirs"] = "x"
    assert diff_instance(wants(NEW), recorded_with(NEW), there).state == "in_sync"


@pytest.mark.parametrize(
    ("command", "action", "failed"),
    [
        ("create", "create", False),
        ("plan", "create", False),
        ("update", "none", True),
        ("deploy", "none", True),
        ("status", "none", False),
    ],
)
def test_what_commands_make_of_not_created(command: str, action: str, failed: bool) -> None:
    """Only create makes instances; update and deploy name it."""
    step = planned(command, wants(NEW), State())
    assert (step.action, "inv asst.create" in (step.error or "")) == (action, failed)


@pytest.mark.parametrize(
    ("command", "needs_confirmation"), [("create", False), ("plan", True), ("update", True), ("deploy", True), ("status", False)]
)
def test_what_commands_make_of_drift(command: str, needs_confirmation: bool) -> None:
    """Drift needs a flag where it would be written over; create leaves it and status shows it."""
    step = planned(command, wants(NEW), recorded_with(OLD), remote_with(OLD, name="x"))
    assert step.needs_confirmation is needs_confirmation
    assert ("--overwrite" in (step.error or "")) is needs_confirmation


def test_the_history_holds_ten() -> None:
    """The digests before this one, newest first, at most ten."""
    recorded = recorded_with(OLD)
    long = tuple(f"sha256:{index:064x}" for index in range(10))
    record = replace(recorded.records["a", "development"], history=long)
    recorded = replace(recorded, records={("a", "development"): record})
    after = record_of_update(diff_instance(wants(NEW, 1), recorded, remote_with(OLD)))
    assert after.history == (digest(OLD), *long[:9])
