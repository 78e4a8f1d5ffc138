"""Deleting: what is recorded, what an open create made, and one object by its id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..config.environment import Environment
from ..declare.tags import is_ours
from ..errors import AsstError, PlatformError, Refused
from ..platforms.platform import Platform
from ..text import count, join_errors
from ..types import Desired, JSONObject, Key, PendingOperation, Row
from .apply import Run, Timing
from .diff import declarable
from .inventory import left_elsewhere, recorded_instances
from .plan import Verdict, row_to_delete
from .session import Confirm, Session, ended, recorded_of
from .settle import settle_creates

__all__ = ["Asked", "delete_object", "delete_recorded"]


@dataclass(frozen=True)
class Asked:
    """How a delete was asked for: planned only, confirmed already, or who is asked."""

    dry_run: bool
    yes: bool
    confirm: Confirm | None

    def refuse_unless_said(self, rows: Sequence[Row]) -> None:
        """Raise ``Refused`` unless it was said that these rows may be deleted."""
        what = ", ".join(f"{row.name} in {row.environment} ({row.id or 'an open create'})" for row in rows)
        if not self.yes and not (self.confirm and self.confirm(f"Delete {what}?", rows)):
            raise Refused(f"not confirmed: {count(len(rows), 'instance')} would be deleted; --yes goes on", rows)


async def delete_recorded(
    session: Session, only: Iterable[str], env: str | None, undeclared: bool, asked: Asked, timing: Timing
) -> list[Row]:
    """Delete recorded instances and forget them; what an open create of theirs made is found and deleted as well.

    Raises:
        Refused: not confirmed, or an instance that must not or cannot be deleted; nothing was written.
        RowsFailed: some could not be deleted.
    """
    project = session.project
    desired, unreachable = recorded_instances(project, session.recorded, only, env, undeclared=undeclared)
    open_ = [each for each in desired if session.recorded.pending_operation(each, "create")]
    verdicts = await session.verdicts(desired, whole={each.environment for each in open_})
    rows = {v.desired.key: row_to_delete(v, session.recorded, session.tagged(v.desired)) for v in verdicts}
    rows |= {row.key: row for row in unreachable}
    for line in left_elsewhere(project, session.recorded, only, env, [(each.key, each.location) for each in desired]):
        session.reporter.say(line)
    await session.refuse_if_all_gone(verdicts, rows, deleting=True)
    if needs_confirmation := join_errors(row.error for row in rows.values() if row.needs_confirmation):
        raise Refused(needs_confirmation, rows.values())
    if asked.dry_run or not verdicts:
        return list(rows.values())
    asked.refuse_unless_said([*rows.values()])
    if not asked.yes:
        await session.refuse_if_changed(verdicts, rows)
    if open_:
        await settle_creates(session, open_, timing)
        confirmed = {(each.key, each.location) for each in desired}
        again, _ = recorded_instances(project, session.recorded, only, env, undeclared=undeclared)
        verdicts = await session.verdicts([each for each in again if (each.key, each.location) in confirmed])
        nothing = {each.key: replace(rows[each.key], action="none", note="its open create had made nothing") for each in open_}
        rows |= nothing | {v.desired.key: row_to_delete(v, session.recorded, ()) for v in verdicts}
        if needs_confirmation := join_errors(row.error for row in rows.values() if row.needs_confirmation):
            raise Refused(needs_confirmation, rows.values())
    return await _delete(session, verdicts, rows, timing)


async def delete_object(session: Session, id: str, env: str | None, asked: Asked, timing: Timing) -> list[Row]:
    """Delete one object that carries this project's tags, recorded or not; where it is recorded, forget it.

    Args:
        env: where to look for it; it must be an instance of this environment.

    Raises:
        Refused: not confirmed, or it does not carry this project's tags, or those of another environment.
        AsstError: there is no such object.
    """
    environment, platform, there = await _find(session, id, session.project.environments(env))
    project, recorded, location = session.project.settings.project, session.recorded, environment.location
    if not is_ours(there.get("metadata") or {}, project):
        raise Refused(f"{id} does not carry the tags of project {project}, so it is not ours to delete")
    name, where = there["metadata"]["asst.name"], there["metadata"]["asst.environment"]
    if env not in (None, where):
        raise Refused(f"{id} is an instance of {name} in {where}, not in {env}: leave --env out, or give --env {where}")
    holding = [key for key, held in recorded.records.items() if (record := held.at(location)) and record.id == id]
    desired = [_wanted(session, key, environment) for key in dict.fromkeys([(name, where), *holding])]
    said = [f"recorded for {' in '.join(key)}" for key in holding] or ["not recorded"]
    row = Row(name, where, location.platform, None, "delete", id, note=f"of {name} in {where}, {', '.join(said)}")
    if asked.dry_run:
        return [row]
    asked.refuse_unless_said([row])
    if not asked.yes:
        now, seen = session.project.store.read(), declarable(await platform.retrieve(id) or {})
        if seen != declarable(there) or any(recorded_of(now, each) != recorded_of(recorded, each) for each in desired):
            raise Refused(f"{id} was changed while the question waited; nothing was written: run the same command again", [row])
    if open_ := [each for each in desired if recorded.pending_operation(each, "create")]:
        await settle_creates(session, open_, timing)
    again = [_wanted(session, each.key, environment) for each in desired]  # with what was settled
    held = [each for each in again if (record := session.recorded.record(each)) and record.id == id]
    run = await session.begin(Run, (), timing)
    for each in held:
        run.buffer.intend(each, PendingOperation("delete", each.digest), each.payload)
    run.buffer.flush()
    try:
        await run.sure(platform, id, platform.delete(id), lambda object_: object_ is None)
        for each in held:
            run.buffer.forget(each, id)
            run.buffer.intend(each, None)
    except PlatformError as error:
        for each in held if not error.unknown else ():
            run.buffer.intend(each, None)
        raise
    finally:
        run.buffer.flush()
    return ended(
        {row.key: row} | run.replaced({each.key: replace(row, name=each.name, environment=each.environment) for each in held})
    )


def _wanted(session: Session, key: Key, environment: Environment) -> Desired:
    """A row at an environment's place, with the payload that its record or its open create names."""
    slot, recorded = (key, environment.location), session.recorded
    held = recorded.records.get(key)
    record = held.at(environment.location) if held else None
    digest = record.digest if record else recorded.pending[slot].digest if slot in recorded.pending else ""
    payload = recorded.payloads.get(digest, {})
    return Desired(*key, environment.position, environment.location, session.project.settings.project, payload, digest)


async def _find(session: Session, id: str, environments: Sequence[Environment]) -> tuple[Environment, Platform, JSONObject]:
    """The object of that id, and where it is; the environment that it is recorded for is asked first."""
    recorded = {where for (_, where), record in session.recorded.records.items() if record.id == id}
    for environment in sorted(environments, key=lambda each: each.name not in recorded):
        platform = await session.platform_of(environment)
        if there := await platform.retrieve(id):
            return environment, platform, there
    raise AsstError(f"there is no {id} in {', '.join(each.name for each in environments)} (is it the right key and project?)")


async def _delete(session: Session, verdicts: Sequence[Verdict], rows: Mapping[Key, Row], timing: Timing) -> list[Row]:
    """Open the intents of the run in one transaction, delete, and forget what is no more."""
    run = await session.begin(Run, [verdict.desired for verdict in verdicts], timing)
    for verdict in verdicts:
        run.buffer.intend(verdict.desired, PendingOperation("delete", verdict.desired.digest), verdict.desired.payload)
    run.buffer.flush()
    if verdicts:
        await run.delete(verdicts, rows)
    rows = {**rows, **run.rows}
    return ended(rows | run.replaced(rows))
