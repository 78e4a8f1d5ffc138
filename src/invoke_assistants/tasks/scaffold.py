"""What ``init`` writes: from what a project has to the files that it lacks. It reads the project's folder, and writes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ..config.settings import parse_store
from ..config.sources import Sources, Variables
from ..errors import SettingsError
from . import scaffold_templates as templates
from .scaffold_package import DEFAULT, Placed, find_packages, place_assistants, project_names, read_declared
from .scaffold_pyproject import add_keys
from .scaffold_tasks_file import BY_HAND, Uneditable, add_collection, has_collection

STORE = "assistants_store.json"
BUILD_FILES = ("pyproject.toml", "setup.cfg", "setup.py", "requirements.txt")  # where a project names its dependencies

__all__ = ["Edit", "Scaffold", "find_tasks_file", "plan_scaffold"]


@dataclass(frozen=True)
class Edit:
    """A file to write.

    Attributes:
        path: from the root, with slashes.
        before: what it holds; None where it is new.
    """

    path: str
    before: bytes | None
    after: bytes


@dataclass(frozen=True)
class Scaffold:
    """What is to be written and said.

    Attributes:
        edits: the files, in the order of writing.
        notes: lines about what is left to the person.
        commands: what to type next.
    """

    edits: tuple[Edit, ...]
    notes: tuple[str, ...]
    commands: tuple[str, ...]


def plan_scaffold(root: Path, environ: Mapping[str, str], package: str | None = None) -> Scaffold:
    """Plan the files that a project lacks. What is there stays, line by line.

    Args:
        root: the project's folder, resolved.
        package: the package for the assistants; the project decides without it, see ``place_assistants``.

    Raises:
        SettingsError: a file cannot be read or written, something is in the way, or the project already says otherwise.
    """
    sources = Sources.read(root, Variables(environ))
    placed = place_assistants(root, sources, package)
    store = _store_path(root, sources)
    tasks_path = find_tasks_file(root) or "tasks.py"
    tasks, notes = _tasks_file(_read(root, tasks_path), tasks_path)
    new = store is not None and not (root / placed.path).exists() and not (root / store).exists()
    contents = {
        ".env": _dotenv(root, sources, new=new),  # first: a run that was killed goes on, and finds no live project
        "pyproject.toml": _pyproject(root, sources, placed),
        **{path: templates.PACKAGE.encode() for path in placed.initial},
        placed.path: _assistants(root, placed),
        tasks_path: tasks,
        ".gitignore": _gitignore(_read(root, ".gitignore"), store),
        ".gitattributes": _gitattributes(_read(root, ".gitattributes"), store),
    }
    files = ((path, _read(root, path), after) for path, after in contents.items() if after is not None)
    edits = [Edit(path, before, after) for path, before, after in files if after != before]
    for edit in edits:
        _check_writable(root, edit)
    notes = [*notes, *_notes(root, placed, edits)]
    return Scaffold(tuple(edits), tuple(notes), tuple(_commands(root, placed, tasks)))


def _notes(root: Path, placed: Placed, edits: Sequence[Edit]) -> Iterator[str]:
    """What is left to the person beside ``tasks.py``."""
    patterns = _lines(_read(root, ".gitignore"))
    known = [content for path in BUILD_FILES if (content := _read(root, path)) and content.strip()]
    if known and not any(re.search(rb"invoke[-_.]assistants\b(?!\.)", content) for content in known):
        yield f"add {templates.dependency()} to the project's dependencies, since tasks.py imports it"
    if any(edit.path == ".env" for edit in edits) and _is_ignored(".env", patterns):
        yield 'git ignores .env: platform = "local" under [tool.asst] in pyproject.toml tells your colleagues, too'
    if _is_ignored(STORE, patterns):
        yield f"git ignores {STORE}, which is to be committed: add !{STORE} to .gitignore"
    if placed.initial and len(find_packages(root)[1]) > 1:
        yield f"the assistants go to {placed.path}; --package NAME puts them into another package"


def find_tasks_file(root: Path) -> str | None:
    """The file of a folder that Invoke loads: ``tasks.py``, else ``tasks/__init__.py``."""
    return next((path for path in ("tasks.py", "tasks/__init__.py") if (root / path).exists()), None)


def _pyproject(root: Path, sources: Sources, placed: Placed) -> bytes:
    before = _read(root, "pyproject.toml") or b""
    built_elsewhere = "build-system" in sources.pyproject or any((root / each).exists() for each in ("setup.py", "setup.cfg"))
    tables: dict[tuple[str, ...], dict[str, str]] = {}
    if not before.strip() and not built_elsewhere:
        before = _new_pyproject(root, placed)
    elif not project_names(sources) and not sources.get_setting("project", "ASST_PROJECT", ""):
        # A [project] is what an installer builds: a project that is built in another way gets none.
        if "project" not in sources.pyproject and built_elsewhere:
            tables["tool", "asst"] = {"project": _project_name(root)}
        else:
            version = {} if "project" in sources.pyproject else {"version": "0.1.0"}
            tables["project",] = {"name": _project_name(root), **version}
    if placed.setting != sources.get_setting("assistants", "ASST_ASSISTANTS", DEFAULT):
        tables.setdefault(("tool", "asst"), {})["assistants"] = placed.setting
    return add_keys(before, tables if before or tables else {("tool", "asst"): {}})


def _new_pyproject(root: Path, placed: Placed) -> bytes:
    base, packages = find_packages(root)
    new = [str(PurePosixPath(path).parent) for path in placed.initial[:1]]
    folders = {*(str(PurePosixPath(base, each)) for each in packages), *new}
    return templates.pyproject(_project_name(root), sorted(folders)).encode()


def _project_name(root: Path) -> str:
    """The name that a store here has, else a valid name of a distribution, made from the folder's."""
    with contextlib.suppress(ValueError, LookupError, TypeError):
        return str(json.loads(_read(root, STORE) or b"")["store"]["format"]["project"])
    name = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-") or "app"
    return f"{name}-app" if name == "invoke-assistants" else name  # which it depends on


