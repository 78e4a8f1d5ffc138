"""Promotion: an environment starts only when the one before it is whole, and gets what the first one has. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..types import Change, Desired, Key
from .diff import payload_changes
from .plan import NOT_STARTED, Plan

__all__ = ["describe_promotion", "in_promotion_order", "incomplete_before", "not_started", "promoted"]

SHORT, FEW = 40, 3  # characters of a value that a remark shows, and how many values below one field


def in_promotion_order(plan: Plan) -> list[str]:
    """The environments of a plan, first to last."""
    return [name for _, name in sorted({(step.target.position, step.environment) for step in plan})]


def incomplete_before(environment: str, order: Iterable[str], plan: Plan) -> str | None:
    """The first environment before this one in which a step of the plan failed, if there is one."""
    for name in order:
        if name == environment:
            return None
        if any(step.error for step in plan if step.environment == name):
            return name
    return None


def not_started(plan: Plan, why: str) -> Plan:
    """The plan with an error at each step of a later environment that was to be done, but those that have one."""
    waiting = [step for step in plan.to_do() if step.target.position > 0 and not step.error]
    return plan.updated(replace(step, error=f"{step.title}: {NOT_STARTED} {why}") for step in waiting)


def promoted(plan: Plan, done: Plan) -> Plan:
    """A later plan with what was done in the first environment before it was made."""
    return plan.updated(step for step in done if step.target.position == 0 and step.action != "none")


def describe_promotion(plan: Plan, first: Mapping[str, Desired], read_back: Container[str], evaluated: Container[Key]) -> Plan:
    """The plan with a remark at each update of a later environment: what of it the first environment has shown to work.

    Args:
        first: by name, the declared instances of the first environment.
        read_back: the names of the assistants that the first environment holds as declared.
        evaluated: the instances whose evals are known to have passed.
    """
    described = []
    for step in plan.to_do("update"):
        if step.target.position > 0:
            origin = first[step.name]
            shown = ["evaluated"] if step.key in evaluated else []
            shown += ["read back"] if step.name in read_back else []
            overrides = " and ".join(_overrides(origin, step.target))
            words = [f"as {origin.environment}", f"but {overrides}" if overrides else "", " and ".join(shown)]
            waits = step.name not in read_back
            described.append(replace(step, promotion=", ".join(filter(None, words)), waits_for_first=waits))
    return plan.updated(described)


def _overrides(origin: Desired, target: Desired) -> Iterator[str]:
    """Each field that a later environment declares otherwise than the first one; of what is long, its name alone."""
    fields: dict[str, list[Change]] = {}
    for change in payload_changes(origin.payload, target.payload):
        fields.setdefault(re.split(r"[.\[]", change.field)[0], []).append(change)
    for field, changes in fields.items():
        shown = [f"{each.field} {_short(each.before)} -> {_short(each.after)}" for each in changes if _is_short(each)]
        yield from shown if len(shown) == len(changes) <= FEW else [f"its own {field}"]


def _is_short(change: Change) -> bool:
    return all(len(_short(each)) <= SHORT for each in (change.before, change.after))


def _short(value: Any) -> str:
    return "(absent)" if value is None else json.dumps(value, ensure_ascii=False)
