"""Questions to git: the versions of a file in conflict, a merge of texts, and whether it tracks a secret."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from ..errors import StoreError

__all__ = ["add", "conflict_text", "find_tracked_key", "unmerged_versions"]

_KEY_BY_NAME = re.compile(r"^\s*(?:export\s+)?(OPENAI_(?:ADMIN_|API_)*KEY\w*)\s*=\s*[\"']?[^\s\"'#]", re.M)
_KEY_BY_VALUE = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=.*\bsk-[\w-]{8,}", re.M)


def unmerged_versions(path: Path, root: Path) -> dict[int, bytes]:
    """git's versions of a file in conflict, by stage: 1 the base, 2 ours, 3 theirs; empty without a conflict.

    Args:
        root: a folder in the repository.

    Raises:
        StoreError: there is no git, ``root`` is in no repository, or the file is outside of it.
    """
    top = Path(_git(root, "rev-parse", "--show-toplevel").decode(errors="surrogateescape").rstrip("\n"))
    if not path.parent.resolve().is_relative_to(top.resolve()):
        raise StoreError(f"{path} is outside the git repository {top}: merge it where it is kept")
    listed = _git(root, "ls-files", "--unmerged", "-z", "--", _real_path(path))
    entries = [entry.split(b"\t")[0].split() for entry in listed.split(b"\0") if entry]
    return {int(stage): _git(root, "cat-file", "blob", blob.decode()) for _, blob, stage in entries}


def add(path: Path, root: Path) -> None:
    """Mark the conflict in a file as resolved with its present content.

    Raises:
        StoreError: git does not accept it.
    """
    try:
        _git(root, "add", "--", _real_path(path))
    except StoreError as error:
        raise StoreError(f"{path} is merged, but not added ({error}): run git add {path.name}") from None


def conflict_text(base: Path, ours: Path, theirs: Path) -> bytes:
    """Merge three files with conflict markers: git's own, or around the whole files where git finds no conflict or fails."""
    labels = [part for label in ("ours", "base", "theirs") for part in ("-L", label)]
    done = subprocess.run(["git", "merge-file", "-p", *labels, ours, base, theirs], capture_output=True, check=False)
    if 0 < done.returncode < 128:  # the number of conflicts; 0 where the lines merge and the records do not
        return done.stdout
    return b"<<<<<<< ours\n%s\n=======\n%s\n>>>>>>> theirs\n" % (ours.read_bytes().rstrip(), theirs.read_bytes().rstrip())


def find_tracked_key(root: Path) -> str | None:
    """Look for a key in the ``.env`` files that git tracks; return the file, the variable and the remedy in one sentence."""
    for name in (".env", ".env.local"):
        path = root / name
        if not path.is_file() or not _tracked(root, name):
            continue
        if variable := _key_in(path.read_text(encoding="utf-8", errors="replace")):
            return (
                f"{name} is tracked by git and {variable} in it looks like a key: revoke that key, move the line to"
                f" .env.local, and keep .env.local out of git (git rm --cached {name} where the file was secrets only)"
            )
    return None


def _key_in(text: str) -> str | None:
    """The name of a variable that is set to what looks like a key."""
    found = _KEY_BY_NAME.search(text) or _KEY_BY_VALUE.search(text)
    return found[1] if found else None


def _tracked(root: Path, name: str) -> bool:
    try:
        _git(root, "ls-files", "--error-unmatch", name)
    except StoreError:
        return False
    return True


def _real_path(path: Path) -> str:
    return str(path.parent.resolve() / path.name)


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "--literal-pathspecs", *arguments], cwd=folder, capture_output=True, check=True).stdout
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise StoreError(f"git {arguments[0]} in {folder}: {lines[0] if lines else f'exit {error.returncode}'}") from None
    except OSError as error:
        raise StoreError(f"git cannot be run in {folder} ({error.strerror}): install git and put it on PATH") from None
