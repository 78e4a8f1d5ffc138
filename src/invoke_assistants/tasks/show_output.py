"""What ``inv asst.show`` prints, and its part of the JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from ..declare.output_fields import output_fields
from ..declare.tags import metadata_of
from ..reconcile.schema_change import output_schema_of
from ..text import count
from ..types import JSONObject, Record, Step, short
from .history_output import describe_evals, describe_remarks, evals_as_json
from .output import print_changes, print_line
from .printer import Printer, printing
from .spelling import spell_commands

if TYPE_CHECKING:
    from ..reconcile.instance_view import InstanceView, RemoteView

__all__ = ["instances_as_json", "print_instances", "show_steps"]


def show_steps(views: Sequence[InstanceView]) -> list[Step]:
    """The rows of the JSON document; their state is known where the service was asked."""
    return [
        Step(
            view.name, view.environment, view.location.platform, view.remote.step.state if view.remote else None,
            id=view.record.id if view.record else None, digest=view.record.digest if view.record else None,
            changes=view.remote.step.changes if view.remote else (), error=view.error,
        )
        for view in views
    ]  # fmt: skip


def instances_as_json(views: Sequence[InstanceView]) -> list[JSONObject]:
    """Each instance whole, as the JSON document has it."""
    return [_as_json(view) for view in views]


def _as_json(view: InstanceView) -> JSONObject:
    record, remote = view.record, view.remote
    return {
        "name": view.name,
        "environment": view.environment,
        "platform": view.location.platform,
        "origin": view.location.origin,
        "used": view.used,
        "id": record.id if record else None,
        "digest": record.digest if record else None,
        "tags": view.tags,
        "payload": view.payload,
        "schema": view.schema,
        "fields": [{"path": each.path, "type": each.type, "description": each.description} for each in _fields(view)],
        "history": list(record.history) if record else [],
        "allowed": list(record.allowed) if record else [],
        "evals_skipped": bool(record and record.evals_skipped),
        "held": {"from": record.held.origin, "message": record.held.message} if record and record.held else None,
        "evals": evals_as_json(view.evals),
        "pending": [
            {
                "platform": location.platform,
                "origin": location.origin,
                "kind": each.kind,
                "digest": each.digest,
                "answered": each.answered,
            }
            for location, each in view.pending.items()
        ],
        "elsewhere": [
            {"platform": each.location.platform, "origin": each.location.origin, "id": each.id, "digest": each.digest}
            for each in view.elsewhere
        ],
        "remote": remote.object if remote else None,
        "defaults": dict(remote.defaults) if remote else None,
    }


def _fields(view: InstanceView) -> list[Any]:
    return output_fields(view.schema) if view.schema else []


def print_instances(views: Sequence[InstanceView], stream: IO[str]) -> None:
    """Print each instance whole: what is recorded, what it is configured with, what its answers hold, what the service has."""
    with printing(stream) as out:
        shown: dict[str, str] = {}
        for view in views:
            print_line(out, view.title, style="bold")
            for key, value in _facts(view):
                print_line(out, f"{key:<11}{value}", indent=2)
            if view.payload is not None and view.record:
                same = shown.setdefault(view.record.digest, view.environment)
                if same == view.environment:
                    _print_payload(view, out)
                else:
                    print_line(out, f"{'payload':<11}as in {same}", indent=2)
            if view.remote:
                _print_remote(view.remote, view, out)
            if view.error:
                print_line(out, spell_commands(view.error), indent=2, style="red")
        recorded = sum(view.record is not None for view in views)
        print_line(out, f"{count(recorded, 'instance')} recorded")


def _facts(view: InstanceView) -> Iterator[tuple[str, str]]:
    record = view.record
    yield "id", record.id if record else "none yet"
    yield "location", view.location.label + ("" if view.used else f", which is not where {view.environment} is now")
    if record:
        yield "digest", short(record.digest)
        yield from (("before", short(digest)) for digest in record.history[:1])
        if record.tag:
            yield "tag", f"{short(record.tag)}, the digest that the object carries"
        for line in describe_remarks(record.digest, record.held, record.allowed, skipped=record.evals_skipped):
            yield "remark", line
    yield from (("evals", line.removeprefix("evals ")) for line in describe_evals(view.evals))
    for location, operation in view.pending.items():
        where = "" if location == view.location else f" on {location.label}"
        otherwise = ", which the service took otherwise" if operation.answered else ""
        held = operation.held
        kind = "rollback" if held else operation.kind
        why = f" from {short(held.origin)}{f': {held.message}' if held.message else ''}" if held else ""
        yield "pending", f"an open {kind} to {short(operation.digest)}{why}{where}{otherwise}"
    yield from (("elsewhere", _elsewhere(other)) for other in view.elsewhere)
    yield "tags", _tags(view.tags)


def _tags(metadata: Mapping[str, Any]) -> str:
    tags = {key.removeprefix("asst."): str(value) for key, value in metadata.items() if key.startswith("asst.")}
    return ", ".join(f"{key}={short(value) if value.startswith('sha256:') else value}" for key, value in tags.items()) or "none"


def _elsewhere(record: Record) -> str:
    return f"{record.id} on {record.location.label}, {short(record.digest)}"


def _print_payload(view: InstanceView, out: Printer) -> None:
    print_line(out, "payload", indent=2)
    payload = dict(view.payload or {})
    text = {key: value for key, value in payload.pop("text", {}).items() if key != "format"}
    for line in _lines({**payload, **({"text": text} if text else {})}):
        print_line(out, line, indent=4)
    print_line(out, "answers" if view.schema else "answers    text", indent=2)
    for field in _fields(view):
        print_line(out, f"{field.path}: {field.type}", indent=4)
        if field.description:
            print_line(out, " ".join(field.description.split()), indent=8, style="dim")


def _print_remote(remote: RemoteView, view: InstanceView, out: Printer) -> None:
    step = remote.step
    if remote.object is None:
        return
    state = "as recorded" if step.state == "in_sync" else step.drift or step.note or "differs from what is recorded"
    print_line(out, f"{'service':<11}{state}", indent=2, style="green" if step.state == "in_sync" else "red")
    print_line(out, f"{'name':<11}{remote.object.get('name')}", indent=4)
    print_line(out, f"{'tags':<11}{_tags(metadata_of(remote.object))}", indent=4)
    if step.changes:
        print_line(out, "differs (- the service, + recorded)", indent=4, style="red")
        print_changes(step.changes, [output_schema_of(remote.object), view.schema], out)
    if remote.defaults:
        print_line(out, "set by the service, or by others", indent=4)
        for key, value in remote.defaults.items():
            print_line(out, f"{key}: {json.dumps(value, ensure_ascii=False)}", indent=6, style="dim")


def _lines(value: Mapping[str, Any]) -> Iterator[str]:
    """A payload's fields, a line each; texts of several lines are indented, what is empty is left out."""
    for key, item in value.items():
        if isinstance(item, str):
            first, *more = item.rstrip("\n").split("\n")
            yield f"{key}: {first}" if not more else f"{key}:"
            yield from (f"  {line}" for line in ([first, *more] if more else ()))
        elif isinstance(item, list) and item:
            yield f"{key}:"
            yield from (f"  - {json.dumps(each, ensure_ascii=False)}" for each in item)
        elif item not in (None, [], {}):
            yield f"{key}: {json.dumps(item, ensure_ascii=False)}"
