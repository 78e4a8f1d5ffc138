"""The words for steps: what each is or became, and the last line, which says what to do next. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..types import Step

__all__ = ["outcome", "summarize"]

_OUTCOMES = {
    "create": "created",
    "adopt": "adopted",
    "recreate": "created anew",
    "update": "updated",
    "delete": "deleted",
    "none": "unchanged",
}
_DIFFERENT = ("drifted", "changed")  # states that create leaves as they are


def outcome(command: str, step: Step, *, planned: bool) -> str:
    """What a step is and what would be done, or what was done."""
    if command == "check":
        return "refused" if step.error else "warning" if step.note else "ok"
    if command == "resolve":
        return "conflict" if step.error else "merged"
    if command == "forget":
        return "forgotten"
    if planned:
        return " -> ".join(word for word in (step.state, step.action) if word not in (None, "none"))
    if step.error:
        return "failed"
    return step.state if step.state in _DIFFERENT and step.action == "none" else _OUTCOMES[step.action]


def summarize(command: str, steps: Sequence[Step], *, planned: bool) -> str:
    """The last line of a command's output."""
    outcomes = Counter(outcome(command, step, planned=planned) for step in steps)
    if command == "check":
        return _summarize_check(outcomes)
    if command == "resolve":
        return _counted(outcomes) or "nothing to resolve"
    if not steps:
        return "nothing to delete" if command == "delete" else "nothing is declared"
    if command == "forget":
        return _summarize_forget(steps)
    if not planned:
        different = command == "adopt" or outcomes.keys() & set(_DIFFERENT)
        return f"{_counted(outcomes)}; next: inv asst.plan" if different else _counted(outcomes)
    if command == "delete":
        return f"{sum(step.action == 'delete' for step in steps)} to delete"
    return _summarize_states(command, steps)


def _counted(words: Counter[str]) -> str:
    return ", ".join(f"{number} {word}" for word, number in words.items())


def _summarize_check(outcomes: Counter[str]) -> str:
    total = outcomes.total()
    warnings = f", {outcomes['warning']} with a warning" if outcomes["warning"] else ""
    if outcomes["refused"] or warnings:
        return f"{outcomes['refused'] or 'none'} of {total} would be refused{warnings}"
    return f"all {total} would be taken"


def _summarize_forget(steps: Iterable[Step]) -> str:
    undo = [
        f"inv asst.adopt {step.name} {step.environment} {step.id} takes it back"
        for step in steps
        if step.id and step.state != "undeclared"
    ]
    return "; ".join(["nothing was changed remotely", *undo])


def _summarize_states(command: str, steps: Sequence[Step]) -> str:
    states = Counter(str(step.state) for step in steps)
    elsewhere = list(dict.fromkeys(step.note or "" for step in steps if step.state == "not_created"))
    if len(elsewhere) == len(states) == 1 and elsewhere[0].startswith("recorded on "):
        question = f"{elsewhere[0]}: is it the right platform or URL?"
        return f"{_counted(states)} here; {question} next: inv asst.create makes new ones"
    following = []
    absent = (step for step in steps if step.state in ("not_created", "missing"))
    if any("--recreate" not in (step.error or step.note or "") for step in absent):
        following.append("inv asst.create")
    elif command == "status" and states["changed"] + states["drifted"]:
        following.append("inv asst.plan")
    if states["undeclared"]:
        following.append("inv asst.delete --undeclared")
    return f"{_counted(states)}; next: {', '.join(following)}" if following else _counted(states)
