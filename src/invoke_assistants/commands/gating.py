"""What later environments wait for: required evals in the first one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..config.project import Project
from ..errors import RowsFailed, SettingsError
from ..reconcile.eval_gate import EvalGate, KnownEvals
from ..reconcile.plan import Plan
from ..reconcile.promotion import not_started
from ..reconcile.world import World
from ..store.lock import lock_store
from ..text import join_errors
from ..types import Desired, EvalResult, State

if TYPE_CHECKING:
    from ..evals.run import EvalRun

__all__ = ["open_gate", "prepare_evals", "run_evals"]


def open_gate(
    project: Project, plan: Plan, desired: Iterable[Desired], state: State, *, decides: bool = True
) -> EvalGate:  # fmt: skip
    """The gate in front of the later environments of a plan; no file is read where nothing is to be done there.

    Args:
        decides: whether anything depends on evals; else those that cannot be read are not known.

    Raises:
        SettingsError: a dataset or an evaluator of required evals cannot be read.
    """
    later = {step.name for step in plan.to_do() if step.target.position > 0}
    if not later:
        return EvalGate({}, {}, {}, state)
    from ..evals.gate import known_results, read_files

    first = {each.name: each for each in desired if each.position == 0}
    if not first:
        first = {each.name: each for each in project.desired(project.settings.environments[:1])}
    declared = {each.name: each.evals for each in project.selected() if each.name in later}
    root = project.settings.root
    required: dict[str, KnownEvals] = {}
    optional: dict[str, KnownEvals] = {}
    for name, evals in declared.items():
        if evals is None or not (evals.required or state.evals):
            continue
        results: Mapping[tuple[str, str], EvalResult] = {}
        try:
            results = known_results(evals, state, read_files(evals, root))
        except SettingsError:
            if evals.required and decides:
                raise
        (required if evals.required else optional)[name] = KnownEvals(evals.minimum, results)
    return EvalGate(required, optional, first, state)


def prepare_evals(gate: EvalGate, plan: Plan, project: Project) -> list[EvalRun]:
    """What would decide about a plan and is not known, ready to be asked: a wrong dataset is an error here.

    Raises:
        SettingsError: a dataset or an evaluator is wrong, or pydantic-evals is missing.
    """
    from ..evals.evaluation import Target
    from ..evals.run import EvalRun  # which loads what asks assistants

    first = project.settings.environments[0]
    targets = [Target(project.declared[name], first, gate.first[name].digest) for name in gate.to_run(plan)]
    return [EvalRun(target, project.settings.root, concurrency=project.settings.concurrency) for target in targets]


async def run_evals(runs: Sequence[EvalRun], world: World, plan: Plan) -> None:
    """Ask what is not known in the first environment, and record what was found. Nothing is locked meanwhile.

    Args:
        plan: what waits for it, for the error.

    Raises:
        RowsFailed: a case ended in an error.
        AsstError: the instances cannot be asked, or the store cannot be written.
    """
    from ..evals.evaluation import as_evaluations

    store = world.project.store
    world.reporter.say(f"running required evals: {', '.join(each.target.title for each in runs)}")
    try:
        found = [await each.ask(world.reporter) for each in runs]
    finally:  # what was paid for is kept, however it ends
        if known := as_evaluations(each.evaluation() for each in runs if each.has_asked):
            with lock_store(store, "inv asst.deploy", world.reporter.say):
                store.commit(evals=known)
    if errors := [f"{each.title}: {each.errors} of its evals ended in an error" for each in found if each.errors]:
        rows = not_started(plan, "evals ended in an error").steps
        raise RowsFailed(f"{join_errors(errors)}: inv asst.eval --retry-errors asks those again", rows)
