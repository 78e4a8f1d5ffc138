"""A merge driver for git: ``python -m invoke_assistants.merge_driver %O %A %B`` merges the store record by record.

It exits with 0 and the merged store in %A. Where both sides changed a record differently, or a version is not a valid
store, it exits with 1 and conflict markers in %A, which every command refuses to read. It needs no project and no settings.
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
    """Merge three files, base, ours and theirs, into the second one; return the exit code."""
    if len(arguments) != 3:
        print("usage: python -m invoke_assistants.merge_driver BASE OURS THEIRS", file=sys.stderr)
        return 2
    base, ours, theirs = (Path(argument) for argument in arguments)
    try:
        tables, why = _merge_files(base, ours, theirs), "both sides changed the same record"
    except Exception as error:  # any at all: git would take an untouched file for a merged one
        tables, why = None, one_line(str(error))
    if tables is not None:
        FileStorage(ours).write(tables)
        return 0
    ours.write_bytes(git.conflict_text(base, ours, theirs))
    print(f"the store is not merged, {why}: run inv asst.resolve", file=sys.stderr)
    return 1


def _merge_files(base: Path, ours: Path, theirs: Path) -> Tables | None:
    """The merged tables, or None where the sides conflict."""
    our_version = GitVersion(ours, "ours", ours.read_bytes())
    their_version = GitVersion(theirs, "theirs", theirs.read_bytes())
    base_version = GitVersion(base, "base", base.read_bytes())
    project = _project(our_version)
    base_tables = Store(base_version, project).tables() if base_version.content().strip() else None  # git's for no ancestor
    their_tables = Store(their_version, project).tables()
    our_tables = Store(our_version, project).tables()
    assert our_tables is not None
    assert their_tables is not None
    return merge(base_tables, our_tables, their_tables)[0]


def _project(version: GitVersion) -> str:
    """The project that a version names; the other versions must name the same."""
    project = (version.read() or {}).get("store", {}).get("format", {}).get("project")
    if not isinstance(project, str):
        raise StoreError(f"{version.label}, line 1: not a store of assistants")
    return project


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
