"""A host project: its settings, what it declares, its store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..declare.declaration import Declaration
from ..declare.digest import digest
from ..declare.payload import build, problems
from ..errors import DeclarationError, SettingsError
from ..store.file_storage import FileStorage
from ..store.store import Store
from ..text import nearest
from ..types import Desired
from .import_app import load_assistants
from .settings import Environment, Settings, find_root
from .sources import Variables

__all__ = ["Project", "open_store", "runtime_root"]


@dataclass(frozen=True)
class Project:
    """A host project: its settings, what it declares (narrowed to ``only``), its store."""

    settings: Settings
    declared: Mapping[str, Declaration[Any]]
    only: tuple[str, ...]
    store: Store

    @classmethod
    def load(cls, root: str | Path | None, only: Iterable[str]) -> Project:
        """The project at a root, its app imported.

        Raises:
            AsstError: the settings, the app or a name in ``only`` is wrong.
        """
        folder = Path(root).resolve() if root is not None else runtime_root(os.environ)
        settings = Settings.load(folder)
        declared = load_assistants(settings.assistants, folder)
        chosen = tuple(dict.fromkeys(only))
        for name in chosen:
            if name not in declared:
                known = ", ".join(declared) or "none"
                raise SettingsError(f"no assistant {name!r:.80}; declared: {known}{nearest(name, declared)}")
        names = {environment.name for environment in settings.environments}
        for declaration in declared.values():
            for name in declaration.environments:
                if name not in names:
                    raise DeclarationError(
                        f"assistant {declaration.name} differs in {name!r:.80}, which is no environment; known:"
                        f" {', '.join(sorted(names))}{nearest(name, names)}"
                    )
        return cls(settings, declared, chosen, open_store(settings))

    def environments(self, env: str | None) -> Sequence[Environment]:
        """All environments, or the one of that name."""
        return self.settings.environments if env is None else [self.settings.environment(env)]

    def chosen(self) -> list[Declaration[Any]]:
        """The declarations that ``only`` leaves, in the order declared."""
        return [each for each in self.declared.values() if not self.only or each.name in self.only]

    def instance(self, declaration: Declaration[Any], environment: Environment) -> Desired:
        """A declared instance.

        Raises:
            DeclarationError: the output model has no strict JSON schema, or a function cannot be a tool.
        """
        payload = build(declaration, environment.name)
        return Desired(
            declaration.name, environment.name, environment.position, environment.location, self.settings.project, payload,
            digest(payload),
        )  # fmt: skip

    def desired(self, environments: Sequence[Environment], *, linted: bool = False) -> list[Desired]:
        """The declared instances; ``linted`` refuses those that the platform would.

        Raises:
            DeclarationError: the first problem, and how many more there are.
        """
        out, found = [], []
        for declaration in self.chosen():
            for environment in environments:
                each = self.instance(declaration, environment)
                out.append(each)
                if linted:
                    found += [f"{each.name} in {each.environment}: {problem}" for problem in problems(declaration, each)]
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise DeclarationError(f"{found[0]}{more}: run inv asst.check")
        return out


def open_store(settings: Settings) -> Store:
    """The store that the settings name; nothing is read yet."""
    return Store(FileStorage(settings.store), settings.project)


def runtime_root(environ: Mapping[str, str]) -> Path | None:
    """The project's folder at run time: ``ASST_ROOT``, else upward from the current folder.

    An absolute ``ASST_STORE`` needs none.

    Raises:
        SettingsError: there is no ``pyproject.toml`` to be found.
    """
    environ = Variables(environ)  # a traceback may show it
    if named := environ.get("ASST_ROOT"):
        if not Path(named).is_dir():
            raise SettingsError(f"ASST_ROOT is {named!r:.200}, which is no folder")
        return Path(named).resolve()
    root = find_root(Path.cwd(), needed=False)
    if root is None and not Path(environ.get("ASST_STORE", "")).is_absolute():
        raise SettingsError(
            f"no pyproject.toml in {Path.cwd()} or above it: set ASST_ROOT to the project's folder, or ASST_STORE to an"
            " absolute path"
        )
    return root
