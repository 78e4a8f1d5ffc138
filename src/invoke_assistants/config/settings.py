"""Settings: every setting of a project, from the first source that has it.

The order is: environment variables, ``.env.local``, ``.env``, ``[tool.asst]`` in ``pyproject.toml``, the default.
Everything here is a function of a root folder and a mapping of environment variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingsError
from ..text import did_you_mean
from ..types import LOCAL, PINNED, LocalModel, Location
from .base_url import parse_origin
from .environment import LOCAL_URL, Environment, read_environments
from .misspelt import tell_of_misspelt
from .sources import Sources, Variables

if TYPE_CHECKING:
    from ..store.url import StoreURL

__all__ = ["Settings", "parse_store"]

MAX_TIMEOUT = 86400  # seconds for one turn at run time
LOG_LEVELS = ("debug",)


@dataclass(frozen=True)
class Settings:
    """Every setting of a project.

    Attributes:
        store_cache: seconds between two looks of a running app at a store at a URL.
        log_requests: whether each request is shown on stderr.
        root: the project's folder; None where there is none, and the store is at a URL or an absolute path.
        project: the namespace of our tags; empty where there is no project folder, so that the store's own counts.
    """

    root: Path | None
    assistants: str
    store: Path | StoreURL
    environments: tuple[Environment, ...]
    project: str
    concurrency: int
    timeout: float
    store_cache: float
    log_requests: bool
    current: str

    @classmethod
    def load(cls, root: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings of the project at ``root``.

        Raises:
            SettingsError: a file cannot be read, or a value is not of its kind; the source is named.
        """
        environ = Variables(os.environ if environ is None else environ)  # tracebacks with locals show no key
        sources = Sources.read(root, environ)
        tell_of_misspelt(sources)  # first: it may be why something else is wrong
        return cls.from_sources(sources, root)

    @classmethod
    def from_sources(cls, sources: Sources, root: Path | None) -> Settings:
        """Take the settings of the project at ``root`` from sources that were read.

        Raises:
            SettingsError: a value is not of its kind; the source is named.
        """
        assistants = sources.get_setting("assistants", "ASST_ASSISTANTS", "app.assistants:ASSISTANTS")
        environments = read_environments(sources)
        return cls(
            root=root,
            assistants=assistants,
            store=parse_store(
                sources.get_setting("store", "ASST_STORE", "assistants_store.json"),
                sources.source_of("store", "ASST_STORE"),
                root,
            ),
            environments=environments,
            project=_read_project(sources, needed=root is not None),
            concurrency=_read_concurrency(sources),
            timeout=_read_timeout(sources),
            store_cache=_read_store_cache(sources),
            log_requests=_read_log(sources) is not None,
            current=sources.get_setting("environment", "ASST_ENV", "") or sources.get("APP_ENV") or environments[0].name,
        )

    @property
    def private_folder(self) -> Path:
        """The folder for what belongs to this checkout alone; git ignores it."""
        return (self.root or (self.store.parent if isinstance(self.store, Path) else Path.cwd())) / ".asst"

    @property
    def local_file(self) -> Path:
        """Where the embedded platform keeps its objects."""
        return self.private_folder / "local.json"

    @property
    def local_model(self) -> LocalModel | None:
        """The model that answers in sessions of the embedded platform; None where samples answer.

        Raises:
            SettingsError: it is a URL that must not be used.
        """
        sources = self.environments[0].sources
        named, name = sources.get("ASST_LOCAL_MODEL"), sources.get("ASST_LOCAL_MODEL_NAME")
        if named is None:
            return None
        if "://" in named:
            if "@" in named.split("/")[2]:
                raise SettingsError("ASST_LOCAL_MODEL holds a user or password: take them out, a local model is sent none")
            parse_origin(named, "ASST_LOCAL_MODEL")
            return LocalModel(named, name)
        return LocalModel(str((self.root or Path.cwd()) / Path(named).expanduser()), name)

    def environment(self, name: str | None = None, named_by: str | None = None) -> Environment:
        """The environment of that name, by default the one whose instance the app uses.

        Args:
            named_by: the setting that the name comes from, for the message.

        Raises:
            SettingsError: there is none; the message lists the known names and suggests the closest.
        """
        if name is None:
            sources = self.environments[0].sources
            own = sources.get_setting("environment", "ASST_ENV", "")
            name, named_by = self.current, sources.source_of("environment", "ASST_ENV") if own else "APP_ENV"
        for environment in self.environments:
            if environment.name == name:
                return environment
        known = [environment.name for environment in self.environments]
        source = f" ({named_by} names it)" if named_by else ""
        raise SettingsError(f"no environment {name!r:.80}; known: {', '.join(known)}{did_you_mean(name, known)}{source}")

    def environment_for(self, name: str, location: Location) -> Environment | None:
        """The environment to use for what is recorded for environment ``name`` at a location; None where there is none.

        It is ``name`` itself if it resolves to the location, else the first that does. A location that needs no
        credentials (``local``, ``responses``) always has one; no URL is ever made from a record.
        """
        there = [each for each in self.environments if each.location == location]
        if there:
            return next((each for each in there if each.name == name), there[0])
        if location in (LOCAL, PINNED):
            return replace(self.environments[0], location=location, base_url=LOCAL_URL)
        return None


