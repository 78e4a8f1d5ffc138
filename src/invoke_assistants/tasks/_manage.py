"""The tasks that manage instances: each calls one command."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from invoke.context import Context
from invoke.exceptions import Exit

from ..errors import AsstError, SettingsError
from ._task import ENV, JSON, ONLY, OVERWRITE, RECREATE, WRITE, find_root, is_dry_run, task

if TYPE_CHECKING:
    from ..types import Step

__all__ = ["adopt", "check", "create", "delete", "forget", "resolve", "serve", "status", "update", "watch"]


@task(iterable=["only"], help=WRITE | {"recreate": RECREATE, "yes": "do not ask; --recreate is still needed"})
def create(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    recreate: bool = False,
    yes: bool = False,
) -> list[Step]:
    """Create the missing instances: one for each assistant and environment.

    Existing instances stay as they are. A second run writes nothing.

    Example: inv asst.create --env development --dry-run
    """
    from .. import commands
    from .command_output import CommandOutput

    dry = is_dry_run(c, dry_run)
    with CommandOutput("create", json, planned=dry, check=dry) as output:
        output.narrow(only, env, ["--recreate"] if recreate and dry else ())
        output.steps = commands.create(
            find_root(c), only or (), env, dry_run=dry, recreate=recreate, confirm=output.confirm(yes), reporter=output.terminal
        )
    return output.steps


@task(iterable=["only"], help=WRITE | {"env": "the first environment; any other is an error", "overwrite": OVERWRITE})
def update(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    yes: bool = False,
) -> list[Step]:
    """Bring the first environment's instances up to date with the code.

    Example: inv asst.update --only judge_answer
    """
    from .. import commands
    from ..config.settings import Settings
    from .command_output import CommandOutput

    dry = is_dry_run(c, dry_run)
    with CommandOutput("update", json, planned=dry, check=dry) as output:
        root = find_root(c)
        output.steps = commands.update(
            root, only or (), env, dry_run=dry, overwrite=overwrite, confirm=output.confirm(yes), reporter=output.terminal
        )
        output.narrow(only, env, later=len(Settings.load(root).environments) > 1)
    return output.steps


@task(
    iterable=["only"],
    help=WRITE
    | {
        "undeclared": "delete instances that the code no longer declares",
        "id": "delete this object, recorded or not; it must carry this project's tags",
        "env": "act on this environment only; with --id, look for it there",
        "yes": "ask no question: delete",
    },
)
def delete(
    c: Context,
    only: Iterable[str] | None = None,
    env: str | None = None,
    undeclared: bool = False,
    id: str | None = None,
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
) -> list[Step]:
    """Delete instances: by environment, by assistant, or one by its id.

    Example: inv asst.delete --undeclared --dry-run
    """
    from .. import commands
    from .command_output import CommandOutput

    dry = is_dry_run(c, dry_run)
    with CommandOutput("delete", json, planned=dry, check=dry) as output:
        output.narrow(only, env, [*(["--undeclared"] if undeclared else ()), *(["--id", id] if id else ())])
        output.steps = commands.delete(
            find_root(c), only or (), env, undeclared=undeclared, id=id, dry_run=dry, yes=yes, confirm=output.confirm(yes),
            reporter=output.terminal,
        )  # fmt: skip
    return output.steps


@task(help={"name": "the assistant", "env": "the environment", "id": "the id of the existing object", "json": JSON})
def adopt(c: Context, name: str, env: str, id: str, json: bool = False) -> list[Step]:
    """Make an existing remote object an assistant's instance, as it is.

    Example: inv asst.adopt judge_answer production agent_0123456789abcdef
    """
    from .. import commands
    from .command_output import CommandOutput

    with CommandOutput("adopt", json) as output:
        output.narrow()
        output.steps = commands.adopt(name, env, id, find_root(c), reporter=output.terminal)
    return output.steps


@task(help={"name": "the assistant", "env": "the environment", "json": JSON})
def forget(c: Context, name: str, env: str, json: bool = False) -> list[Step]:
    """Remove an instance from the store; leave the remote object alone.

    Example: inv asst.forget judge_answer production
    """
    from .. import commands
    from .command_output import CommandOutput

    with CommandOutput("forget", json) as output:
        output.steps = commands.forget(name, env, find_root(c), reporter=output.terminal)
    return output.steps


@task(iterable=["only"], help={"only": ONLY, "env": ENV, "json": JSON})
def status(c: Context, only: Iterable[str] | None = None, env: str | None = None, json: bool = False) -> list[Step]:
    """Show the state of every instance; a plain inv asst does the same.

    Example: inv asst.status --only judge_answer --json
    """
    from .. import commands
    from .command_output import CommandOutput

    with CommandOutput("status", json, planned=True) as output:
        output.narrow(only, env)
        output.steps = commands.status(find_root(c), only or (), env, reporter=output.terminal)
    return output.steps


@task(iterable=["only"], help={"only": ONLY, "json": JSON})
def check(c: Context, only: Iterable[str] | None = None, json: bool = False) -> list[Step]:
    """Check every declaration offline; no key, no network.

    So are the datasets of evals: that they exist, and what they say where
    pydantic-evals is installed.

    Example: inv asst.check --only judge_answer
    """
    from .. import commands
    from .command_output import CommandOutput

    with CommandOutput("check", json, planned=True, check=True) as output:
        output.narrow(only)
        output.steps = commands.check(find_root(c), only or ())
    return output.steps


_SIDE = "where both sides changed a record, take {} of NAME:ENV, NAME or all; may be given several times"


@task(iterable=["ours", "theirs"], help={"ours": _SIDE.format("our side"), "theirs": _SIDE.format("their side"), "json": JSON})
def resolve(c: Context, ours: Iterable[str] | None = None, theirs: Iterable[str] | None = None, json: bool = False) -> list[Step]:
    """Resolve a git conflict in the store, record by record.

    You choose only where both sides changed a record. Until every choice is
    made, nothing is written.

    Example: inv asst.resolve --ours judge_answer:production --theirs all
    """
    from .. import commands
    from .command_output import CommandOutput

    with CommandOutput("resolve", json) as output:
        output.narrow()
        output.steps = commands.resolve(find_root(c), ours=ours or (), theirs=theirs or (), reporter=output.terminal)
    return output.steps


@task(help={"port": "the port on 127.0.0.1, 8787 by default; 0 picks a free one"})
def serve(c: Context, port: str = "8787") -> None:
    """Serve the embedded platform over HTTP on 127.0.0.1, until Ctrl-C.

    Example: inv asst.serve --port 8788
    """
    from .. import commands
    from .exit_codes import format_error

    # Invoke's own conversion to int would end in a traceback.
    if not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise SettingsError(f"--port must be a number from 0 to 65535, not {port!r:.80}")
    try:
        commands.serve(find_root(c), int(port), announce=functools.partial(print, flush=True))
    except KeyboardInterrupt as stopped:
        raise Exit("stopped", format_error(stopped)[1]) from None


@task(iterable=["only"], help={"only": ONLY})
def watch(c: Context, only: Iterable[str] | None = None) -> None:
    """Check the declarations after each save, then update the first environment.

    Where the check fails, nothing is updated. Ctrl-C ends it. Needs the extra
    ``watch``.

    Example: inv asst.watch --only judge_answer
    """
    from .exit_codes import format_error
    from .watch_loop import watch_project

    if is_dry_run(c):
        raise SettingsError("asst.watch writes with every save: inv asst.plan shows what it would write")
    try:
        watch_project(find_root(c), only or (), say=functools.partial(print, flush=True))
    except KeyboardInterrupt as stopped:
        raise Exit("stopped", format_error(stopped)[1]) from None
    raise Exit(None, AsstError.exit_code)  # a name is not declared, as its round has said
