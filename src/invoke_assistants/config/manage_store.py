"""The store as a whole: what it is, copied, taken back to a revision, unlocked, completed from a recovery file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import SettingsError
from ..store import restore
from ..store.copy import copy_store
from ..store.describe import StoreInfo
from ..store.file_storage import FileStorage
from ..store.lease import describe_lock
from ..store.recovery import recover
from ..store.shared_lock import unlock
from ..store.storage import Revision
from ..store.store import Store
from ..store.url import StoreURL
from ..text import count
from ..types import Step
from .project import open_store
from .settings import Settings, parse_store

__all__ = ["StoreReport", "copy_to_place", "earlier_revisions", "recover_file", "restore_revision", "unlock_store"]

Say = Callable[[str], None]


@dataclass(frozen=True)
class StoreReport:
    """What the store is, and what was done with it.

    Attributes:
        info: the store that is in use, after that.
        done: lines for people; none where nothing was asked for but to look.
        revisions: earlier documents, newest first, where they were asked for.
        steps: the records that a recovery file brought in.
    """

    info: StoreInfo
    done: Sequence[str] = ()
    revisions: Sequence[Revision] | None = None
    steps: Sequence[Step] = ()


def copy_to_place(settings: Settings, here: Store, place: str, say: Say, *, yes: bool) -> list[str]:
    """Copy a store to a path or URL; return what to tell people, the line to set among it. ``copy_store`` says what it raises."""
    where = parse_store(place, "--copy-to", settings.root)
    if here.project is None:  # the settings name none: then it is the store's own
        here.read()
    with closing(open_store(replace(settings, store=where, project=here.project or ""))) as target:
        many = copy_store(here, target, say, yes=yes)
        copied = (
            f"copied {count(many, 'instance')} to {target.storage.label}, read back and equal; {here.storage.label} stays in use"
        )
        if isinstance(where, StoreURL) and where.secrets:
            setting = f"ASST_STORE={where} (with the password, in .env.local or the secrets of CI; never in pyproject.toml)"
        else:
            setting = f"store = {json.dumps(place)} (under [tool.asst] in pyproject.toml; ASST_STORE goes before it)"
        return [copied, f"to use the copy: {setting}"]


def restore_revision(here: Store, number: int, say: Say) -> list[str]:
    """Put a revision of a shared store back; return what to tell people. ``restore.restore_revision`` says what it raises."""
    lost = restore.restore_revision(_shared(here), number, say)
    gone = f"; no longer recorded: {', '.join(lost)}" if lost else ""
    return [f"revision {number} is back, as a new revision{gone}: inv asst.status shows what differs"]


def unlock_store(here: Store, id: str) -> list[str]:
    """Release the lock of a shared store; return what to tell people.

    Raises:
        StoreError: that lock is not held, or the store cannot be written.
    """
    return [f"released the lock that was {describe_lock(unlock(_shared(here), id))}"]


def recover_file(settings: Settings, here: Store, file: str | Path, say: Say) -> tuple[list[str], list[Step]]:
    """Bring a recovery file in; return what to tell people, and the records. ``recover`` says what it raises."""
    steps = recover(here, Path(settings.root or Path.cwd()) / file, say)
    return [f"brought in {count(len(steps), 'change')}; {file} is deleted: inv asst.create settles what is open"], steps


def earlier_revisions(here: Store) -> Sequence[Revision]:
    """The earlier documents of a shared store, newest first.

    Raises:
        SettingsError: it is a file.
        StoreError: they cannot be read.
    """
    return _shared(here).storage.revisions()


def _shared(store: Store) -> Store:
    """The store, where it is a shared one.

    Raises:
        SettingsError: it is a file.
    """
    if isinstance(store.storage, FileStorage):
        path = store.storage.path
        raise SettingsError(
            f"{path} is a file: git keeps its revisions (git log -- {path.name}), and its lock ends with the process that has it"
        )
    return store
