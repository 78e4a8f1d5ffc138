"""The task that goes on with every save."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from invoke.context import Context
from invoke.exceptions import Exit

from ..errors import SettingsError
from ._task import ONLY, find_root, is_dry_run, task
from .exit_codes import format_error

__all__ = ["watch"]


@task(iterable=["only"], help={"only": ONLY})
def watch(c: Context, only: Iterable[str] | None = None) -> None:
    """Check every save and update the first environment, until Ctrl-C.

    Needs the extra ``watch``.

    Example: inv asst.watch --only judge_answer
    """
    from .watch_loop import watch_project

    if is_dry_run(c):
        raise SettingsError("asst.watch writes with every save: inv asst.plan shows what it would write")
    try:
        watch_project(find_root(c), only or (), say=functools.partial(print, flush=True))
    except KeyboardInterrupt as stopped:
        raise Exit("stopped", format_error(stopped)[1]) from None
