"""What git knows of the project's files; without git, or outside a repository, it knows nothing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from .errors import SettingsError

__all__ = ["refuse_tracked_key"]

_NAMED = re.compile(r"^\s*(?:export\s+)?(OPENAI_(?:ADMIN_|API_)*KEY\w*)\s*=\s*[\"']?[^\s\"'#]", re.M)
_SHAPED = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=.*\bsk-[\w-]{8,}", re.M)


def refuse_tracked_key(root: Path) -> None:
    """Raise where a ``.env`` file that git tracks holds something like a key.

    Raises:
        SettingsError: with the file, the variable (never its value) and the way out.
    """
    for name in (".env", ".env.local"):
        path = root / name
        if not path.is_file() or not _tracked(root, name):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if found := _NAMED.search(text) or _SHAPED.search(text):
            raise SettingsError(
                f"{name} is tracked by git and {found[1]} in it looks like a key: revoke that key, move the line to"
                f" .env.local, and keep .env.local out of git (git rm --cached {name} where the file was secrets only)"
            )


def _tracked(root: Path, name: str) -> bool:
    command = ["git", "ls-files", "--error-unmatch", name]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, check=False)  # noqa: S603 - no shell, a fixed command
    except OSError:
        return False
    return done.returncode == 0
