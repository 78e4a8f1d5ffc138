"""Where a project's assistants are declared, or where ``init`` puts the first one. It reads the project's folder."""

from __future__ import annotations

import ast
import keyword
import re
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from ..config.sources import Sources
from ..errors import SettingsError

__all__ = ["DEFAULT", "Declared", "Placed", "find_packages", "place_assistants", "project_names", "read_declared"]

DEFAULT = "app.assistants:ASSISTANTS"  # of the setting `assistants`
_NO_PACKAGES = {
    "benchmarks", "build", "dist", "doc", "docs", "example", "examples", "migrations", "scripts", "tasks", "test", "tests",
    "tools",
}  # fmt: skip


@dataclass(frozen=True)
class Placed:
    """The module of the assistants.

    Attributes:
        setting: ``MODULE:ATTRIBUTE``.
        path: the module's file, from the root.
        initial: the ``__init__.py`` files to make for it.
    """

    setting: str
    path: str
    initial: tuple[str, ...] = ()

    @property
    def attribute(self) -> str:
        """The name of the list of assistants."""
        return self.setting.partition(":")[2]


@dataclass(frozen=True)
class Declared:
    """What a module of assistants holds: the names that it binds, and the name of its first assistant."""

    names: frozenset[str]
    first: str | None


def place_assistants(root: Path, sources: Sources, package: str | None) -> Placed:
    """Decide which module declares the assistants. The first that holds:

    1. the setting ``assistants`` names it;
    2. ``package`` names its package;
    3. there is ``app/assistants.py``, which is the setting's default;
    4. the project has one package, or one of the project's name: it is ``assistants.py`` in there;
    5. a new package ``app``, in ``src`` where the code is.

    Raises:
        SettingsError: ``package`` contradicts the setting or cannot be a package of this project.
    """
    configured = sources.get_setting("assistants", "ASST_ASSISTANTS", "")
    current = configured or (DEFAULT if _module_file(root, "app.assistants") else "")
    if package is not None:
        _check_name(package)
    setting = f"{package}.assistants:ASSISTANTS" if package is not None else current
    if current and setting != current:
        where = sources.source_of("assistants", "ASST_ASSISTANTS") if configured else "app/assistants.py"
        raise SettingsError(f"the assistants are in {current} already ({where} says so): leave out --package")
    if not setting:
        setting = f"{_only_package(root, sources) or 'app'}.assistants:ASSISTANTS"
    module, _, attribute = setting.partition(":")
    if not all(each.isidentifier() for each in (*module.split("."), attribute)):
        raise SettingsError(f"assistants is {setting!r:.80}, which is not MODULE:ATTRIBUTE, like {DEFAULT}")
    if there := _module_file(root, module):
        return Placed(setting, there)
    return _place_new(root, setting, module.split("."))


def read_declared(path: Path) -> Declared:
    """Read a module of assistants without importing it.

    Raises:
        SettingsError: it cannot be read, or is not valid Python.
    """
    if not path.is_file():
        raise SettingsError(f"{path} is not a regular file")
    try:
        tree = ast.parse(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        raise SettingsError(f"{path} is not valid Python: {error}") from None
    names, first = set(), None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Assistant") and first is None:
            first = _literal_name(node)
    return Declared(frozenset(names), first)


def _literal_name(call: ast.Call) -> str | None:
    """The valid name that a declaration is given as a literal."""
    given = [*call.args[:1], *(each.value for each in call.keywords if each.arg == "name")]
    names = (each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str))
    return next((name for name in names if re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,63}", name)), None)


def find_packages(root: Path) -> tuple[str, list[str]]:
    """The folder of a project's code, ``src`` or an empty text, and the names of the packages in it."""
    source = root / "src"
    if source.is_dir() and not (source / "__init__.py").exists() and (packages := _packages(source)):
        return "src", packages
    return "", _packages(root)


def project_names(sources: Sources) -> list[str]:
    """The names that ``pyproject.toml`` gives the project, the one that counts first."""
    tables = (sources.pyproject.get("project"), sources.pyproject.get("tool", {}).get("poetry"))
    names = [table.get("name") for table in tables if isinstance(table, dict)]
    return [name for name in names if isinstance(name, str)]


def _packages(folder: Path) -> list[str]:
    return sorted(
        path.parent.name
        for path in folder.glob("*/__init__.py")
        if path.parent.name.isidentifier() and path.parent.name not in _NO_PACKAGES
    )


def _only_package(root: Path, sources: Sources) -> str | None:
    packages = find_packages(root)[1]
    for name in project_names(sources):
        if (same := re.sub(r"[-.]+", "_", name)) in packages:
            return same
    return packages[0] if len(packages) == 1 else None


def _check_name(package: str) -> None:
    parts = package.split(".")
    if not all(each.isidentifier() and not keyword.iskeyword(each) for each in parts):
        raise SettingsError(f"--package {package!r:.80} is not the name of a Python package, like app or shop")
    if parts[0] in {"tasks", "tests"}:
        raise SettingsError(f"--package {package}: that name has another meaning in a project, take another one")


def _module_file(root: Path, module: str) -> str | None:
    """The file of a module, from the root; None where there is none."""
    for base in ("", "src/"):
        path = f"{base}{module.replace('.', '/')}"
        for file in (f"{path}.py", f"{path}/__init__.py"):
            if (root / file).is_file():
                return file
    return None


def _place_new(root: Path, setting: str, parts: list[str]) -> Placed:
    """Place a module that is to be made, in a package that is there or a new one.

    Raises:
        SettingsError: something else is in the package's place, or has its name.
    """
    top, *_ = parts
    base = "src" if (root / "src" / top / "__init__.py").is_file() else find_packages(root)[0]
    if (root / top / "__init__.py").is_file():
        base = ""
    folder = root / base / top
    other = "name another package with --package"
    for module in (root / f"{top}.py", root / "src" / f"{top}.py"):
        if module.exists():
            raise SettingsError(f"{module.relative_to(root)} is in the way of a package {top}: {other}")
    if not folder.is_dir():
        _refuse_shadowing(top, other)
    elif not folder.is_symlink() and not any(folder.rglob("*.py")) and not _is_empty(folder):
        raise SettingsError(f"{folder.relative_to(root)} is a folder without any Python: {other}")
    folders = ["/".join(filter(None, (base, *parts[: end + 1]))) for end in range(len(parts) - 1)]
    initial = [f"{each}/__init__.py" for each in folders if not (root / each).is_dir() or _is_empty(root / each)]
    return Placed(setting, "/".join(filter(None, (base, *parts))) + ".py", tuple(initial))


def _is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing, but for what a killed run left under a temporary name."""
    return all(each.suffix == ".tmp" for each in folder.iterdir())


def _refuse_shadowing(name: str, other: str) -> None:
    """Refuse a new package that would hide an installed one."""
    if name in sys.stdlib_module_names:
        raise SettingsError(f"a package {name} would hide Python's own module: {other}")
    installed = [each for each in sys.path if Path(each).name in ("site-packages", "dist-packages")]
    found = PathFinder.find_spec(name, installed)
    if name == "invoke_assistants" or (found is not None and found.origin):  # a folder that is no package has none
        raise SettingsError(f"a package {name} would hide the installed one: {other}")