def parse_store(place: str, source: str, root: Path | None) -> Path | StoreURL:
    """Where a store is: the URL of a server, or a path, relative to ``root``.

    Args:
        source: where the place is named, for messages.

    Raises:
        SettingsError: it is empty, or no URL of a store.
    """
    if not place.strip():
        raise SettingsError(f"{source} is empty: name a file, or the URL of a store")
    if "://" not in place:
        return root / place if root else Path(place)
    try:
        from ..store.url import StoreURL

        return StoreURL.parse(place, source)
    except SettingsError as error:
        place, problem = "", str(error)
    raise SettingsError(problem)  # from here, so that a traceback with local variables shows no password


def _read_project(sources: Sources, *, needed: bool) -> str:
    tables = (sources.pyproject.get("project", {}), sources.pyproject.get("tool", {}).get("poetry", {}))
    names = [table["name"] for table in tables if isinstance(table, dict) and isinstance(table.get("name"), str)]
    project = sources.get_setting("project", "ASST_PROJECT", names[0] if names else "")
    if not project and needed:
        raise SettingsError("the project has no name: set [project].name or [tool.asst].project in pyproject.toml")
    if len(project) > 512 or not project.isprintable():
        raise SettingsError("the project's name must be at most 512 printable characters (it becomes a metadata tag)")
    return project


def _read_store_cache(sources: Sources) -> float:
    seconds = sources.get("ASST_STORE_CACHE") or "5"
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,6})?", seconds):
        raise SettingsError(f"ASST_STORE_CACHE must be a number of seconds, 0 or more, not {seconds!r:.80}")
    return float(seconds)


def _read_log(sources: Sources) -> str | None:
    level = sources.get("ASST_LOG")
    if level is not None and level.lower() not in LOG_LEVELS:
        known = f"{', '.join(LOG_LEVELS)}{did_you_mean(level, LOG_LEVELS)}"
        raise SettingsError(f"no log level {level!r:.80}; known: {known} (ASST_LOG names it)")
    return level


def _read_concurrency(sources: Sources) -> int:
    concurrency = sources.get_setting("concurrency", "ASST_CONCURRENCY", "16")
    if not concurrency.isascii() or not concurrency.isdigit() or not 1 <= int(concurrency) <= 1000:
        raise SettingsError(f"concurrency (ASST_CONCURRENCY) must be a number from 1 to 1000, not {concurrency!r:.80}")
    return int(concurrency)


def _read_timeout(sources: Sources) -> float:
    timeout = sources.get_setting("timeout", "ASST_TIMEOUT", "600")
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,6})?", timeout) or not 0 < float(timeout) <= MAX_TIMEOUT:
        raise SettingsError(
            f"timeout (ASST_TIMEOUT) must be a number of seconds, above 0 and up to {MAX_TIMEOUT}, not {timeout!r:.80}"
        )
    return float(timeout)
