"""The host project: its settings, the assistants that it declares, its store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..declare.declaration import Declaration
from ..declare.digest import SchemaTexts, digest
from ..declare.payload import build_payload, find_naming_problems, find_payload_problems
from ..errors import DeclarationError, SettingsError
from ..store.connect import open_storage
from ..store.store import Store
from ..text import did_you_mean
from ..types import Desired, JSONObject, State
from .environment import Environment
from .import_app import load_assistants
from .name_cache import cache_names
from .root import runtime_root
from .settings import Settings

__all__ = ["NotDeclared", "Project", "as_names", "load_settings", "open_store", "read_store"]


class NotDeclared(SettingsError):
    """A name to narrow a command to that no assistant has."""


@dataclass(frozen=True)
class Project:
    """A host project: its settings, the assistants that it declares (``only`` selects some), its store."""

    settings: Settings
    declared: Mapping[str, Declaration[Any]]
    only: tuple[str, ...]
    store: Store

    @classmethod
    def load(cls, root: str | Path | None, only: str | Iterable[str]) -> Project:
        """Read the settings of the project at a root and import its app; the shell's completion learns the names.

        Args:
            only: the names of the assistants to select, or one name; all when empty.

        Raises:
            AsstError: the settings, the app or a name in ``only`` is wrong.
        """
        settings = load_settings(root)
        if not settings.project:
            raise SettingsError("nothing names the project: set ASST_PROJECT to its name, or ASST_ROOT to its folder")
        declared = load_assistants(settings.assistants, settings.root)
        cache_names(settings, declared)
        selected = as_names(only)
        for name in selected:
            if name not in declared:
                known = ", ".join(declared) or "none"
                raise NotDeclared(f"no assistant {name!r:.80}; declared: {known}{did_you_mean(name, declared)}")
        _check_overrides(declared, settings)
        return cls(settings, declared, selected, open_store(settings))

    def reopened(self) -> Project:
        """The same project with its store opened anew, for another run."""
        return replace(self, store=open_store(self.settings))

    def environments(self, env: str | None) -> Sequence[Environment]:
        """All environments, or the one of that name."""
        return self.settings.environments if env is None else [self.settings.environment(env)]

    def selected(self) -> list[Declaration[Any]]:
        """The declarations that ``only`` selects, in the order declared."""
        return [each for each in self.declared.values() if not self.only or each.name in self.only]

    def desired_instance(self, declaration: Declaration[Any], environment: Environment) -> Desired:
        """The declared instance of an assistant in an environment.

        Raises:
            DeclarationError: the output model has no strict JSON schema, or a function cannot be a tool.
        """
        return next(self._instances(declaration, [environment], {}))

    def _instances(
        self, declaration: Declaration[Any], environments: Iterable[Environment], texts: SchemaTexts
    ) -> Iterator[Desired]:
        """The declared instances of an assistant; those without a field of their own share one payload and its digest."""
        configured: dict[bool | str, tuple[JSONObject, str]] = {}
        for each in environments:
            variant = each.name if declaration.environments.get(each.name) else True
            if variant not in configured:
                payload = build_payload(declaration, each.name)
                configured[variant] = payload, digest(payload, texts)
            yield Desired(
                declaration.name, each.name, each.position, each.location, self.settings.project, *configured[variant],
                declaration.output,
            )  # fmt: skip

    def desired(self, environments: Sequence[Environment], *, validate: bool = False) -> list[Desired]:
        """The declared instances in some environments.

        Args:
            validate: raise for those that the platform would refuse.

        Raises:
            DeclarationError: the first problem, and how many more there are.
        """
        out: list[Desired] = []
        found: list[str] = []
        texts: SchemaTexts = {}
        for declaration in self.selected():
            checked: dict[tuple[str, str], list[str]] = {}
            for each in self._instances(declaration, environments, texts):
                out.append(each)
                if validate:
                    shared = each.digest, each.location.platform
                    if shared not in checked:
                        checked[shared] = find_payload_problems(declaration, each)
                    problems = *checked[shared], *find_naming_problems(each)
                    found += [f"{each.name} in {each.environment}: {problem}" for problem in problems]
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise DeclarationError(f"{found[0]}{more}: run inv asst.check")
        return out


def as_names(only: str | Iterable[str]) -> tuple[str, ...]:
    """The names to select, each once; a string is one name, not its letters."""
    return tuple(dict.fromkeys([only] if isinstance(only, str) else only))


def load_settings(root: str | Path | None) -> Settings:
    """The settings of the project at a root, or where it is None, of the one that is found as at run time.

    Raises:
        SettingsError: there is no such project, or a setting is wrong.
    """
    return Settings.load(Path(root).resolve() if root is not None else runtime_root(os.environ))


def open_store(settings: Settings) -> Store:
    """The store that the settings name; nothing is read yet.

    Raises:
        SettingsError: its driver is not installed, or its address needs a project's name and there is none.
    """
    return Store(open_storage(settings.store, settings.project or None), settings.project or None)


def read_store(settings: Settings) -> tuple[Settings, State]:
    """Read the store that the settings name, and close its connection.

    Returns:
        The settings, with the store's project where they name none, and what is recorded.

    Raises:
        SettingsError: as ``open_store``.
        StoreError: the store is not the project's, or cannot be read.
    """
    with closing(open_store(settings)) as store:
        recorded = store.read()
        return replace(settings, project=settings.project or store.project or ""), recorded


def _check_overrides(declared: Mapping[str, Declaration[Any]], settings: Settings) -> None:
    """Raise where a declaration has overrides for an environment that the settings do not name."""
    names = {environment.name for environment in settings.environments}
    for declaration in declared.values():
        for name in declaration.environments:
            if name not in names:
                raise DeclarationError(
                    f"assistant {declaration.name} has environments={{{name!r:.80}: …}} in its declaration, which is not an"
                    f" environment of the settings; known: {', '.join(sorted(names))}{did_you_mean(name, names)}"
                )
