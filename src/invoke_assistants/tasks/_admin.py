"""The task that does what the variable ACTION says."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from ..errors import AsstError, SettingsError
from ._manage import bring, check, create, deploy, plan, status, update
from ._task import DRY, ENV, JSON, ONLY, OVERWRITE, RECREATE, YES, AsstTask, call, is_dry, root, task

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
OTHERS = frozenset({"adopt", "delete", "forget", "migrate", "resolve", "run", "serve", "watch"})  # tasks that it does not do


@task(
    iterable=["only"],
    help={
        "only": ONLY,
        "env": ENV,
        "json": JSON,
        "dry-run": DRY,
        "check": "as for plan",
        "offline": "as for plan",
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
    """Do what the variable ACTION says: create, update, deploy, plan, status or check.

    With ACTION=update, APP_ENV says how far: an environment after the first means deploy up to it.
    """
    given = {
        "only": only, "env": env, "json": json, "dry_run": dry_run, "check": check, "offline": offline,
        "overwrite": overwrite, "recreate": recreate, "yes": yes,
    }  # fmt: skip
    return _run_action(c, given)


def _run_action(c: Context, given: dict[str, Any]) -> list[Step]:
    action = os.environ.get("ACTION", "")
    try:
        chosen = _action(action)
        flags = {name: value for name, value in given.items() if value}
        taken = {argument.name for argument in chosen.get_arguments()}
        for name in flags:
            if name not in taken:
                raise SettingsError(f"ACTION={action} takes no --{name.replace('_', '-')}")
        through = _through(c, action) if not given["env"] else None
    except AsstError as error:
        return call(c, "admin", given["json"], functools.partial(_raise, error))
    if through is None:
        rows: list[Step] = chosen(c, **flags)
        return rows
    from ..commands import deploy as verb

    dry = is_dry(c, given["dry_run"])
    return bring(
        c,
        "deploy",
        verb,
        given["json"],
        dry,
        given["yes"],
        only=given["only"] or (),
        overwrite=given["overwrite"],
        through=through,
    )


def _raise(error: AsstError, *_: object, **__: object) -> list[Step]:
    raise error


def _action(action: str) -> AsstTask:
    from ..text import did_you_mean

    if action in ACTIONS:
        return ACTIONS[action]
    known = ", ".join(ACTIONS)
    if action in OTHERS:
        raise SettingsError(f"ACTION={action}: asst.admin does {known} alone; run inv asst.{action}")
    if not action:
        raise SettingsError(f"the variable ACTION is not set: ACTION=NAME inv asst.admin, with one of {known}")
    raise SettingsError(f"no ACTION {action!r:.80}; known: {known}{did_you_mean(action, ACTIONS)}")


def _through(c: Context, action: str) -> str | None:
    """The environment up to which ``ACTION=update`` deploys, or None where it is a plain update."""
    from ..config.settings import Settings

    named = os.environ.get("APP_ENV", "")
    if action != "update" or not named:
        return None
    settings = Settings.load(root(c))
    return named if settings.environment(named, "APP_ENV").position > 0 else None
