"""The verbs that evaluate instances, and write the schemas of their datasets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.environment import Environment
from ..config.project import Project
from ..declare.declaration import Declaration
from ..errors import RowsFailed, SettingsError
from ..evals.evaluation import Evaluation, Target, as_evaluations
from ..evals.gate import dataset_path, known_result, read_files
from ..evals.report import Compared, EvalReport
from ..reconcile.event_loop import run
from ..reconcile.reporter import QUIET, Reporter
from ..reconcile.timing import TIMING
from ..reconcile.world import World
from ..store.atomic_write import read_bytes, write_atomic
from ..store.lock import lock_store
from ..text import join_errors
from ..types import EvalResult, Step
from .arguments import Root

if TYPE_CHECKING:
    from ..evals.run import EvalRun

__all__ = ["evaluate", "write_schemas"]


def evaluate(
    root: Root = None, only: Iterable[str] = (), env: str | None = None, *, against: str | None = None,
    repeat: int | None = None, retry_errors: bool = False, reporter: Reporter = QUIET,
) -> EvalReport:  # fmt: skip
    """Ask instances the cases of their datasets, and keep the results in the store. A known pass is not asked again.

    Nothing is locked while assistants are asked. What had ended when it was interrupted is kept, too.

    Args:
        only: names of assistants; all that declare evals where it is empty.
        env: the environment; by default the first.
        against: another environment, whose instances are asked the same cases; what is known of either is not asked again.
        repeat: how often each case is asked, in the place of the declared number.
        retry_errors: of what is known, ask only the cases that ended in an error.

    Returns:
        The evaluations; ``raise_unless_passed`` tells whether they passed.

    Raises:
        RowsFailed: an instance is not created, or not as it is declared.
        AsstError: nothing could be asked, or the results could not be kept.
    """
    if repeat is not None and not 1 <= repeat <= 100:
        raise SettingsError(f"repeat must be a number from 1 to 100, not {repeat}")
    project = Project.load(root, only)
    first, *_ = project.settings.environments
    here = project.settings.environment(env or first.name)
    there = project.settings.environment(against) if against is not None else None
    if there == here:
        raise SettingsError(f"{here.name} cannot be compared with itself: name another environment with --against")
    world = World(project, "eval", reporter, TIMING, lock=False)
    return run(world, _evaluate(world, here, there, repeat=repeat, retry_errors=retry_errors))


async def _evaluate(
    world: World, here: Environment, there: Environment | None, *, repeat: int | None, retry_errors: bool
) -> EvalReport:
    from ..evals.run import EvalRun  # which loads what asks assistants

    project, state, root = world.project, world.state, world.project.settings.root
    steps = _recorded_steps(world, here, declared=True)
    others = _recorded_steps(world, there, declared=False) if there else []
    done: dict[tuple[str, str, str], EvalResult] = {}  # instances of one payload in one place are asked once
    # All is read once, and before anything is asked: what judges both sides is what the results are kept under.
    evals = [project.declared[step.name].evals for step in steps]
    files = {step.name: read_files(each, root, repeat) for step, each in zip(steps, evals, strict=True) if each}

    def prepare(step: Step, environment: Environment) -> EvalRun:
        target = Target(project.declared[step.name], environment, str(step.digest))
        known = known_result(target, state, files[step.name])
        kept = known if known and (known.passed or retry_errors or there) else None
        return EvalRun(
            target, root, concurrency=project.settings.concurrency, repeat=repeat, kept=kept, files=files[step.name]
        )  # fmt: skip

    async def ask(each: EvalRun) -> Evaluation:
        if known := done.get(each.known_as):
            each.keep(known)
        found = await each.ask(world.reporter)
        done[each.known_as] = found.result
        return found

    prepared = [prepare(step, here) for step in steps]
    against = [prepare(step, there) for step in others] if there else []
    try:
        evaluations = [await ask(each) for each in prepared]
        compared = [Compared(found, await ask(each)) for found, each in zip(evaluations, against, strict=True)] if there else []
    finally:
        if new := [each.evaluation() for each in (*prepared, *against) if each.has_asked]:
            with lock_store(project.store, "inv asst.eval", world.reporter.say):
                project.store.commit(evals=as_evaluations(new))
    return EvalReport(tuple(evaluations), tuple(compared), (*steps, *others))


def _recorded_steps(world: World, environment: Environment, *, declared: bool) -> list[Step]:
    """The recorded instances that can be evaluated.

    Args:
        declared: they must hold what is declared.

    Raises:
        RowsFailed: some cannot.
        SettingsError: a named assistant declares no evals.
    """
    steps: list[Step] = []
    for assistant in _evaluated(world.project):
        desired = world.project.desired_instance(assistant, environment)
        record, error = world.state.record(desired), None
        if record is None:
            error = f"{desired.title} is not created on {environment.location.label}: run inv asst.create"
        elif declared and record.digest != desired.digest:
            verb = f"deploy --env {environment.name}" if environment.position else "update"
            error = f"{desired.title} is not what is declared: run inv asst.{verb} first"
        steps.append(
            Step(
                desired.name, desired.environment, environment.location.platform, None, id=record.id if record else None,
                digest=record.digest if record else None, error=error,
            )
        )  # fmt: skip
    if any(step.error for step in steps):
        raise RowsFailed(join_errors(step.error for step in steps), steps)
    return steps


def _evaluated(project: Project) -> Sequence[Declaration[Any]]:
    """The assistants that declare evals; those that are named must.

    Raises:
        SettingsError: a named one does not.
    """
    found = [each for each in project.selected() if each.evals is not None]
    missing = [each.name for each in project.selected() if each.evals is None]
    if missing and project.only:
        raise SettingsError(f'{missing[0]} declares no evals: add evals=Evals("FILE.yaml") to its Assistant(…)')
    return found


def write_schemas(root: Root = None, only: Iterable[str] = ()) -> list[Path]:
    """Write the JSON schema of each dataset beside it, for an editor; return the files.

    Raises:
        SettingsError: an evaluator is wrong, a named assistant declares no evals, or pydantic-evals is missing.
        StoreError: a file cannot be written.
    """
    from ..evals.installed import require_pydantic_evals

    project = Project.load(root, only)
    require_pydantic_evals()
    from ..evals.dataset import make_schema

    files: list[Path] = []
    for assistant in _evaluated(project):
        evals = assistant.evals
        assert evals is not None
        path = dataset_path(evals, project.settings.root)
        schema = path.with_name(f"{path.stem}_schema.json")
        content = f"{json.dumps(make_schema(assistant, evals), indent=2, ensure_ascii=False)}\n".encode()
        if read_bytes(schema) != content:
            write_atomic(schema, content)
        files.append(schema)
    return files
