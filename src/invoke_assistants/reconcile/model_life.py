"""How long the declared models will be there: notes on a plan, from the account's own list of models. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from ..text import count, did_you_mean
from ..types import Step
from .plan import Plan

__all__ = ["SOON", "Models", "parse_models", "with_model_life"]

SOON = 60  # days before its shutdown from which a model is shown
_NAMED = 6  # assistants in one note

Models = Mapping[str, date | None]  # the models of an account, each with the day on which it is shut down, where that is known


def parse_models(entries: Iterable[Mapping[str, Any]]) -> Models:
    """The models of a list as a service answered it; what has no id is none, and a date that cannot be read says nothing."""
    return {each["id"]: _parse_date(each.get("shutdown_date")) for each in entries if isinstance(each.get("id"), str)}


def _parse_date(value: Any) -> date | None:
    """A day as YYYY-MM-DD, or the day of a time in UTC."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value.strip())
        return (time.astimezone(UTC) if time.tzinfo else time).date()
    except (ValueError, OverflowError):
        return None


def with_model_life(plan: Plan, models: Mapping[str, Models], today: date) -> Plan:
    """The plan with a remark at each step whose declared model is shut down, soon or already, or is not among the account's.

    A remark begins with the names of all assistants that declare the model where it holds.

    Args:
        models: by environment, what its account has; an environment that is not in it was not asked about.
        today: the day in UTC.
    """
    notes: dict[str, list[Step]] = {}
    for step in plan:
        known = models.get(step.environment)
        if known and step.desired and (note := _note(step.desired.payload["model"], known, today)):
            notes.setdefault(note, []).append(step)
    return plan.updated(replace(step, model_life=f"{_names(steps)}: {note}") for note, steps in notes.items() for step in steps)


def _note(model: str, known: Models, today: date) -> str | None:
    if model not in known:
        return f"model {model} is not among this account's models{did_you_mean(model, known)}"
    day = known[model]
    if day is None or (left := (day - today).days) > SOON:
        return None
    if left < 0:
        return f"model {model} was shut down on {day}"
    when = f"in {count(left, 'day')}" if left else "today"
    return f"model {model} shuts down on {day}, {when}"


def _names(steps: Iterable[Step]) -> str:
    names = list(dict.fromkeys(step.name for step in steps))
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
