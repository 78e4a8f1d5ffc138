"""The task that does what the variable ACTION says."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from invoke.context import Context

from ..errors import AsstError, SettingsError
from ._deploy import deploy, plan
from ._manage import check, create, status, update
from ._task import DRY, ENV, NAMES, ONLY, OVERWRITE, YES, AsstTask, find_root, is_dry_run, task

if TYPE_CHECKING:
    from ..types import Step

__all__ = ["admin"]

ACTIONS: dict[str, AsstTask] = {
    "create": create,
    "update": update,
    "deploy": deploy,
    "plan": plan,
    "status": status,
    "check": check,
}


@task(
    iterable=["only", "allow_breaking"],
    help={
        "only": ONLY,
        "env": ENV,
        "json": "print one JSON document on stdout, all else on stderr",
        "dry-run": DRY,
        **dict.fromkeys(("check", "markdown", "offline", "out"), "with ACTION=plan, as for asst.plan"),
        "allow-breaking": "with ACTION=plan or deploy, as for asst.deploy",
        **dict.fromkeys(("plan", "resume", "skip-evals"), "with ACTION=deploy, as for asst.deploy"),
        "overwrite": OVERWRITE,
        "recreate": "with ACTION=create, as for asst.create",
        "yes": YES,
    },
)
def admin(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    check: bool = False,
    markdown: bool = False,
    offline: bool = False,
    out: str | None = None,
    plan: str | None = None,
    allow_breaking: Iterable[str] | None = None,
    overwrite: bool = False,
    recreate: bool = False,
    resume: bool = False,
    skip_evals: bool = False,
    yes: bool = False,
) -> list[Step]:
    """Run what ACTION names: create, update, deploy, plan, status or check.
    If ACTION=update and APP_ENV names a later environment, deploy up to that one.

    Example: ACTION=deploy inv asst.admin --dry-run
    """
    flags = {
        "only": only, "env": env, "json": json, "dry_run": dry_run, "check": check, "markdown": markdown,
        "offline": offline, "out": out, "plan": plan, "allow_breaking": allow_breaking, "overwrite": overwrite,
        "recreate": recreate, "resume": resume, "skip_evals": skip_evals, "yes": yes,
    }  # fmt: skip
    given = {name: value for name, value in flags.items() if value or value == ""}  # an empty name is an error, not no name
    try:
        action = _find_action()
        through = None if env else _find_last_environment(c, action)
        _check_flags(given, action, through)
    except AsstError:
        from .command_output import CommandOutput

        with CommandOutput("admin", json):
            raise
    if through is None:
        steps: list[Step] = action(c, **given)
        return steps
    from .. import commands
    from .command_output import CommandOutput

    dry = is_dry_run(c, dry_run)
    with CommandOutput("deploy", json, planned=dry, check=dry) as output:
        output.steps = commands.deploy(
            find_root(c), only or (), through=through, dry_run=dry, overwrite=overwrite, allow_breaking=allow_breaking or (),
            resume=resume, skip_evals=skip_evals, confirm=output.confirm(yes), reporter=output.terminal,
        )  # fmt: skip
    return output.steps


def _find_action() -> AsstTask:
    """The task that ACTION names."""
    from ..text import did_you_mean

    name = os.environ.get("ACTION", "")
    known = ", ".join(ACTIONS)
    if name in NAMES - {"admin", "init", *ACTIONS}:
        raise SettingsError(f"ACTION={name}: asst.admin does {known} alone; run inv asst.{name}")
    if not name:
        raise SettingsError(f"the variable ACTION is not set: ACTION=NAME inv asst.admin, with one of {known}")
    if name not in ACTIONS:
        raise SettingsError(f"no ACTION {name!r:.80}; known: {known}{did_you_mean(name, ACTIONS)}")
    return ACTIONS[name]


def _check_flags(flags: Iterable[str], action: AsstTask, through: str | None) -> None:
    """Raise where what is done takes not all of these flags: an update through a later environment is a deploy."""
    arguments = {argument.name for argument in (deploy if through else action).get_arguments()}
    for flag in flags:
        if flag not in arguments:
            raise SettingsError(f"ACTION={os.environ['ACTION']} takes no --{flag.replace('_', '-')}")
    if through and "plan" in flags:
        raise SettingsError(
            f"--plan does what was planned, also beyond {through}: ACTION=deploy inv asst.admin --plan FILE does it"
        )


def _find_last_environment(c: Context, action: AsstTask) -> str | None:
    """The environment up to which ``ACTION=update`` deploys; None where it is a plain update."""
    from ..config.settings import Settings

    named = os.environ.get("APP_ENV", "")
    if action is not update or not named:
        return None
    settings = Settings.load(find_root(c))
    return named if settings.environment(named, "APP_ENV").position > 0 else None
