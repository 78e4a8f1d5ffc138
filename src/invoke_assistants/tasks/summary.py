"""The words for steps: what each is or became, how many of each there are, and the command to type next. Pure."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..declare.sentences import DEPLOY_FIRST
from ..types import Compatibility, Order, SchemaChange, Step
from .spelling import spell_steps

__all__ = [
    "ORDERS", "Scope", "next_commands", "nothing_declared", "outcome", "outcome_title", "schema_steps", "split_errors",
    "summarize", "why_deploy_first",
]  # fmt: skip

_OUTCOMES = {
    "create": "created",
    "adopt": "adopted",
    "recreate": "created anew",
    "update": "updated",
    "delete": "deleted",
    "none": "unchanged",
}
ORDERS: dict[Order, str] = {  # in which order an app and its instance go out, where the output schema changes
    "either": "either first",
    "deploy_first": "deploy first, then ship the app",
    "ship_app_first": "ship the app first, then deploy",
    "both_break": "breaking both ways",
}
_DIFFERENT = ("drifted", "changed")  # states that create leaves as they are


@dataclass(frozen=True)
class Scope:
    """What a command was narrowed to, which holds for the next one, too.

    Args:
        only: names of assistants; none means all.
        env: an environment; None means all.
        more: other flags, as they are typed.
        later: whether there are environments after the first.
        saved: the file that the plan was saved to.
        deploy: flags that a deploy needs as well, as they are typed.
    """

    only: tuple[str, ...] = ()
    env: str | None = None
    more: tuple[str, ...] = ()
    later: bool = False
    saved: str | None = None
    deploy: tuple[str, ...] = ()

    def flags(self) -> str:
        """The flags as they are typed, with a space before each."""
        words = [word for name in self.only for word in ("--only", name)]
        words += ["--env", self.env] if self.env else []
        return _typed(*words, *self.more)

    def deploy_flags(self) -> str:
        """The flags that a deploy alone takes."""
        return _typed(*self.deploy)


def _typed(*words: str) -> str:
    return "".join(f" {shlex.quote(word)}" for word in words)


def outcome_title(command: str, steps: Iterable[Step], *, planned: bool) -> str:
    """What stands above the outcomes."""
    if not planned or command in ("check", "resolve", "forget"):
        return "RESULT"
    return "STATE -> ACTION" if any(step.action != "none" and step.state for step in steps) else "STATE"


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
        return "refused" if step.needs_confirmation else "failed"
    return step.state if step.state in _DIFFERENT and step.action == "none" else _OUTCOMES[step.action]


def summarize(command: str, steps: Sequence[Step], *, planned: bool) -> str:
    """How many steps have which outcome."""
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
        return _counted(outcomes)
    if command == "delete":
        return f"{sum(step.action == 'delete' for step in steps)} to delete"
    states, elsewhere = _counted(Counter(str(step.state) for step in steps)), _elsewhere(steps)
    if elsewhere:
        return f"{states} here; {elsewhere}: is it the right platform or URL? inv asst.create makes new ones"
    return states


def split_errors(error: str, steps: Sequence[Step]) -> str:
    """An error that joins those of several steps, each on a line of its own, and so what follows the last one."""
    errors = dict.fromkeys(step.error for step in spell_steps(steps) if step.error)
    for each in errors:
        error = error.replace(f"; {each}", f"\n{each}")
    if "\n" not in error:
        return error
    for each in errors:
        error = error.replace(f"{each}; ", f"{each}\n")
    return re.sub(r"^(and \d+ more); ", r"\1\n", error, flags=re.M)


def _counted(words: Counter[str]) -> str:
    return ", ".join(f"{number} {word}" for word, number in words.items())


def _summarize_check(outcomes: Counter[str]) -> str:
    total = outcomes.total()
    if not total:
        return "nothing is declared"
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


def _elsewhere(steps: Sequence[Step]) -> str | None:
    """The one other location where all of the steps' instances are recorded, as their note says it."""
    notes = {step.note or "" if step.state == "not_created" else "" for step in steps}
    return notes.pop() if len(notes) == 1 and all(note.startswith("recorded on ") for note in notes) else None


def schema_steps(steps: Iterable[Step]) -> list[Step]:
    """The steps at which a changed output schema is told: in the first environment only what no later one has as well."""
    found = [step for step in steps if step.schema and not _returns(step)]
    later: dict[str, list[Compatibility | None]] = {}
    for step in found:
        if not _is_first(step):
            later.setdefault(step.name, []).append(step.schema)
    return [step for step in found if not (_is_first(step) and step.schema in later.get(step.name, ()))]


