"""What ``inv asst.history`` prints, and its part of the JSON document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import IO, TYPE_CHECKING

from ..reconcile.hold import describe_hold
from ..reconcile.schema_change import output_schema_of
from ..text import count
from ..types import EvalResult, Held, JSONObject, Location, Step, short
from .output import print_changes, print_line, print_schema
from .printer import Printer, printing
from .spelling import spell_commands

if TYPE_CHECKING:
    from ..commands import HistoryReport
    from ..reconcile.history import HistoryEntry, InstanceHistory

__all__ = ["describe_evals", "describe_remarks", "evals_as_json", "history_as_json", "history_steps", "print_history"]

NEWEST = 5  # digests of an instance whose changes are printed


def history_steps(report: HistoryReport) -> list[Step]:
    """The rows of the JSON document: what is recorded now of each instance."""
    return [
        Step(each.name, each.environment, each.location.platform, None, id=each.record.id, digest=each.record.digest)
        for each in report.instances
        if each.record
    ]


def history_as_json(report: HistoryReport) -> list[JSONObject]:
    """Every digest of every instance, newest first, as the JSON document has it."""
    return [_entry_as_json(instance, entry) for instance in report.instances for entry in instance.entries]


def _entry_as_json(instance: InstanceHistory, entry: HistoryEntry) -> JSONObject:
    change = entry.change
    return {
        "name": instance.name,
        "environment": instance.environment,
        "platform": instance.location.platform,
        "origin": instance.location.origin,
        "id": entry.id,
        "digest": entry.digest,
        "current": entry.current,
        "commit": change.commit if change else None,
        "author": change.author if change else None,
        "date": change.date if change else None,
        "subject": change.subject if change else None,
        "changes": [{"field": each.field, "before": each.before, "after": each.after} for each in entry.changes],
        "schema": asdict(entry.schema) if entry.schema else None,
        "allowed": list(entry.allowed),
        "evals_skipped": entry.evals_skipped,
        "held": {"from": entry.held.origin, "message": entry.held.message} if entry.held else None,
        "evals": evals_as_json(entry.evals),
    }


def evals_as_json(evals: Mapping[str, Mapping[str, EvalResult]]) -> list[JSONObject]:
    """What evals found of one digest, for each location and dataset."""
    return [
        {
            "platform": location.partition(" ")[0],
            "origin": location.partition(" ")[2],
            "dataset": sha,
            "rate": result.rate,
            "minimum": result.minimum,
            "passed": result.passed,
            "cases": [{"name": case.name, "label": case.label, "runs": list(case.runs)} for case in result.cases],
        }
        for location, found in evals.items()
        for sha, result in found.items()
    ]


def print_history(report: HistoryReport, stream: IO[str], *, detailed: bool) -> None:
    """Print each instance with the digests that it had, newest first.

    Args:
        detailed: whether to print what the newest of them changed, too.
    """
    with printing(stream) as out:
        for instance in report.instances:
            _print_instance(instance, out, NEWEST if detailed else 0)
        for note in report.notes:
            print_line(out, spell_commands(note), style="dim")
        print_line(out, spell_commands(_summary(report.instances)))
        if not detailed and any(map(_has_details, (entry for each in report.instances for entry in each.entries))):
            print_line(out, spell_commands("what each changed: inv asst.history NAME"), style="dim")


def _summary(instances: Sequence[InstanceHistory]) -> str:
    if not instances:
        return "nothing is recorded yet: inv asst.create"
    entries = sum(len(each.entries) for each in instances)
    return f"{count(entries, 'digest')} of {count(len(instances), 'instance')}"


def _print_instance(instance: InstanceHistory, out: Printer, details: int) -> None:
    id = instance.record.id if instance.record else "no longer recorded"
    print_line(out, f"{instance.name} in {instance.environment}, {instance.location.label}: {id}", style="bold")
    for number, entry in enumerate(instance.entries):
        print_line(out, "  ".join(_heading(entry)), indent=2, style="green" if entry.current else "")
        told = {change.path for change in entry.schema.unsafe} if entry.schema and number < details else set()
        allowed = [path for path in entry.allowed if path not in told]  # those of which more is said below
        for line in describe_remarks(entry.digest, entry.held, allowed, skipped=entry.evals_skipped):
            print_line(out, line, indent=4, style="yellow")
        for line in describe_evals(entry.evals):
            print_line(out, line, indent=4, style="dim")
        if number < details:
            print_schema(entry.schema, out, entry.allowed)
            schemas = [output_schema_of(each or {}) for each in (entry.before, entry.payload)]
            print_changes(entry.changes, schemas, out)
    if details and (older := sum(map(_has_details, instance.entries[details:]))):
        command = f"inv asst.history {instance.name} --env {instance.environment} --json"
        print_line(out, spell_commands(f"what {count(older, 'older one')} changed: {command}"), indent=2, style="dim")


def _has_details(entry: HistoryEntry) -> bool:
    return bool(entry.changes or entry.schema)


def _heading(entry: HistoryEntry) -> Iterator[str]:
    yield short(entry.digest)
    if entry.current:
        yield "current"
    change = entry.change
    if change and change.date:
        yield change.date[:10]
    if change and change.commit:
        yield from (change.commit[:8], change.author or "", change.subject or "")
    elif entry.committed is False:
        yield "not committed"


def describe_remarks(digest: str, held: Held | None, allowed: Sequence[str], *, skipped: bool) -> Iterator[str]:
    """What a record keeps beside its digest, a line each."""
    deployed = f" for {short(held.origin)}" if held else ""
    if held:
        yield describe_hold(digest, held)
    if allowed:
        yield f"breaking changes let through{deployed}: {', '.join(allowed)}"
    if skipped:
        yield f"evals skipped{deployed}"


def describe_evals(evals: Mapping[str, Mapping[str, EvalResult]]) -> Iterator[str]:
    """What evals found of one digest, a line for each location and dataset."""
    for location, found in evals.items():
        for sha, result in found.items():
            labels = [case.label for case in result.cases]
            verdict = "passed" if result.passed else "failed"
            where = Location.parse(location).label if location.count(" ") == 1 else location
            yield (
                f"evals {verdict} on {where}: {labels.count('pass')} of {count(len(labels), 'case')},"
                f" rate {result.rate:.2f}, minimum {result.minimum:.2f}, dataset {short(sha)}"
            )