def _assistants(root: Path, placed: Placed) -> bytes | None:
    if not (root / placed.path).exists():
        return templates.assistants_module(placed.attribute).encode()
    names = read_declared(root / placed.path).names
    if placed.attribute not in names and "*" not in names:
        raise SettingsError(
            f"{placed.path} defines no {placed.attribute}: add {placed.attribute} = [...] there, or name another package with"
            " --package"
        )
    return None


def _tasks_file(before: bytes | None, path: str) -> tuple[bytes | None, list[str]]:
    """The content of the tasks' file, None where it must be edited by hand, and what to say about that."""
    if not (before or b"").strip():
        return templates.TASKS.encode(), []
    assert before is not None
    if has_collection(before):
        return before, []
    try:
        return add_collection(before), []
    except Uneditable as why:
        return None, [
            f"{path} is left as it is: {why}. For inv asst.create and the others, add to it:",
            *(f"    {each}" for each in BY_HAND),
        ]


def _gitignore(before: bytes | None, store: str | None) -> bytes | None:
    wanted = [*templates.IGNORED, *([f"{store}.lock", f"{store}.tmp"] if store else [])]
    if before is None:
        wanted += templates.NEW_IGNORED
    patterns = _lines(before)
    return _append(".gitignore", before, [each for each in wanted if not _is_ignored(each, patterns)])


def _is_ignored(path: str, patterns: Iterable[str]) -> bool:
    """Whether git ignores a path, for patterns without ``**``; the last that matches decides. A folder's path ends in a slash."""
    ignored = False
    for line in patterns:
        if line.endswith("/") and not path.endswith("/"):
            continue
        pattern = line.removeprefix("!").rstrip("/")
        anchored = "/" in pattern
        if fnmatchcase(path.rstrip("/") if anchored else PurePosixPath(path).name, pattern.lstrip("/")):
            ignored = not line.startswith("!")
    return ignored


def _gitattributes(before: bytes | None, store: str | None) -> bytes | None:
    lines = [line.split() for line in _lines(before) if line]
    decided = any(path.lstrip("/") == store and any(re.match(r"[-!]?merge\b", each) for each in more) for path, *more in lines)
    if store is None or decided or " " in store:
        return before
    return _append(".gitattributes", before, templates.GIT_ATTRIBUTE.format(store=store).splitlines())