def _returns(step: Step) -> bool:
    """Whether a step takes an instance forward to what a rollback left: the app that runs is the one of then."""
    held = step.record.held if step.record else None
    return bool(held and step.desired and held.origin == step.desired.digest)


def why_deploy_first(schema: Compatibility) -> list[SchemaChange]:
    """The changes because of which a deploy must come before the app that goes with it; none where more is in the way."""
    changes = schema.changes if schema.order == "deploy_first" else ()
    return [change for change in changes if change.why.endswith(f"{DEPLOY_FIRST}.")]


def next_commands(command: str, steps: Sequence[Step], scope: Scope, *, planned: bool) -> list[str]:
    """The commands to type after one that ended well; none where nothing is left to do, or a person must choose."""
    if command == "resolve":
        return ["git commit"] if steps and not any(step.error for step in steps) else []
    if command == "check":
        return [f"inv asst.plan{scope.flags()}"] if steps and not any(step.error for step in steps) else []
    if command == "delete":
        return [f"inv asst.delete{scope.flags()}"] if planned and any(step.action == "delete" for step in steps) else []
    if command == "forget":
        return []
    if scope.saved is not None:
        command = f"inv asst.deploy --plan {shlex.quote(scope.saved)}{_resume(steps)}{scope.deploy_flags()}"
        return [command] if any(step.action != "none" for step in steps) and not any(map(_is_blocked, steps)) else []
    return list(_after_looking(command, steps, scope) if planned else _after_writing(command, steps, scope))


def _after_writing(command: str, steps: Sequence[Step], scope: Scope) -> Iterator[str]:
    made = [step for step in steps if step.action in ("create", "recreate", "adopt") and _is_first(step)]
    if command == "adopt" or any(step.state in _DIFFERENT and step.action == "none" for step in steps):
        yield f"inv asst.plan{replace(scope, more=()).flags()}"
    elif command == "create" and made:
        yield f'inv asst.run {made[0].name} "…"'
    elif command == "update" and scope.later and any(step.action == "update" for step in steps):
        unsafe = any(step.schema and step.schema.unsafe for step in steps)  # which a deploy is refused for
        yield f"inv asst.{'plan' if unsafe else 'deploy'}{replace(scope, env=None).flags()}"


def _after_looking(command: str, steps: Sequence[Step], scope: Scope) -> Iterator[str]:
    absent = [step for step in steps if step.state in ("not_created", "missing")]
    differing = [step for step in steps if step.state in _DIFFERENT]
    if any("--recreate" not in (step.error or step.note or "") for step in absent):
        if not _elsewhere(steps):
            yield f"inv asst.create{scope.flags()}"
    elif differing and not (absent or any(map(_is_blocked, steps))):  # else the rows say what can be done
        verb = _verb_for(command, differing)
        if verb.startswith("deploy"):
            verb += scope.deploy_flags()
            scope = replace(scope, env=None) if any(step.waits_for_first for step in differing) else scope
        yield f"inv asst.{verb}{scope.flags()}"
    if any(step.state == "undeclared" for step in steps) and not nothing_declared(steps):
        yield f"inv asst.delete --undeclared{scope.flags()}"


def nothing_declared(steps: Iterable[Step]) -> bool:
    """Whether a command that looks at all rows found none that the app declares: then no delete may be named."""
    return all(step.state == "undeclared" for step in steps)


def _verb_for(command: str, differing: Sequence[Step]) -> str:
    """What brings instances to the code that differ from it, as a command found."""
    if command == "plan":
        return "update" if any(map(_is_first, differing)) else f"deploy{_resume(differing)}"
    if command in ("update", "deploy", "rollback"):
        overwrite = " --overwrite" if any(step.state == "drifted" for step in differing) else ""
        return f"{command}{_resume(differing) if command == 'deploy' else ''}{overwrite}"
    held = all(step.state == "changed" and step.record and step.record.held for step in differing)
    return "deploy --resume" if held else "plan"


def _resume(differing: Iterable[Step]) -> str:
    """The flag without which a deploy of these steps is refused."""
    return " --resume" if any(map(_is_held, differing)) else ""


def _is_held(step: Step) -> bool:
    """Whether a rollback holds an instance that an update would take forward."""
    return step.action == "update" and step.record is not None and step.record.held is not None


def _is_blocked(step: Step) -> bool:
    """Whether a step needs more than the flag that the next command has."""
    return step.needs_confirmation and not (_is_held(step) and step.drift is None)


def _is_first(step: Step) -> bool:
    """Whether a step is of the first environment, which is where ``asst.update`` works."""
    return step.desired is not None and step.desired.position == 0
