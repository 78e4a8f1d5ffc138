"""Questions to git: the versions of a file, in its history and in conflict, a merge of texts, and whether it tracks a secret."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from ..errors import StoreError

__all__ = ["FileVersion", "add", "conflict_text", "file_versions", "find_tracked_key", "read_contents", "unmerged_versions"]

_KEY_BY_NAME = re.compile(r"^\s*(?:export\s+)?(OPENAI_(?:ADMIN_|API_)*KEY\w*)\s*=\s*[\"']?[^\s\"'#]", re.M)
_KEY_BY_VALUE = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=.*\bsk-[\w-]{8,}", re.M)

_FIELDS = "%H%x00%P%x00%aN%x00%aI%x00%s"
MAX_RENAMES = 20  # that are followed; more of them are a circle


@dataclass(frozen=True)
class FileVersion:
    """A commit that changed a file.

    Attributes:
        parents: the commits before it that changed the file.
        author, date, subject: None where the clone ends at this commit, so that an earlier one may have made the change.
        date: as the author's clock had it, in ISO 8601.
        place: what ``git cat-file`` calls the content.
    """

    commit: str
    parents: tuple[str, ...]
    author: str | None
    date: str | None
    subject: str | None
    place: str


def file_versions(path: Path) -> list[FileVersion]:
    """The commits that led to a file as HEAD has it, newest first, over merges and renames; none where HEAD has no such file.

    Raises:
        StoreError: there is no git, or the file is in no repository with a commit.
    """
    folder = path.parent.resolve()
    top, _, rest = _text(_git(folder, "rev-parse", "--show-toplevel", "--show-prefix")).partition("\n")
    name, since = f"{rest.removesuffix(chr(10))}{path.name}", "HEAD"
    if "\n" in name:
        raise StoreError(f"git cannot be asked for a path with a line break: {path}")
    if not _has_commits(folder):
        return []
    ends = _shallow_commits(folder)
    found: list[FileVersion] = []
    for _ in range(MAX_RENAMES):
        found += _log(Path(top), since, name, ends)
        old = _renamed_from(Path(top), found[-1].commit, name) if found else None
        if old is None or found[-1].author is None:
            break
        name, since = old, f"{found[-1].commit}^"
        if earlier := _log(Path(top), since, name, ends)[:1]:
            found[-1] = replace(found[-1], parents=(earlier[0].commit,))
    return found


def read_contents(versions: Sequence[FileVersion], path: Path) -> Iterator[bytes | None]:
    """Yield the content of each version of a file; None where the commit deleted it, or the clone does not have it.

    Raises:
        StoreError: there is no git.
    """
    with tempfile.TemporaryFile() as wanted:  # git answers while it reads: a pipe could fill up on both sides
        wanted.write("".join(f"{each.place}\n" for each in versions).encode(errors="surrogateescape"))
        wanted.seek(0)
        try:
            process = subprocess.Popen(
                ["git", "cat-file", "--batch"], cwd=path.parent.resolve(), env=_offline(), stdin=wanted, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            raise _no_git(path.parent, error) from None
        with process:
            assert process.stdout
            try:
                for _ in versions:
                    yield _read_object(process.stdout)
            finally:
                process.kill()


def _read_object(stream: IO[bytes]) -> bytes | None:
    """The content of the next object that ``git cat-file --batch`` prints; None where there is none, or it is no file."""
    about, _, size = stream.readline().rstrip(b"\n").rpartition(b" ")
    if not size.isdigit():  # else "missing"
        return None
    content = stream.read(int(size) + 1)[:-1]
    return content if about.endswith(b" blob") else None


def _log(top: Path, since: str, name: str, ends: set[str]) -> list[FileVersion]:
    """The commits that changed a file, each after those that follow it; ``ends`` are the commits where the clone ends."""
    form = ["--topo-order", "--parents", "--no-show-signature", "--encoding=UTF-8", f"--format={_FIELDS}"]
    found = []
    for line in _git(top, "log", *form, since, "--", name, offline=True).split(b"\n")[:-1]:
        commit, parents, *about = line.decode(errors="replace").split("\0")
        author, date, subject = about if commit not in ends else (None, None, None)
        found.append(FileVersion(commit, tuple(parents.split()), author, date, subject, f"{commit}:{name}"))
    return found


def _renamed_from(top: Path, commit: str, name: str) -> str | None:
    """What a file was called before a commit, if that renamed it."""
    form = ["-r", "-z", "-M", "--diff-filter=R", "--name-status", "--no-commit-id"]
    fields = _text(_git(top, "diff-tree", *form, commit, offline=True)).split("\0")
    return next((old for old, new in zip(fields[1::3], fields[2::3], strict=False) if new == name), None)


def _shallow_commits(folder: Path) -> set[str]:
    """The commits whose parents the clone does not have."""
    path = folder / _text(_git(folder, "rev-parse", "--git-path", "shallow")).rstrip("\n")
    try:
        return {*path.read_text(encoding="ascii").split()}
    except (OSError, ValueError):
        return set()


def _has_commits(folder: Path) -> bool:
    try:
        return bool(_git(folder, "rev-parse", "--verify", "--quiet", "HEAD"))
    except StoreError:
        return False


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


def _git(folder: Path, *arguments: str, offline: bool = False) -> bytes:
    command, env = ["git", "--literal-pathspecs", *arguments], _offline() if offline else None
    try:
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True).stdout
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise StoreError(f"git {arguments[0]} in {folder}: {lines[0] if lines else f'exit {error.returncode}'}") from None
    except OSError as error:
        raise _no_git(folder, error) from None


def _offline() -> dict[str, str]:
    """Variables under which git fetches nothing, not even what a partial clone left out."""
    return {**os.environ, "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}


def _no_git(folder: Path, error: OSError) -> StoreError:
    return StoreError(f"git cannot be run in {folder} ({error.strerror}): install git and put it on PATH")


def _text(output: bytes) -> str:
    return output.decode(errors="surrogateescape")
