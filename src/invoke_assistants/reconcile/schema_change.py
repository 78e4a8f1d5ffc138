"""What a plan does to the output schemas that an environment has. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..types import Compatibility, Desired, JSONObject, State, Step, short

__all__ = ["compare_with", "output_schema_of", "schema_for_app", "with_rollback_note", "with_schema"]


def output_schema_of(payload: JSONObject) -> Any:
    """The output schema that a payload holds; None for text."""
    form = (payload.get("text") or {}).get("format") or {}
    return form.get("schema")


def with_schema(step: Step, state: State) -> Step:
    """The step of a recorded instance, with what the declared output schema does to the readers of the recorded one."""
    if step.record is None or step.desired is None or step.record.digest == step.desired.digest:
        return step
    return replace(step, schema=compare_with(step.desired, step.record.digest, state))


def compare_with(desired: Desired, digest: str, state: State) -> Compatibility | None:
    """What the declared output schema does to the readers of a payload of the store, and its own reader to those answers."""
    from ..declare.compatibility import compare_schemas  # much code, and most runs change no schema
    from ..declare.reader import read_model

    before, after = output_schema_of(state.payloads[digest]), output_schema_of(desired.payload)
    return compare_schemas(before, state.readers.get(digest), after, read_model(desired.output))


def schema_for_app(step: Step, state: State) -> Compatibility | None:
    """What a step does to the app that runs now; a rollback ships no app, so the one before it runs where it holds."""
    held = step.record.held if step.record else None
    return compare_with(step.target, held.origin, state) if held else step.schema


def with_rollback_note(step: Step, state: State) -> Step:
    """The step of an update after the first environment, with a note of the rollbacks that would break the app that comes."""
    desired, record = step.target, step.record
    if step.schema is None or record is None or desired.position == 0:
        return step
    earlier = *([record.held.origin] if record.held else []), *record.history
    schemas = {record.digest: step.schema} | {
        digest: compare_with(desired, digest, state) for digest in earlier if digest != record.digest
    }
    unreadable = [short(digest) for digest, each in schemas.items() if each and each.order in ("deploy_first", "both_break")]
    if not unreadable:
        return step
    note = f"a rollback to {' or '.join(unreadable)} would then bring back answers that the new app may not be able to read"
    return replace(step, rollback_note=note)
