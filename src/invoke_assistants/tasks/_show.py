"""The tasks that show instances: one assistant's whole, and what each was before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from invoke.context import Context

from ..errors import SettingsError
from ._task import ENV, JSON, ONLY, find_root, task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..commands import HistoryReport
    from ..reconcile.instance_view import InstanceView

__all__ = ["history", "show"]


@task(
    positional=["name"],
    help={
        "name": "the assistant",
        "env": "show this environment only",
        "remote": "ask the service too, and show how it differs",
        "json": JSON,
    },
)
def show(
    c: Context, name: str | None = None, env: str | None = None, remote: bool = False, json: bool = False
) -> Sequence[InstanceView]:
    """Show all that is known of an assistant's instances.

    Of each instance: its id, payload, tags, the fields of its answers, and the
    ids that are recorded on other platforms. Without --remote, no key and no
    request is needed.

    Example: inv asst.show judge_answer --env production --remote
    """
    from .. import commands
    from .command_output import CommandOutput
    from .show_output import instances_as_json, print_instances, show_steps

    with CommandOutput("show", json, planned=True, check=True) as output:
        output.more = {"instances": []}
        if not name:
            raise SettingsError("asst.show takes the name of an assistant: inv asst.show NAME; inv asst.status lists them")
        views = commands.show(name, env, find_root(c), remote=remote, reporter=output.terminal)
        output.steps = show_steps(views)
        output.more = {"instances": instances_as_json(views)}
        output.printer = lambda stream: print_instances(views, stream)
    return views


@task(
    positional=["name"],
    iterable=["only"],
    help={"name": "the assistant; all without it", "only": ONLY, "env": ENV, "json": JSON},
)
def history(
    c: Context, name: str | None = None, only: Iterable[str] | None = None, env: str | None = None, json: bool = False
) -> HistoryReport:
    """Show the digests that each instance has had, the newest first.

    With the name of an assistant, also show what each digest changed. Commit,
    author and date come from git's history of the store's file. No key and no
    request is needed.

    Example: inv asst.history judge_answer --env production
    """
    from .. import commands
    from .command_output import CommandOutput
    from .history_output import history_as_json, history_steps, print_history

    with CommandOutput("history", json, planned=True) as output:
        output.more = {"history": []}
        names = [only] if isinstance(only, str) else [*(only or ())]
        report = commands.history(find_root(c), [*([name] if name else ()), *names], env)
        output.steps = history_steps(report)
        output.more = {"history": history_as_json(report)}
        output.printer = lambda stream: print_history(report, stream, detailed=bool(name or names))
    return report