def _dotenv(root: Path, sources: Sources, *, new: bool) -> bytes | None:
    """``.env`` with the embedded platform, for a new project that names no platform.

    Args:
        new: the first assistants are made now, and there is no store yet: nothing can be live.
    """
    tables = sources.table.get("environments")
    environments = tables.values() if isinstance(tables, dict) else ()
    chosen = "platform" in sources.table or any("platform" in each for each in environments if isinstance(each, dict))
    chosen = chosen or sources.get_verbatim("ASST_PLATFORM") is not None
    before = _read(root, ".env")
    chosen = chosen or b"ASST_PLATFORM" in (before or b"")
    return before if chosen or not new else _append(".env", before, ["ASST_PLATFORM=local"])


def _store_path(root: Path, sources: Sources) -> str | None:
    """The store's file from the root; None where it is at a URL or elsewhere."""
    named = sources.get_setting("store", "ASST_STORE", STORE)
    store = parse_store(named, sources.source_of("store", "ASST_STORE"), root)
    if not isinstance(store, Path):
        return None
    path = Path(os.path.normpath(store))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None


def _commands(root: Path, placed: Placed, tasks: bytes | None) -> Iterator[str]:
    prefix = "python -m invoke_assistants " if tasks is None else "inv asst."
    name = templates.NAME
    if (root / placed.path).exists():
        name = read_declared(root / placed.path).first or "NAME"
    yield f"{prefix}create"
    prompt = templates.PROMPT if name == templates.NAME else "Hello."
    yield f'{prefix}run {name} "{prompt}"'
    yield f"{prefix}plan"


def _lines(content: bytes | None) -> list[str]:
    return [line.strip() for line in (content or b"").decode(errors="replace").removeprefix("\ufeff").splitlines()]


def _append(path: str, before: bytes | None, lines: Iterable[str]) -> bytes | None:
    """A file with more lines at its end, in its own line endings; None where nothing is to be added to no file.

    Raises:
        SettingsError: it is in an encoding in which the lines would not be read.
    """
    lines, before = list(lines), before or b""
    if lines and b"\0" in before:
        raise SettingsError(f"{path} is not UTF-8: save it as UTF-8 text")
    newline = b"\r\n" if b"\r\n" in before else b"\n"
    if not lines:
        return before or None
    gap = newline if before and not before.endswith((b"\n", b"\r")) else b""
    return before + gap + b"".join(line.encode() + newline for line in lines)


def _read(root: Path, path: str) -> bytes | None:
    try:
        if not stat.S_ISREG((root / path).stat().st_mode) and not (root / path).is_dir():
            raise SettingsError(f"{path} is not a regular file")
        return (root / path).read_bytes()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None  # told by _check_writable, which knows the folder
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None


def _check_writable(root: Path, edit: Edit) -> None:
    """Refuse what could not be written, before anything is.

    Raises:
        SettingsError: the file or a folder above it is a symbolic link, read-only, or something else.
    """
    path = root / edit.path
    for folder in (each for each in reversed(path.parents) if each == root or root in each.parents):
        name = folder.relative_to(root) if folder != root else folder
        if folder != root and folder.is_symlink():
            raise SettingsError(f"{name} is a symbolic link: {edit.path} is not written through it")
        if folder.exists() and not folder.is_dir():
            raise SettingsError(f"{name} is a file: {edit.path} needs a folder there")
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            raise SettingsError(f"{name} is read-only: {edit.path} cannot be written")
    if path.is_symlink():
        raise SettingsError(f"{edit.path} is a symbolic link: put the file itself there")
    if path.exists() and not os.access(path, os.W_OK):
        raise SettingsError(f"{edit.path} is read-only")
    left = _read(root, f"{edit.path}.tmp")
    if left is not None and not edit.after.startswith(left):  # a killed run leaves the beginning of what it wrote
        raise SettingsError(f"{edit.path}.tmp is in the way of writing {edit.path}: move it away")
