"""Adopting: an existing object becomes the instance of an assistant in an environment, as it is."""

from __future__ import annotations

import secrets
from dataclasses import replace

from ..declare.tags import NONCE_TAG, metadata_of
from ..errors import AsstError, PlatformError, RowsFailed
from ..platforms.platform import Platform
from ..types import Desired, JSONObject, Record, Step
from .diff import adoption_body, compare, is_as_adopted
from .diff_instance import owned_by_other
from .executor import Executor
from .metadata_pairs import too_many_pairs
from .plan import Plan
from .read_back import format_not_taken, not_taken
from .records import adopted_changes, record_of_adopted
from .settle import settle_creates
from .world import World

__all__ = ["adopt_object"]


async def adopt_object(world: World, desired: Desired, id: str) -> Plan:
    """Tag an object where it has no tags, and record what it holds. An open create of the row is settled first.

    Raises:
        AsstError: it is not there, it is another row's, or the row has a living instance already.
    """
    if world.state.pending_operation(desired, "create"):
        await settle_creates(world, [desired])
    executor = await Executor.open(world, [desired])
    platform, before = executor.platforms[desired.key], world.state.record(desired)
    there = await _adoptable(platform, desired, id, before)
    tagged = desired.identity.items() <= metadata_of(there).items()
    if tagged and before and before.id == id:
        step = Step.of(desired, "not_created", before, there, changes=compare(there, desired.payload))
        return Plan((step,))
    if not tagged:
        there = await _tag(platform, desired, there)
    own = not tagged or is_as_adopted(desired, there)  # by an adopt whose answer was lost
    _refuse_if_replaced(world, desired, {id, before.id if before else None})
    record, payload = record_of_adopted(desired, there, before, world.state.payloads, own=own)
    changes = adopted_changes(desired, there, payload, own=own)
    executor.buffer.record(desired, record, payload)
    executor.buffer.flush()
    return Plan((replace(Step.of(desired, "not_created", record, there, changes=changes), action="adopt"),))


async def _adoptable(platform: Platform, desired: Desired, id: str, before: Record | None) -> JSONObject:
    """The object to adopt, where nothing stands in the way."""
    title = desired.title
    if before and before.id != id and await platform.retrieve(before.id):
        raise AsstError(
            f"{title} is {before.id} already: inv asst.forget {desired.name} {desired.environment} drops that record, inv"
            f" asst.delete --only {desired.name} --env {desired.environment} deletes it"
        )
    there = await platform.retrieve(id)
    if there is None:
        raise AsstError(f"{title}: there is no {id} (is it the right key and project?)")
    if other := owned_by_other(desired, there):
        raise AsstError(f"{id} is the instance of another row ({other})")
    return there


async def _tag(platform: Platform, desired: Desired, there: JSONObject) -> JSONObject:
    """Give an object our name and tags. Where the answer is lost, its nonce says whether that got through."""
    body = adoption_body(desired, there, secrets.token_hex(16))
    if many := too_many_pairs(body, {}):
        raise AsstError(f"{desired.title}: {there['id']} would have {many}")
    try:
        now = await platform.update(there["id"], body)
    except PlatformError as error:
        seen = await platform.retrieve(there["id"]) if error.unknown else None
        if seen is None or metadata_of(seen).get(NONCE_TAG) != body["metadata"][NONCE_TAG]:
            raise
        now = seen
    if changes := not_taken(body, now, {}):
        why = f"{desired.title}: {there['id']}: {format_not_taken(changes)}; nothing is recorded"
        step = replace(Step.of(desired, "not_created", remote=now), action="adopt", id=there["id"], error=why)
        raise RowsFailed(why, [step])
    return now


def _refuse_if_replaced(world: World, desired: Desired, expected: set[str | None]) -> None:
    now = world.project.store.read().id(desired.key, desired.location)
    if now is not None and now not in expected:
        raise AsstError(
            f"{desired.title}: the store was replaced during this run and names {now}: inv asst.status, then decide again"
        )
