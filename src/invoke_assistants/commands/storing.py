"""The verbs about the store as a whole: resolve, store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from ..config.manage_store import StoreReport, copy_to_place, earlier_revisions, recover_file, restore_revision, unlock_store
from ..config.project import load_settings, open_store
from ..errors import SettingsError
from ..reconcile.reporter import QUIET, Reporter
from ..store.describe import describe_store
from ..store.lock import lock_store
from ..store.resolve import GitVersions, choose_sides, file_of, resolve_conflicts
from ..types import Step
from .arguments import Root

__all__ = ["resolve", "store"]


def resolve(root: Root = None, *, ours: Iterable[str] = (), theirs: Iterable[str] = (), reporter: Reporter = QUIET) -> list[Step]:
    """Merge the two sides of a store that git has in conflict, write it, and ``git add`` it; all of it or nothing.

    What only one side changed needs no choice. The app is not imported: it may be in conflict, too.

    Args:
        ours, theirs: whose side to take where both changed a record: ``NAME:ENV``, ``NAME``, or ``all``.

    Returns:
        A step for each record that a side changed, by name and environment: what stands now. None without a conflict.

    Raises:
        RowsFailed: both sides changed a record and nothing was chosen for it; nothing was written.
        Refused: the file was changed since the merge; nothing was written.
        StoreError: there is no git or no repository, or a side is no store of this project.
        SettingsError: a choice meets no conflict.
    """
    settings = load_settings(root)
    here = open_store(settings)
    folder = settings.root or file_of(here).path.parent
    with lock_store(here, "inv asst.resolve", reporter.say):
        versions = GitVersions.in_git(here, folder)
        return resolve_conflicts(here, folder, versions, choose_sides(versions.merged()[1], ours, theirs)) if versions else []


def store(
    root: Root = None, *, copy_to: str | None = None, history: bool = False, restore: int | None = None,
    unlock: str | None = None, recover: str | Path | None = None, yes: bool = False, reporter: Reporter = QUIET,
) -> StoreReport:  # fmt: skip
    """Say what the store is, or do one thing with it as a whole. The app is not imported.

    Args:
        copy_to: copy it to this path or URL; the store that is in use stays as it is.
        history: list the earlier revisions of a shared store.
        restore: put this revision back, as a new one.
        unlock: release the lock of this id, which is safe once its process has ended.
        recover: bring in the recovery file of a run that could not write.
        yes: copy over an older copy that records instances which the store does not.

    Raises:
        Refused: another store would be written over, or what another run wrote; nothing was written.
        SettingsError: more than one thing is asked for, or one that this kind of store does not have.
        StoreError: the store cannot be used, or there is no such revision, lock or file.
    """
    if sum((copy_to is not None, history, restore is not None, unlock is not None, recover is not None)) > 1:
        raise SettingsError("give one of --copy-to, --history, --restore, --unlock and --recover at a time")
    settings = load_settings(root)
    with closing(open_store(settings)) as here:
        done: Sequence[str] = ()
        steps: Sequence[Step] = ()
        if copy_to is not None:
            done = copy_to_place(settings, here, copy_to, reporter.say, yes=yes)
        elif restore is not None:
            done = restore_revision(here, restore, reporter.say)
        elif unlock is not None:
            done = unlock_store(here, unlock)
        elif recover is not None:
            done, steps = recover_file(settings, here, recover, reporter.say)
        return StoreReport(describe_store(here), done, earlier_revisions(here) if history else None, steps)
