"""What git knows of the project's files: a conflict in one, its text merge, and whether a secret is tracked."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from ..errors import StoreError

__all__ = ["add", "conflict_text", "find_tracked_key", "unmerged_versions"]


_NAMED = re.compile(r"^\s*(?:export\s+)?(OPENAI_(?:ADMIN_|API_)*KEY\w*)\s*=\s*[\"']?[^\s\"'#]", re.M)
_SHAPED = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=.*\bsk-[\w-]{8,}", re.M)


def unmerged_versions(path: Path, root: Path) -> dict[int, bytes]:
    """git's versions of a file in conflict: 1 what both sides come from, 2 ours, 3 theirs; none without a conflict.

    Args:
        root: a folder in the repository.

    Raises:
        StoreError: git is not there, ``root`` is in no repository, or the file is outside of it.
    """
    top = Path(_git(root, "rev-parse", "--show-toplevel").decode(errors="surrogateescape").rstrip("\n"))
    if not path.parent.resolve().is_relative_to(top.resolve()):
        raise StoreError(f"{path} is outside the git repository {top}: merge it where it is kept")
    listed = _git(root, "ls-files", "--unmerged", "-z", "--", _real(path))
    entries = [entry.split(b"\t")[0].split() for entry in listed.split(b"\0") if entry]
    return {int(stage): _git(root, "cat-file", "blob", blob.decode()) for _, blob, stage in entries}


def add(path: Path, root: Path) -> None:
    """Tell git that the conflict in a file is settled with what it holds now.

    Raises:
        StoreError: git does not take it.
    """
    try:
        _git(root, "add", "--", _real(path))
    except StoreError as error:
        raise StoreError(f"{path} is merged, but not added ({error}): run git add {path.name}") from None


def conflict_text(base: Path, ours: Path, theirs: Path) -> bytes:
    """The text of three files with conflict markers: git's own, or around the whole where git would merge without any."""
    labels = [part for label in ("ours", "base", "theirs") for part in ("-L", label)]
    done = subprocess.run(["git", "merge-file", "-p", *labels, ours, base, theirs], capture_output=True, check=False)
    if 0 < done.returncode < 128:  # the number of conflicts; 0 where the lines merge though the records don't
        return done.stdout
    return b"<<<<<<< ours\n%s\n=======\n%s\n>>>>>>> theirs\n" % (ours.read_bytes().rstrip(), theirs.read_bytes().rstrip())


def find_tracked_key(root: Path) -> str | None:
    """What is wrong where a ``.env`` file that git tracks holds something like a key: the file, the variable, the way out."""
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
    """The name of a variable that is set to something like a key."""
    found = _NAMED.search(text) or _SHAPED.search(text)
    return found[1] if found else None


def _tracked(root: Path, name: str) -> bool:
    try:
        _git(root, "ls-files", "--error-unmatch", name)
    except StoreError:
        return False
    return True


def _real(path: Path) -> str:
    return str(path.parent.resolve() / path.name)


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "--literal-pathspecs", *arguments], cwd=folder, capture_output=True, check=True).stdout
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise StoreError(f"git {arguments[0]} in {folder}: {said[0] if said else f'exit {error.returncode}'}") from None
    except OSError as error:
        raise StoreError(f"git cannot be run in {folder} ({error.strerror}): install git and put it on PATH") from None
