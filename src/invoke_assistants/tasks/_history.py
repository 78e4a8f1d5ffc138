"""The task that tells what each instance was before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from invoke.context import Context

from ._task import ENV, JSON, ONLY, CommandOutput, find_root, task

if TYPE_CHECKING:
    from ..commands import HistoryReport

__all__ = ["history"]


@task(
    positional=["name"],
    iterable=["only"],
    help={"name": "the assistant; all without it", "only": ONLY, "env": ENV, "json": JSON},
)
def history(
    c: Context, name: str | None = None, only: Iterable[str] | None = None, env: str | None = None, json: bool = False
) -> HistoryReport:
    """Show each digest that an instance had; with a name, what changed to the next.

    Commit, author and date come from git's history of the store's file. No key
    and no request is needed.

    Example: inv asst.history judge_answer --env production
    """
    from .. import commands
    from .history_output import history_as_json, history_steps, print_history

    with CommandOutput("history", json, planned=True) as output:
        output.more = {"history": []}
        names = [only] if isinstance(only, str) else [*(only or ())]
        report = commands.history(find_root(c), [*([name] if name else ()), *names], env)
        output.steps = history_steps(report)
        output.more = {"history": history_as_json(report)}
        output.printer = lambda stream: print_history(report, stream, detailed=bool(name or names))
    return report
