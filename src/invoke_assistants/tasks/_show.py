"""The task that shows one assistant's instances whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.context import Context

from ..errors import SettingsError
from ._task import JSON, CommandOutput, find_root, task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..reconcile.instance_view import InstanceView

__all__ = ["show"]


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
    """Show an assistant's instances whole: payload, output, tags, ids everywhere.

    Without --remote, no key and no request is needed.

    Example: inv asst.show judge_answer --env production --remote
    """
    from .. import commands
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
