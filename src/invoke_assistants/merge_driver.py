"""A merge driver for git: ``python -m invoke_assistants.merge_driver %O %A %B`` merges the store record by record.

It exits with 0 and the merged store in %A. Where both sides changed a record differently, or a version is not a valid
store, it exits with 1 and conflict markers in %A, which every command refuses to read. It needs no project and no settings.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .store import git
from .store.atomic_write import write_atomic
from .store.document import dump_tables
from .store.file_storage import GitVersion
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
        write_atomic(ours, dump_tables(tables))
        return 0
    ours.write_bytes(git.conflict_text(base, ours, theirs))
    print(f"the store is not merged, {why}: run inv asst.resolve", file=sys.stderr)
    return 1


def _merge_files(base: Path, ours: Path, theirs: Path) -> Tables | None:
    """The merged tables, or None where the sides conflict."""
    our_store = Store(GitVersion(ours, "ours", ours.read_bytes()), None)
    our_tables = our_store.tables()
    base_version = GitVersion(base, "base", base.read_bytes())
    has_base = bool(base_version.content().strip())  # else it is git's for no ancestor
    base_tables = Store(base_version, our_store.project).tables() if has_base else None
    their_tables = Store(GitVersion(theirs, "theirs", theirs.read_bytes()), our_store.project).tables()
    assert our_tables is not None
    assert their_tables is not None
    return merge(base_tables, our_tables, their_tables)[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
