"""The tasks that bring environments to the code, show what that would do, and take one back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from invoke.context import Context

from ..errors import SettingsError
from ._task import (
    ALLOW_BREAKING,
    ENV,
    JSON,
    ONLY,
    OUT,
    OVERWRITE,
    PLAN,
    RESUME,
    SKIP_EVALS,
    WRITE,
    find_root,
    is_dry_run,
    task,
)  # fmt: skip

if TYPE_CHECKING:
    from ..types import Step

__all__ = ["deploy", "plan", "rollback"]


@task(
    iterable=["only", "allow_breaking"],
    help=WRITE
    | {"overwrite": OVERWRITE, "allow-breaking": ALLOW_BREAKING, "plan": PLAN, "resume": RESUME, "skip-evals": SKIP_EVALS},
)
def deploy(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    allow_breaking: Iterable[str] | None = None,
    plan: str | None = None,
    resume: bool = False,
    skip_evals: bool = False,
    yes: bool = False,
) -> list[Step]:
    """Bring every environment up to date with the code, one after another.

    Each environment starts only when the one before it is complete. Nothing is
    created.

    Example: inv asst.deploy --only judge_answer --dry-run
    """
    from .. import commands
    from .command_output import CommandOutput
    from .stdout_to_stderr import stdout_to_stderr

    dry = is_dry_run(c, dry_run)
    with CommandOutput("deploy", json, planned=dry, check=dry) as output:
        again = {"--skip-evals": skip_evals, "--overwrite": plan and overwrite}
        flags = [*_breaking_flags(allow_breaking), *(flag for flag, given in again.items() if given)]
        output.narrow(only, env, saved=plan if dry else None, deploy=flags)
        with stdout_to_stderr():
            output.steps = commands.deploy(
                find_root(c), only or (), env, dry_run=dry, overwrite=overwrite, allow_breaking=allow_breaking or (),
                resume=resume, skip_evals=skip_evals, saved=plan, confirm=output.confirm(yes), reporter=output.terminal,
            )  # fmt: skip
    return output.steps


@task(
    iterable=["only", "allow_breaking"],
    help={
        "only": ONLY,
        "env": ENV,
        "json": JSON,
        "check": "exit with 2 if changes are pending, with 3 if deploy would be refused",
        "markdown": "print Markdown for a comment on stdout, everything else on stderr",
        "offline": "compare with the store only; send no request",
        "out": OUT,
        "allow-breaking": ALLOW_BREAKING,
    },
)
def plan(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    check: bool = False,
    markdown: bool = False,
    offline: bool = False,
    out: str | None = None,
    allow_breaking: Iterable[str] | None = None,
) -> list[Step]:
    """Show what differs from the code, field by field; write nothing.

    Example: inv asst.plan --env production --check
    """
    from .. import commands
    from .command_output import CommandOutput

    with CommandOutput("plan", json, planned=True, check=check, markdown=markdown) as output:
        if json and markdown:
            raise SettingsError("--json and --markdown both print on stdout: give one of them")
        output.narrow(only, env, saved=out, deploy=_breaking_flags(allow_breaking))
        output.steps = commands.plan(
            find_root(c), only or (), env, from_store=offline, out=out, allow_breaking=allow_breaking or (),
            reporter=output.terminal,
        )  # fmt: skip
        if out is not None:
            output.terminal.say(f"saved the plan to {out}")
    return output.steps


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
    """Take every instance of an environment one step back, and hold it there.

    Each goes back a step of its own, to the digest that it had before. That is
    not the last deploy undone, if that one changed only some: name these with
    --only. With --to, only those that had that digest go back. Until
    inv asst.deploy --resume goes forward again, deploys are refused.

    Example: inv asst.rollback --env production --message "Too slow"
    """
    from .. import commands
    from ..text import one_line
    from .command_output import CommandOutput

    dry = is_dry_run(c, dry_run)
    with CommandOutput("rollback", json, planned=dry, check=dry) as output:
        output.narrow(only, env, [*(["--to", to] if to else ()), *(["--message", one_line(message)] if message else ())])
        output.steps = commands.rollback(
            find_root(c), only or (), env, to=to, message=message, dry_run=dry, overwrite=overwrite, confirm=output.confirm(yes),
            reporter=output.terminal,
        )  # fmt: skip
    return output.steps


def _breaking_flags(allowed: Iterable[str] | None) -> list[str]:
    """What was let through, as flags for the next command."""
    return [word for each in allowed or () for word in ("--allow-breaking", each)]
