"""The verb that deletes instances."""

from __future__ import annotations

from collections.abc import Iterable

from ..config.project import Project, as_names
from ..errors import SettingsError
from ..reconcile.delete import Selection, delete_object, delete_recorded
from ..reconcile.event_loop import run
from ..reconcile.reporter import QUIET, Confirm, Reporter
from ..reconcile.timing import TIMING, Timing
from ..reconcile.world import World
from ..types import Step
from .arguments import Root, check_id

__all__ = ["delete"]


def delete(
    root: Root = None, only: Iterable[str] = (), env: str | None = None, *, undeclared: bool = False, id: str | None = None,
    dry_run: bool = False, yes: bool = False, confirm: Confirm | None = None, reporter: Reporter = QUIET, timing: Timing = TIMING,
) -> list[Step]:  # fmt: skip
    """Delete recorded instances and forget them: of an environment, of some assistants, or what is no longer declared.

    Only objects with our tags are deleted. Names in ``only`` and ``env`` may be recorded ones that are no longer declared.
    What an open create of these rows made is found and deleted as well.

    Args:
        undeclared: only what is recorded and no longer declared.
        id: this one object, recorded or not; ``env`` then says where to look for it.
        yes: it was confirmed; else ``confirm`` is asked.

    Raises:
        Refused: not confirmed, an object without our tags, or a key that sees none of an environment's instances.
        RowsFailed: some could not be deleted; the others were.
        AsstError: nothing could be done.
    """
    selection = Selection(as_names(only), env, undeclared)
    if not (undeclared or env or selection.only or id):
        raise SettingsError("say what to delete: --env NAME, --only NAME, --undeclared or --id ID")
    if id is not None and (undeclared or selection.only):
        raise SettingsError("--id names the one object to delete: give it alone, or with --env to say where to look")
    if id is not None:
        check_id(id)
    world = World(Project.load(root, ()), "delete", reporter, timing, lock=not dry_run)
    if id is not None:
        return [*run(world, delete_object(world, id, env, dry_run=dry_run, yes=yes, confirm=confirm))]
    return [*run(world, delete_recorded(world, selection, dry_run=dry_run, yes=yes, confirm=confirm))]
