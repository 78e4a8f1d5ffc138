"""A merge driver for git: ``python -m invoke_assistants.merge_driver %O %A %B`` merges the store record by record.

It ends with 0 and the merged store in %A; or with 1 and conflict markers in %A, which every command refuses to read as a
store, where both sides changed something differently or a version is no valid store. It needs no project and no settings.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import StoreError
from .store import git
from .store.file_storage import FileStorage, GitVersion
from .store.merge import merge
from .store.store import Store
from .text import one_line
from .types import Tables

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Merge three files into the second one: what both sides come from, ours, theirs. The exit code comes back."""
    if len(arguments) != 3:
        print("usage: python -m invoke_assistants.merge_driver BASE OURS THEIRS", file=sys.stderr)
        return 2
    base, ours, theirs = (Path(argument) for argument in arguments)
    try:
        tables, why = _merged(base, ours, theirs), "both sides changed the same record"
    except Exception as error:  # whatever it is: git would take an untouched file for a whole one
        tables, why = None, one_line(str(error))
    if tables is not None:
        FileStorage(ours).write(tables)
        return 0
    ours.write_bytes(git.conflict_text(base, ours, theirs))
    print(f"the store is not merged, {why}: run inv asst.resolve", file=sys.stderr)
    return 1


def _merged(base: Path, ours: Path, theirs: Path) -> Tables | None:
    before = base.read_bytes()
    mine = GitVersion(ours, "ours", ours.read_bytes())
    project = _project(mine)
    first = Store(GitVersion(base, "base", before), project).tables() if before.strip() else None  # git gives an empty one
    others = Store(GitVersion(theirs, "theirs", theirs.read_bytes()), project).tables()
    own = Store(mine, project).tables()
    assert own is not None
    assert others is not None
    return merge(first, own, others)[0]


def _project(version: GitVersion) -> str:
    """The project of a version; the versions need only be of the same."""
    project = (version.read() or {}).get("store", {}).get("format", {}).get("project")
    if not isinstance(project, str):
        raise StoreError(f"{version.label}, line 1: not a store of assistants")
    return project


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
