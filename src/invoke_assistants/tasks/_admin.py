"""The task that does what the variable ACTION says."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from invoke.context import Context

from ..errors import AsstError, SettingsError
from ._manage import check, create, deploy, plan, status, update
from ._task import DRY, ENV, JSON, NAMES, ONLY, OVERWRITE, RECREATE, YES, AsstTask, CommandOutput, find_root, is_dry_run, task

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
    iterable=["only"],
    help={
        "only": ONLY,
        "env": ENV,
        "json": JSON,
        "dry-run": DRY,
        "check": "with ACTION=plan, as for asst.plan",
        "offline": "with ACTION=plan, as for asst.plan",
        "overwrite": OVERWRITE,
        "recreate": RECREATE,
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
    offline: bool = False,
    overwrite: bool = False,
    recreate: bool = False,
    yes: bool = False,
) -> list[Step]:
    """Run what ACTION names: create, update, deploy, plan, status or check.

    If ACTION=update and APP_ENV names a later environment, deploy up to that one.

    Example: ACTION=deploy inv asst.admin --dry-run
    """
    flags = {
        "only": only, "env": env, "json": json, "dry_run": dry_run, "check": check, "offline": offline, "overwrite": overwrite,
        "recreate": recreate, "yes": yes,
    }  # fmt: skip
    given = {name: value for name, value in flags.items() if value}
    try:
        action = _find_action(given)
        through = None if env else _find_last_environment(c, action)
    except AsstError:
        with CommandOutput("admin", json):
            raise
    if through is None:
        steps: list[Step] = action(c, **given)
        return steps
    from .. import commands

    dry = is_dry_run(c, dry_run)
    with CommandOutput("deploy", json, planned=dry, check=dry) as output:
        output.steps = commands.deploy(
            find_root(c), only or (), through=through, dry_run=dry, overwrite=overwrite, confirm=output.confirm(yes),
            reporter=output.terminal,
        )  # fmt: skip
    return output.steps


def _find_action(flags: Iterable[str]) -> AsstTask:
    """The task that ACTION names, which must take these flags."""
    from ..text import did_you_mean

    name = os.environ.get("ACTION", "")
    known = ", ".join(ACTIONS)
    if name in NAMES - {"admin", "init", *ACTIONS}:
        raise SettingsError(f"ACTION={name}: asst.admin does {known} alone; run inv asst.{name}")
    if not name:
        raise SettingsError(f"the variable ACTION is not set: ACTION=NAME inv asst.admin, with one of {known}")
    if name not in ACTIONS:
        raise SettingsError(f"no ACTION {name!r:.80}; known: {known}{did_you_mean(name, ACTIONS)}")
    arguments = {argument.name for argument in ACTIONS[name].get_arguments()}
    for flag in flags:
        if flag not in arguments:
            raise SettingsError(f"ACTION={name} takes no --{flag.replace('_', '-')}")
    return ACTIONS[name]


def _find_last_environment(c: Context, action: AsstTask) -> str | None:
    """The environment up to which ``ACTION=update`` deploys; None where it is a plain update."""
    from ..config.settings import Settings

    named = os.environ.get("APP_ENV", "")
    if action is not update or not named:
        return None
    settings = Settings.load(find_root(c))
    return named if settings.environment(named, "APP_ENV").position > 0 else None
