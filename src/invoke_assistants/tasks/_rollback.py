"""The task that takes an environment back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from invoke.context import Context

from ._task import ONLY, WRITE, CommandOutput, find_root, is_dry_run, task

if TYPE_CHECKING:
    from ..types import Step

__all__ = ["rollback"]


@task(
    iterable=["only"],
    help=WRITE
    | {
        "only": ONLY,
        "env": "the environment, any but the first",
        "to": "go back to this digest, or its first 8 hex digits",
        "message": "why; the store keeps it, and plan shows it",
        "overwrite": "overwrite remote changes with the earlier values",
    },
)
def rollback(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    to: str | None = None,
    message: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    yes: bool = False,
) -> list[Step]:
    """Bring an environment back to what it had before, and hold it there.

    Until inv asst.deploy --resume goes forward again, deploys are refused.

    Example: inv asst.rollback --env production --message "Too slow"
    """
    from .. import commands

    dry = is_dry_run(c, dry_run)
    with CommandOutput("rollback", json, planned=dry, check=dry) as output:
        output.narrow(only, env, [*(["--to", to] if to else ()), *(["--message", message] if message else ())])
        output.steps = commands.rollback(
            find_root(c), only or (), env, to=to, message=message, dry_run=dry, overwrite=overwrite, confirm=output.confirm(yes),
            reporter=output.terminal,
        )  # fmt: skip
    return output.steps
